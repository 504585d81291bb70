"""M1, the latent-feature model: a variational auto-encoder of spectra.

Kingma et al. 2014 (arXiv:1406.5298), section 2:

p(z) = N(0, I)        prior of the latent units         `kl_per_unit`
p_theta(x | z)        decoder and likelihood            `decoder`, `likelihood`
q_phi(z | x)          encoder: mean and log-variance    `encode`
-J(x)                 bound on log p(x)                 `cost`
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.bounds import cost_j, kl_per_unit
from hsi_ssl.models.draws import drawn
from hsi_ssl.models.extractors.base import BLOCK, FeatureExtractor, LatentUse
from hsi_ssl.models.likelihoods import check_unit_interval, make_likelihood
from hsi_ssl.models.networks import Architecture, gaussian_head, perceptron, sample_gaussian

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
    """The model: encoder q(z|x), decoder and likelihood p(x|z)."""

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

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(N, J)` of q(z|x), of `x (N, D)`."""
        return gaussian_head(self.encoder(x))

    def mean_layers(self, kept: Tensor) -> list[nn.Module]:
        """The encoder, of whose last layer only the means of the units `kept` stay."""
        *layers, last = self.encoder
        assert isinstance(last, nn.Linear)
        of_kept = nn.Linear(last.in_features, len(kept), device=last.weight.device)
        with torch.no_grad():
            of_kept.weight.copy_(last.weight[kept])
            of_kept.bias.copy_(last.bias[kept])
        return [*layers, of_kept]

    def decode(self, z: Tensor) -> Tensor:
        """Mean `(..., D)` of p(x|z), of `z (..., J)`."""
        return self.likelihood.mean(self.decoder(z))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) `(N,)` of scaled spectra `(N, D)` and latent units `(N, J)`."""
        return self.likelihood.log_density(x, self.decoder(z))

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
        return LatentUse(variance, active, tuple((kl / len(x)).tolist()))
