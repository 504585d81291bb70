"""Whether the pixels of a slot are a group: in one place, and the same from seed to seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def compactness(planes: Iterable[npt.NDArray[np.integer]], slots: int) -> Floats:
    """How far neighbours of a slot's pixels are of the slot too, `(slots,)`.

    Of the pixels beside those of slot s (four neighbours, -1 left out) a share is of slot s; by
    chance it would be the slot's share of all pixels. The difference over what it could be at
    most: 0 for pixels strewn at random, 1 for one blot without border; NaN where there are none.

    Parameters
    ----------
    planes
        Slots of the pixels of each scene `(rows, cols)`, -1 where there is none.
    """
    same, beside, pixels = np.zeros((3, slots), np.int64)
    for plane in planes:
        pixels += np.bincount(plane[plane >= 0], minlength=slots)
        for one, other in ((plane[:-1], plane[1:]), (plane[:, :-1], plane[:, 1:])):
            known = (one >= 0) & (other >= 0)
            a, b = one[known], other[known]
            same += 2 * np.bincount(a[a == b], minlength=slots)
            beside += np.bincount(a, minlength=slots) + np.bincount(b, minlength=slots)
    found = np.full(slots, np.nan)
    chance = pixels / max(1, pixels.sum())
    there = (beside > 0) & (chance < 1)
    found[there] = (same[there] / beside[there] - chance[there]) / (1 - chance[there])
    return found


@dataclass(frozen=True)
class Agreement:
    """How free slots of one run come back in another.

    `overlap (F,)`: of each free slot and the one of the other run that is matched with it, shared
    pixels over the pixels of either (Jaccard); 0 without partner. `adjusted_rand`: of the two
    partitions of all pixels, over classes and free slots.
    """

    overlap: Floats
    adjusted_rand: float


def agreement(shared: Ints, classes: int) -> Agreement:
    """Match free slots one to one so that shared pixels over either's pixels are most (Hungarian).

    `shared (K + F, K + F')`: pixels by the slots of both runs; the first `classes` are classes.
    Clusters that come back by less than half are dissolved (Hennig 2007, Computational Statistics
    & Data Analysis 52, 258-271).
    """
    either = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    jaccard = shared[classes:, classes:] / np.maximum(either[classes:, classes:], 1)
    rows, cols = linear_sum_assignment(-jaccard)
    overlap = np.zeros(len(jaccard))
    overlap[rows] = jaccard[rows, cols]
    return Agreement(overlap, adjusted_rand(shared))


def adjusted_rand(shared: Ints) -> float:
    """Adjusted Rand index of two partitions by their contingency table (Hubert & Arabie 1985).

    1 for equal partitions, 0 on average for independent ones.
    """
    table = shared.astype(np.float64)

    def pairs(counts: Floats) -> float:
        return float((counts * (counts - 1) / 2).sum())

    together, one, other = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    every = pairs(np.array([table.sum()]))
    expected = one * other / every if every else 0.0
    most = (one + other) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)
