"""What M2 learns from: inputs of pixels, and batches of labelled ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from hsi_ssl.inference.device import SMALLEST_BATCH
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.draws import drawn
from hsi_ssl.models.moving import sent
from hsi_ssl.models.networks import sample_gaussian
from hsi_ssl.models.tables import allowed, combinations, conditioned, marginals

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

APPLIED_BATCH = 2048


def stride(count: int, most: int) -> int:
    """Of `count` pixels every how many-eth, so that they are at most so many, evenly spaced."""
    return max(1, -(-count // most))


def even_sizes(count: int, most: int) -> list[int]:
    """Sizes of as few batches as hold `count` pixels, `most` in each at the most, all alike.

    A last batch of a few pixels would move a model as far as a full one does, by their noise, and
    libraries round products of a few rows otherwise than of many.
    """
    batches = -(-count // most)
    return [(count + i) // batches for i in reversed(range(batches))]


@dataclass(frozen=True)
class Inputs:
    """What M2 sees of N pixels: spectra, or M1's q(z1|x) as `mean` and `logvar (N, D)`.

    Beside M1's features there may be spectra, with the variance of their noise. `noise_sd (D,)`:
    of spectra alone, standard deviation of what is added to those that q(y|x) learns from.
    """

    mean: Tensor
    logvar: Tensor | None = None
    noise_sd: Tensor | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def to(self, device: torch.device) -> Inputs:
        """The same on a device."""
        moved = (t if t is None else sent(t, device) for t in (self.logvar, self.noise_sd))
        return Inputs(sent(self.mean, device), *moved)

    @property
    def width(self) -> int:
        """D."""
        return self.mean.shape[1]

    def blocks(self, size: int) -> Iterator[Inputs]:
        """All pixels in their order, `size` at a time; the last may be fewer."""
        for first in range(0, max(1, len(self)), size):
            yield self.rows(slice(first, first + size))

    def some(self, most: int) -> Inputs:
        """At most so many of the pixels, evenly spaced."""
        return self.rows(slice(None, None, stride(len(self), most)))

    def shuffled(
        self, rows: Tensor, size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Inputs, Tensor]]:
        """Each of the pixels `rows (n,)` once, in even batches of up to `size`: rows, and where.

        That is inputs and rows of these. Rows are known on the CPU, those of the inputs lie where
        these do.
        """
        found, sizes = (
            rows[torch.randperm(len(rows), generator=generator)],
            even_sizes(len(rows), size),
        )
        there = sent(found, self.mean.device)
        for some, at in zip(found.split(sizes), there.split(sizes), strict=True):
            yield some, self, at

    def rows(self, rows: Tensor | slice) -> Inputs:
        """Some of the pixels; a slice of them is not copied."""
        logvar = None if self.logvar is None else self.logvar[rows]
        return Inputs(self.mean[rows], logvar, self.noise_sd)

    def sample(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Inputs of some pixels: a fresh sample of q(z1|x), or the spectra themselves."""
        if self.logvar is None:
            return self.mean[rows]
        return sample_gaussian(self.mean[rows], self.logvar[rows], generator)

    def perturbed(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Sampled inputs `(n, D)` as they might have been measured another time."""
        if self.noise_sd is None:
            return x
        eps = drawn(torch.randn, x.shape, generator, device=x.device, dtype=x.dtype)
        return x + self.noise_sd * eps

    def learnt_from(self, x: Tensor, experts: int, generator: torch.Generator) -> Tensor:
        """Sampled inputs `(n, D)` as each expert learns from them, `(experts, n, D)`."""
        return self.perturbed(x.expand(experts, -1, -1), generator)


class Pixels(Protocol):
    """What a model sees of N pixels, in memory (`Inputs`) or read when it is wanted."""

    def __len__(self) -> int: ...

    @property
    def width(self) -> int:
        """D."""

    def blocks(self, size: int) -> Iterator[Inputs]:
        """As `Inputs.blocks`."""

    def some(self, most: int) -> Inputs:
        """As `Inputs.some`."""

    def shuffled(
        self, rows: Tensor, size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Inputs, Tensor]]:
        """As `Inputs.shuffled`."""


class Batches:
    """Rows of batches of the pixels that one label set labels."""

    def __init__(self, y: Tensor, settings: M2Settings) -> None:
        """`y (N,)`: classes 0..K-1, -1 where not known, on the CPU."""
        self._rows = torch.nonzero(y >= 0).flatten()
        known = y[self._rows]
        self.size = min(settings.batch_labelled, max(SMALLEST_BATCH, len(known)))
        self.balanced = settings.balanced
        self._by_class = torch.argsort(known, stable=True)
        counts = torch.bincount(known)
        self._present = torch.nonzero(counts).flatten()
        self._counts = counts[self._present]
        self._starts = torch.cumsum(self._counts, 0) - self._counts

    @property
    def steps(self) -> int:
        """Batches in which as many pixels are drawn as there are."""
        return -(-len(self._rows) // self.size)

    def draw(self, generator: torch.Generator) -> Tensor:
        """Rows of a batch: first the class at random, then the pixel; or pixels as they come."""
        if not len(self._rows):
            return self._rows
        if not self.balanced:
            return self._rows[torch.randint(len(self._rows), (self.size,), generator=generator)]
        classes = torch.randint(len(self._present), (self.size,), generator=generator)
        place = torch.rand(self.size, generator=generator) * self._counts[classes]
        return self._rows[self._by_class[self._starts[classes] + place.long()]]


class Labelled:
    """Pixels with a label of one set or more, and batches that are fair to every set."""

    def __init__(self, inputs: Inputs, y: Tensor, settings: M2Settings) -> None:
        """`y (N, V)`: classes 0..K-1, -1 where not known."""
        self.inputs, self.y = inputs, y
        self._each = [Batches(column, settings) for column in y.cpu().T]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def steps(self) -> int:
        """Batches in which each label set has drawn as many pixels as it labels."""
        return max(one.steps for one in self._each)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows, and for which label set each was drawn: as many for every set. On the CPU."""
        drawn = [one.draw(generator) for one in self._each]
        sets = [torch.full_like(rows, v) for v, rows in enumerate(drawn)]
        return torch.cat(drawn), torch.cat(sets)


def at_once(module: DeclaredVAE) -> int:
    """Pixels at a time for q(y|x)."""
    return max(SMALLEST_BATCH, APPLIED_BATCH // module.rows(every_class=False))


def _split(module: DeclaredVAE, *inputs: Pixels) -> Iterator[Tensor]:
    for some in inputs:
        for block in some.blocks(at_once(module)):
            yield block.mean


def _joined(batches: list[list[Tensor]], axis: int) -> list[Tensor]:
    return [torch.cat(of_set, dim=axis) for of_set in zip(*batches, strict=True)]


@torch.no_grad()
def log_q_each(module: DeclaredVAE, *inputs: Pixels) -> list[Tensor]:
    """log q(y|x) `(N, K)` of each label set at the means of inputs, one after another."""
    return _joined([module.log_q_each(x) for x in _split(module, *inputs)], 0)


@torch.no_grad()
def log_q_of_experts(module: DeclaredVAE, *inputs: Pixels) -> list[Tensor]:
    """log q_e(y|x) `(E, N, K)` of each expert for each label set at the means of inputs.

    K are the labelled classes.
    """
    found = _joined([module.log_q_of_experts(x) for x in _split(module, *inputs)], 1)
    return [module.among_labelled(of_set, v) for v, of_set in enumerate(found)]


@torch.no_grad()
def evidence(module: DeclaredVAE, inputs: Pixels, y: Tensor) -> list[Tensor]:
    """log q(y_v | x, the other labels known of the pixel) `(N, K)` of each label set.

    `y (N, V)`: -1 where not known. What a pixel's own spectrum and its other labels say of it.
    """
    counts = module.architecture.counts
    if len(counts) == 1:
        return log_q_each(module, inputs)
    states = combinations(counts, y.device)
    found = []
    first = 0
    for x in _split(module, inputs):
        known = y[first : first + len(x)]
        first += len(x)
        table = module.log_q(x)
        of_sets = []
        for v in range(len(counts)):
            others = known.clone()
            others[:, v] = -1
            given = conditioned(table, allowed(others, states))[1]
            of_sets.append(torch.log_softmax(marginals(given, counts)[v], dim=-1))
        found.append(of_sets)
    return _joined(found, 0)
