"""Units: what labelled pixels belong to as neighbours on the ground (a polygon, a patch, a block).

Pixels of one unit are nearly copies of each other. Splits keep units whole, and errors of scores
are told by drawing units, not pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = npt.NDArray[np.signedinteger[Any]]

AHEAD = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1], np.s_[1:]),
    (np.s_[:-1, :-1], np.s_[1:, 1:]),
    (np.s_[:-1, 1:], np.s_[1:, :-1]),
)
"""Pixels of a plane and their neighbours to E, S, SE and SW: every pair of the eight once."""


class Units(NamedTuple):
    """The labelled pixels of a scene: places `row * cols + col`, ascending, and unit numbers."""

    flat: npt.NDArray[np.int64]
    number: npt.NDArray[np.int32]

    def at(self, flat: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Unit numbers of some of the places."""
        found: npt.NDArray[np.int32] = self.number[np.searchsorted(self.flat, flat)]
        return found


def patches(planes: Sequence[Ints]) -> list[Units]:
    """Connected patches (eight neighbours) of one value in planes `(rows, cols)`; below 0: none.

    Numbers run on from scene to scene.
    """
    found: list[Units] = []
    first = 0
    for plane in planes:
        labelled = plane >= 0
        flat = np.flatnonzero(labelled)
        place = np.empty(plane.shape, np.int32)
        place.ravel()[flat] = np.arange(len(flat), dtype=np.int32)
        pairs = []
        for here, there in AHEAD:
            same = labelled[here] & (plane[here] == plane[there])
            pairs.append(np.stack([place[here][same], place[there][same]]))
        row, col = np.concatenate(pairs, axis=1)
        graph = coo_array((np.ones(len(row), bool), (row, col)), shape=(len(flat), len(flat)))
        n, number = connected_components(graph, directed=False)
        found.append(Units(flat, number.astype(np.int32) + np.int32(first)))
        first += n
    return found


def drawn(planes: Sequence[Ints], polygons: Sequence[npt.NDArray[np.int32]]) -> list[Units]:
    """The polygons that labelled pixels lie in, from planes of their numbers; see `patches`.

    A polygon that several scenes show is one unit. Numbers as in `polygons`.
    """
    places = [np.flatnonzero(plane >= 0) for plane in planes]
    return [Units(flat, p.ravel()[flat]) for flat, p in zip(places, polygons, strict=True)]


def blocks(scene: npt.NDArray[Any], pixel: npt.NDArray[Any], size: int) -> npt.NDArray[np.int32]:
    """Numbers `(n,)` of the square blocks of side `size` that pixels `(n, 2)` of scenes lie in."""
    keys = np.column_stack([scene, pixel // size])
    return np.unique(keys, axis=0, return_inverse=True)[1].ravel().astype(np.int32)
