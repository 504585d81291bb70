"""NumPy's .npy: one array, read by pieces; nothing that would be unpickled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO

import numpy as np

from hsi_ssl.errors import DamagedSceneError, SceneError, SceneNotFoundError
from hsi_ssl.scenes.axes import Asked, Order, decide
from hsi_ssl.scenes.format import Format
from hsi_ssl.scenes.origins import Origins
from hsi_ssl.scenes.promises import LONGEST
from hsi_ssl.scenes.readers.choosing import CUBE, choose
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.scene import Array, Scene

MAGIC = np.lib.format.MAGIC_PREFIX
NUMBERS, TEXTS = "iufb", "US"
"""Kinds of numpy types that are numbers, and that hold text, which names classes in labels."""
LAST_LETTER = 0x10FFFF
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
    sizes, fortran, dtype, offset = _header(path, variable, TEXTS)
    count = math.prod(sizes)
    if count * dtype.itemsize > path.stat().st_size - offset:
        raise broken(path, f"less than an array of {sizes}")
    values = np.fromfile(path, dtype, count, offset=offset)
    return shaped(values, sizes, fortran, path), None


def header_in(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, whether in Fortran's order, and number type of an array that begins here in a file.

    Raises
    ------
    SceneError
        The text that tells them is broken.
    """
    try:
        version = np.lib.format.read_magic(file)
        first = np.lib.format.read_array_header_1_0
        read = first if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except Exception as error:  # whatever Python's own parser meets in the text
        raise broken(path, error) from error
    if any(not 0 <= size <= LONGEST for size in shape):
        raise SceneError(f"{path} tells of an array of shape {shape}; get the file again")
    return shape, fortran, dtype


def shaped(values: Array, shape: tuple[int, ...], fortran: bool, path: Path) -> Array:
    """Flat values in their shape, numbers in the machine's byte order.

    Raises
    ------
    SceneError
        They are texts of letters that are none.
    """
    if values.dtype.kind == "U" and values.dtype.itemsize:
        letters = values.view(values.dtype.str[0] + "u4")
        if len(letters) and letters.max() > LAST_LETTER:
            raise broken(path, "its texts are no Unicode")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    return values.reshape(shape, order="F" if fortran else "C")


def broken(path: Path, error: object) -> SceneError:
    """What to say of a file whose parts contradict each other."""
    return DamagedSceneError(f"{path} is cut short or broken ({error}); get the file again")


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
            shape, fortran, dtype = header_in(file, path)
            offset = file.tell()
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error
    if dtype.kind not in NUMBERS + also:
        expected = "real numbers or text" if also else "real numbers"
        hint = f"; {OBJECTS}" if also and dtype.kind == "O" else ""
        raise SceneError(f"{path} holds values of type {dtype}; expected {expected}{hint}")
    return shape, fortran, dtype, offset


FORMAT = Format(
    "NumPy array", lambda head: head.start.startswith(MAGIC), open_cube, read_plane, open_cube
)
