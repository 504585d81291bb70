"""Which of some pixels to label next: uncertain, typical of the rest, and unlike each other.

Weighted k-means over the most promising ones, one pixel a cluster (Zhdanov 2019, "Diverse
mini-batch active learning"), each weighing its uncertainty times its density (Settles and Craven
2008).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.int64]

PROMISING = 10
"""Times as many pixels as are wanted are grouped."""
NEIGHBOURS = 10
"""The distance to so many of the sample tells how dense it is around a pixel."""


def uncertainty(p: Floats) -> Floats:
    """1 less the margin between the two most probable classes of `p (n, K)`, `(n,)` in [0, 1]."""
    if p.shape[1] == 1:
        return np.zeros(len(p))
    best = np.partition(p, -2, axis=1)[:, -2:]
    return 1 - (best[:, 1] - best[:, 0])


def density(x: Floats, sample: Floats) -> Floats:
    """How dense the `sample (m, D)` of all pixels is around each of `x (n, D)`, in (0, 1].

    By the distance to its tenth nearest in the sample, in units of the sample's median one. It
    tells pixels of a common material from single odd ones.
    """
    k = min(NEIGHBOURS, len(sample))
    tree = cKDTree(sample)
    own, away = (np.asarray(tree.query(of, k=[k])[0])[:, 0] for of in (sample, x))
    scale = max(float(np.median(own)), float(np.finfo(np.float32).tiny))
    found: Floats = 1 / (1 + (away / scale) ** 2)
    return found


def choose(
    p: Floats, x: Floats, sample: Floats, place: Ints, n: int, *, radius: int, seed: int
) -> Ints:
    """Rows of at most `n` pixels to label next, the most promising first.

    Fewer where no more lie as far apart as they should.

    Parameters
    ----------
    p
        Class probabilities `(m, K)` of the candidates.
    x, sample
        Features `(m, D)` of the candidates, and of pixels drawn from all.
    place
        Row and column `(m, 2)`.
    radius
        Two of them are more than so many pixels apart, in rows or in columns.
    """
    weight = uncertainty(p) * density(x, sample)
    promising = np.argsort(-weight, kind="stable")[: PROMISING * n]
    groups = _groups(x[promising], weight[promising], n, seed)
    first = [promising[groups == g][0] for g in np.unique(groups)]  # the best of each group
    first.sort(key=lambda row: (-weight[row], row))
    taken: list[int] = []
    # Others stand in where the best of two groups are neighbours.
    for row in [*first, *np.argsort(-weight, kind="stable")]:
        if len(taken) == n:
            break
        if (np.abs(place[taken] - place[row]).max(axis=1) > radius).all():
            taken.append(int(row))
    return np.array(taken, np.int64)


def _groups(x: Floats, weight: Floats, n: int, seed: int) -> npt.NDArray[np.int32]:
    """Numbers `(m,)` of at most `n` groups of pixels; heavy ones draw their group's middle."""
    different = len(np.unique(x, axis=0))
    if different <= n:
        return np.arange(len(x), dtype=np.int32)
    heavy = np.maximum(weight, 1e-6 * max(float(weight.max()), 1e-12))
    means = KMeans(n, n_init=3, random_state=seed)
    found: npt.NDArray[np.int32] = means.fit_predict(x, sample_weight=heavy)
    return found
