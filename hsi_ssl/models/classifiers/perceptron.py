"""A multilayer perceptron that learns from labelled pixels alone (Rumelhart et al. 1986)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hsi_ssl.models.classifiers.base import Batch, ClassifierModel, Costs, cross_entropy
from hsi_ssl.models.networks import Architecture, perceptron


@dataclass(frozen=True)
class PerceptronArchitecture(Architecture):
    """Width of inputs, classes, hidden layers; no hidden layer: logistic regression."""

    width: int
    counts: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: str


class Perceptron(ClassifierModel):
    """min over w of the mean of -log softmax(b(x, w))_y over labelled pixels."""

    title = "perceptron"
    in_words = "cross-entropy of q(y|x) on labelled pixels"
    architecture_type: ClassVar[type[Architecture]] = PerceptronArchitecture

    def __init__(self, architecture: Architecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = self.architecture
        self.network = perceptron(a.width, a.hidden, a.counts[0], a.activation, generator)

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x) `(N, K)` of inputs `(N, D)`."""
        return torch.log_softmax(self.network(x), dim=-1)

    def cost(self, batch: Batch, generator: torch.Generator) -> Costs:
        """Mean cross-entropy."""
        del generator
        found = cross_entropy(self.log_q_y(batch.x), batch.y[:, 0])
        return Costs(found, {"cross_entropy": found})
