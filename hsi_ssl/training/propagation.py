"""Classes spread over the graph of nearest neighbours in feature space.

Zhou, Bousquet, Lal, Weston, Schoelkopf 2004, "Learning with local and global consistency": with
W the symmetrised graph with weights exp(-2 d^2 / median d_k^2), S = D^-1/2 W D^-1/2 and Y what is
known, iterate F <- a S F + (1 - a) Y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 10
CHUNK = 512
OF_LABELS, STEPS_OF_LABELS = 0.01, 300
"""1 - a, the share of what is known that comes back at each step; few labels have far to go."""
OF_POSTERIORS, STEPS_OF_POSTERIORS = 0.2, 30
SPARE = 3
"""Times as many eigenvectors as are wanted are looked at."""
LEAST_GROUP = 0.01
"""Share of the pixels that an eigenvector must be about."""
CONSTANT, TINY = 1e-12, 1e-300
"""Variance, in units of the largest square, below which an eigenvector is the constant one."""


class FeatureGraph:
    """The graph of N pixels in feature space."""

    def __init__(self, x: Tensor) -> None:
        """`x (N, D)`: features in which distance means likeness."""
        count = len(x)
        k = min(NEIGHBOURS, count - 1)
        squares, self._rows = (found.cpu().numpy() for found in nearest(x, k))
        # In double precision they can be divided by the smallest scales, those of equal pixels.
        self._squares = squares.astype(np.float64)
        scale = max(float(np.median(self._squares[:, -1])), float(np.finfo(np.float32).tiny))
        self._normalised, _ = self._of_weights(np.exp(-2 * self._squares / scale))

    def _of_weights(
        self, weights: npt.NDArray[np.floating[Any]]
    ) -> tuple[sp.csr_matrix, npt.NDArray[np.float64]]:
        """S of the symmetrised graph with `weights (N, k)`, and the roots of its degrees `(N,)`."""
        count, k = weights.shape
        starts = np.arange(0, count * k + 1, k)
        w = sp.csr_matrix((weights.ravel(), self._rows.ravel(), starts), shape=(count, count))
        w = w.maximum(w.T)
        roots = np.sqrt(np.maximum(np.asarray(w.sum(1)).ravel(), 1e-12))
        inverse = sp.diags(1 / roots)
        return sp.csr_matrix(inverse @ w @ inverse).astype(np.float32), roots

    def embedding(self, width: int, seed: int) -> npt.NDArray[np.float64]:
        """Each pixel's place along the graph's slowest directions, `(N, width)`, unit variances.

        The leading eigenvectors of D^-1 W after the constant one (Coifman and Lafon 2006): pixels
        between which many short ways lead are near each other. Weights are exp(-d_ij^2 / d_i d_j)
        with a scale d_i of each pixel's own (Zelnik-Manor and Perona 2004), lest outlying pixels
        stand alone; directions in which still a handful stands against all others are left out,
        so there may be fewer than `width`.
        """
        own = np.maximum(np.sqrt(self._squares[:, -1]), np.finfo(np.float32).tiny)
        s, roots = self._of_weights(np.exp(-self._squares / (own[:, None] * own[self._rows])))
        asked = min(SPARE * (width + 1), len(own) - 1)
        start = np.random.default_rng(seed).uniform(-1, 1, len(own))
        from scipy.sparse.linalg import eigsh  # imported late: it takes a while

        values, vectors = eigsh(s.astype(np.float64), k=asked, v0=start, tol=1e-7)
        vectors = vectors[:, np.argsort(-values)] / roots[:, None]
        vectors -= vectors.mean(0)
        squares = vectors * vectors
        # The share of pixels that a direction is about: of an indicator of p N pixels it is p.
        share = squares.mean(0) ** 2 / np.maximum((squares * squares).mean(0), TINY)
        moves = squares.mean(0) > CONSTANT * squares.max(0)
        kept = vectors[:, (share >= LEAST_GROUP) & moves][:, :width]
        found: npt.NDArray[np.float64] = kept / kept.std(0)
        return found

    def of_labels(self, y: Tensor, classes: int) -> Tensor:
        """p(y) of each pixel by the labels that reach it, `(N, K)`; `y (N,)`: -1 is unknown.

        Each class is scaled to the same mass (Zhu, Ghahramani, Lafferty 2003), so that none
        swallows others that have fewer edges. A pixel that no label reaches has a uniform p(y).
        """
        known = F.one_hot(y.clamp(min=0), classes) * (y >= 0)[:, None]
        found = self._spread(known, OF_LABELS, STEPS_OF_LABELS)
        return _normalised(found / found.sum(0).clamp(min=torch.finfo(found.dtype).tiny))

    def of_posteriors(self, q: Tensor) -> Tensor:
        """`q (N, K)` made smooth: each pixel's and, less and less, its neighbours'."""
        return _normalised(self._spread(q, OF_POSTERIORS, STEPS_OF_POSTERIORS))

    def _spread(self, known: Tensor, share: float, steps: int) -> Tensor:
        given = share * known.cpu().numpy().astype(np.float32)
        found = given
        for _ in range(steps):
            found = (1 - share) * (self._normalised @ found) + given
        return torch.from_numpy(found).to(known.device)


def _normalised(weights: Tensor) -> Tensor:
    """Rows that sum to 1; uniform where all are 0."""
    total = weights.sum(1, keepdim=True)
    found = weights / torch.where(total > 0, total, 1)
    return torch.where(total > 0, found, 1 / weights.shape[1])


def nearest(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Squared distances and rows `(N, k)` of each pixel's nearest others among `x (N, D)`."""
    squares = (x * x).sum(1)
    distances, rows = [], []
    for first in range(0, len(x), CHUNK):
        some = x[first : first + CHUNK]
        found = squares[None] - 2 * some @ x.T  # the pixel's own square changes no order
        mine = torch.arange(len(some), device=x.device)
        found[mine, first + mine] = torch.inf
        near = found.topk(k, dim=1, largest=False)
        distances.append((near.values + squares[first + mine, None]).clamp(min=0))
        rows.append(near.indices)
    return torch.cat(distances), torch.cat(rows)
