"""A cube that an HDF5 file holds as a plane a band."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.cf import number_type
from hsi_ssl.scenes.readers.hdf5_file import BROKEN, left_open
from hsi_ssl.scenes.readers.hdf5_metadata import attributes_of
from hsi_ssl.scenes.scene import Array


class PlanesReader(BoxReader):
    """The arrays `names (rows, cols)` of a file, all of one size and number type, as bands.

    Raises
    ------
    SceneError
        They are not.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path = path
        with left_open(path) as self._file:
            self._planes = [self._file[name] for name in names]
            first = self._planes[0]
            for plane in self._planes:
                if plane.shape != first.shape or plane.dtype != first.dtype:
                    raise SceneError(
                        f"{path} holds {first.name} of {first.shape} {first.dtype} and "
                        f"{plane.name} of {plane.shape} {plane.dtype}; expected all bands alike: "
                        "get the file again"
                    )
            self._stored = number_type(attributes_of(first), first.dtype)
            rows, cols = first.shape
            piece = first.chunks or (1, cols)
        shape = rows, cols, len(self._planes)
        super().__init__(shape, self._stored.newbyteorder("="), (piece[0], piece[1], 1))

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`, planes of bands in memory."""
        wanted = self._planes[bands]
        size = len(wanted), rows.stop - rows.start, cols.stop - cols.start
        found = np.empty(size, self.dtype)
        try:
            for plane, into in zip(wanted, found, strict=True):
                into[...] = plane[rows, cols].view(self._stored)
        except BROKEN as error:
            raise SceneError(
                f"{self._path} is broken: part of its bands cannot be read ({error}); get the file "
                "again"
            ) from error
        return found.transpose(1, 2, 0)

    def close(self) -> None:
        """Release the file."""
        self._file.close()
