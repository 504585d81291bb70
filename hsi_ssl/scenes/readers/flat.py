"""Cubes that lie in one piece in their file, uncompressed: read with the system's own calls.

No memory map: its pages would count as this process's memory, and a cube may be larger than that.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import DamagedSceneError, SceneError
from hsi_ssl.scenes.promises import refuse_absurd
from hsi_ssl.scenes.readers.boxes import SMALLEST_READ, BoxReader, memory_order
from hsi_ssl.scenes.scene import Array

BY_PIXEL = (0, 1, 2)
"""Stored as (rows, cols, bands), the last running fastest."""
BY_LINE, BY_BAND = (0, 2, 1), (2, 0, 1)
"""Stored as (rows, bands, cols) and (bands, rows, cols): ENVI's BIL and BSQ."""


SMALLEST_GAP = 2**15
"""Bytes: a disk reads on over shorter gaps in less time than it takes to begin anew."""
PROBES = 64
"""Places looked at to tell whether a file is in memory already."""


class FlatReader(BoxReader):
    """A cube `shape` (rows, cols, bands) from byte `offset` of a file on.

    `axes` tells which of those three the file's first, second and third axis is; `step` how many
    bytes lie from one entry of the first to the next, where other things lie in between. Reads at
    given places of the file, so that threads may share it.

    Raises
    ------
    SceneError
        The file ends before the cube does.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        *,
        offset: int,
        axes: tuple[int, int, int] = BY_PIXEL,
        file: BinaryIO | None = None,
        step: int | None = None,
    ) -> None:
        refuse_absurd(path, *shape)
        # What one look costs: a row of pixels, or a band's row or column.
        whole = {axes[2]} | ({axes[1]} if axes == BY_PIXEL else set())
        rows, cols, bands = (size if axis in whole else 1 for axis, size in enumerate(shape))
        super().__init__(shape, dtype.newbyteorder("="), (rows, cols, bands))
        self._path = path
        self._offset = offset
        self._axes = axes
        self._swap = not dtype.isnative
        outer, *inner = (shape[axis] for axis in axes)
        size = math.prod(inner) * dtype.itemsize
        self._apart = step is not None and step != size
        self._step = size if step is None else step
        self._file = file if file is not None else path.open("rb", buffering=0)
        held = os.fstat(self._file.fileno()).st_size
        self._end = wanted = offset + (outer - 1) * self._step + size
        if held < wanted or offset < 0 or self._step < 0:
            self.close()
            raise DamagedSceneError(
                f"{path} is cut short: {held} bytes where its cube of {shape} needs {wanted}; "
                "get the file again"
            )

    def check_length(self) -> None:
        """Refuse a file that has become shorter than the cube since it was opened.

        Raises
        ------
        SceneError
            It has.
        """
        if os.fstat(self._file.fileno()).st_size < self._end:
            raise self._shorter()

    def _shorter(self) -> SceneError:
        return SceneError(f"{self._path} became shorter while it was read; get the file again")

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        order = memory_order(self._axes)
        wanted = (rows, cols, bands)
        found = np.empty([wanted[axis].stop - wanted[axis].start for axis in order], self.dtype)
        stored = found.transpose([order.index(axis) for axis in self._axes])
        if found.size:
            self._store(stored, *(wanted[axis] for axis in self._axes))
        return found.transpose([order.index(axis) for axis in range(3)])

    def _store(self, stored: Array, outer: slice, middle: slice, inner: slice) -> None:
        """Read a box into `stored`, whose axes, in the file's order, need not be so in memory."""
        _, high, wide = (self.shape[axis] for axis in self._axes)
        plain = stored.flags.c_contiguous and stored.shape[2] == wide
        if plain and stored.shape[1] == high and not self._apart:
            self._fill(stored, outer.start * self._step)
            return
        # One stretch for each step of the outer axis, from its first to its last wanted value.
        first = (middle.start * wide + inner.start) * self.dtype.itemsize
        whole = np.empty((0 if plain else stored.shape[1], wide), self.dtype)
        stretch = whole.reshape(-1)[: (stored.shape[1] - 1) * wide + stored.shape[2]]
        for i, part in enumerate(stored):
            start = (outer.start + i) * self._step + first
            if plain:
                self._fill(part, start)
            else:
                self._fill(stretch, start)
                part[...] = whole[:, : stored.shape[2]]

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Raw spectra `(n, bands)` of single pixels; neighbours in a row are read as one run."""
        if self._axes != BY_PIXEL or self._apart:
            return super().pixels(rows, cols)
        place = rows * self.shape[1] + cols
        if (np.diff(place) > 0).all():
            return self._runs(place)
        order = np.argsort(place, kind="stable")
        found = np.empty((len(place), self.shape[2]), self.dtype)
        found[order] = self._runs(place[order])
        return found

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """As any reader, but for little data, which costs less than a call for each line of it."""
        around = [slice(int(p[0]), int(p[-1]) + 1) for p in (rows, cols)]
        around.append(slice(min(bands), max(bands) + 1))
        if math.prod(s.stop - s.start for s in around) * self.dtype.itemsize > SMALLEST_READ:
            return super().thinned(rows, cols, bands)
        each = (rows, cols, np.asarray(bands))
        picked = np.ix_(*(p - s.start for p, s in zip(each, around, strict=True)))
        found: Array = self.box(*around)[picked]
        return found

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _runs(self, place: npt.NDArray[np.int64]) -> Array:
        """Spectra of pixels given by ascending place in the file."""
        found = np.empty((len(place), self.shape[2]), self.dtype)
        if not len(place):
            return found
        spectrum = self.shape[2] * self.dtype.itemsize
        edges = np.concatenate(([0], np.flatnonzero(np.diff(place) != 1) + 1, [len(place)]))
        starts = self._offset + place[edges[:-1]] * spectrum
        view = found.reshape(-1).view(np.uint8).data
        file, edges = self._file.fileno(), edges * spectrum
        self._ask_ahead(starts, starts + np.diff(edges))
        for start, first, last in zip(
            starts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True
        ):
            if os.preadv(file, [view[first:last]], start) != last - first:
                self._read(view[first:last], start)
        return found.byteswap(inplace=True) if self._swap else found

    def _ask_ahead(self, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> None:
        """Tell the system which stretches of the file are read next, so that it need not wait."""
        if not hasattr(os, "posix_fadvise") or self._in_memory(starts):
            return
        gaps = np.flatnonzero(starts[1:] - ends[:-1] > SMALLEST_GAP)
        first, last = np.append(starts[:1], starts[gaps + 1]), np.append(ends[gaps], ends[-1:])
        file = self._file.fileno()
        for start, size in zip(first.tolist(), (last - first).tolist(), strict=True):
            os.posix_fadvise(file, start, size, os.POSIX_FADV_WILLNEED)

    def _in_memory(self, starts: npt.NDArray[np.int64]) -> bool:
        """Whether the system keeps the file in memory, judged by some of these places."""
        if not hasattr(os, "RWF_NOWAIT"):
            return False
        one = bytearray(1)
        try:
            for start in starts[:: 1 + len(starts) // PROBES].tolist():
                os.preadv(self._file.fileno(), [one], start, os.RWF_NOWAIT)
        except OSError:  # it would have to wait, or the file system cannot tell
            return False
        return True

    def _fill(self, values: Array, start: int) -> None:
        """Read contiguous `values`, `start` bytes from the cube's beginning."""
        view = values.reshape(-1).view(np.uint8).data
        self._read(view, self._offset + start)
        if self._swap:
            values.byteswap(inplace=True)

    def _read(self, view: memoryview, start: int) -> None:
        """Read all of `view`; the system may give less than is asked for (2 GB at most)."""
        while len(view):
            got = os.preadv(self._file.fileno(), [view], start)
            if got == 0:
                raise self._shorter()
            view, start = view[got:], start + got


class ArrayReader(BoxReader):
    """A cube `(rows, cols, bands)` that lies in memory, for formats that give it only whole."""

    def __init__(self, cube: Array) -> None:
        super().__init__(cube.shape, cube.dtype, (1, 1, cube.shape[2]))
        self._cube = cube

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        return np.ascontiguousarray(self._cube[rows, cols, bands])

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Raw spectra `(n, bands)` of single pixels."""
        return np.ascontiguousarray(self._cube[rows, cols])

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """Raw values where rows and columns cross; all of them cost nothing."""
        found: Array = self._cube[np.ix_(rows, cols, np.asarray(bands))]
        return found

    def close(self) -> None:
        """Let go of the array."""
        self._cube = np.empty((0, 0, 0), self.dtype)
