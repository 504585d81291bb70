"""What every classifier offers that is no declared model of labels, z and x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.models.method import Method


class Batch(NamedTuple):
    """What one step of training sees.

    `x (n, D)`: labelled inputs; `y (n, V)`: their classes in each of V label sets, -1 where not
    known; `every (m, D)`: inputs of any training pixels, labelled or not; `taught (m, K)`: what a
    teacher says of these, log q(y|x), None without one. `x_both (n, D')`, `every_both (m, D')`: the
    same pixels as two sensors saw them, None where there is no second one.
    """

    x: Tensor
    y: Tensor
    every: Tensor
    taught: Tensor | None = None
    x_both: Tensor | None = None
    every_both: Tensor | None = None


class Costs(NamedTuple):
    """What a batch costs: a scalar with gradient, and what it is the weighted sum of, by name."""

    total: Tensor
    terms: Mapping[str, Tensor] = MappingProxyType({})


class Move(NamedTuple):
    """Parameters that are moved together, and what they are to minimise; a turn of the loop."""

    parameters: Sequence[nn.Parameter]
    cost: Callable[[Batch, torch.Generator], Costs]


class Findings(NamedTuple):
    """What a trained model says of itself: numbers for the card, and sentences."""

    metrics: Mapping[str, float] = MappingProxyType({})
    said: Sequence[str] = ()
    warnings: Sequence[str] = ()


class ClassifierModel(Method, ABC):
    """log q(y|x) `(N, K)` of inputs `(N, D)`: scaled spectra, or the features of an extractor.

    A subclass names itself and the dataclass that rebuilds it, which has `width`, D, and `counts`,
    K of each label set. Its fields that have a default are the method's own options, by the same
    names in `[m2.options]` and `--option`; `latent`, `hidden` and `activation`, where it names
    them, come from the settings of `[m2]`.

    It is trained by steps, each of the `moves` in turn, or `closed_form`, by `solve`.
    """

    in_words: ClassVar[str]
    """What training minimises, for the card and for people."""
    closed_form: ClassVar[bool] = False
    """Whether `solve` fits it, and no steps of the training loop."""
    several: ClassVar[bool] = False
    """Whether it learns several label sets at once; then `log_q_each` is its own."""
    has_teacher: ClassVar[bool] = False
    """Whether it learns from another classifier's outputs (`Batch.taught`)."""
    privileged: ClassVar[bool] = False
    """Whether it learns from a second sensor beside (`Batch.x_both`), of the width `width_both`."""

    @property
    def counts(self) -> tuple[int, ...]:
        """K of each label set."""
        return tuple(self.architecture.counts)

    @abstractmethod
    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x) `(N, K)` of inputs `(N, D)`, of the first label set."""

    def log_q_each(self, x: Tensor) -> list[Tensor]:
        """log q(y|x) `(N, K)` of each label set."""
        return [self.log_q_y(x)]

    def start(self, every: Tensor) -> None:
        """Measure on the inputs `(N, D)` of all training pixels what training needs beforehand."""

    def moves(self) -> Sequence[Move]:
        """Who moves at each step: by default all parameters at once, by `cost`."""
        return [Move(list(self.parameters()), self.cost)]

    def cost(self, batch: Batch, generator: torch.Generator) -> Costs:
        """What a batch costs where there is one move."""
        raise NotImplementedError(f"{self.title} is not trained by one cost")

    def solve(self, x: Tensor, y: Tensor, every: Tensor, generator: torch.Generator) -> None:
        """Fit at once: labelled inputs `(n, D)` with classes `(n, V)`, inputs of all `(N, D)`."""
        raise NotImplementedError(f"{self.title} is trained by steps")

    def shown(self, measured: Tensor, generator: torch.Generator) -> Tensor:
        """Inputs `(n, D)` that show what it has learnt of some `measured` ones; none by default."""
        del generator
        return measured[:0]

    def findings(self, every: Tensor, generator: torch.Generator) -> Findings:
        """What is to be said of it once it is trained, by the inputs of all training pixels."""
        del every, generator
        return Findings()


def cross_entropy(log_q: Tensor, y: Tensor) -> Tensor:
    """Mean of -log q(y|x) over the pixels whose class `y (n,)` is known; 0 where none is."""
    total = F.nll_loss(log_q, y, ignore_index=-1, reduction="sum")
    return total / (y >= 0).sum().clamp(min=1)
