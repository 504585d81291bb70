"""Arrays of MATLAB files up to version 7: what they are, and where their numbers lie."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hsi_ssl.scenes.axes import Order
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.scene import Array

LOGICAL, CHAR, CELL, SPARSE = "logical values", "text", "cells", "sparse numbers"
NUMBERS, COMPLEX, OTHER = "numbers", "complex numbers", "objects"
"""Kinds of arrays."""


BYTES = np.dtype("u1")


class BrokenError(Exception):
    """What a file says contradicts itself, or there is less of it than it says."""


class Stretch:
    """A part of a file, from `start` to `end`, read at given places."""

    def __init__(self, file: BinaryIO | None, start: int, end: int) -> None:
        self._file, self.start, self.end = file, start, end

    @property
    def file(self) -> BinaryIO:
        """The open file."""
        if self._file is None:
            raise ValueError("no file")
        return self._file

    def close(self) -> None:
        """Release the file."""
        self.file.close()

    def read(self, at: int, size: int) -> bytes:
        """`size` bytes from place `at` of the file on.

        Raises
        ------
        BrokenError
            They are not there.
        """
        if size < 0 or at < self.start or at + size > self.end:
            raise BrokenError("it ends within an array")
        found = os.pread(self.file.fileno(), size, at)
        if len(found) < size:
            raise BrokenError("it ends within an array")
        return found


@dataclass(frozen=True)
class Stored:
    """One array: its kind, shape, the type of its numbers and where they begin.

    Columns first, as MATLAB has them. `parts`: of cells the arrays in them, of a sparse matrix its
    rows, columns' beginnings and values. `coding` is that of texts.
    """

    kind: str
    shape: tuple[int, ...]
    stretch: Stretch = field(repr=False)
    dtype: np.dtype[Any] = BYTES
    offset: int = 0
    size: int = 0
    parts: tuple[Stored, ...] = field(default=(), repr=False)
    coding: str = ""

    def values(self) -> Array:
        """All numbers, whose shape is the array's.

        Raises
        ------
        BrokenError
            They are not all there; a sparse matrix contradicts itself.
        """
        if self.kind == SPARSE:
            return self._dense()
        return self._flat().reshape(self.shape, order="F")

    def reader(self, path: Path, order: Order) -> FlatReader:
        """A reader of a cube whose axes are `order`; errors speak of `path`."""
        rows, cols, bands = (self.shape[order.index(axis)] for axis in range(3))
        file = os.fdopen(os.dup(self.stretch.file.fileno()), "rb", buffering=0)
        axes: Order = order[::-1]
        return FlatReader(
            path, (rows, cols, bands), self.dtype, offset=self.offset, axes=axes, file=file
        )

    def texts(self) -> list[str]:
        """The rows of an array of characters.

        Raises
        ------
        BrokenError
            They are not as many characters as it says.
        """
        raw = self.stretch.read(self.offset, self.size)
        letters = raw.decode(self.coding, "replace")
        rows = self.shape[0] if self.shape else 1
        if rows == 1:
            return [letters]
        if len(letters) != math.prod(self.shape):
            raise BrokenError("a text is not as long as it says")
        return [letters[row::rows] for row in range(rows)]

    def _flat(self) -> Array:
        raw = self.stretch.read(self.offset, math.prod(self.shape) * self.dtype.itemsize)
        return np.frombuffer(raw, self.dtype).astype(self.dtype.newbyteorder("="))

    def _dense(self) -> Array:
        """A sparse matrix with all its zeros: by its lines in version 4, else by its columns."""
        try:
            if len(self.parts) == 1:
                rows, cols, numbers = self.parts[0].values()[:-1].T
                rows, cols = rows.astype(np.int64) - 1, cols.astype(np.int64) - 1
            else:
                rows, starts, numbers = (part._flat() for part in self.parts)
                count = int(starts[-1])
                if len(starts) != self.shape[1] + 1 or not 0 <= count <= min(
                    len(rows), len(numbers)
                ):
                    raise ValueError("its columns do not fit")
                rows, numbers = rows[:count], numbers[:count]
                each = np.diff(starts.astype(np.int64)).tolist()
                cols = np.repeat(np.arange(self.shape[1]), each)
            if len(rows) and not 0 <= min(rows.min(), cols.min()):
                raise ValueError("a place before the first")
            found = np.zeros(self.shape, numbers.dtype)
            found[rows, cols] = numbers
        except (ValueError, IndexError) as error:
            raise BrokenError(f"a broken sparse matrix, {error}") from error
        return found
