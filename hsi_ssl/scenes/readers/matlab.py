"""MATLAB's .mat, versions 4 to 7 through scipy, 7.3 through HDF5; the array is found by its shape.

Versions up to 7 give a variable only whole, so the cube lies in memory. In version 7.3 it does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.scenes.readers import hdf5, matlab_cells
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.scenes.wavelengths import band_facts, unit_in, with_facts

NUMERIC = {"double", "single", "logical"} | {
    f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)
}
"""MATLAB's classes of plain numeric arrays."""
CELL = "cell"
"""The class of arrays whose elements are arrays: of texts, class names."""


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Open the array `variable`, by default the only one of three dimensions (rows, cols, bands).

    Raises
    ------
    SceneError
        The file is broken; it holds no such array or several.
    SceneNotFoundError
        It holds no `variable`.
    """
    if is_hdf5(path):
        return hdf5.open_cube(path, variable, reverse=True)
    arrays = _arrays(path)
    cube = _numbers(path, choose(arrays, variable, path=path, dimensions=CUBE))
    rows, cols, bands = cube.shape
    planes = [name for name, shape in arrays.items() if shape == (rows, cols)]
    vectors = [
        name
        for name, shape in arrays.items()
        if name.lower().startswith("wavelength") and np.prod(shape) == bands == max(shape)
    ]
    facts = band_facts(
        bands,
        where=path.name,
        wavelengths=_numbers(path, vectors[0]) if vectors else None,
        units=unit_in(vectors[0]) if vectors else None,
    )
    scene = Scene(
        path=path,
        format="MATLAB",
        rows=rows,
        cols=cols,
        bands=bands,
        dtype=cube.dtype,
        reader=ArrayReader(cube),
        label_reader=partial(read_plane, path, planes[0]) if len(planes) == 1 else None,
    )
    return with_facts(scene, facts)


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label plane: `variable`, or the only one (of `shape`).

    A cell array of texts is one where there are no such numbers. MATLAB has no nodata value. Errors
    as for cubes.
    """
    if is_hdf5(path):
        return hdf5.read_plane(path, variable, shape, reverse=True)
    numbers, cells = _arrays(path), _of_kinds(path, {CELL})
    name = choose(numbers, variable, path=path, dimensions=PLANE, shape=shape, texts=cells)
    if name in cells:
        return matlab_cells.of_loaded(_load(path, name), name, path), None
    return _numbers(path, name), None


def cell_texts(path: Path, names: Collection[str]) -> tuple[str, ...]:
    """The texts of the first cell array of texts, or array of texts, of one of these names.

    Nothing where there is none; errors as for cubes.
    """
    if is_hdf5(path):
        with hdf5.opened(path) as file:
            for name in matlab_cells.shapes(file):
                if name.lower() in names:
                    with contextlib.suppress(SceneError):  # of numbers, say
                        cells = matlab_cells.texts(file, name, path)
                        return tuple(map(str, cells.ravel(order="F")))
        return ()
    for name, (_, kind) in _variables(path).items():
        if name.lower() in names and kind in {CELL, "char"}:
            with contextlib.suppress(SceneError):
                array = matlab_cells.of_loaded(_load(path, name), name, path)
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


def _of_kinds(path: Path, kinds: Collection[str]) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, (shape, kind) in _variables(path).items() if kind in kinds}


def _arrays(path: Path) -> dict[str, tuple[int, ...]]:
    return _of_kinds(path, NUMERIC)


def _load(path: Path, name: str) -> Array:
    from scipy.io import loadmat

    with _one_sentence(path):
        array: Array = loadmat(path, variable_names=[name], chars_as_strings=True)[name]
    return array


def _numbers(path: Path, name: str) -> Array:
    array = _load(path, name)
    if array.dtype.kind not in "iufb":
        raise SceneError(f"{name} in {path} holds values of type {array.dtype}; expected numbers")
    return array


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
