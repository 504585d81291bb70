"""Labels spread over the graph of nearest neighbours in feature space.

Zhou, Bousquet, Lal, Weston, Schoelkopf 2004, "Learning with local and global consistency": with
W the symmetrised graph with weights exp(-2 d^2 / median d_k^2), S = D^-1/2 W D^-1/2 and Y the
labels, iterate F <- a S F + (1 - a) Y. Then each class is scaled to the same mass (Zhu,
Ghahramani, Lafferty 2003), so that no class swallows others that have fewer edges.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

RESTART = 0.01
"""1 - a: share of its own label that a pixel gets back at each step."""
STEPS = 300
CHUNK = 512


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


@torch.no_grad()
def propagated(x: Tensor, y: Tensor, classes: int, *, neighbours: int = 10) -> Tensor:
    """p(y) of each pixel by its neighbours' neighbours, `(N, K)`, summing to 1.

    `x (N, D)`: features in which distance means likeness; `y (N,)`: class indices, -1 unknown. A
    pixel that no label reaches has a uniform p(y).
    """
    count = len(x)
    k = min(neighbours, count - 1)
    distances, rows = (found.cpu().numpy() for found in nearest(x, k))
    scale = max(float(np.median(distances[:, -1])), float(np.finfo(np.float32).tiny))
    starts = np.arange(0, count * k + 1, k)
    weights = sp.csr_matrix(
        (np.exp(-2 * distances / scale).ravel(), rows.ravel(), starts), shape=(count, count)
    )
    weights = weights.maximum(weights.T)
    inverse = sp.diags(1 / np.sqrt(np.maximum(np.asarray(weights.sum(1)).ravel(), 1e-12)))
    spread = ((1 - RESTART) * (inverse @ weights @ inverse)).astype(np.float32)
    known = y.cpu().numpy()
    given = np.zeros((count, classes), np.float32)
    labelled = np.flatnonzero(known >= 0)
    given[labelled, known[labelled]] = RESTART
    found = given
    for _ in range(STEPS):
        found = spread @ found + given
    mass = found.sum(0)
    scaled = found / np.where(mass > 0, mass, 1)
    total = scaled.sum(1, keepdims=True)
    p = np.where(total > 0, scaled / np.where(total > 0, total, 1), 1 / classes)
    return torch.from_numpy(p.astype(np.float32)).to(x.device)
