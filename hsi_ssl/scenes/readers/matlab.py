"""MATLAB's .mat: versions 4 to 7 by their own layout, 7.3 through HDF5; arrays found by shape.

A cube is read by windows: where it lies in the file (versions 4 to 6), or in a temporary file into
which it is unpacked once (7, and 6 told to pack).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import DamagedSceneError, HsiSslError, SceneError, SceneNotFoundError
from hsi_ssl.scenes.axes import Asked, Order
from hsi_ssl.scenes.format import Format, Head
from hsi_ssl.scenes.readers import hdf5, matlab_cells
from hsi_ssl.scenes.readers.choosing import PLANE, choose
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.readers.matlab4 import Level4
from hsi_ssl.scenes.readers.matlab5 import Level5
from hsi_ssl.scenes.readers.matlab_stored import (
    CELL,
    CHAR,
    LOGICAL,
    NUMBERS,
    SPARSE,
    BrokenError,
    Stored,
)
from hsi_ssl.scenes.readers.named_arrays import scene_of_arrays
from hsi_ssl.scenes.scene import Array, Scene

ARRAYS = (NUMBERS, SPARSE)
"""What is meant where nothing else is said; yes and no only where there is nothing else."""
BROKEN = (BrokenError, StopIteration, struct.error, ValueError, ArithmeticError, LookupError)
"""What comes of a file that contradicts itself."""


def open_cube(path: Path, variable: str | None = None, asked: Asked = Asked()) -> Scene:  # noqa: B008
    """Open the array `variable`, by default the only one of three dimensions (rows, cols, bands).

    A field of a struct is called `data.cube`.

    Raises
    ------
    SceneError
        The file is broken; it holds no such array or several; which axis holds the bands remains
        open.
    SceneNotFoundError
        It holds no `variable`.
    """
    if is_hdf5(path):
        return hdf5.open_cube(path, variable, asked, reverse=True)
    with _arrays(path) as arrays:

        def cube(name: str, order: Order) -> FlatReader:
            return _numbers(arrays[name], name, path).reader(path, order)

        return scene_of_arrays(
            path, _shapes(arrays, *ARRAYS), partial(_load, path), _dotted(variable), asked,
            format="MATLAB", cube=cube,
        )  # fmt: skip


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label plane: `variable`, or the only one (of `shape`).

    A cell array of texts is one where there are no such numbers, and a logical array where there is
    nothing else. MATLAB has no nodata value. Errors as for cubes.
    """
    if is_hdf5(path):
        return hdf5.read_plane(path, variable, shape, reverse=True)
    with _arrays(path) as arrays:
        cells = _shapes(arrays, CELL)
        choosing = partial(
            choose, variable=_dotted(variable), path=path, dimensions=PLANE, shape=shape,
            texts=cells,
        )  # fmt: skip
        numbers = _shapes(arrays, *ARRAYS)
        try:
            name = choosing(numbers)
        except (SceneError, SceneNotFoundError):
            more = _shapes(arrays, *ARRAYS, LOGICAL)
            if more == numbers:
                raise
            name = choosing(more)
        if name in cells:
            return _texts(arrays[name], name, path), None
        return _numbers(arrays[name], name, path).values(), None


def cell_texts(path: Path, names: Collection[str]) -> tuple[str, ...]:
    """The texts of the first cell array of texts, or array of texts, of one of these names.

    Nothing where there is none; errors as for cubes.
    """
    if is_hdf5(path):
        with opened(path) as file:
            for name in matlab_cells.shapes(file):
                if name.rpartition("/")[2].lower() in names:
                    with contextlib.suppress(SceneError):  # of numbers, say
                        cells = matlab_cells.texts(file, name, path)
                        return tuple(map(str, cells.ravel(order="F")))
        return ()
    with _arrays(path) as arrays:
        for name in _shapes(arrays, CELL, CHAR):
            if name.rpartition(".")[2].lower() in names:
                with contextlib.suppress(SceneError):
                    texts = _texts(arrays[name], name, path)
                    return tuple(str(text).strip() for text in texts.ravel(order="F"))
    return ()


def plane_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what may be a plane in a file up to version 7; errors as for cubes."""
    with _arrays(path) as arrays:
        return _shapes(arrays, *ARRAYS, LOGICAL)


def is_hdf5(path: Path) -> bool:
    """Whether the file is of version 7.3."""
    return bool(h5py.is_hdf5(path))


@contextlib.contextmanager
def _arrays(path: Path) -> Iterator[dict[str, Stored]]:
    """The arrays of a file up to version 7; what contradicts itself in them is one sentence.

    Raises
    ------
    SceneError
        The file is broken, or none of MATLAB's.
    """
    try:
        with path.open("rb") as file:
            old = 0 in file.read(4)
        with contextlib.closing((Level4 if old else Level5)(path)) as held:
            yield held.arrays
    except HsiSslError:
        raise
    except BROKEN as error:
        said = str(error) or "an array is not whole"
        raise DamagedSceneError(
            f"{path} is cut short, broken or no MATLAB file ({said}); get the file again"
        ) from error


def _shapes(arrays: dict[str, Stored], *kinds: str) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items() if array.kind in kinds}


def _load(path: Path, name: str) -> Array:
    """All numbers of an array."""
    with _arrays(path) as arrays:
        return _numbers(arrays[name], name, path).values()


def _numbers(array: Stored, name: str, path: Path) -> Stored:
    """The array, which holds real numbers.

    Raises
    ------
    SceneError
        It holds something else.
    """
    if array.kind not in (*ARRAYS, LOGICAL):
        raise SceneError(f"{name} in {path} holds {array.kind}; expected real numbers")
    return array


def _texts(array: Stored, name: str, path: Path) -> Array:
    """The texts of a cell array, in its shape, or of the rows of an array of characters.

    Raises
    ------
    SceneError
        A cell holds something else than one text.
    """
    if array.kind == CHAR:
        return np.array(array.texts(), str)
    flat = [_text(part) for part in array.parts]
    if None in flat:
        raise SceneError(f"{name} in {path} is a cell array of more than text; expected names")
    return np.array(flat, str).reshape(array.shape, order="F")


def _text(cell: Stored) -> str | None:
    """A text of one line, None of anything else."""
    if cell.kind != CHAR:
        return None
    texts = cell.texts() if 0 not in cell.shape else [""]
    return texts[0] if len(texts) == 1 else None


def _dotted(variable: str | None) -> str | None:
    return None if variable is None else variable.strip("/").replace("/", ".")


MATLAB_5 = b"MATLAB 5.0 MAT-file"


def takes(head: Head) -> bool:
    """Whether a file is one of MATLAB's, of version 4 to 7.3, by its first bytes or its suffix."""
    own = head.start.startswith(b"MATLAB" if head.hdf5 else MATLAB_5)
    return own or head.path.suffix == ".mat"


FORMAT = Format("MATLAB", takes, open_cube, read_plane, open_cube)
