"""Kohonen's layer of competing prototypes, without a map.

winner takes all    w_c += eta (x - w_c),                c = argmin_i |x - w_i|
winner takes most   w_i += eta (x - w_i) K(x, i),        every i

K(x, i) = exp(-(|x - w_i|^2 - |x - w_c|^2) / (2 h^2)): a Gaussian of the distance to the spectrum,
1 for the winner, so that it learns at eta whatever the scale. The width h is at first `WIDEST` of
the spectra's usual distance to their winners and falls to `NARROWEST` of that, and eta falls to 0:
the rule ends as winner takes all (competitive learning, and its leaky kind, Rumelhart & Zipser
1985, Cognitive Science 9).

A prototype that starts where no spectrum is nearest to it never learns when the winner takes all:
it is dead, and `hits` is 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.moving import exact
from hsi_ssl.models.quantisers.base import (
    Card,
    Codebook,
    Told,
    distances,
    nearest,
    tell_nobody,
    to_chosen,
)
from hsi_ssl.models.quantisers.steps import drawn, online_in_batches

WIDEST = 0.3
"""Width of the kernel at the start, in root mean squares of distances to winners. At 1 prototypes
fall onto the mean, and those that have met never part (Indian Pines: 18 of 20)."""
NARROWEST = 0.03
"""Width of the kernel at the end, as a share of that at the start."""


@dataclass(frozen=True)
class KohonenCard(Card):
    """What rebuilds one: `units` prototypes of `width` columns, `takes` all or most."""

    units: int
    takes: str = "most"
    learning_rate: float = 0.1
    epochs: int = 20


class Kohonen(Codebook):
    """The layer."""

    card_type = KohonenCard
    card: KohonenCard

    def __init__(self, card: KohonenCard) -> None:
        super().__init__(card, card.units)

    @torch.no_grad()
    def fit(
        self,
        x: Tensor,
        generator: torch.Generator,
        y: Tensor | None = None,
        told: Told = tell_nobody,
        batch: int | None = None,
    ) -> None:
        """Learn from spectra `(N, D)`, from a start at some of them; see `Quantiser`."""
        card = self.card
        start = drawn(x, card.units, generator)
        width = WIDEST * spread(x, start)

        def rates(weights: Tensor, rows: Tensor, done: float) -> Tensor:
            eta = card.learning_rate * (1 - done)
            if card.takes == "all":
                return eta * winner_takes_all(x[rows], weights)
            return eta * winner_takes_most(x[rows], weights, width * NARROWEST**done)

        weights = online_in_batches(start, x, rates, card.epochs, generator, told, batch)
        self._learnt(weights, x)


def spread(x: Tensor, weights: Tensor) -> float:
    """Root mean square of the spectra's distances to their winners."""
    chosen = nearest(x, weights, 1)
    return float(exact(to_chosen(x, weights, chosen)).square().mean().sqrt())


def winner_takes_all(x: Tensor, weights: Tensor) -> Tensor:
    """1 for the winner of each spectrum, else 0, `(n, C)`."""
    rates = x.new_zeros(len(x), len(weights))
    return rates.scatter_(1, nearest(x, weights, 1), 1.0)


def winner_takes_most(x: Tensor, weights: Tensor, width: float) -> Tensor:
    """K(x, i) `(n, C)` of kernel width h."""
    squares = distances(x, weights).square_()
    beyond = squares - squares.min(1, keepdim=True).values
    return torch.exp(beyond / -max(2 * width**2, torch.finfo(x.dtype).tiny))
