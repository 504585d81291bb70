"""Control points of maps in sensor geometry.

What reads them fits polynomials of second order (GDAL, and QGIS by it) or thin plate splines
(`gdalwarp -tps`). Splines go through all of them: 16 x 16 that lie closer together towards the
edges, where pixels widen most, place a scan of 2,700 km to half a pixel but for its very ends. No
polynomial does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform

from hsi_ssl.scenes.geolocation import Geolocation

MOST = 16
"""Rows and columns of control points."""
FEWEST = 16
"""Control points in all, below which those of pixels without a place count too."""
HALF_A_TURN, FAR_NORTH = 180.0, 80.0
"""Degrees: longitudes that spread over more have the date line among them; latitudes beyond lie
near a pole, where longitudes run together."""


class ControlPoints(NamedTuple):
    """Control points and the CRS that they are in, as WKT."""

    points: list[GroundControlPoint]
    crs: str | None


def control_points(located: Geolocation, crs: str | None) -> ControlPoints:
    """Some of the places of pixels' centres, in the scene's CRS where that is smooth there.

    Across the date line and near the poles they are in the stereographic projection of the WGS 84
    ellipsoid about the middle of the scene.
    """
    rows, cols = located.net(MOST)
    down, along = (grid.ravel() for grid in np.meshgrid(rows, cols, indexing="ij"))
    seen = ~located.lost[down, along]
    if np.count_nonzero(seen) >= FEWEST:
        down, along = down[seen], along[seen]
    own = own_crs(located, crs)
    x, y = on_plane(located, np.stack([along + 0.5, down + 0.5], axis=1), crs, own)
    points = [
        GroundControlPoint(float(row) + 0.5, float(col) + 0.5, float(px), float(py), 0.0)
        for row, col, px, py in zip(down, along, x, y, strict=True)
    ]
    return ControlPoints(points, own)


def own_crs(located: Geolocation, crs: str | None) -> str | None:
    """A CRS in which the places of a scene, which are in `crs`, do not jump."""
    if not located.degrees or crs is None:
        return crs
    known = ~located.lost
    x, y = located.x[known], located.y[known]
    if np.ptp(x) <= HALF_A_TURN and np.abs(y).max() <= FAR_NORTH:
        return crs
    middle = np.array(located.x.shape[::-1]) / 2
    lon, lat = located.to_map(middle[None])[0].round(2)
    about = f"+proj=stere +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m"
    return str(CRS.from_proj4(about).to_wkt())


def on_plane(
    located: Geolocation, xy: npt.NDArray[np.float64], crs: str | None, own: str | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates in the CRS `own` of pixel coordinates `(n, 2)` of a scene whose own is `crs`."""
    x, y = located.to_map(xy).T
    if own != crs:
        found = transform(CRS.from_wkt(crs), CRS.from_wkt(own), x, y)
        x, y = (np.asarray(axis, np.float64) for axis in found)
    return x, y
