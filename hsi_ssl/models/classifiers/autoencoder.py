"""Auto-encoder and classifier, trained jointly (Ranzato and Szummer 2008; Rasmus et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.classifiers.base import (
    Batch,
    ClassifierModel,
    Costs,
    Findings,
    cross_entropy,
)
from hsi_ssl.models.moving import exact
from hsi_ssl.models.networks import Architecture, perceptron


@dataclass(frozen=True)
class JointArchitecture(Architecture):
    """Widths of inputs, codes and hidden layers; `weight`: lambda, of the labels."""

    width: int
    counts: tuple[int, ...]
    latent: int
    hidden: tuple[int, ...]
    activation: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"weight is 0 or more, not {self.weight:g}")


class JointAutoencoder(ClassifierModel):
    """min of sum_all |g(f(x)) - x|^2 / 2 + lambda sum_labelled L(y^(f(x)), y).

    f encodes, g decodes, y^ is a softmax that is linear in the code, L the cross-entropy. Both sums
    are taken as means here, so that lambda does not depend on how many pixels have a label. What
    all pixels are made of again from is thus what labels are told by: unlabelled pixels say which
    directions of spectra there are, labels which of them matter.
    """

    title = "auto-encoder with classifier"
    in_words = (
        "mean of |g(f(x)) - x|^2 / 2 over all pixels plus weight times the mean cross-entropy of "
        "q(y|f(x)) over labelled ones"
    )
    architecture_type = JointArchitecture

    def __init__(self, architecture: JointArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        self.encoder = perceptron(a.width, a.hidden, a.latent, a.activation, generator)
        self.decoder = perceptron(a.latent, a.hidden[::-1], a.width, a.activation, generator)
        self.head = perceptron(a.latent, (), a.counts[0], a.activation, generator)

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|f(x)) `(N, K)` of inputs `(N, D)`."""
        return torch.log_softmax(self.head(self.encoder(x)), dim=-1)

    def reconstruction(self, x: Tensor) -> Tensor:
        """g(f(x)) `(N, D)`."""
        found: Tensor = self.decoder(self.encoder(x))
        return found

    def cost(self, batch: Batch, generator: torch.Generator) -> Costs:
        """Both terms."""
        del generator
        error = 0.5 * (self.reconstruction(batch.every) - batch.every).square().sum(-1).mean()
        of_labels = cross_entropy(self.log_q_y(batch.x), batch.y[:, 0])
        total = error + self.architecture.weight * of_labels
        return Costs(total, {"reconstruction": error, "cross_entropy": of_labels})

    def shown(self, measured: Tensor, generator: torch.Generator) -> Tensor:
        """What it makes of measured inputs."""
        del generator
        return self.reconstruction(measured)

    def findings(self, every: Tensor, generator: torch.Generator) -> Findings:
        """How much of the inputs' variance the codes keep."""
        del generator
        lost = exact(self.reconstruction(every) - every).square().sum()
        total = exact(every - every.mean(0)).square().sum()
        kept = 1 - float(lost / total) if total > 0 else 1.0
        said = f"codes keep {kept:.1%} of the inputs' variance"
        return Findings({"explained_variance": kept}, [said])
