"""NumPy's .npy: one array, read by pieces; .npz: several; nothing that would be unpickled."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.axes import Asked, Order, decide
from hsi_ssl.scenes.format import Format, Head
from hsi_ssl.scenes.origins import Origins
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.readers.named_arrays import scene_of_arrays
from hsi_ssl.scenes.scene import Array, Scene

MAGIC = np.lib.format.MAGIC_PREFIX
NUMBERS, TEXTS = "iufb", "US"
"""Kinds of numpy types that are numbers, and that hold text, which names classes in labels."""
OBJECTS = "objects are never unpickled: save text as names.astype(str)"


def open_cube(path: Path, variable: str | None = None, asked: Asked = Asked()) -> Scene:  # noqa: B008
    """Open an array (rows, cols, bands), of either memory order.

    Raises
    ------
    SceneError
        The file is broken or cut short; the array has no three dimensions or holds no numbers;
        wavelengths beside it leave two orders of its axes.
    SceneNotFoundError
        A `variable` is asked for: there are no names in such a file.
    """
    shape, fortran, dtype, offset = _header(path, variable)
    choose({"array": shape}, None, path=path, dimensions=CUBE)
    first, second, third = shape
    decided = decide((first, second, third), asked, of="array", path=path)
    rows, cols, bands = decided.sizes(shape)
    axes: Order = decided.order[::-1] if fortran else decided.order
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
        notes=decided.notes,
        origins=Origins(axes=decided.origin),
    )


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values, also text, of a label array of any shape; it has no nodata value.

    Errors as for cubes.
    """
    _header(path, variable, TEXTS)
    try:
        return np.load(path, allow_pickle=False), None
    except (ValueError, EOFError) as error:
        raise _broken(path, error) from error


def open_archive(path: Path, variable: str | None = None, asked: Asked = Asked()) -> Scene:  # noqa: B008
    """Open a cube (rows, cols, bands) of an archive: `variable`, or the only array of three axes.

    It is unpacked into memory. Errors as for `open_cube`.
    """
    arrays = _members(path)
    shapes = {name: array.shape for name, array in arrays.items()}
    return scene_of_arrays(path, shapes, arrays.__getitem__, variable, asked, format="NumPy")


def read_archive_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values, also text, of a label array: `variable`, or the only one that may be a plane."""
    arrays = _members(path, NUMBERS + TEXTS)
    if not arrays:
        raise SceneError(f"{path} holds no array of numbers or text, and {OBJECTS}")
    numbers, texts = (
        {name: array.shape for name, array in arrays.items() if array.dtype.kind in kinds}
        for kinds in (NUMBERS, TEXTS)
    )
    name = choose(numbers, variable, path=path, dimensions=PLANE, shape=shape, texts=texts)
    return arrays[name], None


def _members(path: Path, kinds: str = NUMBERS) -> dict[str, Array]:
    """The arrays of some kinds in an archive."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {}
            for name in archive.files:
                with contextlib.suppress(ValueError):  # objects, which would be unpickled
                    found[name] = archive[name]
            return {name: array for name, array in found.items() if array.dtype.kind in kinds}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise _broken(path, error) from error


def _header(
    path: Path, variable: str | None, also: str = ""
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic], int]:
    """Shape, whether in Fortran's order, number type, and where the numbers begin.

    `also` are kinds of types that may be there in the place of numbers.
    """
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
    if dtype.kind not in NUMBERS + also:
        expected = "real numbers or text" if also else "real numbers"
        hint = f"; {OBJECTS}" if also and dtype.kind == "O" else ""
        raise SceneError(f"{path} holds values of type {dtype}; expected {expected}{hint}")
    return shape, fortran, dtype, offset


def _broken(path: Path, error: Exception) -> SceneError:
    return SceneError(f"{path} is cut short or broken ({error}); get the file again")


def is_archive(head: Head) -> bool:
    """Whether a file is an archive of arrays, by its suffix: it is a ZIP like many others."""
    return head.path.suffix.lower() == ".npz"


ARRAY = Format(
    "NumPy array", lambda head: head.start.startswith(MAGIC), open_cube, read_plane, open_cube
)
ARCHIVE = Format("NumPy archive", is_archive, open_archive, read_archive_plane, open_archive)
