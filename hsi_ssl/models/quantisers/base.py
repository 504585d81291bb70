"""What every quantiser offers, and what they share: prototypes, and distances to them.

A quantiser puts prototypes w_1, ..., w_C among spectra; a spectrum's winner is the nearest of them,
c(x) = argmin_i |x - w_i|.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError

AT_ONCE = 8192
"""Spectra compared with all prototypes at a time."""
WINS_A_BATCH = 2
"""Spectra of a batch, for each prototype: so few that no winner moves far while it counts."""

SMALL_STEP = 2**24
"""Products of a step below which one thread is as fast as several."""

Told = Callable[[int, int], None]
"""Hears how many epochs are done, of how many."""


def tell_nobody(done: int, total: int) -> None:
    """Be silent."""


class Quantiser(Protocol):
    """What stages, maps and reports need of a quantiser: a module whose state is its tensors."""

    weights: Tensor
    """Prototypes `(C, D)`."""
    hits: Tensor
    """Of the spectra it learnt from, how many each prototype won, `(C,)`."""

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Self:
        """One that has learnt nothing yet, of the card's kind and size."""

    def to_card(self) -> dict[str, Any]:
        """As JSON: what rebuilds it, without the tensors."""

    def fit(
        self,
        x: Tensor,
        generator: torch.Generator,
        y: Tensor | None = None,
        told: Told = tell_nobody,
    ) -> None:
        """Learn from spectra `(N, D)`, in mini-batches; `y (N,)`: classes, for those that use them.

        Random numbers are the generator's, of the CPU.
        """

    def assign(self, x: Tensor) -> Tensor:
        """The winner `(N,)` of each of the spectra `(N, D)`."""

    def distances(self, x: Tensor) -> Tensor:
        """Euclidean distances `(N, C)` of spectra `(N, D)` to all prototypes."""

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors by name."""

    def load_state_dict(self, state: dict[str, Tensor]) -> object:
        """Take tensors by name."""

    def to(self, device: torch.device) -> Self:
        """Move it to a device."""


@dataclass(frozen=True)
class Card:
    """What rebuilds a codebook, first of all `width`, the columns of its prototypes."""

    width: int


class Codebook(nn.Module):
    """Prototypes, and what follows from them and their card alone."""

    card_type: ClassVar[type[Card]]
    """The dataclass that rebuilds one."""
    card: Card
    weights: Tensor
    hits: Tensor

    def __init__(self, card: Card, count: int) -> None:
        super().__init__()
        self.card = card
        self.register_buffer("weights", torch.zeros(count, card.width))
        self.register_buffer("hits", torch.zeros(count, dtype=torch.int64))

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Self:
        """See `Quantiser`."""
        return cls(cls.card_type(**card))  # type: ignore[call-arg]

    def to_card(self) -> dict[str, Any]:
        """See `Quantiser`."""
        return asdict(self.card)

    @torch.no_grad()
    def assign(self, x: Tensor) -> Tensor:
        """See `Quantiser`."""
        return nearest(x, self.weights, 1)[:, 0]

    @torch.no_grad()
    def distances(self, x: Tensor) -> Tensor:
        """See `Quantiser`."""
        return torch.cat([distances(some, self.weights) for some in x.split(AT_ONCE)])

    def _learnt(self, weights: Tensor, x: Tensor) -> None:
        """Take prototypes that were learnt from spectra; count what each wins.

        Raises
        ------
        ModelError
            They are not finite.
        """
        if not bool(torch.isfinite(weights).all()):
            raise ModelError(
                "the prototypes ran off to infinity; take a smaller learning rate, or check the "
                "scaling of the spectra"
            )
        self.weights = weights.to(x.dtype)
        self.hits = torch.bincount(self.assign(x), minlength=len(weights))


def nearest(x: Tensor, weights: Tensor, count: int) -> Tensor:
    """The `count` nearest of prototypes `(C, D)` to each spectrum `(N, D)`, nearest first.

    |x - w|^2 / 2 = |x|^2 / 2 - x.w + |w|^2 / 2, of which the first is the same for all; counted
    from the prototypes' mean, since a common level would cost the digits that tell them apart.
    """
    centre = weights.mean(0)
    w = weights - centre
    half = 0.5 * (w * w).sum(1)
    found = []
    for some in x.split(AT_ONCE):
        scores = torch.addmm(half, some - centre, w.T, alpha=-1)
        best = (
            scores.argmin(1, keepdim=True)
            if count == 1
            else scores.topk(count, dim=1, largest=False).indices
        )
        found.append(best)
    return torch.cat(found)


def distances(x: Tensor, weights: Tensor) -> Tensor:
    """Euclidean distances `(n, C)`, as a product of matrices about the prototypes' mean."""
    centre = weights.mean(0)
    a, w = x - centre, weights - centre
    squares = (a * a).sum(1, keepdim=True) + (w * w).sum(1) - 2 * (a @ w.T)
    return squares.clamp_(min=0).sqrt_()


def to_chosen(x: Tensor, weights: Tensor, which: Tensor) -> Tensor:
    """Euclidean distances `(n, m)` of spectra to the prototypes `which (n, m)`, by differences."""
    return torch.stack([(x - weights[column]).norm(dim=1) for column in which.T], dim=1)


def sums_by_winner(x: Tensor, winner: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sums `(C, D)` of the spectra `(n, D)` that each prototype won, and how many `(C,)`."""
    won = torch.bincount(winner, minlength=count)
    # In order of their winners: adding rows one by one to where they belong takes six times longer.
    return torch.segment_reduce(x[winner.argsort()], "sum", lengths=won, axis=0), won
