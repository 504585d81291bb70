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
from hsi_ssl.models.likelihoods import make_likelihood
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


class M1(nn.Module):
    """The model: encoder q(z|x), decoder and likelihood p(x|z)."""

    def __init__(self, architecture: M1Architecture, generator: torch.Generator) -> None:
        super().__init__()
        a = architecture
        self.architecture = a
        self.encoder = perceptron(a.width, a.hidden, 2 * a.latent, a.activation, generator)
        self.decoder = perceptron(a.latent, a.hidden[::-1], a.width, a.activation, generator)
        self.likelihood = make_likelihood(a.likelihood, a.width, a.sd_floor)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(N, J)` of q(z|x), of `x (N, D)`."""
        return gaussian_head(self.encoder(x))

    def decode(self, z: Tensor) -> Tensor:
        """Mean `(..., D)` of p(x|z), of `z (..., J)`."""
        return self.likelihood.mean(self.decoder(z))

    def cost(self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0) -> Tensor:
        """J(x) `(N,)` with one sample of z a pixel."""
        mean, logvar = self.encode(x)
        z = sample_gaussian(mean, logvar, generator)
        log_p_x = self.likelihood.log_density(x, self.decoder(z))
        return cost_j(log_p_x, kl_per_unit(mean, logvar).sum(-1), kl_weight)


@dataclass(frozen=True)
class LatentUse:
    """How much of its latent space an M1 uses.

    `kl`: mean KL of each unit in nats; `variance`: variance over the data of its posterior mean.
    """

    kl: tuple[float, ...]
    variance: tuple[float, ...]

    @property
    def active(self) -> int:
        """Number of units whose posterior mean varies by more than 0.01 (Burda et al. 2015)."""
        return sum(v > ACTIVE_VARIANCE for v in self.variance)

    def in_words(self) -> str:
        """One sentence for the user; see `collapsed`."""
        total = sum(self.kl)
        return f"{self.active} of {len(self.kl)} latent units are active, KL {total:.1f} nats"

    @property
    def collapsed(self) -> bool:
        """Fewer than three active units, or under 5 % of them: features are (nearly) useless."""
        return self.active < max(3, 0.05 * len(self.kl))


@torch.no_grad()
def latent_use(m1: M1, x: Tensor, batch: int = 8192) -> LatentUse:
    """Measure the use of each latent unit over the spectra `x (N, D)`."""
    means, kl = [], torch.zeros(m1.architecture.latent, device=x.device)
    for some in torch.split(x, batch):
        mean, logvar = m1.encode(some)
        means.append(mean)
        kl += kl_per_unit(mean, logvar).sum(0)
    variance = torch.cat(means).var(0, unbiased=False)
    return LatentUse(tuple((kl / len(x)).tolist()), tuple(variance.tolist()))
