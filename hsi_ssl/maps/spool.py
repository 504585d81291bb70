"""What pixels of a scene say for themselves, laid by until their neighbours are known too."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from hsi_ssl.os_errors import os_errors

Floats = npt.NDArray[np.float32]


class Spool:
    """Some float32 values a pixel, written and read by windows, by several threads at once.

    They lie in a nameless file, which is gone with the process whatever happens to it: memory
    does not grow with the scene, whatever pieces its file hands out.
    """

    def __init__(self, folder: Path, cols: int, width: int) -> None:
        """`cols`: of the scene; `width`: values a pixel. The file lies on the disk of `folder`.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        self._folder, self._cols, self._width = folder, cols, width
        with os_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)
        self._lock = threading.Lock()

    def write(self, rows: slice, cols: slice, values: Floats) -> None:
        """Lay by `values (r, c, width)` of a window.

        Raises
        ------
        OutputError
            The disk is full.
        """
        values = np.ascontiguousarray(values)
        whole = cols.stop - cols.start == self._cols
        with os_errors(self._folder), self._lock:
            for row, line in enumerate([values] if whole else values, rows.start):
                self._seek(row, cols.start)
                left = memoryview(line).cast("B")
                while left:
                    left = left[self._file.write(left) :]

    def read(self, rows: slice, cols: slice) -> Floats:
        """Values `(r, c, width)` of a window, zeros where nothing has been written."""
        shape = (rows.stop - rows.start, cols.stop - cols.start, self._width)
        values = np.zeros(shape, np.float32)
        with self._lock:
            for row, line in enumerate(values, rows.start):
                self._seek(row, cols.start)
                self._file.readinto(line)
        return values

    def _seek(self, row: int, col: int) -> None:
        place = (row * self._cols + col) * self._width * np.dtype(np.float32).itemsize
        self._file.seek(place, os.SEEK_SET)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
