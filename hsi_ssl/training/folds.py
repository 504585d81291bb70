"""Labelled pixels left out in turns."""

from __future__ import annotations

import torch
from torch import Tensor

FOLDS = 5
REPEATS = 5
FEW = 500
"""Labelled pixels up to which they are left out several times, in other company each time."""


def repeats_of(y: Tensor) -> int:
    """How often each labelled pixel is left out, the fewer there are the less once says."""
    return REPEATS if len(y) <= FEW else 1


def repeated_folds(y: Tensor, seed: int) -> list[Tensor]:
    """Rows of `y (n,)` that are left out together, each row `repeats_of` times at most."""
    several = range(repeats_of(y))
    return [rows for repeat in several for rows in folds_of(y, seed + repeat)]


def folds_of(y: Tensor, seed: int) -> list[Tensor]:
    """The same, each row once at most.

    Class by class in equal shares; a class of one pixel is never left out.
    """
    generator = torch.Generator().manual_seed(seed)
    classes = y.cpu()
    fold = torch.full((len(y),), -1)
    for k in torch.unique(classes):
        rows = torch.nonzero(classes == k).flatten()
        if len(rows) > 1:
            first = int(torch.randint(FOLDS, (1,), generator=generator))
            order = torch.randperm(len(rows), generator=generator)
            fold[rows[order]] = (torch.arange(len(rows)) + first) % FOLDS
    found = [torch.nonzero(fold == number).flatten() for number in range(FOLDS)]
    return [rows.to(y.device) for rows in found if len(rows)]
