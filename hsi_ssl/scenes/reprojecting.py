"""Coordinates brought from one system into another; what is no place there becomes infinite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Floats

if TYPE_CHECKING:
    from rasterio.crs import CRS

POLE, TURNS = 90.0, 540.0
"""Degrees beyond which PROJ refuses all points of a call for one."""


def reprojected(here: CRS, there: CRS, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    """`x` and `y` `(n,)` of the system `here` in the system `there`."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    if here.is_geographic:
        known &= (np.abs(y) <= POLE) & (np.abs(x) <= TURNS)
    found = np.full((2, len(x)), np.inf)
    found[:, known] = _some(here, there, x[known], y[known])
    return found[0], found[1]


def _some(here: CRS, there: CRS, x: Floats, y: Floats) -> Floats:
    """The same `(2, n)` of points that may be places; halves of them where PROJ refuses all."""
    from rasterio import Env
    from rasterio.warp import transform

    from hsi_ssl.scenes.readers.gdal_errors import FAILURES

    if not len(x):
        return np.empty((2, 0))
    try:
        with Env():
            return np.stack(transform(here, there, x, y)[:2])
    except FAILURES:
        if len(x) == 1:
            return np.full((2, 1), np.inf)
    half = len(x) // 2
    parts = ((x[:half], y[:half]), (x[half:], y[half:]))
    return np.concatenate([_some(here, there, *part) for part in parts], axis=1)
