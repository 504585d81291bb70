"""Sizes that no cube has, refused before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from hsi_ssl.errors import SceneError

LONGEST = 2**31 - 1
"""Rows or columns; GDAL's own limit."""
MOST_BANDS = 2**16
LARGE = 2**31
"""Bytes that may be promised whatever a file holds."""
MOST_PACKED = 2**20
"""Times as many bytes as a file has: more than any compression, less than a header by itself."""


def refuse_absurd(path: Path, rows: int, cols: int, bands: int) -> None:
    """Refuse a cube of no pixels or bands, or of more than any has.

    Raises
    ------
    SceneError
        It is one.
    """
    if min(rows, cols, bands) < 1 or max(rows, cols) > LONGEST or bands > MOST_BANDS:
        raise SceneError(
            f"{path} tells of {rows} rows, {cols} columns and {bands} bands; expected from 1 to "
            f"{LONGEST} rows and columns and at most {MOST_BANDS} bands: get the file again, or "
            "say with --axes which axis is which"
        )


def refuse_empty_promise(path: Path, shape: Sequence[int], itemsize: int, held: int) -> None:
    """Refuse a cube that cannot be in a file of `held` bytes, whatever packs it.

    Raises
    ------
    SceneError
        It cannot.
    """
    promised = math.prod(shape) * itemsize
    if promised > max(LARGE, MOST_PACKED * held):
        raise SceneError(
            f"{path} promises {' x '.join(map(str, shape))} numbers and is of {held} bytes; get "
            "the file again"
        )
