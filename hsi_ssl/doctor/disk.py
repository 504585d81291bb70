"""Folders that runs, temporary files and data go to: whether there is room, and how fast."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hsi_ssl.doctor.trouble import Trouble
from hsi_ssl.os_errors import REASONS

PIECE, MOST, SECONDS = 1 << 20, 32, 0.3
"""Bytes written at a time, how often at most, and for how long."""
LEAST_ROOM = 1e9
"""Bytes that dataset, runs, reports and maps of a usual scene have room in."""
DEFAULT_PROJECT = Path("hsi-ssl.toml")
OUTPUTS = (("prepare", "runs/dataset.h5"), ("m1", "runs/m1"), ("m2", "runs/m2"))
"""Tables of the settings file that name where something goes, and where by default."""


def run_folders(project: Path | None) -> list[Path]:
    """The folders that runs go to, by the settings file, as far as that can be read."""
    table: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, RecursionError):
        table = tomllib.loads((project or DEFAULT_PROJECT).read_text(encoding="utf-8"))
    found = []
    for name, default in OUTPUTS:
        of_stage = table.get(name)
        given = of_stage.get("output", default) if isinstance(of_stage, dict) else default
        found.append(Path(given if isinstance(given, str) else default).parent)
    return list(dict.fromkeys(found))


def there_already(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = Path(os.path.abspath(folder))
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return folder


def looked_at(folder: Path) -> dict[str, Any]:
    """Room in a folder, and how fast it is written and read: by writing, for a moment."""
    place = there_already(folder)
    found: dict[str, Any] = {"folder": str(folder)}
    try:
        found["free"] = shutil.disk_usage(place).free
        found |= _tried(place)
    except OSError as error:
        found["error"] = REASONS.get(error.errno or 0, str(error.strerror or error))
    return found


def _tried(place: Path) -> dict[str, float]:
    """Bytes a second, written down to the disk and read back past what memory keeps of it."""
    piece = os.urandom(PIECE)
    handle, name = tempfile.mkstemp(prefix=".hsi-ssl-doctor-", dir=place)
    try:
        written, started = 0, time.perf_counter()
        while written < MOST * PIECE and time.perf_counter() - started < SECONDS:
            written += _whole(handle, piece)
        os.fsync(handle)
        writing = written / (time.perf_counter() - started)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.lseek(handle, 0, os.SEEK_SET)
        started = time.perf_counter()
        while os.read(handle, PIECE):
            pass
        return {"written": writing, "read": written / (time.perf_counter() - started)}
    finally:
        os.close(handle)
        os.unlink(name)


def _whole(handle: int, piece: bytes) -> int:
    """Write all of a piece: a disk that is nearly full takes a part first."""
    done = 0
    while done < len(piece):
        done += os.write(handle, piece[done:])
    return done


def folders(project: Path | None) -> list[dict[str, Any]]:
    """Those that runs go to, and the one for temporary files."""
    return [looked_at(folder) for folder in (*run_folders(project), Path(tempfile.gettempdir()))]


def troubles_of_folders(
    found: list[dict[str, Any]], environment: Mapping[str, str]
) -> list[Trouble]:
    """What cannot be written to, or soon cannot."""
    said = []
    for one in found:
        if "error" in one:
            said.append(
                Trouble("wrong", "disk", f"cannot write to {one['folder']}", str(one["error"]))
            )
        elif one["free"] < LEAST_ROOM:
            said.append(
                Trouble(
                    "wrong",
                    "disk",
                    f"{one['free'] / 1e6:,.0f} MB are free where {one['folder']} is, and dataset, "
                    f"runs and maps may want {LEAST_ROOM / 1e9:.0f} GB",
                    "free some, or work in another folder",
                )
            )
    data = environment.get("HSI_SSL_DATA")
    if data is not None and not os.path.isdir(data):
        said.append(
            Trouble(
                "wrong",
                "HSI_SSL_DATA",
                f"HSI_SSL_DATA={data} is no folder",
                "unset it, or name the folder that holds the data sets",
            )
        )
    return said
