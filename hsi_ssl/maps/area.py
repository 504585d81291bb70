"""Part of a scene that polygons mark: only its pixels are read and classified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.coverage import AREA, parts_of, pixels_of
from hsi_ssl.labels.frames import extent
from hsi_ssl.labels.layers import Layer
from hsi_ssl.labels.vector_grid import layer_extent, on_grid
from hsi_ssl.labels.vectors import layer_facts, read_layer
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

Bools = npt.NDArray[np.bool_]
Places = Iterable[tuple[slice, slice]]


class Area:
    """The pixels whose centre lies in one of some polygons, given in a scene's pixel coordinates.

    Polygons are looked up window by window, so that memory does not grow with the scene.
    """

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

    def grown(self, pixels: int) -> Area:
        """The area and all pixels no more than so many steps away, diagonal ones included."""
        return Area(shapely.buffer(self._polygons, 1.5 * pixels))


def areas(path: Path, scenes: Iterable[Scene], watcher: Watcher = SILENT) -> list[Area | None]:
    """The area that a layer's polygons mark on each scene; None where they do not touch it.

    Raises
    ------
    SceneNotFoundError
        There is no such file.
    VectorError
        The layer is broken or has no polygon; it does not fit a scene; it touches none of them.
    """
    scenes = list(scenes)
    layer = read_layer(layer_facts(path), watcher=watcher)
    found = [_on(layer, scene, watcher) for scene in scenes]
    if all(area is None for area in found):
        raise VectorError(
            f"{path} marks no part of {scenes[0].path}: the layer spans {layer_extent(layer)}, the "
            f"scene {extent(scenes[0])}; draw the polygons over the scene"
        )
    for scene, area in zip(scenes, found, strict=True):
        if area is None:
            watcher.say(f"left out {scene.path}: it holds nothing of the area in {path}")
    return found


def _on(layer: Layer, scene: Scene, watcher: Watcher) -> Area | None:
    geometries = on_grid(layer, scene, watcher)
    parts, _ = parts_of(geometries)
    polygons = parts[shapely.get_dimensions(parts) == AREA]
    if len(parts) and not len(polygons):
        raise VectorError(f"{layer.path} has no polygon; expected polygons around the area")
    frame = shapely.box(0, 0, scene.cols, scene.rows)
    polygons = polygons[shapely.intersects(polygons, frame)]
    return Area(polygons) if len(polygons) else None
