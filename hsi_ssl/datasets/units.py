"""Units: what labelled pixels belong to as neighbours on the ground (a polygon, a patch, a block).

Pixels of one unit are nearly copies of each other. Splits keep units whole, and errors of scores
are told by drawing units, not pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hsi_ssl.datasets.store import Part, UnitKind
from hsi_ssl.errors import LabelError

if TYPE_CHECKING:
    from hsi_ssl.datasets.splits import Split
    from hsi_ssl.datasets.taking import Rows
    from hsi_ssl.labels.sources import Sources

Ints = npt.NDArray[np.signedinteger[Any]]

AHEAD = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1], np.s_[1:]),
    (np.s_[:-1, :-1], np.s_[1:, 1:]),
    (np.s_[:-1, 1:], np.s_[1:, :-1]),
)
"""Pixels of a plane and their neighbours to E, S, SE and SW: every pair of the eight once."""
TESTED_ENOUGH = 5
"""To draw among scenes, so many must be tested on; errors from fewer would mean nothing."""


class Units(NamedTuple):
    """The labelled pixels of a scene: places `row * cols + col`, ascending, and unit numbers."""

    flat: npt.NDArray[np.int64]
    number: npt.NDArray[np.int32]

    def at(self, flat: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        """Unit numbers of some of the places."""
        found: npt.NDArray[np.int32] = self.number[np.searchsorted(self.flat, flat)]
        return found


Found = tuple[list[Units], UnitKind]


def units_of(sources: Sources, labels: Sequence[Ints], classes: int) -> Found:
    """What the labelled pixels of each scene belong to: drawn polygons, or connected patches.

    `labels` as in `splits`.

    Raises
    ------
    LabelError
        The scenes are pictures, whose pixels are no neighbours.
    """
    if sources.image_like:
        raise LabelError(
            "split polygons: expected scenes, found pictures, whose rows are no neighbours; take "
            "--split pixels"
        )
    planes, _ = combined(labels, classes)
    polygons = [s.polygons for s in sources.scenes if s.polygons is not None]
    if len(polygons) == len(planes):
        return drawn(planes, polygons), "polygon"
    return patches(planes), "patch"


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


def row_units(
    rows: Rows, split: Split, cols: Sequence[int], found: Callable[[], Found]
) -> tuple[npt.NDArray[np.int32], UnitKind]:
    """Units of a dataset's rows as in `Dataset`, numbered 0, 1, ..., and what they are.

    Blocks if the split is by blocks, scenes if it is by scenes and there are enough to test on,
    else what `found` gives; `cols` are the scenes' widths.
    """
    kind: UnitKind
    labelled: npt.NDArray[np.bool_] = np.any(rows.label >= 0, axis=1)
    scene, pixel = rows.scene[labelled], rows.pixel[labelled]
    tested = np.unique(scene[rows.part[labelled] == Part.TEST])
    number = scene.astype(np.int32)
    if split.block is not None:
        kind, number = "block", blocks(scene, pixel, split.block)
    elif split.kind == "scenes" and len(tested) >= TESTED_ENOUGH:
        kind = "scene"
    else:
        units, kind = found()
        for i, (one, width) in enumerate(zip(units, cols, strict=True)):
            here = scene == i
            number[here] = one.at(pixel[here] @ [width, 1])
    unit = np.full(len(labelled), -1, np.int32)
    unit[labelled] = np.unique(number, return_inverse=True)[1]
    return unit, kind


def cut(units: Sequence[Units], planes: Sequence[npt.NDArray[np.uint8]]) -> tuple[int, int]:
    """How many units have pixels in more than one part, by `planes` as in `Split`; of how many."""
    n = max(int(one.number.max(initial=-1)) for one in units) + 1
    there = np.zeros((len(Part), n), bool)
    for one, plane in zip(units, planes, strict=True):
        part = plane.ravel()[one.flat]
        used = part <= Part.TEST
        there[part[used], one.number[used]] = True
    parts = np.count_nonzero(there, axis=0)
    return int(np.count_nonzero(parts > 1)), int(np.count_nonzero(parts))


def combined(labels: Sequence[Ints], classes: int) -> tuple[list[Ints], int]:
    """Planes `(rows, cols)` of the numbers of the combinations of labels that occur."""
    if all(plane.ndim == 2 for plane in labels):  # noqa: PLR2004
        return list(labels), classes
    base = classes + 1
    numbers = [
        np.tensordot(base ** np.arange(len(plane)), plane.astype(np.int64) + 1, axes=1)
        for plane in labels
    ]
    known = np.unique(np.concatenate([number.ravel() for number in numbers]))
    known = known[known > 0]
    return [np.where(n > 0, np.searchsorted(known, n), -1) for n in numbers], len(known)
