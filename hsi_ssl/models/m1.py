"""M1, the latent-feature model: a variational auto-encoder of spectra.

Kingma et al. 2014 (arXiv:1406.5298), section 2:

p(z) = N(0, I)        prior of the latent units         `kl_per_unit`
p_theta(x | z)        decoder and likelihood            `decoder`, `likelihood`
q_phi(z | x)          encoder: mean and log-variance    `encode`
-J(x)                 bound on log p(x)                 `cost`

Encoder and decoder are each a linear part and a network. With the Gaussian likelihood the linear
parts are those of factor analysis on all spectra, in closed form, and the networks begin at 0 and
learn what is left, in units of the noise: so training begins at the best bound of any linear model,
where one from random weights takes hundreds of epochs to get to. Otherwise they are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.bounds import cost_j, kl_per_unit
from hsi_ssl.models.draws import drawn
from hsi_ssl.models.extractors.base import BLOCK, FeatureExtractor, LatentUse
from hsi_ssl.models.factor_analysis import factors, moments
from hsi_ssl.models.likelihoods import Gaussian, check_unit_interval, make_likelihood
from hsi_ssl.models.networks import (
    Affine,
    Architecture,
    Sum,
    gaussian_head,
    perceptron,
    sample_gaussian,
)

LEAST_EXCESS = 1e-3
"""Of the noise's variance: what a band's may exceed it by at first, so that it can be learnt."""
ACTIVE_VARIANCE = 0.01
"""A unit is active when its posterior mean varies more than this over the data (Burda 2015)."""


@dataclass(frozen=True)
class M1Architecture(Architecture):
    """What rebuilds an M1: widths of x and z, hidden layers, likelihood and its floor."""

    width: int
    latent: int
    hidden: tuple[int, ...]
    activation: str
    likelihood: str
    sd_floor: float | tuple[float, ...]


class M1(FeatureExtractor):
    """The model: encoder q(z|x), decoder and likelihood p(x|z).

    The mean of q(z|x) is `to_z`(x) + exp(`logvar` / 2) `encoder`(x), its log-variance `logvar` +
    `encoder`(x), each with its half of what that gives; the likelihood takes `to_x`(z) + `unit`
    `decoder`(z).
    """

    logvar: Tensor
    unit: Tensor

    title = "M1"
    architecture_type = M1Architecture
    bound_name = "bound"
    distributions = True
    generates = True

    def __init__(self, architecture: M1Architecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        self.encoder = perceptron(a.width, a.hidden, 2 * a.latent, a.activation, generator)
        self.decoder = perceptron(a.latent, a.hidden[::-1], a.width, a.activation, generator)
        self.likelihood = make_likelihood(a.likelihood, a.width, a.sd_floor)
        self.to_z, self.to_x = Affine(a.width, a.latent), Affine(a.latent, a.width)
        self.register_buffer("logvar", torch.zeros(a.latent))
        self.register_buffer("unit", torch.ones(a.width))

    @torch.no_grad()
    def begin(self, blocks: Iterable[Tensor]) -> bool:
        """The best linear model of spectra that come in blocks `(n, D)`, networks at 0."""
        if not isinstance(self.likelihood, Gaussian):
            return False
        floor = self.likelihood.sd_floor.cpu().double()
        found = factors(*moments(blocks), floor, self.units)
        self.to_z.fill(found.projection, -(found.projection @ found.mean))
        self.to_x.fill(found.loadings, found.mean)
        self.logvar.copy_(-found.precision.log())
        self.unit.copy_(found.noise_sd)
        excess = torch.maximum(found.noise_sd**2 - floor**2, LEAST_EXCESS * floor**2)
        self.likelihood.log_excess.copy_(excess.log())
        for network in (self.encoder, self.decoder):
            for parameter in network[-1].parameters():
                parameter.zero_()
        return True

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(N, J)` of q(z|x), of `x (N, D)`."""
        mean, logvar = gaussian_head(self.encoder(x))
        return self.to_z(x) + torch.exp(0.5 * self.logvar) * mean, self.logvar + logvar

    def mean_layers(self, kept: Tensor) -> list[nn.Module]:
        """Both parts of the encoder, of which only the means of the units `kept` stay."""
        *layers, last = self.encoder
        assert isinstance(last, nn.Linear)
        sd = torch.exp(0.5 * self.logvar[kept])
        network = nn.Sequential(
            *layers, Affine.of(sd[:, None] * last.weight[kept], sd * last.bias[kept])
        )
        return [Sum(Affine.of(self.to_z.weight[kept], self.to_z.bias[kept]), network)]

    def output(self, z: Tensor) -> Tensor:
        """What the likelihood takes `(..., D)`, of `z (..., J)`."""
        found: Tensor = self.to_x(z) + self.unit * self.decoder(z)
        return found

    def decode(self, z: Tensor) -> Tensor:
        """Mean `(..., D)` of p(x|z), of `z (..., J)`."""
        return self.likelihood.mean(self.output(z))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) `(N,)` of scaled spectra `(N, D)` and latent units `(N, J)`."""
        return self.likelihood.log_density(x, self.output(z))

    def measured(self, mean: Tensor, eps: Tensor) -> Tensor:
        """What might be measured around spectra `mean (..., D)`, by draws `eps` of N(0, I)."""
        return self.likelihood.measured(mean, eps)

    def cost(self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0) -> Tensor:
        """J(x) `(N,)` with one sample of z a pixel."""
        mean, logvar = self.encode(x)
        z = sample_gaussian(mean, logvar, generator)
        log_p_x = self.log_likelihood(x, z)
        return cost_j(log_p_x, kl_per_unit(mean, logvar).sum(-1), kl_weight)

    def check(self, x: Tensor, scaling: str) -> None:
        """Refuse spectra outside [0, 1] for a likelihood that is one on [0, 1].

        Raises
        ------
        ModelError
            Naming the range found and the scalings that suit.
        """
        if self.likelihood.in_unit_interval:
            check_unit_interval(x, f"the {self.architecture.likelihood} likelihood", scaling)

    def shown(self, measured: Tensor, generator: torch.Generator) -> Tensor:
        """Spectra decoded from draws of the prior p(z)."""
        shape = len(measured), self.units
        z = drawn(torch.randn, shape, generator, device=measured.device)
        return self.decode(z)

    @torch.no_grad()
    def use(self, x: Tensor) -> LatentUse:
        """How much of its latent units it uses over the spectra `x (N, D)`."""
        means, kl = [], torch.zeros(self.units, device=x.device)
        for some in torch.split(x, BLOCK):
            mean, logvar = self.encode(some)
            means.append(mean)
            kl += kl_per_unit(mean, logvar).sum(0)
        variance = tuple(torch.cat(means).var(0, unbiased=False).tolist())
        active = sum(v > ACTIVE_VARIANCE for v in variance)
        return LatentUse(variance, active, tuple((kl / len(x)).tolist()), x.shape[1])
