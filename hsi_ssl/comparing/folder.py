"""The folder of a comparison: what it is of, one small file a finished cell, trained extractors.

compare.json   dataset and settings, which all cells share
cells/         one JSON a cell, written at once when the cell is done
extractors/    run folders, one an extractor and seed
unfinished/    what a cell in progress writes
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hsi_ssl import __version__
from hsi_ssl.checksums import sealed, unsealed
from hsi_ssl.comparing.grid import Cell, Result
from hsi_ssl.errors import OutputError
from hsi_ssl.files import written_beside
from hsi_ssl.os_errors import os_errors
from hsi_ssl.plain import checked

IDENTITY = "compare.json"
TABLE = ("index.html", "compare.csv", "table.json")
"""What is made of all cells at the end."""
OWN = (*TABLE, "cells", "extractors", "unfinished", IDENTITY)
"""What lies in the folder, all of it ours; what it is of goes last."""


@dataclass(frozen=True)
class Folder:
    """Where a comparison is kept."""

    path: Path

    def check(self, identity: dict[str, Any], *, overwrite: bool) -> None:
        """Refuse a folder that holds something else.

        Raises
        ------
        OutputError
            It is a file, holds other files, or a comparison of another dataset or with other
            settings, which `overwrite` would replace.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; name a folder for the comparison")
        strange = sorted({p.name for p in self.path.iterdir()} - set(OWN))
        if strange:
            raise OutputError(f"{self.path} also holds {strange[0]}; name a new folder with -o")
        if overwrite or not (self.path / IDENTITY).exists():
            return
        try:
            known = read_json(self.path / IDENTITY)
        except ValueError as error:
            raise OutputError(
                f"{self.path / IDENTITY} is broken ({error}); pass --overwrite to start anew"
            ) from error
        other = sorted(_differing(known, {"version": __version__, **identity}))
        if other:
            raise OutputError(
                f"{self.path} holds a comparison with other values of {', '.join(other)}; name "
                "another folder with -o, or pass --overwrite to start anew"
            )

    def begin(self, identity: dict[str, Any], *, overwrite: bool) -> None:
        """Make the folder; with `overwrite` what was found before is forgotten.

        So is what nothing tells of what it is.
        """
        with os_errors(self.path):
            if overwrite or not (self.path / IDENTITY).exists():
                for name in OWN:
                    place = self.path / name
                    if place.is_dir():
                        shutil.rmtree(place)
                    else:
                        place.unlink(missing_ok=True)
            for name in ("cells", "extractors"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self.path / "unfinished", ignore_errors=True)
            (self.path / "unfinished").mkdir()
        if not (self.path / IDENTITY).exists():
            write_json(self.path / IDENTITY, {"version": __version__, **identity})

    def extractor(self, name: str, seed: int) -> Path:
        """Run folder of an extractor; one that is named by its run folder is there."""
        return self.path / "extractors" / f"{name}-{seed}"

    def scratch(self, cell: Cell) -> Path:
        """An empty folder for what a cell writes on its way."""
        place = self.path / "unfinished" / f"{cell.name}-{os.getpid()}"
        place.mkdir(parents=True)
        return place

    def keep(self, cell: Cell, result: Result) -> None:
        """Write what a cell has found, at once."""
        write_json(self._place(cell), asdict(result))

    def found(self, cells: Iterable[Cell]) -> dict[Cell, Result]:
        """What is there of these cells.

        Raises
        ------
        OutputError
            A file is not what was written.
        """
        results = {}
        for cell in cells:
            place = self._place(cell)
            if place.exists():
                try:
                    results[cell] = checked(Result, _only(Result, read_json(place)))
                    own = vars(cell).items()
                    if any(getattr(results[cell], key) != value for key, value in own):
                        raise ValueError("it is of another cell")
                except ValueError as error:
                    raise OutputError(
                        f"{place} is broken ({error}); remove it, and its cell is made again"
                    ) from error
        return results

    def _place(self, cell: Cell) -> Path:
        return self.path / "cells" / f"{cell.name}.json"


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file with checksums, whole or not at all; one that was there is replaced."""
    with written_beside(path, overwrite=True) as beside:
        text = json.dumps(sealed(values), indent=1, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` wrote.

    Raises
    ------
    ValueError
        It is not as it was written.
    """
    return unsealed(path.read_text(encoding="utf-8"))


def _only(kind: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Values of the fields of a dataclass, if there are no others."""
    unknown = sorted(values.keys() - {f.name for f in fields(kind)})
    if unknown:
        raise ValueError(f"{unknown[0]} is not known")
    return values


def _differing(known: dict[str, Any], wanted: dict[str, Any], of: str = "") -> Iterable[str]:
    """Names of the values in which two identities differ."""
    for name in known.keys() | wanted.keys():
        a, b = known.get(name), wanted.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differing(a, b, f"{of}{name}.")
        elif a != b:
            yield of + name
