"""MATLAB's files of version 4: matrices, one after the other, each behind five numbers and a name.

By MathWorks, "MAT-File Format", chapter 2 "Level 4 MAT-Files".
"""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np

from hsi_ssl.scenes.promises import LONGEST
from hsi_ssl.scenes.readers.matlab_stored import (
    CHAR,
    COMPLEX,
    NUMBERS,
    SPARSE,
    BrokenError,
    Stored,
    Stretch,
)

TYPES = ("f8", "f4", "i4", "i2", "u2", "u1")
FULL, TEXT, MATRIX_OF_PLACES = 0, 1, 2
LONGEST_NAME = 2**10
LINE = 3
LARGEST_MARK = 5000
"""Of the first number of a matrix in the machine's own order."""


class Level4:
    """An open file and the `arrays` in it by name; nothing that is empty.

    Raises
    ------
    BrokenError
        The file contradicts itself or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self._whole = Stretch(path.open("rb", buffering=0), 0, path.stat().st_size)
        self.arrays: dict[str, Stored] = {}
        try:
            at = 0
            while at < self._whole.end:
                at = self._matrix(at)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file; readers have their own."""
        self._whole.close()

    def _matrix(self, at: int) -> int:
        """Note one matrix; gives where it ends."""
        raw = self._whole.read(at, 20)
        order = "<" if 0 <= struct.unpack("<i", raw[:4])[0] < LARGEST_MARK else ">"
        mark, rows, cols, imaginary, length = struct.unpack(order + "5i", raw)
        machine, rest = divmod(mark, 1000)
        precision, kind = rest // 10, rest % 10
        if machine != (order == ">") or precision >= len(TYPES) or kind > MATRIX_OF_PLACES:
            raise BrokenError(f"a matrix of the kind {mark}")
        if min(rows, cols) < 0 or not 0 < length < LONGEST_NAME:
            raise BrokenError(f"a matrix of {rows} x {cols}")
        name = self._whole.read(at + 20, length).split(b"\0")[0].decode("latin-1")
        dtype = np.dtype(order + TYPES[precision])
        start, size = at + 20 + length, rows * cols * dtype.itemsize
        end = start + size * (2 if imaginary else 1)
        if end > self._whole.end:
            raise BrokenError(f"{name} is not whole")
        if rows * cols:
            found = Stored(NUMBERS, (rows, cols), self._whole, dtype, start, size)
            if imaginary:
                found = replace(found, kind=COMPLEX)
            elif kind == TEXT:
                found = replace(found, kind=CHAR, coding="latin-1" if dtype == np.uint8 else "")
            elif kind == MATRIX_OF_PLACES:
                found = _as_sparse(found)
            self.arrays[name] = found
        return int(end)


def _as_sparse(places: Stored) -> Stored:
    """A sparse matrix, each of whose lines has row, column and value, and the last one its size."""
    if places.shape[1] != LINE:
        raise BrokenError(f"a sparse matrix in lines of {places.shape[1]} numbers")
    rows, cols = (int(size) for size in places.values()[-1, :2])
    if not 1 <= min(rows, cols) <= max(rows, cols) <= LONGEST:
        raise BrokenError(f"a sparse matrix of {rows} x {cols}")
    return replace(places, kind=SPARSE, shape=(rows, cols), parts=(places,))
