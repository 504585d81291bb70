"""Known data sets: one TOML file each in `data_catalog`, and how to get them.

Files lie in the data folder, `HSI_SSL_DATA` or else the platform's cache folder, under the paths
that the entry gives; those that are there are used as they are. What is missing is got into the
cache folder: only who asks for it, with `hsi-ssl catalog fetch`, has it in the data folder. Indian
Pines comes with the package tensorly, drillcore-sim is simulated on first use.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hsi_ssl.catalog.download import download
from hsi_ssl.checking import Settings, checked
from hsi_ssl.claims import claimed
from hsi_ssl.errors import CatalogError
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelClass, LabelSet
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.wavelengths import BandFacts
from hsi_ssl.watcher import SILENT, Watcher

DATA_VARIABLE = "HSI_SSL_DATA"
TENSORLY_FOLDER = "datasets/data"
"""Where tensorly keeps its arrays, inside the package."""
ANYBODY_WRITES = 0o222

Code = Annotated[int, Field(ge=1, le=LARGEST_CODE)]
Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$")]


class LabelSetEntry(Settings):
    """A label set: where its codes lie and what they mean."""

    name: str
    variable: str | None = None
    """Array inside the cube's own file; None: the file's usual one, or the scene's label file."""
    range: tuple[Code, Code] = (1, LARGEST_CODE)
    """First and last code; others in the same plane belong to another set."""
    ignore: tuple[int, ...] = ()
    """Codes that mean unlabelled beside 0 (outside, clouds)."""
    classes: tuple[tuple[Code, str, Colour], ...] = ()
    """Code, name, colour; none where the meaning is not known."""

    def label_set(self) -> LabelSet:
        """Names and colours."""
        return LabelSet(self.name, tuple(LabelClass(*c) for c in self.classes))

    def within(self, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Codes of any shape with those outside the set's range made 0."""
        first, last = self.range
        return np.where((codes >= first) & (codes <= last), codes, UNLABELLED_CODE)


class SceneEntry(Settings):
    """One cube and its labels; paths count from the data folder."""

    cube: str
    variable: str | None = None
    labels: str | None = None
    """None: labels are inside the cube's file, or there are none."""
    labels_variable: str | None = None
    role: Literal["train", "test"] | None = None
    """What the publishers use the scene for."""


class FileEntry(Settings):
    """A file to download."""

    path: str
    url: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class Entry(Settings):
    """A known data set: one file of `data_catalog`."""

    name: str
    title: str
    description: str
    format: str
    size: str
    origin: Literal["download", "tensorly", "simulator", "own"]
    """How the files come: from `files`, with tensorly, from the simulator, or from the user."""
    licence: str
    citation: str
    homepage: str | None = None
    howto: str | None = None
    """What the user must do where nothing can be downloaded."""
    wavelengths_nm: tuple[float, ...] | None = None
    """Of the bands, where the files do not tell."""
    wavelengths_note: str | None = None
    pattern: str | None = None
    """What cubes of this data set are called: they are recognised by it wherever they lie."""
    scenes: tuple[SceneEntry, ...] = ()
    """None: all that match `pattern`."""
    files: tuple[FileEntry, ...] = ()
    label_sets: Annotated[tuple[LabelSetEntry, ...], Field(min_length=1)]

    def facts(self, bands: int) -> BandFacts:
        """What it says of the bands of a cube of so many; nothing of other numbers of them."""
        if self.wavelengths_nm is None or len(self.wavelengths_nm) != bands:
            return BandFacts()
        origin = Origin(f"the catalog, data set {self.name}")
        return BandFacts(np.array(self.wavelengths_nm), wavelengths_from=origin)

    def label_set(self, name: str | None) -> LabelSetEntry:
        """The label set of that name, or the first.

        Raises
        ------
        CatalogError
            There is none of that name.
        """
        if name is None:
            return self.label_sets[0]
        known = {label_set.name: label_set for label_set in self.label_sets}
        if name not in known:
            raise CatalogError(f"{self.title} has no label set {name}; there are: {_list(known)}")
        return known[name]


@dataclass(frozen=True)
class Located:
    """Where an entry's files lie; `missing` names those that do not."""

    entry: Entry
    folder: Path
    scenes: tuple[SceneEntry, ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return not self.missing

    @property
    def size(self) -> int:
        """Bytes of the files that are there."""
        paths = {s.cube for s in self.scenes} | {s.labels for s in self.scenes if s.labels}
        files = [self.folder / path for path in paths]
        return sum(file.stat().st_size for file in files if file.is_file())


@cache
def entries() -> dict[str, Entry]:
    """All entries by name."""
    files = resources.files("hsi_ssl.data_catalog").iterdir()
    found = {f.name.removesuffix(".toml"): f for f in files if f.name.endswith(".toml")}
    return {
        name: checked(
            Entry,
            {"name": name, **tomllib.loads(found[name].read_text(encoding="utf-8"))},
            where=found[name].name,
        )
        for name in sorted(found)
    }


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises
    ------
    CatalogError
        There is none; the message names the nearest.
    """
    known = entries()
    if name not in known:
        near = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {_list(known)}"
        raise CatalogError(f"no data set {name} in the catalog; {hint}")
    return known[name]


def recognise(path: Path) -> tuple[Entry, SceneEntry] | None:
    """The entry that a cube is of by the name that its publishers gave it, wherever it lies."""
    for known in entries().values():
        if known.origin == "own":
            continue
        for scene in known.scenes:
            if Path(scene.cube).name == path.name:
                return known, scene
        if known.pattern and fnmatch(path.name, Path(known.pattern).name):
            return known, SceneEntry(cube=path.name)
    return None


def data_folder() -> Path:
    """Where the user keeps data sets: `HSI_SSL_DATA`, or else the platform's cache folder."""
    chosen = os.environ.get(DATA_VARIABLE)
    return Path(chosen) if chosen else cache_folder()


def cache_folder() -> Path:
    """The platform's cache folder, for what is got or simulated unasked."""
    import pooch

    return Path(pooch.os_cache("hsi-ssl"))


def locate(known: Entry, folder: Path | None = None) -> Located:
    """Where an entry's files lie: in `folder`, or else in the data folder or the cache folder."""
    if known.origin == "tensorly":
        places = [_tensorly_folder()]
    else:
        places = [folder] if folder else list(dict.fromkeys((data_folder(), cache_folder())))
    tried = [_look(known, place) for place in places]
    return next((found for found in tried if found.complete), tried[0])


def fetch(
    known: Entry,
    folder: Path | None = None,
    *,
    to_data_folder: bool = False,
    watcher: Watcher = SILENT,
) -> Located:
    """Get what is missing of an entry, say where it goes, and locate it.

    It goes into `folder`; without one into the cache folder, or with `to_data_folder` into the
    data folder unless that is read-only. Each file is whole and has the right checksum, or is
    absent.

    Raises
    ------
    CatalogError
        The files are not there and only the user can get them.
    FetchError
        A download failed, or its checksum is wrong.
    OutputError
        The folder cannot be written to.
    """
    found = locate(known, folder)
    if found.complete:
        return found
    if known.origin == "tensorly":
        raise CatalogError(
            f"{found.missing[0]} is not in {found.folder}, where tensorly keeps it; install that "
            "package again: pip install --force-reinstall tensorly"
        )
    if known.origin == "own":
        raise CatalogError(
            f"{known.title} is not in {found.folder} (no {found.missing[0]}); {known.howto}"
        )
    place = folder or (_writable_folder(watcher) if to_data_folder else cache_folder())
    with claimed(place / known.name):
        if known.origin == "simulator":
            _simulate(known, place, watcher)
        else:
            watcher.say(f"{known.title}: downloading into {place}, once")
            for file in known.files:
                if not (place / file.path).exists():
                    download(file.url, place / file.path, sha256=file.sha256, watcher=watcher)
    return locate(known, place)


def _look(known: Entry, folder: Path) -> Located:
    if known.scenes or not known.pattern:
        wanted = [*(s.cube for s in known.scenes), *(s.labels for s in known.scenes if s.labels)]
        missing = tuple(path for path in wanted if not (folder / path).is_file())
        return Located(known, folder, known.scenes, missing)
    cubes = sorted(path.relative_to(folder).as_posix() for path in folder.glob(known.pattern))
    scenes = tuple(SceneEntry(cube=cube) for cube in cubes)
    return Located(known, folder, scenes, () if scenes else (known.pattern,))


def _tensorly_folder() -> Path:
    """The package's arrays, found without importing it, which would take a second."""
    spec = importlib.util.find_spec("tensorly")
    if spec is None or spec.origin is None:
        raise CatalogError("Indian Pines comes with the package tensorly: pip install tensorly")
    return Path(spec.origin).parent / TENSORLY_FOLDER


def _writable_folder(watcher: Watcher) -> Path:
    """The data folder, or the cache folder if that one is read-only."""
    chosen, instead = data_folder(), cache_folder()
    if chosen == instead or _writable(chosen):
        return chosen
    watcher.say(f"{chosen} is read-only: what is missing there goes to {instead}")
    return instead


def _writable(folder: Path) -> bool:
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.stat().st_mode & ANYBODY_WRITES:  # root could, and must not
        return False
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".hsi-ssl-", dir=there))
    except OSError:
        return False
    return True


def _simulate(known: Entry, folder: Path, watcher: Watcher) -> None:
    from hsi_ssl.scenes.simulate import simulate

    place = folder / known.name
    if place.exists() and any(place.iterdir()):
        raise CatalogError(
            f"{place} holds other files than {known.title}'s; move them away, or name that folder "
            "as a source"
        )
    watcher.say(f"{known.title}: simulating {len(known.scenes)} scenes into {place}, once")
    simulate(place, scenes=len(known.scenes), watcher=watcher)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
