"""A raster on a scene's map grid, laid back on the pixels of the scene through its lookup table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hsi_ssl.scenes.ortho import Ortho, strips
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Grid, Scene

SAME = 0.01
"""Cells by which two grids may differ."""


def on_map_grid_of(scene: Scene, raster: Scene) -> bool:
    """Whether the pixels of a raster are the cells of a scene's map grid."""
    if scene.ortho is None or (raster.rows, raster.cols) != (scene.ortho.rows, scene.ortho.cols):
        return False
    ours, theirs = scene.ortho.grid.transform, raster.grid.transform
    if ours is None or theirs is None:
        return False
    cell = float(np.hypot(ours[0], ours[3]))
    corners = np.array([[0, raster.cols, 0], [0, 0, raster.rows], [1, 1, 1]])
    here, there = (np.reshape(one, (2, 3)) @ corners for one in (ours, theirs))
    return bool(np.abs(here - there).max() <= SAME * cell)


def laid_back(raster: Scene, ortho: Ortho, size: tuple[int, int]) -> Scene:
    """A raster of few bands on a map grid as the `size` rows and columns of the scene see it.

    A pixel has what is in a cell that shows it; the raster's nodata value, or 0, where none does.
    It is held in memory, and the raster is closed.
    """
    nothing = 0 if raster.nodata is None else raster.nodata
    found = np.full((*size, raster.bands), nothing, raster.dtype)
    with raster:
        for rows in strips(ortho.rows, ortho.cols):
            row, col = ortho.lookup(rows, slice(0, ortho.cols))
            shown = row >= 0
            found[row[shown], col[shown]] = raster.read(rows)[shown]
    return replace(raster, reader=ArrayReader(found), rows=size[0], cols=size[1], grid=Grid())
