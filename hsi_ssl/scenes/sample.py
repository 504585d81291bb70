"""A scene's numbers by a sample of its pixels, from all over it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Array, Scene, shapeless, valid_spectra

ROWS, COLS = 16, 64
LEAST = 16
"""Spectra that tell what a scene's numbers are like, of so many rows and columns; the fewest."""


class Sample(NamedTuple):
    """Raw `spectra (n, bands)` that hold a measurement, of `pixels` that were looked at.

    `alike (m,)`: the number that others have in all bands, but for 0 and what the file declares.
    """

    spectra: Array
    pixels: int
    alike: Array


def sample(scene: Scene, bands: npt.NDArray[np.int64]) -> Sample:
    """Spectra of some `bands`, in bounded time; none where a scene has hardly any."""
    if not len(bands):
        return Sample(np.empty((0, 0), scene.dtype), 0, np.empty(0, scene.dtype))
    rows, cols = (
        np.unique(np.linspace(0, size - 1, n).astype(np.int64))
        for size, n in ((scene.rows, ROWS), (scene.cols, COLS))
    )
    seen = scene.thinned(rows, cols, bands.tolist()).reshape(-1, len(bands))
    alike = seen[shapeless(seen), 0]
    alike = alike[(alike != 0) & (alike != scene.nodata)]
    spectra, pixels = seen[valid_spectra(seen, scene.nodata)], len(seen)
    if len(spectra) >= LEAST:
        return Sample(spectra, pixels, alike)
    for place in scene.windows(2**14):  # a scene that is mostly empty
        window = scene.read(*place)[..., bands].reshape(-1, len(bands))
        spectra = window[valid_spectra(window, scene.nodata)]
        if len(spectra) >= LEAST:
            break
    return Sample(spectra, pixels, alike)
