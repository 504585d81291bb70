"""Lookup tables of a known ground: the pixel that is nearest to each cell of a map grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from delivered import CRS, Ground
from rasterio.warp import transform
from scipy.spatial import KDTree

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
REACH = 0.75
"""Cells that a pixel may be away from what shows it."""


class Glt(NamedTuple):
    """Lines and samples `(rows, cols)` from 1, 0 for none; GDAL's six numbers; the CRS."""

    line: Ints
    sample: Ints
    geotransform: tuple[float, float, float, float, float, float]
    crs: str


def places(ground: Ground, crs: str) -> tuple[Floats, Floats]:
    """Coordinates of a ground's pixels in another CRS."""
    x, y = transform(CRS, crs, ground.x.ravel(), ground.y.ravel())
    return np.reshape(x, ground.x.shape), np.reshape(y, ground.y.shape)


def lookup_table(
    ground: Ground, cell: float, crs: str = CRS, *, filled: bool = False, degrees: float = 0.0
) -> Glt:
    """The table of a grid of cells `cell` wide, a margin about it.

    `filled`: cells that lie farther from any pixel than half a cell are marked by a minus sign.
    `degrees`: that the grid is turned by, clockwise.
    """
    x, y = places(ground, crs)
    a = np.deg2rad(degrees)
    east, south = np.array([np.cos(a), -np.sin(a)]), np.array([-np.sin(a), -np.cos(a)])
    along, down = (x * s[0] + y * s[1] for s in (east, south))
    left, top = along.min() - 3.3 * cell, down.min() - 2.7 * cell
    cols = int((along.max() - left) / cell) + 4
    rows = int((down.max() - top) / cell) + 4
    centre = np.meshgrid(
        left + (np.arange(cols) + 0.5) * cell, top + (np.arange(rows) + 0.5) * cell
    )
    tree = KDTree(np.stack([along.ravel(), down.ravel()], axis=1))
    away, nearest = tree.query(np.stack([one.ravel() for one in centre], axis=1))
    row, col = np.unravel_index(nearest, x.shape)
    line, sample = (np.where(away <= REACH * cell, one + 1, 0) for one in (row, col))
    if filled:
        sign = np.where(away > cell / 2, -1, 1)
        line, sample = line * sign, sample * sign
    corner = np.linalg.solve(np.array([east, south]), [left, top])
    (dx, dy), (ex, ey) = cell * east, cell * south
    return Glt(
        line.reshape(rows, cols).astype(np.int32),
        sample.reshape(rows, cols).astype(np.int32),
        (corner[0], dx, ex, corner[1], dy, ey),
        crs,
    )
