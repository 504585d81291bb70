"""Several label sets at once: one code, a head a label set (Caruana 1997)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.classifiers.base import Batch, ClassifierModel, Costs, cross_entropy
from hsi_ssl.models.networks import ACTIVATIONS, Architecture, perceptron


@dataclass(frozen=True)
class MultiTaskArchitecture(Architecture):
    """Widths of inputs, of hidden layers and of the code z that all heads read."""

    width: int
    counts: tuple[int, ...]
    latent: int
    hidden: tuple[int, ...]
    activation: str


class MultiTask(ClassifierModel):
    """min of the sum over label sets t and pixels i labelled in t of L(y^_t(z(x_i)), y_ti).

    z is one perceptron of x, y^_t a softmax that is linear in z, L the cross-entropy; of each
    set's pixels the mean is taken. A pixel need not have a label of every set: what one set's
    labels teach z is there for the others.
    """

    title = "multi-task perceptron"
    in_words = "cross-entropy of q(y|x) on labelled pixels, summed over label sets"
    architecture_type = MultiTaskArchitecture
    several = True

    def __init__(self, architecture: MultiTaskArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        network = perceptron(a.width, a.hidden, a.latent, a.activation, generator)
        self.code = nn.Sequential(*network, ACTIVATIONS[a.activation]())
        self.heads = nn.ModuleList(
            perceptron(a.latent, (), count, a.activation, generator) for count in a.counts
        )

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x) `(N, K)` of the first label set."""
        return self.log_q_each(x)[0]

    def log_q_each(self, x: Tensor) -> list[Tensor]:
        """log q(y|x) `(N, K)` of each label set, of inputs `(N, D)`."""
        z = self.code(x)
        return [torch.log_softmax(head(z), dim=-1) for head in self.heads]

    def cost(self, batch: Batch, generator: torch.Generator) -> Costs:
        """The sum, and each label set's part of it."""
        del generator
        pairs = zip(self.log_q_each(batch.x), batch.y.T, strict=True)
        costs = [cross_entropy(log_q, y) for log_q, y in pairs]
        terms = {f"cross_entropy_{t}": cost for t, cost in enumerate(costs)}
        return Costs(torch.stack(costs).sum(), terms)
