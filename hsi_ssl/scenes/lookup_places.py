"""Where pixels lie, of which only a lookup table tells: the middle of the cells that show them.

Cells are as large as pixels, so that their middles jump by up to half of one. What a plane through
all of them leaves is therefore smoothed over the next pixels, and so are those filled in that no
cell shows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.geolocation import Geolocation
from hsi_ssl.scenes.lookup import Table
from hsi_ssl.scenes.ortho import strips
from hsi_ssl.scenes.scene import Bools, Grid

Floats = npt.NDArray[np.float64]

WIDTHS = (1.5, 6.0, 24.0, 96.0)
"""Pixels over which is smoothed: the wider ones count where nothing nearer is known."""
ENOUGH = 0.1
"""Weight of what is known about a pixel that suffices; 1 where all is."""
FEWEST, MOST = 3, 2**16
"""Pixels that a plane goes through."""


def located_by(table: Table, grid: Grid, size: tuple[int, int], *, degrees: bool) -> Geolocation:
    """Coordinates of the centres of a scene's pixels in the CRS of the table's own `grid`.

    Cells that were filled in from their neighbours tell no place. Pixels that no cell shows lie
    among their neighbours.

    Raises
    ------
    SceneError
        Fewer than three pixels are shown.
    """
    assert grid.transform is not None
    a, b, c, d, e, f = grid.transform
    count, x_sum, y_sum = (np.zeros(size[0] * size[1]) for _ in range(3))
    for rows in strips(table.rows, table.cols):
        row, col, filled = table.signed(rows)
        down, along = np.nonzero((row >= 0) & ~filled)
        if not len(down):
            continue
        row, col = row[down, along], col[down, along]
        first, last = int(row.min()), int(row.max()) + 1
        part, pixel = slice(first * size[1], last * size[1]), (row - first) * size[1] + col
        right, below = along + 0.5, down + rows.start + 0.5
        for total, values in (
            (count, None), (x_sum, a * right + b * below), (y_sum, d * right + e * below),
        ):  # fmt: skip
            total[part] += np.bincount(pixel, values, minlength=part.stop - part.start)
    known = (count > 0).reshape(size)
    if np.count_nonzero(known) < FEWEST:
        raise SceneError(
            f"{table.path}: {table.name} shows {np.count_nonzero(known)} pixels; expected most of "
            f"{size[0]} x {size[1]}: get the file again"
        )
    np.maximum(count, 1, out=count)
    x, y = (smooth((total / count).reshape(size), known) for total in (x_sum, y_sum))
    return Geolocation(x + c, y + f, degrees)


def smooth(plane: Floats, known: Bools) -> Floats:
    """A plane of coordinates without jumps of a cell, with those between that are not known."""
    places = np.flatnonzero(known)
    places = places[:: max(1, len(places) // MOST)]
    row, col = np.unravel_index(places, plane.shape)
    columns = np.stack([np.ones(len(places)), row, col], axis=1)
    level, down, along = np.linalg.lstsq(columns, plane[row, col], rcond=None)[0]
    rows, cols = (np.arange(size, dtype=np.float64) for size in plane.shape)
    straight: Floats = level + down * rows[:, None] + along * cols
    rest = np.where(known, plane - straight, 0.0)
    found, open_ = np.zeros(plane.shape), np.ones(plane.shape, bool)
    for width in WIDTHS:
        weight = gaussian_filter(known.astype(np.float64), width, mode="constant")
        told = open_ & (weight > (ENOUGH if width < WIDTHS[-1] else 0))
        found[told] = gaussian_filter(rest, width, mode="constant")[told] / weight[told]
        open_ &= ~told
        if not open_.any():
            break
    return straight + found
