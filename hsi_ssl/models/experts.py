"""q(y|x) as a product of experts, each of which sees the columns of x at another spread.

Hinton 2002, "Training products of experts by minimizing contrastive divergence":

    q(y|x)  proportional to  product over experts e of q_e(y | g_e x)^(w_e),

g_e being fixed gains, one a column, and the weights w_e summing to 1. Each expert is a network of
its own, trained by itself; one expert with gains of 1 is a plain network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hsi_ssl.models.networks import perceptron


class Experts(nn.Module):
    """Networks that vote on the class of a pixel by the weighted mean of their log q_e(y|x)."""

    gain: Tensor
    weight: Tensor

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        classes: int,
        activation: str,
        generator: torch.Generator,
        experts: int = 1,
    ) -> None:
        """Gains of 1 and equal weights, until they are set: `gain (E, D)`, `weight (E,)`."""
        super().__init__()
        self.networks = nn.ModuleList(
            perceptron(inputs, hidden, classes, activation, generator) for _ in range(experts)
        )
        self.register_buffer("gain", torch.ones(experts, inputs))
        self.register_buffer("weight", torch.full((experts,), 1 / experts))

    def __len__(self) -> int:
        return len(self.networks)

    def each(self, x: Tensor) -> Tensor:
        """log q_e(y|x) `(E, N, K)` of inputs `(N, D)`, or `(E, N, D)` where each has its own."""
        return torch.log_softmax(self._logits(x), dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        """log q(y|x) `(N, K)` of inputs `(N, D)`."""
        if len(self) == 1:
            return torch.log_softmax(self._logits(x)[0], dim=-1)
        return torch.log_softmax(torch.tensordot(self.weight, self.each(x), dims=1), dim=-1)

    def _logits(self, x: Tensor) -> Tensor:
        seen = x * self.gain[:, None]
        return torch.stack([network(s) for network, s in zip(self.networks, seen, strict=True)])
