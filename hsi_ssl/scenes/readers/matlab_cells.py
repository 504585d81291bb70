"""MATLAB's cell arrays of texts, as version 7.3 keeps them: references to arrays of characters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import plain_text
from hsi_ssl.scenes.readers.hdf5_file import objects_in
from hsi_ssl.scenes.scene import Array


def shapes(file: h5py.File) -> dict[str, tuple[int, ...]]:
    """Name -> shape, with MATLAB's axes, of the cell arrays of a file, those in structs as well."""
    found: dict[str, tuple[int, ...]] = {}
    for name, item in objects_in(file).items():
        if isinstance(item, h5py.Dataset) and item.size and not name.startswith("#"):
            if h5py.check_ref_dtype(item.dtype) is not None and _is_cell(item):
                found[name] = tuple(item.shape[::-1])
    return found


def _is_cell(item: h5py.Dataset) -> bool:
    """Whether references are a cell array: those of a struct of several elements are its fields."""
    default = "cell" if item.parent.name == "/" else "struct"
    return plain_text(item.attrs.get("MATLAB_class", default)) == "cell"


def is_numbers(name: str, item: h5py.Dataset, *, logical: bool = False) -> bool:
    """Whether an array of a file, perhaps within structs, is one of plain numbers to MATLAB.

    Not: what cells and objects refer to (`#refs#`, `#subsystem#`), the parts of a sparse matrix,
    texts, logical arrays (unless `logical`), and the sizes that stand for an empty array.
    """
    if name.startswith("#") or item.attrs.get("MATLAB_empty", 0):
        return False
    kind = plain_text(item.attrs.get("MATLAB_class", b""))
    if kind in {"char", "cell"} or (kind == "logical" and not logical):
        return False
    above = item.parent
    while above.name != "/":
        if "MATLAB_sparse" in above.attrs:
            return False
        above = above.parent
    return True


def texts(file: h5py.File, name: str, path: Path) -> Array:
    """The texts in a cell array, with its axes as they are stored.

    Raises
    ------
    SceneError
        A cell holds something else.
    """
    cells = file[name]
    flat = [_text(file[ref]) for ref in cells[()].ravel()]
    if None in flat:
        raise SceneError(f"{name} in {path} is a cell array of more than text; expected names")
    return np.array(flat, str).reshape(cells.shape)


def _text(cell: Any) -> str | None:
    """A text of one line, None of anything else; MATLAB marks what is empty."""
    if not isinstance(cell, h5py.Dataset):
        return None
    if cell.attrs.get("MATLAB_empty", 0):
        return ""
    if cell.dtype != np.uint16:
        return None
    return np.asarray(cell[()], "<u2").tobytes().decode("utf-16-le", "replace")
