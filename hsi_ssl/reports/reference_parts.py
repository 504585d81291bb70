"""The parts of a large map that labels lie on: planes for all of it need not be in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.transform import Affine

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.frames import between, extent
from hsi_ssl.labels.rasters import open_label_raster
from hsi_ssl.labels.vector_grid import layer_extent, on_grid
from hsi_ssl.labels.vectors import is_vector, layers_at, read_layer
from hsi_ssl.scenes.opening import is_raster
from hsi_ssl.scenes.scene import Scene

WHOLE = 2**24
"""Pixels up to which a map is taken as a whole."""
MOST = 2**29
"""Pixels of planes in memory, of 8 bytes each."""
SIDES = 64, 512
"""Of squares about single features, where all together spread over more."""
MOST_SQUARES = 20_000
MARGIN = 2

Floats = npt.NDArray[np.float64]


class MapPart(NamedTuple):
    """A scene for a part of a map, with the map's path and its own place; it is not for reading.

    `first (2,)`: row and column of the map where it begins.
    """

    scene: Scene
    first: npt.NDArray[np.int64]


def parts_about(scene: Scene, labels: Path) -> list[MapPart]:
    """The parts of a map that hold all its pixels with labels.

    Small maps stay whole, and those of which nobody can tell where labels lie. Of large ones the
    part about all labels is taken or, where that is large too and they are drawn, squares about
    each.

    Raises
    ------
    LabelError
        No label lies on the map; the parts are too large.
    SceneNotFoundError, SceneError, VectorError
        The labels cannot be read.
    """
    found = [MapPart(scene, np.zeros(2, np.int64))]
    if scene.rows * scene.cols <= WHOLE:
        return found
    if scene.grid.transform is not None:
        boxes = _drawn_boxes(scene, labels) if is_vector(labels) else _raster_box(scene, labels)
        if boxes is not None:
            low, high = np.floor(boxes[:, :2].min(axis=0)), np.ceil(boxes[:, 2:].max(axis=0))
            found = [_part(scene, low - MARGIN, high + MARGIN)]
            if _size(found) > MOST and is_vector(labels):
                found = _squares(scene, boxes) or found
    if _size(found) > MOST:
        raise LabelError(
            f"{labels} spreads over {_size(found):,} pixels of {scene.path}, expected {MOST:,} at "
            "most; give labels that lie closer together, or a part of the map"
        )
    return found


def _size(parts: list[MapPart]) -> int:
    return sum(part.scene.rows * part.scene.cols for part in parts)


def _part(scene: Scene, low: Floats, high: Floats) -> MapPart:
    """The part of a scene from one corner of pixels, x and y, to another."""
    left, top = (max(0, int(v)) for v in low)
    right, bottom = min(int(high[0]), scene.cols), min(int(high[1]), scene.rows)
    assert scene.grid.transform is not None
    a, b, c, d, e, f = tuple(Affine(*scene.grid.transform) @ Affine.translation(left, top))[:6]
    grid = replace(scene.grid, transform=(a, b, c, d, e, f))
    part = replace(scene, rows=bottom - top, cols=right - left, grid=grid)
    return MapPart(part, np.array([top, left], np.int64))


def _squares(scene: Scene, boxes: Floats) -> list[MapPart]:
    """Squares that hold boxes (left, top, right, bottom), none where too many are needed."""
    for side in SIDES:
        first = np.floor(boxes[:, :2] / side).astype(np.int64)
        across, down = (np.floor(boxes[:, 2:] / side).astype(np.int64) - first + 1).T
        n = across * down
        if n.sum() > 4 * MOST_SQUARES:
            continue
        which = np.repeat(np.arange(len(n)), n)
        step = np.arange(len(which)) - np.repeat(np.cumsum(n) - n, n)
        steps = np.stack([step % across[which], step // across[which]], axis=1)
        low = np.unique(first[which] + steps, axis=0) * float(side)
        low = low[(low < [scene.cols, scene.rows]).all(axis=1)]
        if len(low) <= MOST_SQUARES and len(low) * side**2 <= MOST:
            # They do not overlap, or pixels would be counted twice.
            return [_part(scene, corner, corner + side) for corner in low]
    return []


def _drawn_boxes(scene: Scene, labels: Path) -> Floats | None:
    """Bounds `(n, 4)` of drawn features on a map, in its pixels.

    None where they count from the corner of a picture, or may do so.
    """
    each = layers_at(labels)
    if any(facts.place != "map" for facts in each):
        return None
    layers = [read_layer(facts) for facts in each]
    geometries = np.concatenate([on_grid(layer, scene) for layer in layers])
    whole = shapely.box(0, 0, scene.cols, scene.rows)
    geometries = geometries[shapely.intersects(geometries, whole)]
    if not len(geometries):
        raise LabelError(
            f"not one feature of {labels} lies on {scene.path}: the layer spans "
            f"{layer_extent(layers[0])}, the map {extent(scene)}; check the CRS of both"
        )
    bounds = shapely.bounds(shapely.intersection(geometries, whole))
    return np.asarray(bounds)


def _raster_box(scene: Scene, labels: Path) -> Floats | None:
    """The same of a whole raster, `(1, 4)`; None where it has no place."""
    if not is_raster(labels):
        return None
    with open_label_raster(labels) as raster:
        if not raster.grid.placed:
            return None
        x, y = (np.linspace(0, size, 33) for size in (raster.cols, raster.rows))
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        seen = between(raster, scene)(points)
        where = extent(raster)
    seen = seen[np.isfinite(seen).all(axis=1)]
    size = np.array([scene.cols, scene.rows])
    if len(seen):
        low, high = seen.min(axis=0), seen.max(axis=0)
        more = 0.05 * (high - low)  # between the points it may bulge
        low, high = np.maximum(low - more, 0), np.minimum(high + more, size)
        if (low < high).all():
            return np.concatenate([low, high])[None]
    raise LabelError(
        f"labels in {labels} lie elsewhere than {scene.path}: they span {where}, the map "
        f"{extent(scene)}; give labels of this map, or check the CRS of both"
    )
