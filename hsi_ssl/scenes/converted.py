"""A cube whose values are made of those of another reader, all of them in the same way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Array, CubeReader

Convert = Callable[[Array, Sequence[int] | None], Array]
"""Raw values `(..., bands)`, of all bands or of those chosen, to what is handed out."""


class ConvertedReader:
    """`convert` of whatever `reader` gives."""

    def __init__(self, reader: CubeReader, convert: Convert) -> None:
        self._reader, self._convert = reader, convert

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Values `(row1 - row0, col1 - col0, bands)`."""
        return self._convert(self._reader.window(row0, row1, col0, col1), None)

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Spectra `(n, bands)` of single pixels."""
        return self._convert(self._reader.pixels(rows, cols), None)

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """Values `(len(rows), len(cols), len(bands))` where these rows and columns cross."""
        return self._convert(self._reader.thinned(rows, cols, bands), bands)

    def close(self) -> None:
        """Release the file."""
        self._reader.close()
