"""Where pixels lie, as a program says it: beside X, or in columns of X."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.errors import SceneError

Positions = npt.NDArray[np.int64]
ROW_COL, SCENE_ROW_COL = 2, 3
LARGEST_PLANE = 2**28
"""Pixels of the rectangle that holds all positions of a scene, at most."""


def as_positions(positions: npt.ArrayLike, n: int) -> Positions:
    """Scene, row and column `(n, 3)` of positions: `(n, 2)`, rows and columns, or all three.

    Rows and columns count from the first one there is.

    Raises
    ------
    SceneError
        They are not as many as pixels, no whole numbers, or one is there twice.
    """
    found = np.asarray(positions)
    if found.ndim != 2 or found.shape[1] not in (ROW_COL, SCENE_ROW_COL) or len(found) != n:  # noqa: PLR2004
        raise SceneError(
            f"positions of shape {found.shape} for {n} pixels; expected ({n}, 2), their rows and "
            f"columns, or ({n}, 3), scene, row and column"
        )
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all() or (found % 1 != 0).any():
        raise SceneError("expected positions in whole numbers, rows and columns of pixels")
    whole = found.astype(np.int64)
    if whole.shape[1] == ROW_COL:
        whole = np.column_stack([np.zeros(n, np.int64), whole])
    _, whole[:, 0], counts = np.unique(whole[:, 0], return_inverse=True, return_counts=True)
    for scene in range(len(counts)):
        here = whole[:, 0] == scene
        whole[here, 1:] -= whole[here, 1:].min(axis=0)
        high, wide = (int(most) + 1 for most in whole[here, 1:].max(axis=0))
        if high * wide > LARGEST_PLANE:
            raise SceneError(
                f"the positions of {counts[scene]} pixels spread over {high:,} rows and {wide:,} "
                "columns; expected rows and columns of pixels, not coordinates of a map"
            )
    if len(np.unique(whole, axis=0)) < n:
        raise SceneError(
            "two pixels have the same position; expected each once (several scenes are told apart "
            "by a first column)"
        )
    return whole


def neighbours_of(positions: Positions) -> npt.NDArray[np.int32]:
    """Rows `(n, 8)` of the neighbours among pixels at `as_positions`, -1 where there is none."""
    return neighbour_table(positions[:, 0], positions[:, 1:])


def columns_of(
    columns: Sequence[int | str] | None, features: int, names: npt.NDArray[Any] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Numbers of the columns of X that hold positions, and of those that hold bands.

    `columns` are numbers, from the end where negative, or `names` of a data frame.

    Raises
    ------
    SceneError
        There is no such column, they are not two or three, or no band is left.
    """
    if columns is None:
        return np.empty(0, np.int64), np.arange(features)
    found = []
    for column in columns:
        known = [] if names is None else list(names)
        if isinstance(column, str) and column in known:
            found.append(known.index(column))
        elif not isinstance(column, str) and -features <= column < features:
            found.append(int(column) % features)
        else:
            raise SceneError(
                f"position_columns: X has no column {column!r}; expected numbers below {features}"
                + ("" if names is None else f" or names such as {known[0]}")
            )
    if len(set(found)) not in (ROW_COL, SCENE_ROW_COL) or len(set(found)) < len(found):
        raise SceneError(
            f"position_columns {list(columns)}; expected two columns, row and column, or three, "
            "scene, row and column"
        )
    bands = np.setdiff1d(np.arange(features), found)
    if not len(bands):
        raise SceneError("position_columns leave no column of X for the bands")
    return np.array(found, np.int64), bands
