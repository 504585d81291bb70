"""Maps of scenes in sensor geometry onto their map grid, through the lookup table.

A map is drafted pixel by pixel as the scene has them; then each cell of the map grid takes what the
pixel that it shows has. Squares of cells are looked up and read together, so that memory does not
grow with scene or map.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import rasterio
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window

from hsi_ssl.maps.rasters import draft, unlocated
from hsi_ssl.scenes.ortho import Ints, Ortho, strips
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import Watcher

SIDE = 512
"""Of the squares, in cells."""
MOST_VALUES = 2**24
"""Values of the scene's pixels that are read together, unless one band alone has more."""


def say_where(scene: Scene, watcher: Watcher) -> None:
    """Say on which grid maps of a scene lie, where that is not the scene's own or it has none."""
    if scene.ortho is not None:
        watcher.say(
            f"{scene.path.name} is in sensor geometry: its maps lie on the grid of "
            f"{scene.ortho.rows} x {scene.ortho.cols} cells of {scene.ortho.source}, nodata where "
            f"that shows no pixel; counts told here are of its own {scene.rows} x {scene.cols} "
            "pixels, those beside a map of the map's cells"
        )
    elif scene.grid.transform is None and scene.grid.geolocation is not None:
        watcher.say(
            f"{scene.path.name} is in sensor geometry and has no lookup table: its maps stay "
            "there, with control points that gdalwarp -tps places them by; of a class map, the "
            "file beside that ends in _placed.vrt shows in QGIS where it lies"
        )


def onto_map_grid(drafted: Path, ortho: Ortho) -> None:
    """Replace a draft of the scene's own pixels by one of the cells of its map grid.

    Cells that show no pixel are nodata.
    """
    beside = drafted.with_name(f"{drafted.name}.grid")
    with unlocated(), rasterio.open(drafted) as pixels:
        shape = {"height": ortho.rows, "width": ortho.cols}
        kind = {"dtype": pixels.dtypes[0], "nodata": pixels.nodata, "count": pixels.count}
        with draft(beside, ortho.grid, pixels.tags(), tiled=True, **shape, **kind) as cells:
            _describe(pixels, cells)
            for rows in strips(ortho.rows, ortho.cols):
                row, col = ortho.lookup(rows, slice(0, ortho.cols))
                squares = itertools.product(range(0, len(row), SIDE), range(0, ortho.cols, SIDE))
                for top, left in squares:
                    part = slice(top, top + SIDE), slice(left, left + SIDE)
                    _fill(pixels, cells, (rows.start + top, left), row[part], col[part])
    beside.replace(drafted)


def _describe(pixels: DatasetReader, cells: DatasetWriter) -> None:
    """What the first raster says of its bands, for the second to say."""
    cells.descriptions, cells.units = pixels.descriptions, pixels.units
    for band in range(1, pixels.count + 1):
        cells.update_tags(band, **pixels.tags(band))
    if pixels.colorinterp[0] == rasterio.enums.ColorInterp.palette:
        cells.write_colormap(1, pixels.colormap(1))


def _fill(
    pixels: DatasetReader, cells: DatasetWriter, corner: tuple[int, int], row: Ints, col: Ints
) -> None:
    """Write a square of cells from `corner` on, which show the pixels at `row`, `col` `(r, c)`."""
    shown = row >= 0
    if not shown.any():
        return
    row, col = row[shown], col[shown]
    top, left = int(row.min()), int(col.min())
    box = Window(left, top, int(col.max()) + 1 - left, int(row.max()) + 1 - top)
    square = Window(corner[1], corner[0], shown.shape[1], shown.shape[0])
    together = max(1, MOST_VALUES // max(box.width * box.height, shown.size))
    bands = range(1, pixels.count + 1)
    for first in range(0, len(bands), together):
        some = list(bands[first : first + together])
        found = np.full((len(some), *shown.shape), pixels.nodata, pixels.dtypes[0])
        found[:, shown] = pixels.read(some, window=box)[:, row - top, col - left]
        cells.write(found, some, window=square)
