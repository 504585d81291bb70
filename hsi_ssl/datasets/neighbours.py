"""Neighbours within a dataset: which of its rows lie side by side in a scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STEPS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""Rows down and columns right to N, NE, E, SE, S, SW, W, NW."""


def neighbour_table(scene: npt.NDArray[Any], pixel: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Rows `(n, 8)` of the neighbours of each row in the order of `STEPS`, -1 where absent.

    `scene (n,)` and `pixel (n, 2)`, row and column, as in `Dataset`; no pixel twice.
    """
    table = np.full((len(scene), len(STEPS)), -1, np.int32)
    for number in np.flatnonzero(np.bincount(scene)):
        here = np.flatnonzero(scene == number)
        low = pixel[here].min(axis=0)
        height, width = pixel[here].max(axis=0) - low + 3
        # A border of one pixel saves every test for the scene's edge.
        place = ((pixel[here] - low + 1) @ np.array([width, 1])).astype(np.int64)
        index = np.full(height * width, -1, np.int32)
        index[place] = here
        for k, (down, right) in enumerate(STEPS):
            table[here, k] = index[place + down * width + right]
    return table


def neighbours_among(
    neighbours: npt.NDArray[np.int32], rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The neighbour table `(len(rows), 8)` of some rows alone, numbered 0, 1, ... in their order.

    `neighbours (n, 8)` as in `Dataset`; neighbours that are not among `rows` are -1.
    """
    place = np.full(len(neighbours) + 1, -1, np.int64)  # the last one stands for row -1
    place[rows] = np.arange(len(rows))
    found: npt.NDArray[np.int64] = place[neighbours[rows]]
    return found
