"""Planes of numbers in text: one line a row, blanks, commas, semicolons or tabs between values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.scene import Array, Scene

SUFFIXES = {".txt", ".csv", ".tsv"}


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Refuse: text holds no cube.

    Raises
    ------
    SceneError
        Always.
    """
    raise SceneError(f"{path} is text, which holds no cube; give the scene in another format")


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)`, or `(n,)` of a single column; text has no nodata value.

    Raises
    ------
    SceneError
        A line is no list of numbers, or of another length than the first.
    SceneNotFoundError
        A `variable` is asked for.
    """
    if variable is not None:
        raise SceneNotFoundError(f"{path} holds one array without a name; leave out --variable")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        head = next((line for line in lines if line.strip()), "")
        delimiter = next((d for d in ",;\t" if d in head), None)
        values = np.loadtxt(lines, delimiter=delimiter, comments="#", ndmin=2)
    except (OSError, ValueError) as error:
        raise SceneError(
            f"{path} is no table of numbers ({error}); expected one line a row of pixels"
        ) from error
    return (values[:, 0] if values.shape[1] == 1 else values), None
