"""The whole check-up: what is found, once as values and once in words."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hsi_ssl import __version__
from hsi_ssl.doctor.disk import folders, troubles_of_folders
from hsi_ssl.doctor.machine import described, troubles_of_machine
from hsi_ssl.doctor.parts import optional, parts, troubles_of_parts
from hsi_ssl.doctor.trouble import Trouble
from hsi_ssl.watcher import SILENT, Watcher

LEVELS = {
    "wrong": "would go wrong",
    "slow": "slower than it need be",
    "note": "good to know",
}
COLUMNS = 80


class Checkup(NamedTuple):
    """What was found: `values` are JSON, `lines` are for people; `well`: nothing would fail."""

    values: dict[str, Any]
    lines: list[str]
    well: bool


def checkup(project: Path | None = None, watcher: Watcher = SILENT) -> Checkup:
    """Look at packages, machine and disks; nothing that is broken ends it."""
    watcher.progress("looking at this machine", 0, 3)
    machine = described()
    watcher.progress("looking at disks", 1, 3)
    disks = folders(project)
    watcher.progress("looking at packages", 1.5, 3)
    found = parts()
    watcher.progress("looking at packages", 3, 3)
    troubles = [
        *troubles_of_parts(found, os.environ),
        *troubles_of_machine(machine, found["torch"], os.environ),
        *troubles_of_folders(disks, os.environ),
    ]
    troubles.sort(key=lambda trouble: list(LEVELS).index(trouble.level))
    values = {
        "version": __version__,
        **machine,
        "packages": found,
        "optional": optional(),
        "folders": disks,
        "troubles": [trouble.to_json() for trouble in troubles],
    }
    lines = [*_facts(values), *_told(troubles)]
    return Checkup(values, lines, not any(trouble.level == "wrong" for trouble in troubles))


def _facts(values: dict[str, Any]) -> Iterator[str]:
    """What is there."""
    packages, torch = values["packages"], values["packages"]["torch"]
    yield from _line("hsi-ssl", f"{values['version']}, Python {values['python']}")
    yield from _line("", f"{values['executable']}, {values['system']}")
    known = [f"{n} {a['version']}".strip() for n, a in packages.items() if "version" in a]
    yield from _line("packages", ", ".join(known) or "none that works")
    more = [f"{name} {version or 'not installed'}" for name, version in values["optional"].items()]
    yield from _line("optional", ", ".join(more))
    rasters, layers, hdf5 = packages["rasterio"], packages["pyogrio"], packages["h5py"]
    if "gdal" in rasters:
        formats = f"GDAL {rasters['gdal']} ({', '.join(rasters['drivers'])})"
        yield from _line("rasters", formats)
    if "gdal" in layers:
        yield from _line("layers", f"GDAL {layers['gdal']} ({', '.join(layers['drivers'])})")
    if "hdf5" in hdf5:
        yield from _line("HDF5", hdf5["hdf5"])
    threads = f", of which torch takes {torch['threads']}" if "threads" in torch else ""
    yield from _line("cores", f"{values['cores']}{threads}")
    if values["memory"]:
        yield from _line(
            "memory", f"{values['memory_free'] / 1e9:.1f} of {values['memory'] / 1e9:.1f} GB free"
        )
    gpus = torch.get("gpus") or []
    build = f"torch for CUDA {torch['cuda']}" if torch.get("cuda") else "torch for processors"
    if "version" in torch:
        yield from _line("GPU", f"{', '.join(gpus) or 'none that torch can use'} ({build})")
        speed = f"{torch['gflops']:,.0f} GFLOP/s"
        if "gpu_gflops" in torch:
            speed += f", on the GPU {torch['gpu_gflops']:,.0f}"
        yield from _line("speed", f"matrix products {speed} (float32, measured now)")
    for one in values["folders"]:
        if "error" not in one:
            yield from _line(
                "disk",
                f"{one['folder']}: {one['free'] / 1e9:,.1f} GB free, written at "
                f"{one['written'] / 1e6:,.0f} and read at {one['read'] / 1e6:,.0f} MB/s",
            )


def _told(troubles: list[Trouble]) -> Iterator[str]:
    """What is wrong with it."""
    yield ""
    if not troubles:
        yield "Nothing is wrong here. Begin with `hsi-ssl start FOLDER` or `hsi-ssl demo`."
        return
    for level, heading in LEVELS.items():
        some = [trouble for trouble in troubles if trouble.level == level]
        if some:
            yield f"{heading[0].upper()}{heading[1:]}:"
        for trouble in some:
            yield from _wrapped(f"- {trouble.about}: {trouble.said}", "  ")
            yield from _wrapped(f"  do: {trouble.do}", "      ")
    if not any(trouble.level == "wrong" for trouble in troubles):
        yield "Nothing would fail. Begin with `hsi-ssl start FOLDER` or `hsi-ssl demo`."


def _line(name: str, said: str) -> list[str]:
    return _wrapped(f"{name:10}{said}", " " * 10)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, COLUMNS - 1, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
