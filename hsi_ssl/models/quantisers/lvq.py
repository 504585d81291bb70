"""Learning vector quantisation: a classifier by labelled prototypes (Kohonen 1990, Proc. IEEE 78).

LVQ1     w_c += eta (x - w_c) if the winner is of the class of x, w_c -= eta (x - w_c) if not
LVQ2.1   of the two nearest, if one is of the class of x and the other is not, and x lies in the
         window min(d_i / d_j, d_j / d_i) > (1 - u) / (1 + u): the right one += eta (x - w), the
         wrong one -= eta (x - w)
LVQ3     LVQ2.1, and where both are of the class of x: both += epsilon eta (x - w)

A spectrum is of the class of the nearest prototype. This is no model of probability. What it gives
as log q(y|x) are minus squared distances to the nearest prototype of each class in units of their
usual size, normalised: an order, and with a temperature from validation pixels a confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.errors import ModelError
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
from hsi_ssl.models.quantisers.kohonen import Kohonen, KohonenCard
from hsi_ssl.models.quantisers.steps import drawn, online_in_batches

RULES = ("lvq1", "lvq2.1", "lvq3")
START_EPOCHS = 5


@dataclass(frozen=True)
class LVQCard(Card):
    """What rebuilds one: `prototypes` a class, of `width` columns; `rule`, its window and rates."""

    classes: int
    prototypes: int = 8
    rule: str = "lvq1"
    window: float = 0.3
    epsilon: float = 0.2
    learning_rate: float = 0.05
    epochs: int = 30


class LVQ(Codebook):
    """The classifier; prototype i is of class `labels[i]`, and those of a class lie together."""

    labels: Tensor
    scale: Tensor

    card_type = LVQCard
    card: LVQCard

    def __init__(self, card: LVQCard) -> None:
        super().__init__(card, card.classes * card.prototypes)
        labels = torch.arange(card.classes).repeat_interleave(card.prototypes)
        self.register_buffer("labels", labels)
        self.register_buffer("scale", torch.ones(()))

    @property
    def classes(self) -> int:
        """K."""
        return self.card.classes

    @property
    def free(self) -> int:
        """None of its classes is a free slot."""
        return 0

    @torch.no_grad()
    def fit(
        self,
        x: Tensor,
        generator: torch.Generator,
        y: Tensor | None = None,
        told: Told = tell_nobody,
        batch: int | None = None,
    ) -> None:
        """Learn from spectra `(N, D)` of classes `y (N,)`; see `Quantiser`.

        Raises
        ------
        ModelError
            There are no classes; a class has no spectrum.
        """
        if y is None:
            raise ModelError("LVQ learns from classes: give one of each spectrum")
        card = self.card
        start = self.start(x, y, generator)

        def rates(weights: Tensor, rows: Tensor, done: float) -> Tensor:
            steps = signed_steps(x[rows], y[rows], weights, self.labels, card)
            return card.learning_rate * (1 - done) * steps

        weights = online_in_batches(start, x, rates, card.epochs, generator, told, batch)
        self._learnt(weights, x)
        own = torch.where(self.labels == y[:, None], self.distances(x), torch.inf).amin(1)
        usual = exact(own).square().mean().to(x)
        self.scale = usual if bool(usual > 0) else torch.ones_like(usual)

    def start(self, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """First prototypes `(C, D)`: of each class what a layer of competing ones finds in it.

        A class of fewer spectra has each of them several times.
        """
        found = []
        for k in range(self.card.classes):
            own, wanted = x[y == k], self.card.prototypes
            if not len(own):
                raise ModelError(f"class {k} has no spectrum to put a prototype at; leave it out")
            if len(own) <= wanted:
                found.append(own[torch.arange(wanted, device=x.device) % len(own)])
                continue
            layer = Kohonen(KohonenCard(x.shape[1], wanted, epochs=START_EPOCHS)).to(x.device)
            layer.fit(own, generator)
            lost = layer.hits == 0
            layer.weights[lost] = drawn(own, int(lost.sum()), generator)
            found.append(layer.weights)
        return torch.cat(found)

    def class_distances(self, x: Tensor) -> Tensor:
        """Distance `(n, K)` of each spectrum to the nearest prototype of every class."""
        each = (self.card.classes, self.card.prototypes)
        found: Tensor = distances(x, self.weights).unflatten(1, each).amin(2)
        return found

    def log_q_y(self, x: Tensor) -> Tensor:
        """Confidence in classes as log q(y|x) `(n, K)`; the largest is the nearest prototype's."""
        return torch.log_softmax(-self.class_distances(x).square() / self.scale, dim=-1)


def signed_steps(x: Tensor, y: Tensor, weights: Tensor, labels: Tensor, card: LVQCard) -> Tensor:
    """Steps over eta `(n, C)` of prototypes with `labels (C,)` towards spectra, or away if below 0.

    `x (n, D)` of classes `y (n,)`.
    """
    steps = x.new_zeros(len(x), len(weights))
    if card.rule == "lvq1":
        winner = nearest(x, weights, 1)
        right = labels[winner] == y[:, None]
        return steps.scatter_(1, winner, torch.where(right, 1.0, -1.0).to(x.dtype))
    two = nearest(x, weights, 2)
    right = labels[two] == y[:, None]
    d = to_chosen(x, weights, two)
    near = d.amin(1) > (1 - card.window) / (1 + card.window) * d.amax(1)
    apart = (right[:, 0] != right[:, 1]) & near
    values = torch.where(right, 1.0, -1.0) * apart[:, None]
    if card.rule == "lvq3":
        values = torch.where(right.all(1, keepdim=True), card.epsilon, values)
    return steps.scatter_(1, two, values.to(x.dtype))
