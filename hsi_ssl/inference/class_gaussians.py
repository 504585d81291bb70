"""What the labels say of each class, as one Gaussian a class: the plainest p(x|y) there is.

It has seen labelled pixels alone. The generative part has also seen the pool, in which a material
that nobody labelled may well lie, and explains that too; this does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from hsi_ssl.models.likelihoods import LOG_2_PI

COMPONENTS = 64
"""Leading principal components, at most, in which the Gaussians stand: a covariance a class of a
picture's 784 pixels would outweigh the model."""
PRIOR_PIXELS = 2.0
"""Times the number of components: how many pixels the common covariance counts as."""
SMALLEST_SHARE = 1e-6
"""Of the mean variance, added to each: a band that never varies must not be infinitely telling."""


@dataclass(frozen=True)
class ClassGaussians:
    """N(mean_y, covariance_y) of each class, each class as probable as the others.

    `centre (D,)`, `axes (D, C)`: from x to components; `mean (K, C)`; `whiten (K, C, C)`:
    (x - mean) @ whiten has covariance I, and noise in it the covariance diag(`noise (K, C)`) times
    a pixel's `loudness`. `usual (K,)`: the mean loudness of the class's pixels, which its
    covariance holds already; `log_scale (K,)`: ln |det whiten|.
    """

    centre: Tensor
    axes: Tensor
    mean: Tensor
    whiten: Tensor
    noise: Tensor
    usual: Tensor
    log_scale: Tensor

    @classmethod
    def fit(
        cls, x: Tensor, y: Tensor, noise: Tensor | None = None, loudness: Tensor | None = None
    ) -> Self:
        """From labelled `x (n, D)` with classes `y (n,)`.

        A class's covariance is drawn towards that within all classes, and that towards the bands'
        variances, the more the fewer pixels it is measured on (Friedman 1989, "Regularized
        discriminant analysis").

        `noise (D,)`: the variance of x's noise at loudness 1; `loudness (n,)`: how many times that
        variance a pixel's noise has. None: all pixels are equally noisy.
        """
        x = x.double()
        centre = x.mean(0)
        total = torch.atleast_2d(torch.cov(x.T, correction=0))  # of one band it is a number
        axes = torch.linalg.eigh(total)[1].flip(1)[:, :COMPONENTS]
        found = (x - centre) @ axes
        width = axes.shape[1]
        floor = SMALLEST_SHARE * total.diagonal().mean().clamp(min=1e-12) * torch.eye(width)
        present, y = y.unique(return_inverse=True)
        classes = range(len(present))
        mean = torch.stack([found[y == k].mean(0) for k in classes])
        inner = found - mean[y]
        spread = torch.diag(found.var(0, unbiased=False))
        within = _drawn(inner.T @ inner / len(x), spread, len(x) - len(present))
        of_noise = torch.zeros(x.shape[1]) if noise is None else noise
        by_axis = axes.T @ (of_noise.double()[:, None] * axes)
        loud = torch.ones(len(x)) if loudness is None else loudness
        factors, noises, scales = [], [], []
        for k in classes:
            own = inner[y == k]
            covariance = _drawn(own.T @ own / len(own), within, len(own) - 1) + floor
            factor = torch.linalg.cholesky(torch.linalg.inv(covariance))
            # Turned so that noise is diagonal in it, a pixel's own costs a division.
            of_factor, turn = torch.linalg.eigh(factor.T @ by_axis @ factor)
            factors.append(factor @ turn)
            noises.append(of_factor.clamp(min=0))
            scales.append(factor.diagonal().log().sum())
        whiten, noise_kept, log_scale = (torch.stack(t) for t in (factors, noises, scales))
        usual = torch.stack([loud[y == k].double().mean() for k in classes])
        parts = (centre, axes, mean, whiten, noise_kept, usual, log_scale)
        return cls(*(t.float() for t in parts))

    @classmethod
    def equally_noisy(cls, centre: Tensor, axes: Tensor, mean: Tensor, whiten: Tensor) -> Self:
        """Of triangular `whiten`: what runs kept before noise was told pixel by pixel."""
        log_scale = whiten.diagonal(dim1=1, dim2=2).log().sum(-1)
        noise, usual = torch.zeros_like(mean), torch.ones_like(log_scale)
        return cls(centre, axes, mean, whiten, noise, usual, log_scale)

    def log_density(self, x: Tensor, loudness: Tensor | None = None) -> Tensor:
        """log p(x) `(N,)` of `x (N, D)`; a pixel of greater loudness `(N,)` may lie farther off."""
        found = (x - self.centre) @ self.axes
        away = ((found - self.mean[:, None]) @ self.whiten).square()  # (K, N, C)
        if loudness is None:
            log_p = -0.5 * away.sum(-1)
        else:
            more = (loudness - self.usual[:, None]).clamp(min=0)
            variance = 1 + more[..., None] * self.noise[:, None]
            log_p = -0.5 * (away / variance + variance.log()).sum(-1)
        log_p = log_p + self.log_scale[:, None] - 0.5 * self.mean.shape[1] * LOG_2_PI
        return torch.logsumexp(log_p, 0) - math.log(len(self.mean))

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def _drawn(covariance: Tensor, towards: Tensor, pixels: int) -> Tensor:
    share = max(0, pixels) / (max(0, pixels) + PRIOR_PIXELS * len(covariance))
    return share * covariance + (1 - share) * towards
