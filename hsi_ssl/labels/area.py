"""Part of a scene that polygons or a raster mark: only its pixels are read and classified."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.codes import refuse_shape
from hsi_ssl.labels.coverage import AREA, parts_of, pixels_of
from hsi_ssl.labels.frames import extent
from hsi_ssl.labels.layers import Layer
from hsi_ssl.labels.laying import Laying, Window
from hsi_ssl.labels.rasters import LabelRaster, open_label_raster
from hsi_ssl.labels.vector_grid import layer_extent, on_grid
from hsi_ssl.labels.vectors import is_vector, layer_facts, read_layer
from hsi_ssl.masks.codes import LOOK, NAMES
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
TILE = 256
"""Side in pixels of the squares in which single pixels are looked up."""
Places = Iterable[tuple[slice, slice]]


class Area(ABC):
    """The pixels of a scene that are marked, looked up window by window.

    So memory does not grow with the scene.
    """

    @abstractmethod
    def mask(self, rows: slice, cols: slice) -> Bools:
        """Which pixels of a window are in the area, `(r, c)`."""

    @abstractmethod
    def grown(self, pixels: int) -> Area:
        """The area and all pixels no more than so many steps away, diagonal ones included."""

    def at(self, rows: Ints, cols: Ints) -> Bools:
        """Which of single pixels are in the area, `(n,)`."""
        found = np.zeros(len(rows), bool)
        tiles = rows // TILE << 32 | cols // TILE
        order = np.argsort(tiles, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(tiles[order])) + 1):
            if len(group):
                r, c = rows[group], cols[group]
                top, left = int(r.min()), int(c.min())
                mask = self.mask(slice(top, int(r.max()) + 1), slice(left, int(c.max()) + 1))
                found[group] = mask[r - top, c - left]
        return found

    def windows(self, places: Places) -> Iterator[tuple[slice, slice]]:
        """Of each window the part that holds all its pixels of the area, where it has any."""
        for rows, cols in places:
            mask = self.mask(rows, cols)
            high, wide = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if len(high):
                yield (
                    slice(rows.start + int(high[0]), rows.start + int(high[-1]) + 1),
                    slice(cols.start + int(wide[0]), cols.start + int(wide[-1]) + 1),
                )


class PolygonArea(Area):
    """The pixels whose centre lies in one of some polygons, given in pixel coordinates."""

    def __init__(self, polygons: npt.NDArray[Any]) -> None:
        self._polygons = polygons
        self._tree = shapely.STRtree(polygons)

    def mask(self, rows: slice, cols: slice) -> Bools:
        """Which pixels of a window are in the area, `(r, c)`."""
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        found = np.zeros(shape, bool)
        box = shapely.box(cols.start, rows.start, cols.stop, rows.stop)
        near = self._polygons[self._tree.query(box)]
        moved = shapely.transform(near, lambda xy: xy - [cols.start, rows.start])
        for covered in pixels_of(moved, shape, least=0):
            found.ravel()[covered.flat] = True
        return found

    def grown(self, pixels: int) -> Area:
        """The area and all pixels no more than so many steps away, diagonal ones included."""
        return PolygonArea(shapely.buffer(self._polygons, 1.5 * pixels))


class RasterArea(Area):
    """The pixels at whose centre a raster holds a value that is not 0 and not its nodata.

    Of a mask that tells by its names that hsi-ssl proposed it: where it is to be looked at.

    `read` gives 1 there and 0 elsewhere; `shape` is the scene's, `more` the steps it has grown.
    """

    def __init__(self, read: Window, shape: tuple[int, int], more: int = 0) -> None:
        self._read, self._shape, self._more = read, shape, more

    def mask(self, rows: slice, cols: slice) -> Bools:
        """Which pixels of a window are in the area, `(r, c)`."""
        wide = [
            slice(max(0, s.start - self._more), min(size, s.stop + self._more))
            for s, size in zip((rows, cols), self._shape, strict=True)
        ]
        found: Bools = self._read(*wide) > 0
        if self._more:
            from scipy import ndimage  # slow to import

            found = ndimage.binary_dilation(found, np.ones((3, 3), bool), self._more)
        top, left = rows.start - wide[0].start, cols.start - wide[1].start
        return found[top : top + rows.stop - rows.start, left : left + cols.stop - cols.start]

    def grown(self, pixels: int) -> Area:
        """The area and all pixels no more than so many steps away, diagonal ones included."""
        return RasterArea(self._read, self._shape, self._more + pixels)


def areas(path: Path, scenes: Iterable[Scene], watcher: Watcher = SILENT) -> list[Area | None]:
    """The area that a layer's polygons, or a raster, mark on each scene; None where they do not.

    A raster is laid on scenes by its place; where it or the scene has none, sizes must agree.

    Raises
    ------
    SceneNotFoundError
        There is no such file.
    VectorError
        The layer is broken or has no polygon; it does not fit a scene; it touches none of them.
    LabelError, SceneError
        The raster is no plane, or of another size than a scene that it is to be taken for.
    """
    scenes = list(scenes)
    found = marked(path, scenes, watcher)
    for scene, area in zip(scenes, found, strict=True):
        if area is None:
            watcher.say(f"left out {scene.path}: it holds nothing of the area in {path}")
    return found


def marked(
    path: Path, scenes: Sequence[Scene], watcher: Watcher = SILENT, *, needed: bool = True
) -> list[Area | None]:
    """As `areas`, without a word on scenes where nothing is marked.

    Unless it is `needed`, it may lie on none of them.
    """
    if is_vector(path):
        layer = read_layer(layer_facts(path), watcher=watcher)
        found: list[Area | None] = [_drawn(layer, scene, watcher) for scene in scenes]
        where = layer_extent(layer)
    else:
        raster = open_label_raster(path)
        found = [_laid(raster, scene) for scene in scenes]
        where = extent(raster)
    if needed and all(area is None for area in found):
        raise VectorError(
            f"{path} marks no part of {scenes[0].path}: it spans {where}, the scene "
            f"{extent(scenes[0])}; draw it over the scene"
        )
    return found


def _drawn(layer: Layer, scene: Scene, watcher: Watcher) -> PolygonArea | None:
    geometries = on_grid(layer, scene, watcher)
    parts, _ = parts_of(geometries)
    polygons = parts[shapely.get_dimensions(parts) == AREA]
    if len(parts) and not len(polygons):
        raise VectorError(f"{layer.path} has no polygon; expected polygons around the area")
    frame = shapely.box(0, 0, scene.cols, scene.rows)
    polygons = polygons[shapely.intersects(polygons, frame)]
    return PolygonArea(polygons) if len(polygons) else None


def _laid(raster: LabelRaster, scene: Scene) -> RasterArea | None:
    proposed = raster.legend.names.get(LOOK) == NAMES[LOOK]

    def marked(rows: slice, cols: slice) -> npt.NDArray[np.uint16]:
        values = raster.window(rows, cols)
        found = values == LOOK if proposed else values != 0
        if values.dtype.kind == "f":
            found &= ~np.isnan(values)
        if raster.nodata is not None:
            found &= values != raster.nodata
        return np.asarray(found, np.uint16)

    shape = scene.rows, scene.cols
    if not (scene.grid.placed and raster.grid.placed):
        refuse_shape(raster.path, (raster.rows, raster.cols), shape)
        return RasterArea(marked, shape)
    laying = Laying(scene, raster, marked, 0)
    return RasterArea(laying.read, shape) if laying.overlaps() else None
