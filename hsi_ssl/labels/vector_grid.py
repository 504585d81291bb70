"""Vector layers on a scene's grid: geometries in pixel coordinates (x: column, y: row)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio import Env
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform_bounds

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.shape_sets import CRS as CRS_MEMBER
from hsi_ssl.labels.frames import (
    Frame,
    Gridded,
    corners,
    crs_name,
    extent,
    frame_of,
    ground_crs,
    spoken,
)
from hsi_ssl.labels.layers import Layer, repaired
from hsi_ssl.scenes.readers.gdal_errors import FAILURES
from hsi_ssl.scenes.reprojecting import reprojected
from hsi_ssl.watcher import SILENT, Watcher

Floats = npt.NDArray[np.float64]
Geometries = npt.NDArray[Any]

LONGEST_EDGE = 64
"""Pixels: longer edges get vertices in between before they are reprojected, as straight lines of
one projection are arcs in another; so long ones are straight to a hundredth of a pixel."""
BENDING_EDGE = 2
"""The same on swaths, whose rows bend, and widen, by far more than projections do."""
OVER = 17
"""Points a side that tell where a swath reaches."""
HALF_A_TURN = 180.0
"""Degrees: longitudes that spread over more have the date line or a pole among them."""
ASIDE = 0.1
"""How far beyond a scene labels in its pixels' coordinates may reach, as a share of its sides."""


def on_grid(layer: Layer, scene: Gridded, watcher: Watcher = SILENT) -> Geometries:
    """Geometries `(n,)` of a layer in a scene's pixel coordinates, None where they are far off.

    They are reprojected to the scene's CRS and brought to its grid by its transform, rotated or
    not, else by its control points (the polynomial that GDAL and QGIS take). A layer without CRS
    lies in the own coordinates of a scene without one, ENVI's `Arbitrary` included. A scene without
    any has the coordinates that QGIS draws it in: x = column, y = -row; without a negative y, y is
    the row. What is drawn on a picture is in its pixels' coordinates whatever the grid.

    Raises
    ------
    VectorError
        The layer or the scene has no CRS and the other has; the scene is placed by RPCs alone; one
        CRS cannot be reprojected to the other; the layer was drawn on a picture of another size.
    """
    grid = scene.grid
    if layer.place == "pixel" or (layer.place == "either" and not _on_map(layer, scene, watcher)):
        _refuse_aside(layer, scene)
        return layer.geometries.copy()
    if not grid.placed:
        if grid.crs is not None or grid.rpcs is not None:
            raise VectorError(
                f"{scene.path} has no transform and no control points that tell where its pixels "
                "lie; orthorectify it before labels are drawn on it"
            )
        return _on_pixels(layer, scene, watcher)
    ours = ground_crs(grid)
    frame = frame_of(grid)
    if layer.crs is None and (layer.assumed or layer.place == "either") and ours is not None:
        watcher.say(
            f"{layer.path.name} has no CRS: its coordinates are taken for those of "
            f"{scene.path.name} ({crs_name(ours)})"
        )
    else:
        _refuse_other_crs(layer, scene, ours)
    theirs = ours if layer.crs is None or ours is None else _crs(layer)
    if theirs is None or ours is None or (theirs == ours and grid.geolocation is None):
        return _valid(shapely.transform(layer.geometries, frame.to_pixels))
    return _reprojected(layer, scene, frame, ours, theirs)


def on_ground(scene: Gridded, xy: Floats) -> Floats:
    """Where pixel coordinates `(n, 2)`, column and row, of a scene lie: the inverse of `on_grid`.

    Map coordinates, or x = column and y = -row where the scene lies nowhere.

    Raises
    ------
    VectorError
        The scene is placed by RPCs alone.
    """
    grid = scene.grid
    if grid.placed:
        return frame_of(grid).to_map(xy)
    if grid.crs is not None or grid.rpcs is not None:
        raise VectorError(
            f"{scene.path} has no transform and no control points that tell where its pixels lie; "
            "orthorectify it first"
        )
    found: Floats = xy * np.array([1.0, -1.0])
    return found


def layer_extent(layer: Layer) -> str:
    """From where to where a layer reaches in its own coordinates, for people."""
    bounds = shapely.total_bounds(layer.geometries)
    if layer.place == "pixel":
        left, top, right, bottom = (f"{value:.10g}" for value in bounds)
        return f"columns {left} to {right}, rows {top} to {bottom}"
    return spoken(bounds, None if layer.crs is None else _crs(layer))


def _on_map(layer: Layer, scene: Gridded, watcher: Watcher) -> bool:
    """Whether plain numbers are map coordinates of a scene, not columns and rows of its pixels."""
    if not scene.grid.placed:
        return False
    edges = frame_of(scene.grid).to_map(corners(scene))
    on_map = _overlap(layer, (*edges.min(axis=0), *edges.max(axis=0)))
    on_pixels = _overlap(layer, (0, 0, scene.cols, scene.rows))
    if on_map == on_pixels:
        which = "both, coordinates of the map and columns and rows" if on_map else "neither"
        raise VectorError(
            f"{layer.path} has x and y that spread over {layer_extent(layer)}; {scene.path} has "
            f"{extent(scene)} and {scene.cols} columns and {scene.rows} rows: they could be "
            f"{which}; call the columns easting and northing, longitude and latitude, or column "
            "and row"
        )
    what = "map coordinates" if on_map else "columns and rows"
    watcher.say(f"{layer.path.name}: x and y are taken as {what} of {scene.path.name}")
    return on_map


def _overlap(layer: Layer, bounds: tuple[float, float, float, float]) -> bool:
    left, bottom, right, top = shapely.total_bounds(layer.geometries)
    low_x, low_y, high_x, high_y = bounds
    return bool(left <= high_x and right >= low_x and bottom <= high_y and top >= low_y)


def _refuse_aside(layer: Layer, scene: Gridded) -> None:
    """Raise `VectorError` where coordinates of pixels cannot be those of this scene's."""
    if layer.image_shape not in (None, (scene.rows, scene.cols)):
        rows, cols = layer.image_shape or (0, 0)
        raise VectorError(
            f"{layer.path} was drawn on a picture of {rows} x {cols} pixels, {scene.path} has "
            f"{scene.rows} x {scene.cols}: give the labels of this scene"
        )
    left, top, right, bottom = shapely.total_bounds(layer.geometries)
    size = np.array([scene.cols, scene.rows])
    low, high = -ASIDE * size, (1 + ASIDE) * size
    if (np.array([left, top]) < low).any() or (np.array([right, bottom]) > high).any():
        raise VectorError(
            f"{layer.path} spreads over {layer_extent(layer)} of a picture, {scene.path} has "
            f"{scene.cols} columns and {scene.rows} rows: it was drawn on another picture; give "
            "the labels of this scene"
        )


def _refuse_other_crs(layer: Layer, scene: Gridded, ours: CRS | None) -> None:
    """Raise `VectorError` unless layer and scene both have a CRS, or neither has."""
    if layer.crs is None and ours is not None:
        lost = next((name for name in layer.missing if name.lower().endswith(CRS_MEMBER)), None)
        why, add = (f", as there is no {lost}", f"add {lost}, or ") if lost else ("", "")
        raise VectorError(
            f"{layer.path} has no CRS{why}, so nobody knows where on {scene.path} "
            f"({crs_name(ours)}) it lies; {add}give it one (in QGIS: Export, Save Features As)"
        )
    if layer.crs is not None and ours is None:
        raise VectorError(
            f"{scene.path} has no CRS, so nobody knows where on it {layer.path} "
            f"({crs_name(_crs(layer))}) lies; give the scene its CRS, or save the layer without "
            "one, in the scene's coordinates"
        )


def _on_pixels(layer: Layer, scene: Gridded, watcher: Watcher) -> Geometries:
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


def _reprojected(layer: Layer, scene: Gridded, frame: Frame, ours: CRS, theirs: CRS) -> Geometries:
    """The features near the scene, in its pixel coordinates.

    A swath's rows bend, so that straight lines of one CRS are none in its pixels either.
    """
    for crs in (theirs, ours):
        if not (crs.is_geographic or crs.is_projected):
            raise VectorError(
                f"{layer.path} ({crs_name(theirs)}) cannot be reprojected to {scene.path} "
                f"({crs_name(ours)}); save it in that CRS"
            )

    def reproject(xy: Floats) -> Floats:
        found = np.stack(reprojected(theirs, ours, xy[:, 0], xy[:, 1]), axis=1)
        return frame.to_pixels(found)

    found = np.full(len(layer), None, object)
    near, clip, pixel = _near(layer, scene, frame, ours, theirs)
    geometries = layer.geometries[near]
    if not len(geometries):
        return found
    if clip is not None:  # what reaches far beyond the scene may not be reprojected at all
        far = ~shapely.covered_by(geometries, clip)
        geometries[far] = shapely.intersection(geometries[far], clip)
    longest = LONGEST_EDGE if scene.grid.geolocation is None else BENDING_EDGE
    geometries = shapely.segmentize(geometries, longest * pixel)
    geometries = shapely.transform(geometries, reproject)
    xy, owner = shapely.get_coordinates(geometries, return_index=True)
    geometries[owner[~np.isfinite(xy).all(axis=1)]] = None
    found[near] = _valid(geometries)
    return found


def _near(
    layer: Layer, scene: Gridded, frame: Frame, ours: CRS, theirs: CRS
) -> tuple[npt.NDArray[np.bool_], Any, float]:
    """Which features lie near a scene, a box about it and the size of a pixel, in the layer's CRS.

    The box is half as large again as the scene each way; None across the date line.
    """
    middle = np.array([scene.cols, scene.rows]) / 2 + [[0, 0], [1, 0], [0, 1]]
    left, bottom, right, top = _bounds(scene, frame, ours, theirs)
    steps = np.stack(reprojected(ours, theirs, *frame.to_map(middle).T), axis=1)
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


def _bounds(
    scene: Gridded, frame: Frame, ours: CRS, theirs: CRS
) -> tuple[float, float, float, float]:
    """From where to where a scene reaches in another CRS, infinite where that cannot be told.

    Of a swath: by points all over it, since its corners do not tell how it bends.
    """
    if scene.grid.geolocation is None:
        edges = frame.to_map(corners(scene))
        try:
            with Env():
                bounds = transform_bounds(ours, theirs, *edges.min(axis=0), *edges.max(axis=0))
        except FAILURES:
            bounds = 4 * (np.inf,)
        return (bounds[0], bounds[1], bounds[2], bounds[3])
    x, y = (np.linspace(0, size, OVER) for size in (scene.cols, scene.rows))
    xy = frame.to_map(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
    found = np.stack(reprojected(ours, theirs, *xy.T), axis=1)
    if theirs.is_geographic and np.ptp(found[:, 0]) > HALF_A_TURN:  # date line or a pole
        return (-np.inf, -np.inf, np.inf, np.inf)
    (left, bottom), (right, top) = found.min(axis=0).tolist(), found.max(axis=0).tolist()
    return (left, bottom, right, top)


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
