"""The self-organising map: prototypes on a grid, of which neighbours learn together.

online   w_i += eta h(c, i) (x - w_i), every i           (Kohonen 1990, Proc. IEEE 78)
batch    w_i = sum_j h(j, i) S_j / sum_j h(j, i) n_j     (Kohonen 2013, Neural Networks 37)

c is the winner, h(c, i) the kernel of its distance to i on the grid, over a radius that shrinks;
S_j is the sum of the n_j spectra that unit j won. The batch rule is where the online rule comes to
rest at a radius; it has no learning rate, does not depend on the order of spectra, and its sums are
taken in pieces that fit into memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hsi_ssl.models.moving import exact
from hsi_ssl.models.quantisers.base import (
    AT_ONCE,
    Card,
    Codebook,
    Told,
    nearest,
    sums_by_winner,
    tell_nobody,
    to_chosen,
)
from hsi_ssl.models.quantisers.lattice import Lattice
from hsi_ssl.models.quantisers.principal import principal_plane
from hsi_ssl.models.quantisers.steps import drawn


@dataclass(frozen=True)
class SomCard(Card):
    """What rebuilds one: `rows` x `cols` units on a `grid`, and how they learn.

    The radius falls from half the longer side (`radius_start` None) to `radius_end`, by the same
    factor every epoch; below half a unit a map would lose its order (Kohonen 2013). `start`: units
    spread over the plane of the spectra's two `principal` directions, or at drawn `spectra`.
    """

    rows: int
    cols: int
    grid: str = "hexagonal"
    kernel: str = "gaussian"
    start: str = "principal"
    radius_start: float | None = None
    radius_end: float = 0.5
    epochs: int = 20


class SelfOrganisingMap(Codebook):
    """The map."""

    card_type = SomCard
    card: SomCard

    def __init__(self, card: SomCard) -> None:
        super().__init__(card, card.rows * card.cols)

    @cached_property
    def lattice(self) -> Lattice:
        """Where its units lie."""
        return Lattice(self.card.rows, self.card.cols, self.card.grid)

    def radius(self, done: float) -> float:
        """Of the kernel, when a share of learning is done."""
        last = self.card.radius_end
        first = self.card.radius_start or max(self.card.rows, self.card.cols) / 2
        return float(max(first, last) * (last / max(first, last)) ** done)

    @torch.no_grad()
    def fit(
        self,
        x: Tensor,
        generator: torch.Generator,
        y: Tensor | None = None,
        told: Told = tell_nobody,
    ) -> None:
        """Learn from spectra `(N, D)` by the batch rule; see `Quantiser`."""
        weights = self.start(x, generator)
        epochs = self.card.epochs
        for epoch in range(epochs):
            kernel = self.lattice.kernel(self.card.kernel, self.radius(epoch / max(1, epochs - 1)))
            weights = batch_step(weights, x, kernel)
            told(epoch + 1, epochs)
        self._learnt(weights, x)

    def start(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """First prototypes `(U, D)`; at drawn spectra also where spectra lie on a line."""
        plane = principal_plane(x) if self.card.start == "principal" else None
        if plane is None:
            return drawn(x, len(self.lattice), generator)
        mean, axes = plane
        places = self.lattice.places
        side = (places.amax(0) - places.amin(0)).clamp(min=1)
        along = (2 * (places - places.amin(0)) / side - 1).to(mean.device)
        # The longer side of the grid along the longer direction.
        if self.card.rows > self.card.cols:
            along = along.flip(1)
        return (mean + along @ axes).to(x)

    @torch.no_grad()
    def errors(self, x: Tensor) -> tuple[float, float]:
        """Quantisation error: mean distance to the winner. Topographic error.

        The latter is the share of spectra whose two nearest units do not touch (Kiviluoto 1996),
        NaN on a map of one unit.
        """
        if len(self.lattice) == 1:
            return float(exact(self.distances(x)).mean()), float("nan")
        two = nearest(x, self.weights, 2)
        apart = sum(
            float(exact(to_chosen(some, self.weights, best[:, :1])).sum())
            for some, best in zip(x.split(AT_ONCE), two.split(AT_ONCE), strict=True)
        )
        touch = self.lattice.neighbours.to(x.device)[two[:, 0], two[:, 1]]
        return apart / len(x), 1 - float(exact(touch).mean())


def batch_step(weights: Tensor, x: Tensor, kernel: Tensor) -> Tensor:
    """Prototypes `(U, D)` after the batch rule has seen all spectra once; `kernel (U, U)`.

    Sums over spectra are taken in float64. A unit in whose reach nobody won anything stays.
    """
    sums = torch.zeros_like(exact(weights))
    won = sums.new_zeros(len(weights))
    for some in x.split(AT_ONCE):
        of_some, count = sums_by_winner(some, nearest(some, weights, 1)[:, 0], len(weights))
        sums += exact(of_some)
        won += exact(count)
    kernel = kernel.to(sums)
    share = kernel @ won
    moved = (kernel @ sums) / share[:, None]
    return torch.where(share[:, None] > 0, moved, exact(weights)).to(weights)
