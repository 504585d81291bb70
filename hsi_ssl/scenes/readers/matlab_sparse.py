"""MATLAB's sparse matrices, as version 7.3 keeps them: a group with `data`, `ir` and `jc`.

Compressed columns: `jc` tells where each column begins, `ir` the row of each value, the group's
attribute `MATLAB_sparse` the number of rows. Labels of which most are 0 come so.
"""

from __future__ import annotations

from typing import TypeGuard

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.scene import Array

ROWS = "MATLAB_sparse"


def is_sparse(item: object) -> TypeGuard[h5py.Group]:
    """Whether an object of a file is a sparse matrix."""
    return isinstance(item, h5py.Group) and ROWS in item.attrs and "jc" in item


def shape(matrix: h5py.Group) -> tuple[int, int]:
    """Rows and columns as MATLAB has them."""
    return int(matrix.attrs[ROWS]), len(matrix["jc"]) - 1


def values(matrix: h5py.Group) -> Array:
    """All values `(columns, rows)`: with its axes as those of other arrays of such files.

    Raises
    ------
    SceneError
        Its parts do not belong together.
    """
    from scipy.sparse import csc_array

    rows, cols = shape(matrix)
    if "data" not in matrix:  # nothing but zeros
        return np.zeros((cols, rows))
    data, ir, jc = (np.asarray(matrix[name][()]) for name in ("data", "ir", "jc"))
    try:
        whole = csc_array((data, ir.astype(np.int64), jc.astype(np.int64)), shape=(rows, cols))
        whole.check_format()
    except (ValueError, IndexError) as error:
        raise SceneError(
            f"{matrix.name} in {matrix.file.filename} is a broken sparse matrix ({error}); "
            "get the file again"
        ) from error
    found: Array = whole.toarray().T
    return found
