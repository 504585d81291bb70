"""Masks of GDAL's rasters, which say pixel by pixel what is data, and bands of transparency.

By GDAL's RFC 15 "Band masks": a mask lies in the file (GeoTIFF), beside it (`.msk`), is a band
called alpha, or follows from the dataset's tag `NODATA_VALUES`. GDAL itself takes the first of
these that there is, and a nodata value only where there is none; here all of them count.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from hsi_ssl.scenes.readers.gdal_errors import FAILURES
from hsi_ssl.scenes.scene import Array

SAMPLES = (5, 16)
"""Places down and across a raster at which a band called alpha is looked at; many if all is 0."""
SAMPLE = 64
"""Their rows and columns, or fewer where the file's blocks are smaller."""
SOFT_EDGES = 0.05
"""Share of an alpha band's pixels that may be half transparent."""
OPAQUE = 255
"""In alpha bands of one byte."""


@dataclass(frozen=True)
class Layout:
    """Which bands of a raster hold spectra, which is its alpha band, which masks to ask for.

    All by GDAL's numbers, from 1. `masks` is empty, one band's that goes for all, or one for each
    of `spectral`.
    """

    spectral: tuple[int, ...]
    alpha: int | None = None
    masks: tuple[int, ...] = ()
    each_its_own: bool = False
    notes: tuple[str, ...] = ()

    @property
    def masked(self) -> bool:
        """Whether something else than values says where there is no data."""
        return self.alpha is not None or bool(self.masks)


def layout_of(dataset: DatasetReader, name: str, has_wavelengths: Callable[[], bool]) -> Layout:
    """The layout of a raster; `has_wavelengths` tells whether all its bands have one.

    GDAL calls the fourth band of any GeoTIFF of one byte alpha that it writes without options.
    """
    flags = dict(zip(dataset.indexes, dataset.mask_flag_enums, strict=True))
    colours = zip(dataset.indexes, dataset.colorinterp, strict=True)
    alpha = next((band for band, colour in colours if colour is ColorInterp.alpha), None)
    notes: tuple[str, ...] = ()
    if alpha is not None:
        why = "is the only one" if dataset.count == 1 else None
        why = why or ("has a wavelength" if has_wavelengths() else _no_alpha(dataset, alpha))
        if why is not None:
            notes = (f"band {alpha} of {name} is called alpha but {why}: taken as a spectral band",)
            alpha = None
    spectral = tuple(band for band in dataset.indexes if band != alpha)
    elsewhere = {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha}
    own = [not elsewhere & {*flags[band]} for band in spectral]
    if all(MaskFlags.per_dataset in flags[band] for band in spectral) or own == [True]:
        masks = () if MaskFlags.alpha in flags[spectral[0]] else spectral[:1]
        return Layout(spectral, alpha, masks, notes=notes)
    if any(own):
        return Layout(spectral, alpha, spectral, each_its_own=True, notes=notes)
    return Layout(spectral, alpha, notes=notes)


class PixelMasks:
    """Gives `nothing` to values that a raster's masks hide."""

    def __init__(self, dataset: DatasetReader, layout: Layout, nothing: float) -> None:
        self._dataset = dataset
        self._layout = layout
        self._nothing = nothing

    def cover(
        self, found: Array, bands: Sequence[int], source: DatasetReader, window: Window
    ) -> None:
        """Change `found (rows, cols, len(bands))`, read from that window of `source`.

        `bands` counts those of `Layout.spectral` from 0. `source` is the raster or one of its
        overviews. An overview's own mask is not asked: where a mask has none, GDAL says that all of
        it is valid. The raster's mask is thinned out instead, by GDAL from overviews that it has.
        """
        shape = found.shape[:2]
        layout, dataset = self._layout, self._dataset
        hidden: Any = False
        if layout.alpha is not None:
            hidden = ~(source.read(layout.alpha, window=window, out_shape=shape) > 0)
        if layout.masks:
            if source is not dataset:
                down, across = dataset.height / source.height, dataset.width / source.width
                window = Window(
                    window.col_off * across,
                    window.row_off * down,
                    window.width * across,
                    window.height * down,
                )
            masks = [layout.masks[band] for band in bands] if layout.each_its_own else layout.masks
            shown = dataset.read_masks(list(masks), window=window, out_shape=(len(masks), *shape))
            if layout.each_its_own:
                found[np.moveaxis(shown, 0, -1) == 0] = self._nothing
            else:
                hidden = hidden | (shown[0] == 0)
        if np.any(hidden):
            found[hidden] = self._nothing


def _no_alpha(dataset: DatasetReader, band: int) -> str | None:
    """Why a band called alpha can be no transparency, judged by places spread over the raster."""
    for samples in SAMPLES:
        try:
            values = _sample(dataset, band, samples)
        except FAILURES:  # a broken file: said when it is read
            return None
        shown = values[values > 0]
        if shown.size:
            break
    else:
        return "is 0 wherever it was looked at"
    top = OPAQUE if values.dtype == np.uint8 else shown.max()
    between = float((shown != top).mean())
    if between > SOFT_EDGES:
        return f"takes other values than 0 and {top:g}"
    return None


def _sample(dataset: DatasetReader, band: int, samples: int) -> Array:
    """Values of a band at so many places down and across."""
    sizes = dataset.height, dataset.width
    sides = [min(SAMPLE, *pair) for pair in zip(dataset.block_shapes[band - 1], sizes, strict=True)]
    starts = [
        sorted({round(i * (size - side) / (samples - 1)) for i in range(samples)})
        for size, side in zip(sizes, sides, strict=True)
    ]
    places = [Window(col, row, sides[1], sides[0]) for row, col in itertools.product(*starts)]
    return np.concatenate([dataset.read(band, window=place).ravel() for place in places])


def picture_with_alpha(dataset: DatasetReader, layout: Layout) -> Array | None:
    """A coloured picture `(rows, cols, 4)` of one byte with what hides pixels as its last band.

    None where the raster is no such picture, or nothing does.
    """
    if not layout.masked or layout.each_its_own or {*dataset.dtypes} != {"uint8"}:
        return None
    if len(layout.spectral) != 3:  # noqa: PLR2004
        return None
    picture = dataset.read(list(layout.spectral))
    shown = np.full(picture.shape[1:], OPAQUE, np.uint8)
    if layout.alpha is not None:
        shown = dataset.read(layout.alpha)
    if layout.masks:
        shown = np.where(dataset.read_masks(layout.masks[0]) == 0, 0, shown)
    return np.ascontiguousarray(np.moveaxis(np.concatenate([picture, shown[None]]), 0, -1))
