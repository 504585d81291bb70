"""HDF5 files opened for reading, in one place: another process looks at what they say first.

Whoever reads a file that somebody else wrote opens it here. Files of ours, whose structures have
checksums, are opened where they are read (`datasets/store.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from hsi_ssl.errors import DamagedSceneError, HsiSslError, SceneError
from hsi_ssl.scenes.readers.hdf5_probe import look_first
from hsi_ssl.stopping import uninterrupted

BROKEN = (
    ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""What comes of a damaged file: HDF5's own errors, and names and attributes of another type."""


@contextmanager
def left_open(path: Path) -> Iterator[h5py.File]:
    """Open a file that stays open, unless what is done within fails.

    Raises
    ------
    SceneError
        As `opened`.
    """
    look_first(path)
    file = None
    try:
        file = h5py.File(path, "r")
        yield file
    except BaseException as error:
        if file is not None:
            file.close()
        if isinstance(error, BROKEN) and not isinstance(error, HsiSslError):
            said = " ".join(str(error).split())
            kind = DamagedSceneError if h5py.is_hdf5(path) else SceneError
            raise kind(
                f"{path} is cut short, broken or no HDF5 file ({said}); get the file again"
            ) from error
        raise


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; whatever HDF5 refuses of it meanwhile is one sentence.

    Raises
    ------
    SceneError
        The file is cut short, broken, or no HDF5; it promises what it does not hold.
    """
    with left_open(path) as file, file:
        yield file


def objects_in(file: h5py.File) -> dict[str, h5py.Group | h5py.Dataset]:
    """All groups and arrays of a file by their full names, without the first slash.

    Without those whose names are no text, for which nobody could ask.
    """
    found: dict[str, h5py.Group | h5py.Dataset] = {}

    @uninterrupted
    def look(name: str | bytes, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(name, str):
            found[name] = item

    file.visititems(look)
    return found


def names_in(file: h5py.File) -> list[str]:
    """The names of `objects_in`, which need not be opened for it."""
    found: list[str] = []

    @uninterrupted
    def look(name: str | bytes) -> None:
        if isinstance(name, str):
            found.append(name)

    file.visit(look)
    return found
