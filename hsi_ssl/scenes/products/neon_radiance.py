"""NEON's radiance, delivered in two arrays: whole numbers, and what comes after the point."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Array, CubeReader

Ints = npt.NDArray[np.int64]


class SummedReader:
    """whole + decimals / scale, float32; `nothing` where both are their fills (None: never)."""

    def __init__(
        self,
        whole: CubeReader,
        decimals: CubeReader,
        scale: float,
        fills: Sequence[float | None],
        nothing: float,
    ) -> None:
        self._parts, self._scale = (whole, decimals), np.float32(scale)
        self._fills, self._nothing = fills, nothing

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Values `(row1 - row0, col1 - col0, bands)`."""
        return self._summed(lambda part: part.window(row0, row1, col0, col1))

    def pixels(self, rows: Ints, cols: Ints) -> Array:
        """Spectra `(n, bands)` of single pixels."""
        return self._summed(lambda part: part.pixels(rows, cols))

    def thinned(self, rows: Ints, cols: Ints, bands: Sequence[int]) -> Array:
        """Values `(len(rows), len(cols), len(bands))` where rows and columns cross."""
        return self._summed(lambda part: part.thinned(rows, cols, bands))

    def close(self) -> None:
        """Release the file."""
        for part in self._parts:
            part.close()

    def _summed(self, read: Callable[[CubeReader], Array]) -> Array:
        whole, decimals = (read(part) for part in self._parts)
        found = decimals.astype(np.float32)
        found /= self._scale
        found += whole
        if all(fill is not None for fill in self._fills):
            found[(whole == self._fills[0]) & (decimals == self._fills[1])] = self._nothing
        return found
