"""Factor analysis in closed form: the best that a linear M1 can be, from a mean and a covariance.

x = W z + m + e, z ~ N(0, I), e ~ N(0, diag(s^2)): p(x) is a Gaussian, and a linear q(z|x) exact.
For given noise s the best W are the leading eigenvectors of the covariance in units of the noise,
each as long as its variance exceeds the noise's (Lawley 1940; Tipping and Bishop 1999, section
3.2); the noise is then what W leaves of each band's variance, never below its floor. A linear VAE
has no other optimum (Lucas et al. 2019, arXiv:1911.02469).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

ROUNDS, WORK = (20, 1000), 3e7
"""Loadings and noise are found in turn, that often at least and at most, in between as the work
of each allows, columns cubed. With as many units as columns one round is all it takes."""
SETTLED = 1e-6
"""A round that moves no noise by more than this share of it is the last."""


class Factors(NamedTuple):
    """A linear model of x `(D,)` by z `(J,)`, float64.

    `mean (D,)`, `loadings (D, J)`, `noise_sd (D,)`; `precision (J,)`: of q(z|x), which is
    N((W / precision)' (x - mean) / noise_sd^2, 1 / precision): columns of W are at right angles in
    units of the noise.
    """

    mean: Tensor
    loadings: Tensor
    noise_sd: Tensor
    precision: Tensor

    @property
    def projection(self) -> Tensor:
        """What q(z|x) multiplies x - mean by, `(J, D)`."""
        return (self.loadings / self.precision / (self.noise_sd**2)[:, None]).T


def moments(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean `(D,)` and covariance `(D, D)` in float64 of rows that come in blocks `(n, D)`.

    Each block is added about its own mean (Chan et al. 1983), so that nothing cancels.
    """
    count, mean, scatter = 0, torch.zeros(()), torch.zeros(())
    for block in blocks:
        rows = block.cpu().double()
        own, n = rows.mean(0), len(rows)
        apart, rows = own - mean, rows - own
        scatter = scatter + rows.T @ rows + torch.outer(apart, apart) * (count * n / (count + n))
        mean = mean + apart * (n / (count + n))
        count += n
    return mean, scatter / max(1, count)


def leading(covariance: Tensor, noise_sd: Tensor, units: int) -> tuple[Tensor, Tensor]:
    """The best W `(..., D, J)` for given noise `(D,)`, and the precision of q(z|x) `(..., J)`.

    Of `covariance (..., D, D)`, by its leading eigenvectors in units of the noise; J is `units` or
    D, whichever is less. What does not stand out of the noise has loadings of 0 and precision 1.
    """
    values, vectors = torch.linalg.eigh(covariance / torch.outer(noise_sd, noise_sd))
    precision = values.flip(-1)[..., :units].clamp_min(1)
    stretched = vectors.flip(-1)[..., :units] * (precision - 1).sqrt()[..., None, :]
    return noise_sd[:, None] * stretched, precision


def factors(mean: Tensor, covariance: Tensor, floor: Tensor, units: int) -> Factors:
    """The factors of largest likelihood: `units` of them, noise not below `floor (D,)`.

    Units beyond what stands out of the noise have loadings of 0 and precision 1.
    """
    width, floor = len(mean), floor.double()
    loadings, precision = torch.zeros(width, units).double(), torch.ones(units).double()
    noise, some = floor, min(units, width)
    for _ in range(int(np.clip(WORK / width**3, *ROUNDS))):
        loadings[:, :some], precision[:some] = leading(covariance, noise, units)
        left = (covariance.diagonal() - loadings.square().sum(1)).clamp_min(0).sqrt()
        before, noise = noise, torch.maximum(left, floor)
        if ((noise - before).abs() <= SETTLED * noise).all():
            break
    return Factors(mean, loadings, before, precision)
