"""A scene of which only some pixels are looked at: the others read as if nothing was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Array, CubeReader, Looking, Scene

Ints = npt.NDArray[np.int64]


class MaskedReader:
    """A cube whose pixels that are not looked at read as `nothing` in all bands."""

    def __init__(self, reader: CubeReader, looked: Looking, nothing: float) -> None:
        self._reader, self._looked, self._nothing = reader, looked, nothing

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Raw values `(row1 - row0, col1 - col0, bands)`."""
        looked = self._looked.mask(slice(row0, row1), slice(col0, col1))
        if not looked.any():
            one = self._reader.window(row0, min(row0 + 1, row1), col0, min(col0 + 1, col1))
            return np.full((*looked.shape, one.shape[-1]), self._nothing, one.dtype)
        found = self._reader.window(row0, row1, col0, col1)
        if not looked.all():
            found[~looked] = self._nothing
        return found

    def pixels(self, rows: Ints, cols: Ints) -> Array:
        """Raw spectra `(n, bands)` of single pixels."""
        found = self._reader.pixels(rows, cols)
        found[~self._looked.at(rows, cols)] = self._nothing
        return found

    def thinned(self, rows: Ints, cols: Ints, bands: Sequence[int]) -> Array:
        """Raw values where ascending rows and columns cross."""
        found = self._reader.thinned(rows, cols, bands)
        crossing = np.meshgrid(rows, cols, indexing="ij")
        looked = self._looked.at(*(places.ravel() for places in crossing))
        found[~looked.reshape(found.shape[:2])] = self._nothing
        return found

    def close(self) -> None:
        """Release the file."""
        self._reader.close()


def masked(scene: Scene, looked: Looking) -> Scene:
    """The scene with nothing measured but where it is looked at."""
    nothing = scene.nodata
    if nothing is None:
        # A spectrum of zeros holds no measurement either.
        nothing = np.nan if scene.dtype.kind == "f" else 0
    return replace(scene, reader=MaskedReader(scene.reader, looked, nothing), looked=looked)
