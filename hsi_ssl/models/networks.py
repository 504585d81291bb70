"""The networks inside every model: plain perceptrons, and ones that also see classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.models.draws import drawn


@dataclass(frozen=True)
class Architecture:
    """What rebuilds a model; a subclass names it."""

    def to_card(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Self:
        """Inverse of `to_card`."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in card.items()})


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}

LOGVAR_LOW, LOGVAR_HIGH = -14.0, 8.0
"""Bounds of every log-variance: without them a few steps of Adam can blow a model up."""


class OutputLayer(nn.Linear):
    """A linear layer that computes in its weights' precision, whatever autocast asks for.

    bfloat16 has three digits: a spectrum in it is off by as much as the measured noise, and a
    softmax or a KL divergence of it shows.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Outputs `(..., outputs)` of inputs `(..., inputs)`."""
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class Affine(nn.Module):
    """W x + b, worked out and not learnt; 0 at first. Computes as an `OutputLayer` does."""

    weight: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(outputs, inputs))
        self.register_buffer("bias", torch.zeros(outputs))

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Self:
        """The map of `weight (outputs, inputs)` and `bias (outputs,)`, on their device."""
        made = cls(weight.shape[1], weight.shape[0]).to(weight)
        made.fill(weight, bias)
        return made

    @torch.no_grad()
    def fill(self, weight: Tensor, bias: Tensor) -> None:
        """Take over W and b."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs `(..., outputs)` of inputs `(..., inputs)`."""
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.to(self.weight.dtype), self.weight, self.bias)


class Sum(nn.Module):
    """What several networks give of the same input, added."""

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs `(..., outputs)` of inputs `(..., inputs)`."""
        first, *others = self.networks
        found: Tensor = first(x)
        for network in others:
            found = found + network(x)
        return found


def linear(
    inputs: int, outputs: int, generator: torch.Generator, *, last: bool = False
) -> nn.Linear:
    """A linear layer `(..., inputs) -> (..., outputs)`: Glorot-uniform weights, zero biases."""
    layer = OutputLayer(inputs, outputs) if last else nn.Linear(inputs, outputs)
    bound = math.sqrt(6 / (inputs + outputs))
    with torch.no_grad():
        layer.weight.copy_((torch.rand(outputs, inputs, generator=generator) * 2 - 1) * bound)
        layer.bias.zero_()
    return layer


def perceptron(
    inputs: int, hidden: Sequence[int], outputs: int, activation: str, generator: torch.Generator
) -> nn.Sequential:
    """A multilayer perceptron `(..., inputs) -> (..., outputs)`; no hidden layer: one linear map.

    The activation stands after each hidden layer, not after the last.
    """
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [linear(inputs, width, generator), ACTIVATIONS[activation]()]
        inputs = width
    return nn.Sequential(*layers, linear(inputs, outputs, generator, last=True))


class Conditional(nn.Module):
    """A perceptron of numbers and classes whose first layer is linear in all of them.

    W_x x + sum of a row of each class's table + b: so a sum over classes pays for W_x x once a
    pixel, not once a pixel and class. There need be neither numbers nor classes.
    """

    def __init__(
        self,
        inputs: int,
        classes: Sequence[int],
        hidden: Sequence[int],
        outputs: int,
        activation: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        first = hidden[0] if hidden else outputs
        self.from_x = linear(inputs, first, generator, last=not hidden) if inputs else None
        self.bias = None if inputs else nn.Parameter(torch.zeros(first))
        self.tables = nn.ParameterList()
        for count in classes:
            bound = math.sqrt(6 / (count + first))
            self.tables.append((torch.rand(count, first, generator=generator) * 2 - 1) * bound)
        self.rest = (
            nn.Sequential(
                ACTIVATIONS[activation](),
                *perceptron(first, hidden[1:], outputs, activation, generator),
            )
            if hidden
            else nn.Sequential()
        )

    def forward(self, x: Tensor | None, *classes: Tensor) -> Tensor:
        """Outputs `(..., outputs)` of `x (..., inputs)` and classes `(...)`, broadcast."""
        out: Tensor = self.bias if self.from_x is None else self.from_x(x)  # type: ignore[assignment]
        for table, y in zip(self.tables, classes, strict=True):
            out = out + F.embedding(y, table)
        found: Tensor = self.rest(out)
        return found


def gaussian_head(out: Tensor) -> tuple[Tensor, Tensor]:
    """Split `(..., 2 J)` into a mean and a bounded log-variance, `(..., J)` each."""
    mean, logvar = out.chunk(2, dim=-1)
    return mean, logvar.clamp(LOGVAR_LOW, LOGVAR_HIGH)


def sample_gaussian(mean: Tensor, logvar: Tensor, generator: torch.Generator) -> Tensor:
    """One reparametrised sample mean + sigma * eps, of the shape of `mean`."""
    eps = drawn(torch.randn, mean.shape, generator, device=mean.device, dtype=mean.dtype)
    return mean + torch.exp(0.5 * logvar) * eps
