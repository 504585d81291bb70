"""HDF5: the 2016 drill-core cubes, NEON's reflectance, and any file with one cube in it.

The 2016 layout: `/hsimage/data` (rows, cols, bands) uint16 and `/hsimage/labels` (rows, cols);
further label planes may lie beside. NEON's: `SITE/Reflectance/Reflectance_Data` (rows, cols,
bands) with `Metadata/Spectral_Data` and `Metadata/Coordinate_System` beside (NEON.DOC.000761).
In any other file the last axis of the only three-dimensional array holds the bands. MATLAB's v7.3
files are HDF5 with all axes reversed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.scenes.measured import decoding
from hsi_ssl.scenes.readers import matlab_cells
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.cf import number_type
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.readers.flat import BY_PIXEL, REVERSED, FlatReader
from hsi_ssl.scenes.readers.hdf5_metadata import (
    NEON_CUBE,
    attributes_of,
    band_facts_of,
    grid_of,
    is_netcdf,
    measured_of,
    units_of_cube,
)
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.scenes.wavelengths import with_facts

DRILL_CORE_CUBE = "hsimage/data"
DRILL_CORE_LABELS = "hsimage/labels"
NUMBERS = "iufb"
"""Kinds of numpy types that are numbers (or yes and no, in a label plane)."""


def open_cube(path: Path, variable: str | None = None, *, reverse: bool = False) -> Scene:
    """Open the cube `variable`, by default the only one of the file; with `reverse`, MATLAB's axes.

    Raises
    ------
    SceneError
        The file is broken; it holds no cube or several; the cube has not three dimensions.
    SceneNotFoundError
        It holds no `variable`.
    """
    with opened(path) as file:
        arrays = numeric_arrays(file, reverse=reverse)
        if variable is None and len(arrays.get(DRILL_CORE_CUBE, ())) == CUBE:
            variable = DRILL_CORE_CUBE
        name = choose(arrays, variable, path=path, dimensions=CUBE)
        cube = file[name]
        rows, cols, bands = arrays[name]
        stored = number_type(attributes_of(cube), cube.dtype)
        native = stored.newbyteorder("=")
        how = decoding(native, [measured_of(cube, native, default=is_netcdf(file))] * bands)
        facts = band_facts_of(file, cube, arrays)
        labels = "/".join((*name.split("/")[:-1], "labels"))
        axes = REVERSED if reverse else BY_PIXEL
        offset = _plain_offset(cube)
        scene_of = partial(
            Scene,
            path=path,
            format="MATLAB" if reverse else _layout(name),
            rows=rows,
            cols=cols,
            bands=bands,
            dtype=how.dtype,
            nodata=how.nodata,
            units=units_of_cube(cube, bands),
            grid=grid_of(cube),
            label_reader=partial(read_plane, path, labels, reverse=reverse)
            if arrays.get(labels) == (rows, cols)
            else None,
        )
    reader: BoxReader
    if offset is not None:
        reader = FlatReader(path, (rows, cols, bands), stored, offset=offset, axes=axes)
    else:
        reader = ChunkReader(path, name, axes=axes)
    scene = scene_of(reader=how.through(reader), block=reader.piece[:2])
    return with_facts(scene, facts)


def read_plane(
    path: Path,
    variable: str | None = None,
    shape: tuple[int, int] | None = None,
    *,
    reverse: bool = False,
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label plane, and its nodata value.

    Without `variable`, the 2016 layout's labels or the only plane (of `shape`, if given); of
    MATLAB's (`reverse`) also one of texts.

    Raises
    ------
    SceneError, SceneNotFoundError
        As for cubes.
    """
    with opened(path) as file:
        arrays = numeric_arrays(file, reverse=reverse)
        if variable is None and len(arrays.get(DRILL_CORE_LABELS, ())) == PLANE:
            variable = DRILL_CORE_LABELS
        texts = matlab_cells.shapes(file) if reverse else {}
        name = choose(arrays, variable, path=path, dimensions=PLANE, shape=shape, texts=texts)
        plane = file[name]
        if name in texts:
            return matlab_cells.texts(file, name, path).T, None
        values = np.asarray(plane[()])
        values = values.view(number_type(attributes_of(plane), values.dtype))
        # No default fill value: of labels it would say that their 0 is a class.
        how = decoding(values.dtype, [measured_of(plane, values.dtype)])
        values = how.clean(values[..., None])[..., 0]
        return (values.T if reverse else values), how.nodata


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; whatever HDF5 refuses is one sentence.

    Raises
    ------
    SceneError
        The file is cut short, broken, or no HDF5.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except HsiSslError:
        raise
    except (OSError, RuntimeError) as error:
        raise SceneError(
            f"{path} is cut short, broken or no HDF5 file ({error}); get the file again"
        ) from error


def numeric_arrays(file: h5py.File, *, reverse: bool = False) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all arrays of numbers in the file."""
    found: dict[str, tuple[int, ...]] = {}

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in NUMBERS and item.size:
            found[name] = tuple(item.shape[::-1] if reverse else item.shape)

    file.visititems(look)
    return found


class ChunkReader(BoxReader):
    """A cube stored in chunks, compressed or not: read through HDF5, each chunk about once."""

    def __init__(self, path: Path, name: str, *, axes: tuple[int, int, int]) -> None:
        self._path = path
        self._file = h5py.File(path, "r")
        self._cube = self._file[name]
        self._axes = axes
        shape = tuple(self._cube.shape[axis] for axis in axes)
        chunks = self._cube.chunks or (1, *self._cube.shape[1:])
        piece = tuple(chunks[axis] for axis in axes)
        self._stored = number_type(attributes_of(self._cube), self._cube.dtype)
        super().__init__(shape, self._stored.newbyteorder("="), piece)

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        wanted = (rows, cols, bands)
        try:
            stored = self._cube[tuple(wanted[axis] for axis in self._axes)]
        except OSError as error:
            raise SceneError(
                f"{self._path} is broken: part of its cube cannot be read ({error}); "
                "get the file again"
            ) from error
        stored = stored.view(self._stored)
        return np.ascontiguousarray(stored.transpose(self._axes), self.dtype)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _layout(name: str) -> str:
    if name == DRILL_CORE_CUBE:
        return "drill-core HDF5"
    return "NEON HDF5" if name.endswith(NEON_CUBE) else "HDF5"


def _plain_offset(cube: h5py.Dataset) -> int | None:
    """Where in the file the cube's bytes begin, if they lie there in one piece as they are."""
    if cube.chunks is not None or cube.external is not None or cube.is_virtual:
        return None
    if cube.dtype.kind == "b":  # an enumeration, which only HDF5 should translate
        return None
    offset: int | None = cube.id.get_offset()
    return offset
