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

    `centre (D,)`, `axes (D, C)`: from scaled spectra to components; `mean (K, C)`; `whiten
    (K, C, C)`: (x - mean) @ whiten has covariance I.
    """

    centre: Tensor
    axes: Tensor
    mean: Tensor
    whiten: Tensor

    @classmethod
    def fit(cls, x: Tensor, y: Tensor) -> Self:
        """From labelled scaled spectra `x (n, D)` with classes `y (n,)`.

        A class's covariance is drawn towards that within all classes, and that towards the bands'
        variances, the more the fewer pixels it is measured on (Friedman 1989, "Regularized
        discriminant analysis").
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
        factors = []
        for k in classes:
            own = inner[y == k]
            covariance = _drawn(own.T @ own / len(own), within, len(own) - 1) + floor
            factors.append(torch.linalg.cholesky(torch.linalg.inv(covariance)))
        return cls(*(t.float() for t in (centre, axes, mean, torch.stack(factors))))

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) `(N,)` of scaled spectra `x (N, D)`."""
        found = (x - self.centre) @ self.axes
        squares = ((found - self.mean[:, None]) @ self.whiten).square().sum(-1)  # (K, N)
        scale = self.whiten.diagonal(dim1=1, dim2=2).log().sum(-1)
        width = self.mean.shape[1]
        log_p = scale[:, None] - 0.5 * (squares + width * LOG_2_PI)
        return torch.logsumexp(log_p, 0) - math.log(len(self.mean))

    def to(self, device: torch.device) -> Self:
        """The same on a device."""
        return type(self)(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def _drawn(covariance: Tensor, towards: Tensor, pixels: int) -> Tensor:
    share = max(0, pixels) / (max(0, pixels) + PRIOR_PIXELS * len(covariance))
    return share * covariance + (1 - share) * towards
