"""Vector layers on a scene's grid: geometries in pixel coordinates (x: column, y: row)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio import Affine, Env
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.transform import GCPTransformer
from rasterio.warp import transform, transform_bounds

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.layers import Layer, repaired
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

Floats = npt.NDArray[np.float64]
Geometries = npt.NDArray[Any]

LONGEST_EDGE = 64
"""Pixels: longer edges get vertices in between before they are reprojected, as straight lines of
one projection are arcs in another; so long ones are straight to a hundredth of a pixel."""
ASIDE = 0.1
"""How far beyond a scene without georeference its labels may reach, as a share of its sides."""


def on_grid(layer: Layer, scene: Scene, watcher: Watcher = SILENT) -> Geometries:
    """Geometries `(n,)` of a layer in a scene's pixel coordinates, None where they are far off.

    They are reprojected to the scene's CRS and brought to its grid by its transform, rotated or
    not, else by its control points (the polynomial that GDAL and QGIS take). A scene without any
    has the coordinates that QGIS draws it in: x = column, y = -row; where no y is negative, y is
    taken as the row.

    Raises
    ------
    VectorError
        The layer or the scene has no CRS and the other has; the scene is placed by RPCs alone; one
        CRS cannot be reprojected to the other.
    """
    grid = scene.grid
    if not grid.placed:
        if grid.crs is not None or grid.rpcs is not None:
            raise VectorError(
                f"{scene.path} has no transform and no control points that tell where its pixels "
                "lie; orthorectify it before labels are drawn on it"
            )
        return _on_pixels(layer, scene, watcher)
    _refuse_other_crs(layer, scene)
    frame = _frame(scene)
    if layer.crs is None or grid.crs is None or _crs(layer) == CRS.from_wkt(grid.crs):
        return _valid(shapely.transform(layer.geometries, frame.to_pixels))
    return _reprojected(layer, scene, frame)


def on_ground(scene: Scene, xy: Floats) -> Floats:
    """Where pixel coordinates `(n, 2)`, column and row, of a scene lie: the inverse of `on_grid`.

    Map coordinates, or x = column and y = -row where the scene lies nowhere.

    Raises
    ------
    VectorError
        The scene is placed by RPCs alone.
    """
    grid = scene.grid
    if grid.placed:
        return _frame(scene).to_map(xy)
    if grid.crs is not None or grid.rpcs is not None:
        raise VectorError(
            f"{scene.path} has no transform and no control points that tell where its pixels lie; "
            "orthorectify it first"
        )
    found: Floats = xy * np.array([1.0, -1.0])
    return found


def layer_extent(layer: Layer) -> str:
    """From where to where a layer reaches in its own coordinates, for people."""
    crs = None if layer.crs is None else _crs(layer)
    return _spoken(shapely.total_bounds(layer.geometries), crs)


def scene_extent(scene: Scene) -> str:
    """The same of a scene."""
    if not scene.grid.placed:
        return f"{scene.cols} columns and {scene.rows} rows"
    edges = _frame(scene).to_map(_corners(scene))
    crs = None if scene.grid.crs is None else CRS.from_wkt(scene.grid.crs)
    return _spoken([*edges.min(axis=0), *edges.max(axis=0)], crs)


def crs_name(crs: CRS | None) -> str:
    """A CRS in a few words."""
    if crs is None:
        return "no CRS"
    if authority := crs.to_authority():
        return ":".join(authority)
    return str(crs.to_wkt().split('"')[1])


def _spoken(bounds: Iterable[float], crs: CRS | None) -> str:
    left, bottom, right, top = (f"{value:.10g}" for value in bounds)
    return f"x {left} to {right}, y {bottom} to {top} ({crs_name(crs)})"


def _corners(scene: Scene) -> Floats:
    """In pixel coordinates, `(4, 2)`."""
    return np.array([[0.0, 0], [0, scene.rows], [scene.cols, 0], [scene.cols, scene.rows]])


def _refuse_other_crs(layer: Layer, scene: Scene) -> None:
    """Raise `VectorError` unless layer and scene both have a CRS, or neither has."""
    if layer.crs is None and scene.grid.crs is not None:
        raise VectorError(
            f"{layer.path} has no CRS, so nobody knows where on {scene.path} "
            f"({crs_name(CRS.from_wkt(scene.grid.crs))}) it lies; give it one (in QGIS: "
            "Export, Save Features As)"
        )
    if layer.crs is not None and scene.grid.crs is None:
        raise VectorError(
            f"{scene.path} has no CRS, so nobody knows where on it {layer.path} "
            f"({crs_name(_crs(layer))}) lies; give the scene its CRS, or save the layer without "
            "one, in the scene's coordinates"
        )


def _on_pixels(layer: Layer, scene: Scene, watcher: Watcher) -> Geometries:
    """On a scene that lies nowhere."""
    left, bottom, right, top = shapely.total_bounds(layer.geometries)
    upwards = bottom < 0  # as QGIS draws it
    low, high = (-scene.rows, 0) if upwards else (0, scene.rows)
    inside = (
        left >= -ASIDE * scene.cols
        and right <= (1 + ASIDE) * scene.cols
        and bottom >= low - ASIDE * scene.rows
        and top <= high + ASIDE * scene.rows
    )
    # A layer that is drawn over such a scene often gets a CRS, since QGIS proposes one.
    if layer.crs is not None and not (inside and (upwards or layer.assumed)):
        raise VectorError(
            f"{scene.path} has no georeference and {layer.path} has one ({crs_name(_crs(layer))}); "
            "draw its labels over the scene itself, in a layer without CRS"
        )
    y = "-row" if upwards else "row"
    watcher.say(
        f"{scene.path.name} has no georeference: coordinates of {layer.path.name} are taken as "
        f"x = column, y = {y}"
    )
    sign = np.array([1.0, -1.0 if upwards else 1.0])
    found: Geometries = shapely.transform(layer.geometries, lambda xy: xy * sign)
    return found


@dataclass(frozen=True)
class _Frame:
    """A scene's grid as two functions of `(n, 2)` points: map to pixel coordinates, and back."""

    to_pixels: Callable[[Floats], Floats]
    to_map: Callable[[Floats], Floats]


def _frame(scene: Scene) -> _Frame:
    if scene.grid.transform is not None:
        forward = Affine(*scene.grid.transform)
        return _Frame(_affine(~forward), _affine(forward))
    points = [GroundControlPoint(p.row, p.col, p.x, p.y, p.z) for p in scene.grid.control_points]

    def to_pixels(xy: Floats) -> Floats:
        with GCPTransformer(points) as transformer:
            rows, cols = transformer.rowcol(xy[:, 0], xy[:, 1], op=np.asarray)
        return np.stack([cols, rows], axis=1)

    def to_map(xy: Floats) -> Floats:
        with GCPTransformer(points) as transformer:
            return np.stack(transformer.xy(xy[:, 1], xy[:, 0], offset="ul"), axis=1)

    return _Frame(to_pixels, to_map)


def _affine(transform: Affine) -> Callable[[Floats], Floats]:
    a, b, c, d, e, f = tuple(transform)[:6]
    return lambda xy: xy @ np.array([[a, d], [b, e]]) + np.array([c, f])


def _reprojected(layer: Layer, scene: Scene, frame: _Frame) -> Geometries:
    """The features near the scene, in its pixel coordinates."""
    theirs, ours = _crs(layer), CRS.from_wkt(scene.grid.crs)
    for crs in (theirs, ours):
        if not (crs.is_geographic or crs.is_projected):
            raise VectorError(
                f"{layer.path} ({crs_name(theirs)}) cannot be reprojected to {scene.path} "
                f"({crs_name(ours)}); save it in that CRS"
            )

    def reproject(xy: Floats) -> Floats:
        with Env():
            found = np.stack(transform(theirs, ours, xy[:, 0], xy[:, 1]), axis=1)
        return frame.to_pixels(found)

    found = np.full(len(layer), None, object)
    near, clip, pixel = _near(layer, scene, frame, ours, theirs)
    geometries = layer.geometries[near]
    if not len(geometries):
        return found
    if clip is not None:  # what reaches far beyond the scene may not be reprojected at all
        far = ~shapely.covered_by(geometries, clip)
        geometries[far] = shapely.intersection(geometries[far], clip)
    geometries = shapely.segmentize(geometries, LONGEST_EDGE * pixel)
    geometries = shapely.transform(geometries, reproject)
    xy, owner = shapely.get_coordinates(geometries, return_index=True)
    geometries[owner[~np.isfinite(xy).all(axis=1)]] = None
    found[near] = _valid(geometries)
    return found


def _near(
    layer: Layer, scene: Scene, frame: _Frame, ours: CRS, theirs: CRS
) -> tuple[npt.NDArray[np.bool_], Any, float]:
    """Which features lie near a scene, a box about it and the size of a pixel, in the layer's CRS.

    The box is half as large again as the scene each way; None across the date line.
    """
    middle = np.array([scene.cols, scene.rows]) / 2 + [[0, 0], [1, 0], [0, 1]]
    with Env():
        edges = frame.to_map(_corners(scene))
        bounds = (*edges.min(axis=0), *edges.max(axis=0))
        left, bottom, right, top = transform_bounds(ours, theirs, *bounds)
        steps = np.stack(transform(ours, theirs, *frame.to_map(middle).T), axis=1)
    with np.errstate(invalid="ignore"):  # infinite where the layer's CRS cannot hold the scene
        sizes = np.linalg.norm(steps[1:] - steps[0], axis=1)
    pixel = float(sizes.min()) if np.isfinite(sizes).all() else np.inf
    if not np.isfinite([left, bottom, right, top]).all():
        return np.ones(len(layer), bool), None, pixel
    low_x, low_y, high_x, high_y = shapely.bounds(layer.geometries).T
    up, across = (top - bottom) / 2, (right - left) / 2
    near = (high_y >= bottom - up) & (low_y <= top + up)
    if left > right:
        return near & ((high_x >= left) | (low_x <= right)), None, pixel
    near &= (high_x >= left - across) & (low_x <= right + across)
    return near, shapely.box(left - across, bottom - up, right + across, top + up), pixel


def _valid(geometries: Geometries) -> Geometries:
    """With those mended that rounding, or a bend of the grid, has made invalid."""
    broken = ~shapely.is_missing(geometries) & ~shapely.is_valid(geometries)
    geometries[broken] = repaired(geometries[broken])
    return geometries


def _crs(layer: Layer) -> CRS:
    try:
        return CRS.from_user_input(layer.crs)
    except CRSError as error:
        raise VectorError(
            f"{layer.path} has a CRS that PROJ does not know; save the layer in a common one"
        ) from error
