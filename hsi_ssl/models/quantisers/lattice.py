"""The grid that a map's units lie on: rectangular or hexagonal, with what is drawn of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

TOUCHING = 1.01
"""Units whose places are no farther apart are neighbours; the next ones are at least 1.41 away."""

KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "gaussian": lambda q: torch.exp(-0.5 * q),
    "epanechnikov": lambda q: (1 - q).clamp(min=0),
    "bubble": lambda q: (q <= 1).to(q.dtype),
}
"""How much a unit learns of what another won, by q = (distance on the grid / radius)^2."""


@dataclass(frozen=True)
class Lattice:
    """`rows` x `cols` units, row after row. On a `hexagonal` one odd rows are half a unit right.

    There a unit has six neighbours, on a `rectangular` one four; neighbours are 1 apart.
    """

    rows: int
    cols: int
    kind: str = "hexagonal"

    def __len__(self) -> int:
        return self.rows * self.cols

    @cached_property
    def places(self) -> Tensor:
        """x to the right and y downwards of each unit, `(U, 2)`, float64."""
        row, col = torch.meshgrid(
            torch.arange(self.rows, dtype=torch.float64),
            torch.arange(self.cols, dtype=torch.float64),
            indexing="ij",
        )
        if self.kind == "hexagonal":
            col, row = col + 0.5 * (row % 2), row * math.sqrt(0.75)
        return torch.stack([col.flatten(), row.flatten()], dim=1)

    @cached_property
    def squares(self) -> Tensor:
        """Squared distances `(U, U)` between units on the grid."""
        apart = self.places[:, None] - self.places
        return apart.square().sum(-1)

    @cached_property
    def neighbours(self) -> Tensor:
        """Which units touch, `(U, U)`."""
        return (self.squares > 0) & (self.squares <= TOUCHING**2)

    def kernel(self, name: str, radius: float) -> Tensor:
        """How much each unit learns of what another won, `(U, U)`, 1 on the diagonal."""
        return KERNELS[name](self.squares / radius**2)

    def u_matrix(self, weights: Tensor) -> Tensor:
        """Mean distance of each unit's prototype to its neighbours', `(U,)` (Ultsch & Siemon 1990).

        NaN for a unit without neighbours.
        """
        one, other = torch.nonzero(self.neighbours.to(weights.device), as_tuple=True)
        apart = (weights[one] - weights[other]).norm(dim=1)
        count = torch.bincount(one, minlength=len(self))
        return torch.bincount(one, weights=apart, minlength=len(self)) / count
