"""How far it is on the ground from pixel to pixel, and where north is, for a picture of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError

from hsi_ssl.scenes.reprojecting import reprojected
from hsi_ssl.scenes.scene import Floats, Grid

SEMI_MAJOR, ECCENTRICITY = 6_378_137.0, 0.006_694_379_990_14
"""Of WGS 84: metres, and the square of the first eccentricity."""
SAME_LENGTH = 0.05
"""Share by which a step may differ in length over the picture: else one bar is not true of all."""
SAME_DIRECTION = np.radians(3)
SQUARE = 0.02
"""Share by which steps along rows and columns may differ: else a bar is true across alone."""


@dataclass(frozen=True)
class Ground:
    """What a picture may say of the ground; None where it is not the same all over the picture.

    `across`: metres from a pixel to the next in its row; `square`: whether it is as far down.
    `north`: unit vector (right, down) towards true north.
    """

    across: float | None
    square: bool
    north: tuple[float, float] | None


def ground_of(grid: Grid, rows: int, cols: int) -> Ground | None:
    """Of pictures of a scene; None where nobody says where it lies, or not by a transform."""
    if grid.crs is None or grid.transform is None:
        return None
    places = [(r * rows, c * cols) for r in (0.02, 0.5, 0.98) for c in (0.02, 0.5, 0.98)]
    steps = _steps(grid, places, 0.01 * rows, 0.01 * cols)
    if not np.isfinite(steps).all():
        return None
    try:
        towards = np.linalg.inv(steps)[:, :, 1]
    except LinAlgError:
        return None
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    lengths = np.linalg.norm(steps, axis=1)
    middle = len(places) // 2
    across = lengths[middle, 0]
    uneven = np.abs(lengths[:, 0] / across - 1).max() > SAME_LENGTH
    turned = np.arccos(np.clip(towards @ towards[middle], -1, 1)).max() > SAME_DIRECTION
    right, down = towards[middle].tolist()
    return Ground(
        None if uneven else float(across),
        bool(abs(lengths[middle, 1] / across - 1) <= SQUARE),
        None if turned else (right, down),
    )


def _steps(grid: Grid, places: list[tuple[float, float]], down: float, right: float) -> Floats:
    """Metres east and north of a step right and of a step down `(n, 2, 2)`, inf where no place."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    assert grid.crs is not None
    assert grid.transform is not None
    a, b, c, d, e, f = grid.transform
    row, col = np.array(places).T
    moves = ((0, 0), (0, right), (down, 0))
    rows, cols = (np.concatenate([at + m[i] for m in moves]) for i, at in enumerate((row, col)))
    try:
        here = CRS.from_wkt(grid.crs)
        lon, lat = reprojected(
            here, CRS.from_epsg(4326), a * cols + b * rows + c, d * cols + e * rows + f
        )
    except CRSError:
        return np.full((len(places), 2, 2), np.inf)
    (lon0, lon1, lon2), (lat0, lat1, lat2) = lon.reshape(3, -1), lat.reshape(3, -1)
    with np.errstate(invalid="ignore"):
        bent = 1 - ECCENTRICITY * np.sin(np.radians(lat0)) ** 2
        of_east = SEMI_MAJOR / np.sqrt(bent) * np.cos(np.radians(lat0))
        of_north = SEMI_MAJOR * (1 - ECCENTRICITY) / bent**1.5
        found = np.empty((len(places), 2, 2))
        for i, (x, y, step) in enumerate(((lon1, lat1, right), (lon2, lat2, down))):
            turn = np.radians((x - lon0 + 180) % 360 - 180)
            found[:, 0, i] = turn * of_east / step
            found[:, 1, i] = np.radians(y - lat0) * of_north / step
    return found
