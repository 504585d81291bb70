"""Pictures of rasters in square tiles, at half the size from zoom to zoom.

At zoom `Tiling.depth` a cell is a pixel; at zoom 0 the whole raster is one tile. A tile goes to the
page as plain numbers, row by row: four bytes a cell (red, green, blue, opacity) for a scene,
little-endian 16-bit for class codes and for measures, which the page colours itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.sample import sample
from hsi_ssl.scenes.scene import SHAPE, Array, Bools, Scene, largest_of

TILE = 256
"""Cells a side."""
STRETCH = (2, 98)
"""Percentiles of a band, or of a measure, from which to which colours run."""
LARGEST = 65_535
"""Of a measure in a tile: its upper limit; 1 is its lower one, 0 is where there is no value."""
SHARES = {"confidence", "p_value"}
"""Measures that run from 0 to 1 whatever a map holds."""
ENTROPY = "entropy"
"""A measure that begins at 0."""

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tiling:
    """How a raster of `rows` and `cols` is cut into tiles."""

    rows: int
    cols: int

    @property
    def depth(self) -> int:
        """The zoom at which a cell is a pixel."""
        return max(0, (max(self.rows, self.cols) - 1).bit_length() - (TILE - 1).bit_length())

    def step(self, zoom: int) -> int:
        """Pixels a cell, in each direction.

        Raises
        ------
        IndexError
            There is no such zoom.
        """
        if not 0 <= zoom <= self.depth:
            raise IndexError(f"zoom {zoom} is not between 0 and {self.depth}")
        return 1 << (self.depth - zoom)

    def places(self, zoom: int, x: int, y: int) -> tuple[Ints, Ints]:
        """Rows and columns of the pixels in the middle of a tile's cells; fewer at the edges.

        Raises
        ------
        IndexError
            There is no such tile.
        """
        step = self.step(zoom)
        side = TILE * step
        if not (0 <= y * side < self.rows and 0 <= x * side < self.cols):
            raise IndexError(f"no tile {x}, {y} at zoom {zoom}")
        each = (
            np.arange(first, min(first + side, size), step, dtype=np.int64)
            for first, size in ((y * side, self.rows), (x * side, self.cols))
        )
        rows, cols = each
        return (
            np.minimum(rows + step // 2, self.rows - 1),
            np.minimum(cols + step // 2, self.cols - 1),
        )


class Tiles:
    """Tiles of one raster, of which it reads no more than a tile needs (`Scene.thinned`).

    A file without overviews is read in its own blocks, up to 512 MiB a tile; beyond that, tiles of
    the far zooms show fewer rows or columns, repeated.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.tiling = Tiling(scene.rows, scene.cols)
        self._limits = lru_cache(maxsize=1024)(self._measured_limits)

    def picture(self, zoom: int, x: int, y: int, bands: Sequence[int]) -> Bytes:
        """A tile `(256, 256, 4)` of three bands as red, green and blue, or of one in greys.

        See-through where one of them has no measurement or, of several, all are zero.

        Raises
        ------
        IndexError
            There is no such tile or band.
        """
        if not all(0 <= band < self.scene.bands for band in bands):
            raise IndexError(f"bands {bands} of {self.scene.bands}")
        rows, cols = self.tiling.places(zoom, x, y)
        values = self.scene.thinned(rows, cols, bands)
        tile = np.zeros((TILE, TILE, 4), np.uint8)
        here = tile[: len(rows), : len(cols)]
        for i, (low, high) in enumerate(self._limits(tuple(bands))):
            with np.errstate(invalid="ignore", over="ignore"):
                bright = ((values[..., i].astype(np.float32) - low) / (high - low)).clip(0, 1)
            shade = np.nan_to_num(255 * bright).round().astype(np.uint8)
            here[..., i if len(bands) > 1 else slice(0, 3)] = (
                shade if len(bands) > 1 else shade[..., None]
            )
        there = self._measured(values)
        if len(bands) > 1:
            there &= (values != 0).any(axis=-1)
        here[..., 3] = np.where(there, 255, 0)
        return tile

    def codes(self, zoom: int, x: int, y: int) -> Words:
        """A tile `(256, 256)` of the codes of a class map, 0 beyond its edge."""
        rows, cols = self.tiling.places(zoom, x, y)
        tile = np.zeros((TILE, TILE), np.uint16)
        tile[: len(rows), : len(cols)] = self.scene.thinned(rows, cols, (0,))[..., 0]
        return tile

    def measure(self, zoom: int, x: int, y: int, limits: tuple[float, float]) -> Words:
        """A tile `(256, 256)` of a measure: 1 to 65,535 between the limits, 0 without value."""
        rows, cols = self.tiling.places(zoom, x, y)
        values = self.scene.thinned(rows, cols, (0,))[..., 0].astype(np.float64)
        share = np.nan_to_num((values - limits[0]) / (limits[1] - limits[0])).clip(0, 1)
        tile = np.zeros((TILE, TILE), np.uint16)
        tile[: len(rows), : len(cols)] = np.where(
            np.isfinite(values), 1 + np.round(share * (LARGEST - 1)), 0
        ).astype(np.uint16)
        return tile

    def limits(self, name: str) -> tuple[float, float]:
        """From which value to which the colours of a measure run."""
        if name in SHARES:
            return 0.0, 1.0
        ((low, high),) = self._limits((0,))
        return (0.0 if name == ENTROPY else low), high

    def _measured_limits(self, bands: tuple[int, ...]) -> list[tuple[float, float]]:
        """Percentiles of bands over the whole raster, seen from afar."""
        values = self.scene.thinned(*self.tiling.places(0, 0, 0), bands)
        found = []
        for i in range(len(bands)):
            one = values[..., i][self._measured(values[..., i : i + 1])]
            low, high = np.percentile(one.astype(np.float64), STRETCH) if one.size else (0.0, 1.0)
            found.append((float(low), float(high if high > low else low + 1)))
        return found

    def _measured(self, values: Array) -> Bools:
        """Where all bands `(..., n)` of values hold a measurement, as far as these bands tell."""
        there = np.ones(values.shape[:-1], bool)
        if np.issubdtype(values.dtype, np.floating):
            there &= (np.abs(values) <= largest_of(values.dtype)).all(axis=-1)
        nodata = self.scene.nodata
        if nodata is not None and not np.isnan(nodata):
            there &= (values != nodata).all(axis=-1)
        for value in self._undeclared:
            there &= (values != value).any(axis=-1)
        return there

    @cached_property
    def _undeclared(self) -> Array:
        """What whole spectra consist of that are no measurement, beyond all that was measured."""
        good = np.flatnonzero(self.scene.good)
        if len(good) < SHAPE:
            return np.empty(0)
        bands = good[np.linspace(0, len(good) - 1, SHAPE).astype(np.int64)]
        found = sample(self.scene, bands)
        beyond = found.alike
        if found.spectra.size:
            beyond = beyond[(beyond < found.spectra.min()) | (beyond > found.spectra.max())]
        return np.unique(beyond)


@dataclass(frozen=True)
class Marks:
    """Labelled pixels of one scene: `rows`, `cols`, `codes` and `parts`, `(n,)` each."""

    rows: Ints
    cols: Ints
    codes: Ints
    parts: npt.NDArray[np.uint8]

    def tile(self, tiling: Tiling, zoom: int, x: int, y: int, parts: Sequence[int]) -> Words:
        """A tile `(256, 256)` of their codes, 0 elsewhere.

        A cell with any pixel of these parts shows one, so that none is lost from afar.
        """
        tiling.places(zoom, x, y)
        step = tiling.step(zoom)
        rows, cols = self.rows // step - y * TILE, self.cols // step - x * TILE
        here = (0 <= rows) & (rows < TILE) & (0 <= cols) & (cols < TILE)
        here &= np.isin(self.parts, parts)
        tile = np.zeros((TILE, TILE), np.uint16)
        tile[rows[here], cols[here]] = self.codes[here]
        return tile
