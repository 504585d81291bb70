"""The map grid of a scene in sensor geometry, by its geometry lookup table (GLT).

Each cell of that grid names the pixel of the scene that was measured there, or none. Products
count these from 1, with 0 for none; some mark cells that were filled in from their neighbours by a
minus sign. Readers hand them out from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Array, CubeReader, Grid, Scene

Ints = npt.NDArray[np.int64]
Lookup = Callable[[slice, slice], tuple[Ints, Ints]]
"""Rows and columns of the scene's pixels `(r, c)` for a window of the map grid, -1 for none."""
STRIP = 2**21
"""Cells that are looked at together."""


@dataclass(frozen=True)
class Ortho:
    """A map grid of `rows` x `cols` cells that lies at `grid`; `lookup` tells what is in them."""

    grid: Grid
    rows: int
    cols: int
    lookup: Lookup = field(repr=False)
    source: str = "a geometry lookup table"
    """What it is taken from, for people."""


def strips(rows: int, cols: int) -> Iterator[slice]:
    """Runs of rows that hold so many cells, some at a time."""
    high = max(1, STRIP // cols)
    for first in range(0, rows, high):
        yield slice(first, min(first + high, rows))


def laid_back(raster: Scene, ortho: Ortho, size: tuple[int, int]) -> Scene:
    """A raster on the map grid as pixels of its scene, of `size` rows and columns, see it.

    A pixel has what is in a cell that shows it; the raster's nodata value, or 0, where none does.
    """
    nothing = 0 if raster.nodata is None else raster.nodata
    reader = _LaidBack(raster.reader, ortho, size, nothing, raster.bands)
    return replace(raster, reader=reader, rows=size[0], cols=size[1], grid=Grid(), block=(1, 1))


class _LaidBack:
    """Reads a raster through the table that tells which of its cells a pixel is in."""

    def __init__(
        self, reader: CubeReader, ortho: Ortho, size: tuple[int, int], nothing: float, bands: int
    ) -> None:
        self._reader, self._ortho, self._size = reader, ortho, size
        self._nothing, self._bands = nothing, bands

    @cached_property
    def _cells(self) -> npt.NDArray[np.int32]:
        """Row and column of a cell that shows a pixel, `(2, rows, cols)`, -1 for none."""
        found = np.full((2, *self._size), -1, np.int32)
        for rows in strips(self._ortho.rows, self._ortho.cols):
            row, col = self._ortho.lookup(rows, slice(0, self._ortho.cols))
            down, along = np.nonzero(row >= 0)
            found[:, row[down, along], col[down, along]] = down + rows.start, along
        return found

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Values `(row1 - row0, col1 - col0, bands)`."""
        row, col = self._cells[:, row0:row1, col0:col1]
        return self._at(row, col)

    def pixels(self, rows: Ints, cols: Ints) -> Array:
        """Values `(n, bands)` of single pixels."""
        return self._at(*self._cells[:, rows, cols])

    def thinned(self, rows: Ints, cols: Ints, bands: Sequence[int]) -> Array:
        """Values `(len(rows), len(cols), len(bands))` where these rows and columns cross."""
        found: Array = self._at(*self._cells[:, rows[:, None], cols])[..., list(bands)]
        return found

    def close(self) -> None:
        """Release the file."""
        self._reader.close()

    def _at(self, row: npt.NDArray[np.int32], col: npt.NDArray[np.int32]) -> Array:
        """Values of cells `(..., bands)`."""
        there = row >= 0
        values = self._reader.pixels(row[there].astype(np.int64), col[there].astype(np.int64))
        found = np.full((*row.shape, self._bands), self._nothing, values.dtype)
        found[there] = values
        return found
