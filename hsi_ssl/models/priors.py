"""p(z|y), the prior of the latent units: N(0, I) in M2, a Gaussian a class in GM-DGM.

A prior is used through one map: `whitened` takes N(mean, exp(logvar)) to the units in which p(z|y)
is N(0, I). The KL divergence and every ratio of the two densities stay what they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsi_ssl.models.networks import LOGVAR_HIGH, LOGVAR_LOW


class StandardNormal(nn.Module):
    """p(z|y) = N(0, I) for every class."""

    def whitened(self, mean: Tensor, logvar: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """What it is given: `mean` and `logvar (..., J)`."""
        del y
        return mean, logvar

    def from_standard(self, eps: Tensor, y: Tensor) -> Tensor:
        """Samples `(N, J)` of p(z|y) from draws of N(0, I)."""
        del y
        return eps


class GaussianPerClass(nn.Module):
    """p(z|y) = N(mu(y), diag sigma^2(y)), both learnt (Willetts et al. 2018)."""

    def __init__(self, classes: int, latent: int, generator: torch.Generator) -> None:
        """Means are drawn from N(0, I), so that no two classes start the same; variances are 1."""
        super().__init__()
        self.mean = nn.Parameter(torch.randn(classes, latent, generator=generator))
        self.log_spread = nn.Parameter(torch.zeros(classes, latent))

    @property
    def logvar(self) -> Tensor:
        """log sigma^2 `(K, J)`, bounded."""
        return self.log_spread.clamp(LOGVAR_LOW, LOGVAR_HIGH)

    def whitened(self, mean: Tensor, logvar: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """`mean` and `logvar (..., J)` in units of p(z|y); `y` indexes classes, shape `(...)`."""
        of_prior = self.logvar[y]
        return (mean - self.mean[y]) * torch.exp(-0.5 * of_prior), logvar - of_prior

    def from_standard(self, eps: Tensor, y: Tensor) -> Tensor:
        """Samples `(N, J)` of p(z|y) from draws of N(0, I)."""
        return self.mean[y] + torch.exp(0.5 * self.logvar[y]) * eps


Prior = StandardNormal | GaussianPerClass
