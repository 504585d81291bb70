"""One cube out of several that share rows and columns: the detectors of a product.

Bands are handed out in an order of their own, that of wavelengths say. Windows come as planes of
bands in memory, whatever the readers give, unless one reader hands its bands out as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Array, CubeReader

Ints = npt.NDArray[np.int64]


class StackedReader:
    """Bands `order (n,)` of those of all `readers`, counted through one after another.

    `bands`: how many each has. All have the same rows, columns and number type.
    """

    def __init__(self, readers: Sequence[CubeReader], bands: Sequence[int], order: Ints) -> None:
        self._readers, self._order = tuple(readers), np.asarray(order, np.int64)
        ends = np.cumsum(bands)
        self._owner = np.searchsorted(ends, self._order, side="right")
        self._own = self._order - (ends - np.asarray(bands))[self._owner]

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Raw values `(row1 - row0, col1 - col0, bands)`, planes of bands in memory."""
        found: Array | None = None
        for number, reader in enumerate(self._readers):
            places = np.flatnonzero(self._owner == number)
            if not len(places):
                continue
            values = reader.window(row0, row1, col0, col1)
            if found is None:
                shape = (len(self._order), *values.shape[:2])
                found = np.empty(shape, values.dtype).transpose(1, 2, 0)
            own, at = _run(self._own[places]), _run(places)
            found[..., at] = values[..., own]
        assert found is not None
        return found

    def pixels(self, rows: Ints, cols: Ints) -> Array:
        """Raw spectra `(n, bands)` of single pixels."""
        parts = [reader.pixels(rows, cols) for reader in self._readers]
        found = np.empty((len(rows), len(self._order)), parts[0].dtype)
        for number, part in enumerate(parts):
            places = np.flatnonzero(self._owner == number)
            found[:, places] = part[:, self._own[places]]
        return found

    def thinned(self, rows: Ints, cols: Ints, bands: Sequence[int]) -> Array:
        """Raw values `(len(rows), len(cols), len(bands))` where these rows and columns cross."""
        wanted = np.asarray(bands, np.int64)
        found: Array | None = None
        for number, reader in enumerate(self._readers):
            places = np.flatnonzero(self._owner[wanted] == number)
            if not len(places):
                continue
            values = reader.thinned(rows, cols, self._own[wanted[places]].tolist())
            if found is None:
                found = np.empty((*values.shape[:2], len(wanted)), values.dtype)
            found[..., places] = values
        assert found is not None
        return found

    def close(self) -> None:
        """Release the files."""
        for reader in self._readers:
            reader.close()


def _run(places: Ints) -> slice | Ints:
    """Places as a slice where they follow each other, up or down: no copy is made of those."""
    step = int(places[1] - places[0]) if len(places) > 1 else 1
    if abs(step) != 1 or (np.diff(places) != step).any():
        return places
    end = int(places[-1]) + step
    return slice(int(places[0]), None if end < 0 else end, step)
