"""From a path to a scene or a label plane: the file's own first bytes tell its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import h5py

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.readers import envi, geotiff, hdf5, idx, matlab, numpy_file, text, unpacking
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.scenes.wavelengths import companion_facts, csv_facts, with_facts

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MATLAB_5 = b"MATLAB 5.0 MAT-file"


class Format(NamedTuple):
    """How to read a format: `(path, variable)` and `(path, variable, shape)`."""

    open_cube: Callable[[Path, str | None], Scene]
    read_plane: Callable[[Path, str | None, tuple[int, int] | None], tuple[Array, float | None]]


HDF5 = Format(hdf5.open_cube, hdf5.read_plane)
MATLAB = Format(matlab.open_cube, matlab.read_plane)
NUMPY = Format(numpy_file.open_cube, numpy_file.read_plane)
NUMPY_ARCHIVE = Format(numpy_file.open_archive, numpy_file.read_archive_plane)
TEXT = Format(text.open_cube, text.read_plane)
GDAL = Format(geotiff.open_cube, geotiff.read_plane)
ENVI = Format(envi.open_cube, envi.read_plane)
IDX = Format(idx.open_cube, idx.read_plane)


def open_scene(
    path: Path,
    *,
    variable: str | None = None,
    wavelengths: Path | None = None,
) -> Scene:
    """Open a cube of any format, lazily; on a server or in an archive, one that GDAL reads.

    Parameters
    ----------
    variable
        Name of the array inside an HDF5, MATLAB or netCDF file that holds several.
    wavelengths
        A CSV for files that do not tell (see `csv_facts`); one that does is believed.

    Raises
    ------
    SceneNotFoundError
        There is no such file, or no `variable` in it.
    SceneError
        The file is empty, broken, of no known format, holds no cube or several; `wavelengths` are
        not one a band.
    """
    path = Path(path)
    scene = _format(path).open_cube(path, variable)
    try:
        if scene.format != geotiff.ENVI:  # there the header is the scene's own
            scene = with_facts(scene, companion_facts(path, scene.bands))
        if wavelengths is None:
            return scene
        if scene.wavelengths_nm is not None:
            note = f"{path.name} tells its own wavelengths: {wavelengths} is not used"
            return replace(scene, notes=(*scene.notes, note))
        return with_facts(scene, csv_facts(wavelengths, scene.bands))
    except BaseException:
        scene.close()
        raise


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a raster of any format, and its nodata value.

    `variable` names the array inside an HDF5 or MATLAB file; by default `/hsimage/labels`, or the
    only plane (of `shape`).

    Raises
    ------
    LabelError
        It has several bands.
    SceneNotFoundError, SceneError
        As in `open_scene`.
    """
    path = Path(path)
    return _format(path).read_plane(path, variable, shape)


def _format(path: Path) -> Format:
    """The format of a file by its first bytes; where those say nothing, by what lies beside it."""
    if is_virtual(path):
        return GDAL
    if path.is_dir():
        raise SceneError(f"{path} is a folder; give the files in it")
    try:
        with path.open("rb") as file:
            start = file.read(128)
        hdf5_inside = h5py.is_hdf5(path)
    except FileNotFoundError:
        raise SceneNotFoundError(f"no file {path}") from None
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        raise SceneError(f"{path} is empty; get the file again")
    if hdf5_inside:
        return MATLAB if path.suffix == ".mat" or start.startswith(b"MATLAB") else HDF5
    if start.startswith(MATLAB_5) or path.suffix == ".mat":
        return MATLAB
    if start.startswith(numpy_file.MAGIC):
        return NUMPY
    if path.suffix.lower() == ".npz":
        return NUMPY_ARCHIVE
    if start.startswith(TIFF) or envi.is_other_format(start):
        return GDAL
    if path.suffix.lower() == ".hdr" or envi.find_header(path) is not None:
        return ENVI
    if path.suffix.lower() in text.SUFFIXES:
        return TEXT
    if start.startswith(unpacking.MAGIC):
        start = unpacking.first_bytes(path, len(start))
    return IDX if idx.is_idx(start) else GDAL


def is_raster(path: Path) -> bool:
    """Whether GDAL reads a file, by windows and with the place that it may have.

    Raises
    ------
    SceneNotFoundError, SceneError
        As in `open_scene`.
    """
    return _format(Path(path)) in (GDAL, ENVI)
