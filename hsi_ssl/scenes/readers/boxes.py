"""What readers share: pixels are picked out of boxes that follow the pieces a file is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Order
from hsi_ssl.scenes.scene import Array

SMALLEST_READ = 2**23
"""Bytes: below this, the cost of a call outweighs that of reading a few pixels too many."""
LARGEST_READ = 2**26
"""Bytes held at a time while single pixels are picked."""
THINNED_BUDGET = 2**29
"""Bytes that a thinned-out picture may cost to read, as far as the size of the pieces allows."""


class BoxReader(ABC):
    """A cube `shape` (rows, cols, bands) in pieces of `piece` (rows, cols, bands).

    A piece is what the file hands out at once: a strip, a tile, a chunk, a line.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: np.dtype[np.generic], piece: tuple[int, int, int]
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.piece = piece
        self.lone_bands = piece[2] == 1
        """Whether one band costs less to read than all of them."""

    @abstractmethod
    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box, `(rows, cols, bands)`; the slices have both ends and step 1."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Raw values `(row1 - row0, col1 - col0, bands)`."""
        return self.box(slice(row0, row1), slice(col0, col1), slice(0, self.shape[2]))

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Raw spectra `(n, bands)` of single pixels, each piece of the file read about once."""
        found = np.empty((len(rows), self.shape[2]), self.dtype)
        high, wide, deep = reading_unit(self.shape, self.piece, self.dtype.itemsize)
        unit = rows // high * -(-self.shape[1] // wide) + cols // wide
        order = np.argsort(unit, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(unit[order])) + 1):
            if not len(group):
                continue
            r, c = rows[group], cols[group]
            top, left = r.min(), c.min()
            for band in range(0, self.shape[2], deep):
                bands = slice(band, min(band + deep, self.shape[2]))
                box = self.box(slice(top, r.max() + 1), slice(left, c.max() + 1), bands)
                found[group, bands] = box[r - top, c - left]
        return found

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """Raw values `(len(rows), len(cols), len(bands))` where these rows and columns cross.

        For pictures: both ascend. Only the pieces that are met are read, one at a time. Where that
        would be more than `THINNED_BUDGET` bytes, fewer pieces are read and stand for their
        neighbours too; a file that hands out all bands together counts with all of them.
        """
        high, wide = self.piece[:2]
        down, across, size = self._pieces(rows, cols, bands)
        while down * across * size > THINNED_BUDGET and max(down, across) > 1:
            down, across = (down // 2, across) if down >= across else (down, across // 2)
        rows, cols = _fewer_pieces(rows, high, down), _fewer_pieces(cols, wide, across)
        if rows[-1] - rows[0] + 1 == len(rows):  # with none between them, many at once
            high *= max(1, SMALLEST_READ // size)
        if self.lone_bands:
            runs = [slice(band, band + 1) for band in bands]
        else:
            runs = [slice(min(bands), max(bands) + 1)]
        found = np.empty((len(rows), len(cols), len(bands)), self.dtype)
        for r in _by_piece(rows, high):
            for c in _by_piece(cols, wide):
                places = slice(rows[r][0], rows[r][-1] + 1), slice(cols[c][0], cols[c][-1] + 1)
                picked = np.ix_(rows[r] - rows[r][0], cols[c] - cols[c][0])
                boxes = [self.box(*places, run)[picked] for run in runs]
                if self.lone_bands:
                    found[r, c] = np.concatenate(boxes, axis=-1)
                else:
                    found[r, c] = boxes[0][..., np.asarray(bands) - runs[0].start]
        return found

    def _pieces(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> tuple[int, int, int]:
        """Pieces met downwards and across by `thinned`, and the bytes that one costs."""
        high, wide = (min(p, s) for p, s in zip(self.piece[:2], self.shape[:2], strict=True))
        span = min(wide, int(cols[-1] - cols[0]) + 1)
        deep = len(bands) if self.lone_bands else self.shape[2]
        down, across = (len(np.unique(i // n)) for i, n in ((rows, high), (cols, wide)))
        return down, across, high * span * deep * self.dtype.itemsize


def memory_order(axes: Order) -> Order:
    """The axes of a box as they follow each other in memory, where the file has them as `axes`.

    Spectra stay spectra. All else becomes planes of bands, which costs little: `(pixels, bands)` is
    a view of them too, and who sums or multiplies works on planes as fast. Turning each pixel's
    values, whoever needs it, takes several times as long as reading them.
    """
    return (ROWS, COLS, BANDS) if axes[2] == BANDS else (BANDS, ROWS, COLS)


def _by_piece(places: npt.NDArray[np.int64], piece: int) -> list[slice]:
    """Runs of ascending places that lie in one piece of that length."""
    edges = np.flatnonzero(np.diff(places // piece)) + 1
    return [slice(a, b) for a, b in zip([0, *edges], [*edges, len(places)], strict=True)]


def _fewer_pieces(places: npt.NDArray[np.int64], piece: int, count: int) -> npt.NDArray[np.int64]:
    """The places brought into `count` of the pieces they lie in, each to the nearest of those."""
    pieces = np.unique(places // piece)
    if count >= len(pieces):
        return places
    chosen = pieces[((np.arange(count) + 0.5) * len(pieces) / count).astype(int)]
    kept = places[np.isin(places // piece, chosen)]
    after = np.searchsorted(kept, places).clip(1, max(1, len(kept) - 1))
    before = kept[after - 1]
    after = kept[np.minimum(after, len(kept) - 1)]
    nearest: npt.NDArray[np.int64] = np.where(places - before <= after - places, before, after)
    return nearest


def reading_unit(
    shape: tuple[int, int, int], piece: tuple[int, int, int], itemsize: int
) -> tuple[int, int, int]:
    """Size (rows, cols, bands) of the boxes to pick pixels from.

    Whole pieces, all bands if they fit, 8 to 64 MB (`SMALLEST_READ`, `LARGEST_READ`). A piece that
    is larger than that is cut by rows.
    """
    high, wide, deep = (min(p, s) for p, s in zip(piece, shape, strict=True))
    deep = min(shape[2], max(1, LARGEST_READ // (high * wide * itemsize) // deep) * deep)
    high = max(1, min(high, LARGEST_READ // (wide * deep * itemsize)))
    size = high * wide * deep * itemsize
    wide_more = min(max(1, SMALLEST_READ // size), -(-shape[1] // wide))
    high_more = max(1, SMALLEST_READ // (size * wide_more))
    return high * high_more, min(wide * wide_more, shape[1]), deep
