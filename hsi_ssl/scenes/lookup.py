"""Geometry lookup tables (GLT): what each cell of a map grid shows, as products hold it.

Two planes hold the line (row) and the sample (column) of the pixel that a cell shows, counted from
1; 0, a fill value or no number stands for none. A minus sign marks a cell that was filled in from
its neighbours (L3Harris, "Geometry Lookup Table Files"; AVIRIS-NG Distribution Document).

Where sources disagree
----------------------
Minus signs: JPL's SpectralUtil and isofit's tools take both signs, one public reader of AVIRIS-3
only what is above 0. The sign is ENVI's and says how a cell came by its pixel, so both count; where
pixels are placed by the table alone, filled cells are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.ortho import Ints, Ortho, strips
from hsi_ssl.scenes.reprojecting import reprojected
from hsi_ssl.scenes.scene import Bools, Grid

Numbers = npt.NDArray[Any]
NOTHING = -9999
"""In both planes: none, whatever the file says of it."""
MOST_BARE = 0.1
"""Share of a scene's rows or columns that a table may leave out before that is said."""
APART = 3.0
"""Cells by which a table and pixels' own coordinates may differ, in the middle of all that do."""
LOOKED = 2000
"""Cells of a strip that tell whether they do."""
A_TURN = 360.0


class Table(NamedTuple):
    """A table of `rows` x `cols` cells; `read` gives lines and samples `(r, c)` of a window.

    `name` is what people are told of it; `path` is its file.
    """

    path: Path
    name: str
    rows: int
    cols: int
    read: Callable[[slice, slice], tuple[Numbers, Numbers]]
    fill: float | None = None

    def signed(self, rows: slice, cols: slice = slice(None)) -> tuple[Ints, Ints, Bools]:
        """Rows and columns `(r, c)` that cells show, from 0, -1 for none; whether filled in."""
        line, sample = self.read(rows, cols)
        none = np.zeros(line.shape, bool)
        for plane in (line, sample):
            none |= plane == 0
            if plane.dtype.kind == "f":
                none |= ~np.isfinite(plane)
            if self.fill is not None:
                none |= plane == self.fill
        none |= (line == NOTHING) & (sample == NOTHING)
        filled = ~none & ((line < 0) | (sample < 0))
        row, col = (
            np.where(none, 0, np.abs(plane)).astype(np.int64) - 1 for plane in (line, sample)
        )
        return row, col, filled

    def lookup(self, rows: slice, cols: slice = slice(None)) -> tuple[Ints, Ints]:
        """Rows and columns that cells show, as `Ortho.lookup`."""
        return self.signed(rows, cols)[:2]


def ortho_of(
    table: Table,
    grid: Grid,
    size: tuple[int, int],
    own: Grid = Grid(),  # noqa: B008
) -> tuple[Ortho, tuple[str, ...]]:
    """The map grid of a scene of `size` rows and columns, and what is to be said of its table.

    `own`: the scene's grid, where its pixels have coordinates that are not the table's.

    Raises
    ------
    SceneError
        The table shows nothing, pixels that the scene lacks, or others than lie there.
    """
    least, most = np.full(2, np.iinfo(np.int64).max), np.full(2, -1)
    some: list[Ints] = []
    for rows in strips(table.rows, table.cols):
        row, col, filled = table.signed(rows)
        down, along = np.nonzero(row >= 0)
        if not len(down):
            continue
        ends = np.array([row[down, along], col[down, along]])
        least, most = np.minimum(least, ends.min(axis=1)), np.maximum(most, ends.max(axis=1))
        seen = np.flatnonzero(~filled[down, along])
        seen = seen[:: len(seen) // LOOKED + 1]
        some.append(np.stack([*ends[:, seen], down[seen] + rows.start, along[seen]]))
    if not some:
        raise SceneError(
            f"{table.path}: {table.name} shows no pixel; expected lines and samples from 1 on: get "
            "the file again"
        )
    if (most >= size).any():
        raise SceneError(
            f"{table.path}: {table.name} shows line {most[0] + 1} and sample {most[1] + 1} of a "
            f"scene of {size[0]} x {size[1]} pixels; expected the table of this scene: take both "
            "from one product"
        )
    middle = _apart(np.concatenate(some, axis=1), grid, own)
    if middle > APART:
        raise SceneError(
            f"{table.path}: {table.name} puts pixels {middle:.0f} cells beside their own "
            "coordinates; expected the table of this scene: take both from one product"
        )
    notes: tuple[str, ...] = ()
    if ((most - least + 1) < (1 - MOST_BARE) * np.array(size)).any():
        notes = (
            f"{table.name} shows rows {least[0] + 1} to {most[0] + 1} and columns {least[1] + 1} "
            f"to {most[1] + 1} alone: the rest of {size[0]} x {size[1]} pixels is on no map",
        )
    return Ortho(grid, table.rows, table.cols, table.lookup, table.name), notes


def _apart(some: Ints, grid: Grid, own: Grid) -> float:
    """Cells by which some pixels' own coordinates lie beside the cells that show them.

    Of the middle one; `some (4, n)`: row and column of pixels and of cells.
    """
    from rasterio.crs import CRS

    if own.geolocation is None or grid.transform is None:
        return 0.0
    row, col, down, along = some
    x, y = own.geolocation.x[row, col], own.geolocation.y[row, col]
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return 0.0
    x, y = x[known], y[known]
    a, b, c, d, e, f = grid.transform
    if own.crs is not None and grid.crs is not None:
        there = CRS.from_wkt(grid.crs)
        if own.crs != grid.crs:
            x, y = reprojected(CRS.from_wkt(own.crs), there, x, y)
        if there.is_geographic:  # on the same side of the date line
            x = c + (x - c + A_TURN / 2) % A_TURN - A_TURN / 2
    cells = np.linalg.solve(np.array([[a, b], [d, e]]), np.stack([x - c, y - f]))
    beside = np.hypot(cells[0] - along[known] - 0.5, cells[1] - down[known] - 0.5)
    return float(np.median(np.where(np.isfinite(beside), beside, np.inf)))
