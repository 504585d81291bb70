"""HDF5 files that are written whatever the disk says: a full one is an error, not the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from hsi_ssl.stopping import uninterrupted


@contextmanager
def writing_hdf5(path: Path, **options: Any) -> Iterator[tuple[h5py.File, Disk]]:
    """Write a new HDF5 file; gives it, and the disk that it goes to. `options` as of `h5py.File`.

    Raises
    ------
    OSError
        The disk is full; raised when all else is done.
    """
    with Disk(path) as disk:
        with h5py.File(disk, "w", **options) as file:
            yield file, disk
        disk.check()


class Disk:
    """The file that HDF5 writes to, for h5py's driver for Python files.

    Nothing may be raised in what HDF5 calls, so no stop is. A full disk must not reach it: it
    cannot close a file that it cannot flush, and takes the process down. So the first refusal is
    kept for `check` to raise, and HDF5 is told that all is well.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("x+b", buffering=0)
        self._error: OSError | None = None
        self.seek, self.tell = self._file.seek, self._file.tell
        self.read, self.readinto = self._file.read, self._file.readinto

    @uninterrupted
    def write(self, data: memoryview) -> int:
        """Write all of `data`, or keep the error."""
        done = 0
        try:
            while done < len(data) and self._error is None:
                done += self._file.write(data[done:])
        except OSError as error:
            self._error = error
        return len(data)

    @uninterrupted
    def truncate(self, size: int) -> int:
        """Set the size, or keep the error."""
        try:
            self._file.truncate(size)
        except OSError as error:
            self._error = self._error or error
        return size

    @uninterrupted
    def flush(self) -> None:
        """Nothing waits here."""

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
