"""Discriminant analysis of few labelled pixels: class means, and one covariance that is shrunk.

The covariance within classes is shrunk towards a multiple of the identity (Friedman 1989, by a
fixed share), and densities have heavy tails, log p(x|y) = -s log(1 + d_y(x)^2 / D), d_y being
Mahalanobis' distance to the mean of y, so that a pixel far from all classes is not surely of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hsi_ssl.models.moving import sent

SHRINKAGE = 0.1
FARTHEST = 1e6
"""Distance of a class without pixels."""
LEAST_VARIANCE, ROUNDING = 1e-20, torch.finfo(torch.float32).eps
"""Of pixels that are all alike: such that squares of distances are numbers."""


@dataclass(frozen=True)
class ShrunkGaussians:
    """Fitted classes.

    `means (K, D)` and pixels are compared after `root (D, D)`, which makes the shrunk covariance
    the identity; `sharpness`: s; `x (n, D)`, `y (n,)`: what it was fitted to.
    """

    x: Tensor
    y: Tensor
    root: Tensor
    means: Tensor
    sharpness: float

    def log_posteriors(self, blocks: Iterator[Tensor]) -> Tensor:
        """log p(y|x) `(N, K)` of blocks of pixels `(m, D)`, all classes being equally likely."""
        return torch.cat([torch.log_softmax(self.scores(x), dim=-1) for x in blocks])

    def scores(self, x: Tensor) -> Tensor:
        """log p(x|y) `(m, K)`, up to a constant."""
        distance = torch.cdist(x @ self.root, self.means).square()
        return -self.sharpness * torch.log1p(distance / x.shape[1])

    def to(self, device: torch.device) -> ShrunkGaussians:
        """The same to be applied on a device; it is fitted on the CPU, and again without rows."""
        if self.root.device == device:
            return self
        return replace(self, root=sent(self.root, device), means=sent(self.means, device))

    def without(self, rows: Tensor) -> ShrunkGaussians:
        """The same, fitted without some of its pixels."""
        kept = torch.ones_like(self.y, dtype=torch.bool)
        kept[rows] = False
        return fit_shrunk_gaussians(self.x[kept], self.y[kept], len(self.means), self.sharpness)


def fit_shrunk_gaussians(x: Tensor, y: Tensor, classes: int, sharpness: float) -> ShrunkGaussians:
    """Classes `y (n,)`, 0..K-1, of pixels `x (n, D)`, every class weighing as much as any other."""
    counts = torch.bincount(y, minlength=classes)
    sums = torch.zeros(classes, x.shape[1], dtype=torch.float64, device=x.device)
    sums.index_add_(0, y, x.double())
    means = sums / counts.clamp(min=1)[:, None]
    away = x.double() - means[y]
    weight = len(y) / (torch.count_nonzero(counts) * counts[y])
    free = max(1, len(y) - int(torch.count_nonzero(counts)))
    within = (away * weight[:, None]).T @ away / free
    least = max(LEAST_VARIANCE, float(x.double().square().mean()) * ROUNDING**2)
    mean = within.diagonal().mean().clamp(min=least)
    eye = torch.eye(len(within), dtype=within.dtype, device=x.device)
    shrunk = (1 - SHRINKAGE) * within + SHRINKAGE * mean * eye
    root = torch.linalg.cholesky(torch.linalg.inv(shrunk))
    placed = means @ root
    placed[counts == 0] = FARTHEST
    return ShrunkGaussians(x, y, root.to(x), placed.to(x), sharpness)
