"""What the training loop needs of a model together with its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn


class StepCost(NamedTuple):
    """What one batch costs in one turn."""

    cost: Tensor
    """Mean cost per pixel, a scalar, with gradient: what is minimised."""
    bound: Tensor
    """The bound in it, without terms that are no part of one, as the classification term."""
    spectra: int
    """How many it was made of."""
    terms: Mapping[str, Tensor] = MappingProxyType({})
    """What is minimised is a sum of, by name, each before its weight."""


class Turn(NamedTuple):
    """Some parameters of a model, and what they are to minimise; each turn has its optimiser.

    Most models have one turn. Adversaries have two, which follow each other at every batch.
    """

    parameters: Sequence[nn.Parameter]
    cost: Callable[[Any, float, torch.Generator], StepCost]
    """Of a batch, the weight of KL divergences, and a random generator."""


class Task(Protocol):
    """What the loop needs of a model together with its data."""

    @property
    def module(self) -> nn.Module:
        """The model."""

    @property
    def pixels(self) -> int:
        """N, the number of training pixels: the weight prior counts once for all of them."""

    @property
    def score_name(self) -> str:
        """What `validate` calls the number that chooses the best state."""

    @property
    def bound_name(self) -> str:
        """What the log calls what is minimised, with its sign turned: a bound, if it is one."""

    @property
    def steps(self) -> int:
        """Batches an epoch, for those who wait; 0 where only the first epoch tells."""

    @property
    def begun(self) -> bool:
        """Whether the module is worth keeping as it is, before the first step."""

    def judged_by_bound(self, name: str) -> bool:
        """Whether a tensor of the module is kept when the bound is best, not when the score is.

        For what shares no gradient with what the score is of.
        """

    def begin_epoch(self, epoch: int) -> None:
        """Whatever is worked out from the weights (their average, if there is one) before it."""

    def state(self) -> dict[str, Tensor]:
        """What `begin_epoch` has worked out and a resumed run could not know."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`."""

    def batches(self, generator: torch.Generator) -> Iterator[Any]:
        """The batches of one epoch, in an order drawn from the generator."""

    def turns(self) -> Sequence[Turn]:
        """Who takes turns at each batch; the first one's bound is told."""

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Numbers on the validation pixels: `bound`, `score` (higher is better) and more.

        A score of infinity says that nothing can be told apart: the last state is then kept.
        """

    def snapshot(self, generator: torch.Generator) -> Tensor:
        """A few generated spectra `(n, D)`, the same latents at each call."""


class PlainTask:
    """A task that works out nothing between epochs, with one cost for all parameters."""

    module: nn.Module
    bound_name = "bound"
    steps = 0
    begun = False

    def judged_by_bound(self, name: str) -> bool:
        """Nothing is."""
        del name
        return False

    def begin_epoch(self, epoch: int) -> None:
        """Do nothing."""

    def state(self) -> dict[str, Tensor]:
        """Return nothing."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Do nothing."""

    def cost(self, batch: Any, kl_weight: float, generator: torch.Generator) -> StepCost:
        """What a batch costs; a task says."""
        raise NotImplementedError

    def turns(self) -> Sequence[Turn]:
        """One, of all parameters."""
        return [Turn(list(self.module.parameters()), self.cost)]
