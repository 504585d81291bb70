"""Cubes in packed chunks that windows would unpack again and again: laid out once, and read there.

A chunk that holds a whole band of a large scene (NEON's flight lines since 2022, gzip) is unpacked
for every window that it meets, and those of all bands are more than memory should hold. So each
chunk is unpacked once, into planes of bands in a temporary file that goes when it is closed.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.flat import BY_BAND, FlatReader
from hsi_ssl.scenes.readers.unpacking import enough_space
from hsi_ssl.scenes.scene import Array

FEW = 16
"""Bands that are rather unpacked for themselves."""


class LaidOutReader(BoxReader):
    """`reader`'s cube; from when more than `FEW` bands are wanted, out of a file laid out anew.

    `chunk` (rows, cols, bands) is unpacked at once. Threads may share it.
    """

    def __init__(self, path: Path, reader: BoxReader, chunk: tuple[int, int, int]) -> None:
        super().__init__(reader.shape, reader.dtype, (1, reader.shape[1], 1))
        self._path, self._reader, self._chunk = path, reader, chunk
        self._planes: FlatReader | None = None
        self._lock = threading.Lock()

    @property
    def waits(self) -> bool:
        """Whether nothing is laid out yet."""
        return self._planes is None

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        reader = self._laid_out() if bands.stop - bands.start > FEW else self._any()
        return reader.box(rows, cols, bands)

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Raw spectra `(n, bands)` of single pixels."""
        return self._laid_out().pixels(rows, cols)

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """Raw values where these rows and columns cross."""
        reader = self._laid_out() if len(bands) > FEW else self._any()
        return reader.thinned(rows, cols, bands)

    def close(self) -> None:
        """Release the files."""
        self._reader.close()
        if self._planes is not None:
            self._planes.close()

    def _any(self) -> BoxReader:
        return self._planes or self._reader

    def _laid_out(self) -> FlatReader:
        with self._lock:
            if self._planes is None:
                file = self._copy()
                self._planes = FlatReader(
                    self._path, self.shape, self.dtype, offset=0, axes=BY_BAND, file=file
                )
            return self._planes

    def _copy(self) -> BinaryIO:
        """All values as planes of bands, whole rows of chunks at a time."""
        rows, cols, bands = self.shape
        high, _, deep = self._chunk
        file = tempfile.TemporaryFile(prefix="hsi-ssl-", buffering=0)
        size = rows * cols * bands * self.dtype.itemsize
        try:
            with enough_space(self._path, size):
                for band in range(0, bands, deep):
                    of_bands = slice(band, min(band + deep, bands))
                    for row in range(0, rows, high):
                        of_rows = slice(row, min(row + high, rows))
                        box = self._reader.box(of_rows, slice(0, cols), of_bands)
                        for i, plane in enumerate(np.moveaxis(box, 2, 0), start=band):
                            _write(file, plane, (i * rows + row) * cols * self.dtype.itemsize)
        except BaseException:
            file.close()
            raise
        return file


def lays_out(reader: object) -> bool:
    """Whether more than `FEW` bands of a scene would have all of it unpacked first.

    Readers that wrap others hold them as `_reader` or `_readers`.
    """
    if isinstance(reader, LaidOutReader):
        return reader.waits
    inner = [getattr(reader, "_reader", None), *getattr(reader, "_readers", ())]
    return any(lays_out(one) for one in inner if one is not None)


def _write(file: BinaryIO, plane: Array, start: int) -> None:
    left = np.ascontiguousarray(plane).reshape(-1).view(np.uint8).data
    while left:
        done = os.pwrite(file.fileno(), left, start)
        left, start = left[done:], start + done
