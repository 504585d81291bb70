"""Rows of spectra in blocks that each have a checksum: written with them, and held to them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.checksums import checksum
from hsi_ssl.errors import DatasetError

CHUNK_ROWS = 1024
"""Rows of a chunk of the file and of what has a checksum of its own."""
READ_ROWS = 16 * CHUNK_ROWS
"""Rows that are read at once; who reads a dataset piece by piece takes pieces that begin there."""

Array = npt.NDArray[Any]


class RunningChecksums:
    """Checksums of blocks of `CHUNK_ROWS` rows that come in pieces of any size."""

    def __init__(self) -> None:
        self._done: list[int] = []
        self._rest: list[Array] = []

    def add(self, rows: Array) -> None:
        """Take in the next rows."""
        waiting = sum(map(len, self._rest))
        first = min(len(rows), CHUNK_ROWS - waiting) if waiting else 0
        if first:
            self._rest.append(rows[:first].copy())
            if waiting + first == CHUNK_ROWS:
                self._done.append(checksum(np.concatenate(self._rest)))
                self._rest = []
        whole = first + (len(rows) - first) // CHUNK_ROWS * CHUNK_ROWS
        for start in range(first, whole, CHUNK_ROWS):
            self._done.append(checksum(rows[start : start + CHUNK_ROWS]))
        if whole < len(rows):
            self._rest.append(rows[whole:].copy())

    def all(self) -> list[int]:
        """Of all rows so far; the last block may be shorter."""
        return [*self._done, *([checksum(np.concatenate(self._rest))] if self._rest else [])]


class CheckedRows:
    """Rows of a stored array; what is read is compared with its checksums, block by block.

    So rows are read by whole blocks. Chunks are fetched as they are in the file, past what HDF5
    does to cut and join them, and looked at while they are in the processor's cache: both together
    take less time than HDF5 alone (reports/faults.md).
    """

    def __init__(self, stored: h5py.Dataset, sums: Sequence[int] | None, path: Path) -> None:
        """`sums`: of each block, None where there are none; `path`: the file, for messages."""
        self.stored, self.path = stored, path
        self.sums = sums
        packed = stored.id.get_create_plist().get_nfilters() > 0
        self.as_it_is = stored.chunks == (CHUNK_ROWS, *stored.shape[1:]) and not packed

    def read(self, first: int, stop: int) -> Array:
        """Rows from `first` to before `stop`.

        Raises
        ------
        DatasetError
            They are not those that were written.
        """
        if self.sums is None:
            return np.asarray(self.stored[first:stop])
        start = first // CHUNK_ROWS * CHUNK_ROWS
        end = min(-(-stop // CHUNK_ROWS) * CHUNK_ROWS, len(self.stored))
        found = np.empty((end - start, *self.stored.shape[1:]), self.stored.dtype)
        for place in range(start, end, CHUNK_ROWS):
            block = found[place - start : place - start + CHUNK_ROWS]
            self._fetch(block, place)
            if checksum(block) != self.sums[place // CHUNK_ROWS]:
                raise DatasetError(
                    f"{self.path}: the spectra of pixels {place:,} to {place + len(block) - 1:,} "
                    "are not those that were written (checksum): the file, or the one that it "
                    "takes them from, was damaged or replaced; bring back a copy, or run "
                    "`hsi-ssl prepare` again"
                )
        return found[first - start : stop - start]

    def _fetch(self, block: Array, first: int) -> None:
        """Read the rows of a block, which begins at `first`."""
        if not self.as_it_is:
            self.stored.read_direct(block, np.s_[first : first + len(block)])
            return
        whole = block
        if len(block) < CHUNK_ROWS:  # the file's last chunk is as long as the others
            whole = np.empty((CHUNK_ROWS, *block.shape[1:]), block.dtype)
        bytes_of = whole.reshape(-1).view(np.uint8)
        self.stored.id.read_direct_chunk((first, *[0] * (block.ndim - 1)), out=bytes_of)
        if whole is not block:
            block[:] = whole[: len(block)]

    def gather(self, rows: npt.NDArray[np.int64]) -> Array:
        """Rows in any order; chunks that hold none of them are not read. Errors as `read`."""
        if len(rows) and bool((rows[1:] == rows[:-1] + 1).all()):
            return self.read(int(rows[0]), int(rows[-1]) + 1)
        found = np.empty((len(rows), self.stored.shape[1]), self.stored.dtype)
        ascending = bool((rows[1:] >= rows[:-1]).all())
        order = np.arange(len(rows)) if ascending else np.argsort(rows, kind="stable")
        ordered = rows if ascending else rows[order]
        apart = np.diff(ordered // CHUNK_ROWS) > 1
        too_many = np.diff(ordered // READ_ROWS) > 0
        begins = np.flatnonzero(apart | too_many) + 1
        for start, stop in itertools.pairwise([0, *begins.tolist(), len(rows)]):
            if stop > start:
                lowest, highest = int(ordered[start]), int(ordered[stop - 1])
                block = self.read(lowest, highest + 1)
                within = ordered[start:stop] - lowest
                if ascending:
                    np.take(block, within, axis=0, out=found[start:stop], mode="clip")
                else:
                    found[order[start:stop]] = block[within]
        return found
