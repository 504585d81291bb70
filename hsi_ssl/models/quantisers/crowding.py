"""How densely spectra lie about prototypes."""

from __future__ import annotations

import torch
from torch import Tensor

from hsi_ssl.models.quantisers.base import AT_ONCE, distances


@torch.no_grad()
def crowding(x: Tensor, weights: Tensor, nearest: int) -> Tensor:
    """Mean distance `(C,)` of each prototype to the nearest of spectra `(N, D)`: small where dense.

    `nearest`: how many; all of them where there are fewer.
    """
    best = x.new_empty(len(weights), 0)
    for some in x.split(AT_ONCE):
        both = torch.cat([best, distances(some, weights).T], dim=1)
        best = both.topk(min(nearest, both.shape[1]), dim=1, largest=False).values
    return best.mean(1)
