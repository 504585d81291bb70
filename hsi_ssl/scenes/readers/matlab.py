"""MATLAB's .mat, versions 4 to 7 through scipy, 7.3 through HDF5; the array is found by its shape.

Versions up to 7 give a variable only whole, so the cube lies in memory. In version 7.3 it does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_ssl.errors import HsiSslError, SceneError, SceneNotFoundError
from hsi_ssl.scenes.axes import Asked
from hsi_ssl.scenes.format import Format, Head
from hsi_ssl.scenes.readers import hdf5, matlab_cells
from hsi_ssl.scenes.readers.choosing import PLANE, choose
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.readers.named_arrays import scene_of_arrays
from hsi_ssl.scenes.scene import Array, Scene

NUMERIC = {"double", "single"} | {f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)}
"""MATLAB's classes of plain numeric arrays."""
SPARSE = "sparse"
"""The class of matrices of which only what is not 0 is kept; they are planes."""
LOGICAL = "logical"
"""Yes and no: a mask, or labels of one class where nothing else can be meant."""
STRUCT = "struct"
CELL = "cell"
"""The class of arrays whose elements are arrays: of texts, class names."""


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
    held = _Held(path)
    return scene_of_arrays(
        path, held.shapes(), held.numbers, _dotted(variable), asked, format="MATLAB",
        labels=lambda name: _Held(path).numbers(name),  # what is held goes with the cube
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
    held = _Held(path)
    cells = held.cells()
    choosing = partial(
        choose, variable=_dotted(variable), path=path, dimensions=PLANE, shape=shape, texts=cells
    )
    try:
        name = choosing(held.shapes())
    except (SceneError, SceneNotFoundError):
        more = held.shapes(logical=True)
        if more == held.shapes():
            raise
        name = choosing(more)
    if name in cells:
        return matlab_cells.of_loaded(held.array(name), name, path), None
    return held.numbers(name), None


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
    held = _Held(path)
    for name in held.cells("char"):
        if name.rpartition(".")[2].lower() in names:
            with contextlib.suppress(SceneError):
                array = matlab_cells.of_loaded(held.array(name), name, path)
                return tuple(str(text).strip() for text in array.ravel(order="F"))
    return ()


def is_hdf5(path: Path) -> bool:
    """Whether the file is of version 7.3."""
    return bool(h5py.is_hdf5(path))


def _variables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> shape and MATLAB's class of what is not empty."""
    from scipy.io import whosmat  # slow to import, and most scenes are in other formats

    with _one_sentence(path):
        return {name: (shape, kind) for name, shape, kind in whosmat(path) if np.prod(shape)}


def _load(path: Path, name: str) -> Array:
    from scipy.io import loadmat

    with _one_sentence(path):
        return _dense(loadmat(path, variable_names=[name], chars_as_strings=True)[name])


def _dense(value: Any) -> Array:
    """A sparse matrix with all its zeros, as large as they may be; others as they are."""
    dense: Array = value.toarray() if hasattr(value, "toarray") else value
    return dense


def _dotted(variable: str | None) -> str | None:
    return None if variable is None else variable.strip("/").replace("/", ".")


class _Held:
    """The arrays of numbers and of cells of a file up to version 7, those within structs as well.

    A struct is read whole, once: its shapes stand nowhere else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._variables = _variables(path)
        self._inside: dict[str, Any] = {}
        for name, (_, kind) in self._variables.items():
            if kind == STRUCT:
                self._look(name, _load(path, name))

    def shapes(self, *, logical: bool = False) -> dict[str, tuple[int, ...]]:
        """Name -> shape; logical arrays only if asked."""
        kinds = {*NUMERIC, SPARSE, *([LOGICAL] if logical else [])}
        found = {name: shape for name, (shape, kind) in self._variables.items() if kind in kinds}
        inside = {
            name: array.shape
            for name, array in self._inside.items()
            if array.dtype.kind in "iuf" or (logical and array.dtype.kind == "b")
        }
        return {**found, **inside}

    def cells(self, *more: str) -> dict[str, tuple[int, ...]]:
        """Name -> shape of cell arrays, and at the top of what is of one of `more` classes."""
        kinds = {CELL, *more}
        found = {name: shape for name, (shape, kind) in self._variables.items() if kind in kinds}
        inside = {n: array.shape for n, array in self._inside.items() if array.dtype.kind == "O"}
        return {**found, **inside}

    def array(self, name: str) -> Array:
        """The array of that name, whatever it holds."""
        if name in self._inside:
            return _dense(self._inside[name])
        return _load(self._path, name)

    def numbers(self, name: str) -> Array:
        """The array of that name.

        Raises
        ------
        SceneError
            It holds something else than real numbers.
        """
        array = self.array(name)
        if array.dtype.kind not in "iufb":
            raise SceneError(
                f"{name} in {self._path} holds values of type {array.dtype}; expected numbers"
            )
        return array

    def _look(self, name: str, struct: Array) -> None:
        """Note what is in a struct of one element; those of several are tables, not images."""
        if struct.dtype.names is None or struct.size != 1:
            return
        for field in struct.dtype.names:
            value = struct.ravel()[0][field]
            if not hasattr(value, "dtype") or not np.prod(value.shape):
                continue
            if value.dtype.names is not None:
                self._look(f"{name}.{field}", value)
            elif value.dtype.kind in "iufbO":
                self._inside[f"{name}.{field}"] = value


@contextlib.contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    """scipy meets a broken file with whatever its bytes lead to: zlib.error, TypeError, ..."""
    try:
        yield
    except HsiSslError:
        raise
    except Exception as error:
        raise SceneError(
            f"{path} is cut short, broken or no MATLAB file ({error}); get the file again"
        ) from error


MATLAB_5 = b"MATLAB 5.0 MAT-file"


def takes(head: Head) -> bool:
    """Whether a file is one of MATLAB's, of version 4 to 7.3, by its first bytes or its suffix."""
    own = head.start.startswith(b"MATLAB" if head.hdf5 else MATLAB_5)
    return own or head.path.suffix == ".mat"


FORMAT = Format("MATLAB", takes, open_cube, read_plane, open_cube)
