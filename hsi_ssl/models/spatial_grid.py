"""The mean field of `spatial` on a whole piece of a scene, where neighbours need no table.

Planes `(K, rows, cols)`, class by class: a class's plane stays in the cache while its votes are
counted, as sums of three down, then of three across, so that a sweep costs little more than its
exponentials.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hsi_ssl.models.spatial import SWEEPS


def mean_field_on_grid(
    log_f: Tensor, valid: Tensor, strength: float, sweeps: int = SWEEPS
) -> Tensor:
    """q `(K, r, c)` of the pixels of a grid, as `spatial.mean_field` gives it for a list.

    `log_f (K, r, c)`: log-evidence up to a constant a pixel, finite everywhere; `valid (r, c)`:
    which pixels there are: the others have no say, and q is 0 there. `strength` is at most
    10, so that no exponential overflows.
    """
    log_f = log_f - log_f.amax(0)
    there = valid.to(log_f.dtype)
    q = log_f.exp()
    q *= there / q.sum(0)
    if not strength:
        return q
    rows, cols = valid.shape
    framed = q.new_zeros(rows + 2, cols + 2)  # by pixels that are not there
    downwards, total = q.new_empty(rows, cols + 2), q.new_empty(rows, cols)
    for _ in range(sweeps):
        total.zero_()
        for plane, own in zip(q, log_f, strict=True):
            framed[1:-1, 1:-1] = plane
            torch.add(framed[:-2], framed[1:-1], out=downwards).add_(framed[2:])
            votes = torch.sub(downwards[:, 1:-1], plane, out=plane)
            votes.add_(downwards[:, :-2]).add_(downwards[:, 2:])
            total += torch.add(own, votes, alpha=strength, out=plane).exp_()
        q *= torch.div(there, total, out=total)
    return q
