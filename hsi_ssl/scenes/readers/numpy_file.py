"""NumPy's .npy: one array, read by pieces; nothing that would have to be unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.readers.flat import BY_PIXEL, REVERSED, FlatReader
from hsi_ssl.scenes.scene import Array, Scene

MAGIC = np.lib.format.MAGIC_PREFIX


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Open an array (rows, cols, bands), of either memory order.

    Raises
    ------
    SceneError
        The file is broken or cut short; the array has no three dimensions or holds no numbers.
    SceneNotFoundError
        A `variable` is asked for: there are no names in such a file.
    """
    shape, fortran, dtype, offset = _header(path, variable)
    choose({"array": shape}, None, path=path, dimensions=CUBE)
    rows, cols, bands = shape
    axes = REVERSED if fortran else BY_PIXEL
    reader = FlatReader(path, (rows, cols, bands), dtype, offset=offset, axes=axes)
    return Scene(
        path=path,
        format="NumPy",
        rows=rows,
        cols=cols,
        bands=bands,
        dtype=reader.dtype,
        reader=reader,
        block=reader.piece[:2],
    )


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label plane; it has no nodata value. Errors as for cubes."""
    found = _header(path, variable)[0]
    choose({"array": found}, None, path=path, dimensions=PLANE, shape=found)  # type: ignore[arg-type]
    try:
        return np.load(path, allow_pickle=False), None
    except (ValueError, EOFError) as error:
        raise _broken(path, error) from error


def _header(
    path: Path, variable: str | None
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    """Shape, whether in Fortran's order, number type, and where the numbers begin."""
    if variable is not None:
        raise SceneNotFoundError(f"{path} holds one array without a name; leave out --variable")
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(file)
            offset = file.tell()
    except (ValueError, EOFError) as error:
        raise _broken(path, error) from error
    if dtype.kind not in "iufb":
        raise SceneError(f"{path} holds values of type {dtype}; expected real numbers")
    return shape, fortran, dtype, offset


def _broken(path: Path, error: Exception) -> SceneError:
    return SceneError(f"{path} is cut short or broken ({error}); get the file again")
