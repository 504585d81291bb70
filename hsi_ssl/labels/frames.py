"""Where pixels of rasters lie: pixel coordinates, those on the ground, and from grid to grid.

Pixel coordinates are x = column, y = row; pixel (r, c) is the unit square from (c, r) to
(c + 1, r + 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import GCPTransformer

from hsi_ssl.errors import LabelError
from hsi_ssl.scenes.reprojecting import reprojected as reprojected_points
from hsi_ssl.scenes.scene import Grid, GroundPoint

Floats = npt.NDArray[np.float64]
Mapping = Callable[[Floats], Floats]
"""Of points `(n, 2)`, x and y."""
A_NET = 100
"""Control points: nobody sets so many by hand."""
HALF_A_TURN = 180.0
"""Degrees."""
MISSED = 1.0
"""Pixels by which a polynomial may miss them."""


class Gridded(Protocol):
    """What has pixels on the ground: a scene, a label raster, a map."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def rows(self) -> int:
        """Pixels downwards."""

    @property
    def cols(self) -> int:
        """Pixels across."""

    @property
    def grid(self) -> Grid:
        """Where they lie."""


@dataclass(frozen=True)
class Place:
    """A grid by itself, of a scene that is not open, say."""

    path: Path
    rows: int
    cols: int
    grid: Grid


@dataclass(frozen=True)
class Frame:
    """A grid as two functions of points: map to pixel coordinates, and back."""

    to_pixels: Mapping
    to_map: Mapping


def frame_of(grid: Grid) -> Frame:
    """The frame of a grid that is placed: by transform, else each pixel's place, control points.

    Control points count by the polynomial that GDAL and QGIS take; where there are so many that
    they must be a net, and it misses them, by thin plate splines through them.
    """
    if grid.transform is not None:
        forward = Affine(*grid.transform)
        return Frame(_affine(~forward), _affine(forward))
    if grid.geolocation is not None:
        return Frame(grid.geolocation.to_pixels, grid.geolocation.to_map)
    points, splines = _fitting(grid.control_points)

    def to_pixels(xy: Floats) -> Floats:
        with GCPTransformer(points, tps=splines) as transformer:
            rows, cols = transformer.rowcol(xy[:, 0], xy[:, 1], op=np.asarray)
        return np.stack([cols, rows], axis=1)

    def to_map(xy: Floats) -> Floats:
        with GCPTransformer(points, tps=splines) as transformer:
            return np.stack(transformer.xy(xy[:, 1], xy[:, 0], offset="ul"), axis=1)

    return Frame(to_pixels, to_map)


@lru_cache(maxsize=8)
def _fitting(given: tuple[GroundPoint, ...]) -> tuple[list[GroundControlPoint], bool]:
    """Control points, and whether splines are needed for them."""
    points = [GroundControlPoint(p.row, p.col, p.x, p.y, p.z) for p in given]
    if len(points) < A_NET:
        return points, False
    rows, cols, x, y = np.array([[p.row, p.col, p.x, p.y] for p in given]).T
    with GCPTransformer(points) as transformer:
        found = transformer.rowcol(x, y, op=np.asarray)
    off = np.hypot(found[0] - rows, found[1] - cols)
    return points, not off.max() <= MISSED


def between(ours: Gridded, theirs: Gridded) -> Mapping:
    """From pixel coordinates of one placed grid to those of another; not finite where none are.

    Where only one of them has a CRS, its coordinates are taken for those of the other.

    Raises
    ------
    LabelError
        One CRS cannot be reprojected to the other.
    """
    if ours.grid == theirs.grid:
        return lambda xy: xy
    ground, pixels = frame_of(ours.grid).to_map, frame_of(theirs.grid).to_pixels
    here, there = ground_crs(ours.grid), ground_crs(theirs.grid)
    if there is not None and there.is_geographic:
        pixels = _around(theirs, pixels)
    if here is None or there is None or here == there:
        return lambda xy: pixels(ground(xy))
    for one, crs in ((ours, here), (theirs, there)):
        if not (crs.is_geographic or crs.is_projected):
            raise LabelError(
                f"{one.path} is in a CRS that is neither geographic nor projected "
                f"({crs_name(crs)}); save it in another"
            )

    def reprojected(xy: Floats) -> Floats:
        x, y = ground(xy).T
        return pixels(np.stack(reprojected_points(here, there, x, y), axis=1))

    return reprojected


def _around(raster: Gridded, pixels: Mapping) -> Mapping:
    """`pixels` for longitudes as the raster counts them: those across the date line go on."""
    middle = float(frame_of(raster.grid).to_map(corners(raster)).mean(axis=0)[0])

    def wrapped(xy: Floats) -> Floats:
        far = np.abs(xy[:, 0] - middle) > HALF_A_TURN
        if far.any():
            xy = xy.copy()
            xy[far, 0] -= 2 * HALF_A_TURN * np.round((xy[far, 0] - middle) / (2 * HALF_A_TURN))
        return pixels(xy)

    return wrapped


def ground_crs(grid: Grid) -> CRS | None:
    """The CRS of a grid; None without one, and for coordinates that lie nowhere on the Earth.

    ENVI's `Arbitrary` is such a one: GDAL makes a local CRS of it.
    """
    if grid.crs is None or grid.crs.lstrip().upper().startswith(("LOCAL_CS", "ENGCRS", "ENGINEER")):
        return None
    return CRS.from_wkt(grid.crs)


def corners(gridded: Gridded) -> Floats:
    """In pixel coordinates, `(4, 2)`."""
    rows, cols = gridded.rows, gridded.cols
    return np.array([[0.0, 0], [0, rows], [cols, 0], [cols, rows]])


def extent(gridded: Gridded) -> str:
    """From where to where a raster reaches, for people."""
    if not gridded.grid.placed:
        return f"{gridded.cols} columns and {gridded.rows} rows"
    edges = frame_of(gridded.grid).to_map(corners(gridded))
    return spoken([*edges.min(axis=0), *edges.max(axis=0)], ground_crs(gridded.grid))


def crs_name(crs: CRS | None) -> str:
    """A CRS in a few words."""
    if crs is None:
        return "no CRS"
    if authority := crs.to_authority():
        return ":".join(authority)
    return str(crs.to_wkt().split('"')[1])


def spoken(bounds: Iterable[float], crs: CRS | None) -> str:
    """Bounds (left, bottom, right, top) for people."""
    left, bottom, right, top = (f"{value:.10g}" for value in bounds)
    return f"x {left} to {right}, y {bottom} to {top} ({crs_name(crs)})"


def _affine(matrix: Affine) -> Mapping:
    a, b, c, d, e, f = tuple(matrix)[:6]
    return lambda xy: xy @ np.array([[a, d], [b, e]]) + np.array([c, f])
