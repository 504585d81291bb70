"""The map grid of a scene in sensor geometry, by its geometry lookup table (GLT).

Each cell of that grid names the pixel of the scene that was measured there, or none. Products
count these from 1, with 0 for none; some mark cells that were filled in from their neighbours by a
minus sign. Readers hand them out from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.scene import Grid

Ints = npt.NDArray[np.int64]
Lookup = Callable[[slice, slice], tuple[Ints, Ints]]
"""Rows and columns of the scene's pixels `(r, c)` for a window of the map grid, -1 for none."""
STRIP = 2**21
"""Cells that are looked at together."""


@dataclass(frozen=True)
class Ortho:
    """A map grid of `rows` x `cols` cells that lies at `grid`; `lookup` tells what is in them."""

    grid: Grid
    rows: int
    cols: int
    lookup: Lookup = field(repr=False)
    source: str = "a geometry lookup table"
    """What it is taken from, for people."""


def strips(rows: int, cols: int) -> Iterator[slice]:
    """Runs of rows that hold so many cells, some at a time."""
    high = max(1, STRIP // cols)
    for first in range(0, rows, high):
        yield slice(first, min(first + high, rows))
