"""Semi-supervised GAN with K + 1 outputs and feature matching (Salimans et al. 2016, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.models.classifiers.base import (
    Batch,
    ClassifierModel,
    Costs,
    Findings,
    Move,
    cross_entropy,
)
from hsi_ssl.models.draws import drawn
from hsi_ssl.models.moving import exact
from hsi_ssl.models.networks import ACTIVATIONS, Architecture, perceptron

LEAST_VARIANCE = 0.05
"""Of generated inputs, as a share of measured ones': below it the generator has collapsed."""
TELLS_ALL = 0.999
"""Share of measured and generated inputs that the discriminator tells apart: it has then won."""
GENERATED = 4096
"""Inputs that are generated to judge the generator by."""


@dataclass(frozen=True)
class GANArchitecture(Architecture):
    """Widths of inputs, of z and of hidden layers, in both networks.

    `noise`: standard deviation of what is added to the discriminator's features while it learns;
    `weight`: of the unlabelled term.
    """

    width: int
    counts: tuple[int, ...]
    latent: int
    hidden: tuple[int, ...]
    activation: str
    noise: float = 0.5
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.hidden:
            raise ValueError("features to match need a hidden layer (--hidden)")
        if self.noise < 0 or self.weight < 0:
            raise ValueError("noise and weight are 0 or more")


class GAN(ClassifierModel):
    """A discriminator that tells K classes and generated inputs apart, and a generator.

    With l(x) `(K,)` the discriminator's outputs, that of the class "generated" being 0, and
    Z(x) = sum_k exp l_k(x), an input is measured with probability D(x) = Z / (Z + 1). Turn by turn

    discriminator: min -E_labelled[log softmax(l(x))_y] - weight (E[log D(x)] + E[log(1 - D(G(z)))])
    generator: min |E[h(x)] - E[h(G(z))]|^2, h being the discriminator's last hidden layer

    with z from N(0, I). At the optimum of the first, l tells classes where D tells that there are
    inputs at all, and boundaries lie where there are none.
    """

    title = "GAN"
    in_words = (
        "discriminator: cross-entropy of q(y|x) on labelled pixels less weight times "
        "E[log D(x)] + E[log(1 - D(G(z)))]; generator: feature matching"
    )
    architecture_type = GANArchitecture
    mean: Tensor
    sd: Tensor

    def __init__(self, architecture: GANArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        *before, last = a.hidden
        body = perceptron(a.width, before, last, a.activation, generator)
        self.body = nn.Sequential(*body, ACTIVATIONS[a.activation]())
        self.head = perceptron(last, (), a.counts[0], a.activation, generator)
        self.made = perceptron(a.latent, a.hidden, a.width, a.activation, generator)
        self.register_buffer("mean", torch.zeros(a.width))
        self.register_buffer("sd", torch.ones(a.width))

    def start(self, every: Tensor) -> None:
        """Mean and spread of inputs, which the generator starts from."""
        self.mean.copy_(every.mean(0))
        self.sd.copy_(every.std(0, correction=0))

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x) `(N, K)` of inputs `(N, D)`, given that they are measured."""
        return torch.log_softmax(self.head(self.body(x)), dim=-1)

    def log_odds(self, h: Tensor) -> Tensor:
        """log D / (1 - D) = log Z `(N,)` of features `(N, H)`."""
        return torch.logsumexp(self.head(h), dim=-1)

    def generate(self, n: int, generator: torch.Generator) -> Tensor:
        """G(z) `(n, D)` of draws of z."""
        like = self.mean
        shape = n, self.architecture.latent
        z = drawn(torch.randn, shape, generator, device=like.device, dtype=like.dtype)
        found: Tensor = self.mean + self.sd * self.made(z)
        return found

    def moves(self) -> Sequence[Move]:
        """The discriminator's, then the generator's."""
        of_d = [*self.body.parameters(), *self.head.parameters()]
        return [
            Move(of_d, self.cost_of_discriminator),
            Move(list(self.made.parameters()), self.cost_of_generator),
        ]

    def cost_of_discriminator(self, batch: Batch, generator: torch.Generator) -> Costs:
        """Labels, and what is measured and what is not."""
        with torch.no_grad():
            fake = self.generate(len(batch.every), generator)
        n, m = len(batch.x), len(batch.every)
        h = self._noisy(self.body(torch.cat([batch.x, batch.every, fake])), generator)
        log_q = torch.log_softmax(self.head(h[:n]), dim=-1)
        of_labels = cross_entropy(log_q, batch.y[:, 0])
        measured = -F.logsigmoid(self.log_odds(h[n : n + m])).mean()
        made = -F.logsigmoid(-self.log_odds(h[n + m :])).mean()
        total = of_labels + self.architecture.weight * (measured + made)
        terms = {"cross_entropy": of_labels, "measured": measured, "generated": made}
        return Costs(total, terms)

    def cost_of_generator(self, batch: Batch, generator: torch.Generator) -> Costs:
        """Feature matching."""
        with torch.no_grad():
            wanted = self.body(batch.every).mean(0)
        found = self.body(self.generate(len(batch.every), generator)).mean(0)
        cost = (found - wanted).square().sum()
        return Costs(cost, {"feature_matching": cost})

    def _noisy(self, h: Tensor, generator: torch.Generator) -> Tensor:
        if not self.training or not self.architecture.noise:
            return h
        eps = drawn(torch.randn, h.shape, generator, device=h.device, dtype=h.dtype)
        return h + float(self.architecture.noise) * eps

    def shown(self, measured: Tensor, generator: torch.Generator) -> Tensor:
        """Generated inputs, as many."""
        return self.generate(len(measured), generator)

    def findings(self, every: Tensor, generator: torch.Generator) -> Findings:
        """How the two ended: variance, and who wins."""
        made = self.generate(GENERATED, generator)
        share = float(made.var(0).sum() / every.var(0).sum().clamp(min=1e-12))
        seen, mistaken = (
            float(exact(self.log_odds(self.body(x)) > 0).mean()) for x in (every, made)
        )
        told = 0.5 * (seen + 1 - mistaken)
        covered = len(self.log_q_y(made).argmax(-1).unique())
        classes = self.counts[0]
        said = (
            f"generated inputs vary {share:.0%} as much as measured ones and cover {covered} of "
            f"{classes} classes; the discriminator tells {told:.1%} of both apart"
        )
        warnings = []
        if share < LEAST_VARIANCE or covered < min(2, classes):
            warnings.append(
                f"the generator has collapsed: it makes (nearly) one spectrum, {share:.1%} of the "
                f"measured variance, {covered} of {classes} classes; a lower learning rate, more "
                "noise (--option noise=1) or less patience may do better"
            )
        if told > TELLS_ALL:
            warnings.append(
                "the discriminator tells every generated spectrum from measured ones: unlabelled "
                "pixels have taught it next to nothing; more noise or a smaller network may help"
            )
        metrics = {"generated_variance": share, "classes_covered": covered, "told_apart": told}
        return Findings(metrics, [said], warnings)
