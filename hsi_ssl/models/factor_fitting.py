"""Mixtures of factor analysers fitted to pixels of which something says what they are.

By expectation maximisation within each class, from k-means in units of the scatter within classes,
with k-means++'s start (Arthur and Vassilvitskii 2007). Covariances of components are shrunk towards
the one that all classes share (Friedman 1989); where they are below the noise, they are the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.factor_analysis import leading
from hsi_ssl.models.factor_mixtures import FactorMixtures
from hsi_ssl.models.likelihoods import Gaussian

SHRINKAGE = 0.05
"""Share of the common covariance within classes. 0.02 and 0.1 are level."""
FEWEST = 30
"""Pixels of a component."""
SURE = 0.5
"""Probability of a class below which a pixel says nothing of it. A hundredth of each of many pixels
of a large class would outweigh all pixels of a small one, which then looked like the large one."""
K_MEANS_STEPS, EM_STEPS = 10, 6
LEAST_VARIANCE = 1e-9
"""Of a column's, what none of its directions falls below: columns that others tell have none."""


@dataclass(frozen=True)
class _Mixture:
    """Shares `(C,)`, means `(C, D)` and covariances `(C, D, D)` of one class."""

    share: Tensor
    mean: Tensor
    covariance: Tensor


@torch.no_grad()
def fit_factor_mixtures(
    found: FactorMixtures, likelihood: Gaussian, x: Tensor, q: Tensor, seed: int
) -> None:
    """Fit to pixels `x (N, D)` that are of class y with the probabilities `q (N, K)`.

    On the CPU, so that it is the same on every device. The buffers of `found` become others; the
    likelihood's noise is its floor, and what the directions leave, where they are fewer than
    columns.
    """
    generator = torch.Generator().manual_seed(seed)
    x, q = x.cpu().double(), q.cpu().double()
    common = _within(x, q)
    least = 1e-3 * likelihood.sd_floor.cpu().double() ** 2 + LEAST_VARIANCE * common.diagonal()
    common = common + torch.diag(least)
    most = found.log_share.shape[1]
    each = [_of_class(x, q[:, k], common, most, generator) for k in range(q.shape[1])]
    _set_noise(likelihood, each, found.factors.shape[-1])
    noise_sd = (0.5 * likelihood.logvar.cpu().double()).exp()
    log_share, mean, factors = (
        torch.zeros_like(t, device="cpu") for t in (found.log_share, found.mean, found.factors)
    )
    log_share.fill_(-torch.inf)
    directions = factors.shape[-1]
    basis, _ = leading(common + torch.diag(noise_sd**2), noise_sd, directions)
    for k, one in enumerate(each):
        order = one.mean[:, 0].argsort()  # along the first unit of z neighbours are alike
        count = len(order)
        log_share[k, :count] = one.share[order].log().to(log_share)
        mean[k, :count] = one.mean[order].to(mean)
        w, _ = leading(one.covariance[order], noise_sd, directions)
        factors[k, :count] = turned(w, basis, noise_sd).to(factors)
    device = found.mean.device
    found.log_share, found.mean, found.factors = (t.to(device) for t in (log_share, mean, factors))


def turned(w: Tensor, basis: Tensor, noise_sd: Tensor) -> Tensor:
    """`w (..., D, J)` turned so that its columns lie as near as can be to those of `basis (D, J)`.

    W W' stays what it is, and units of z mean much the same in every component and class: the
    orthogonal Procrustes problem (Schoenemann 1966), in units of the noise.
    """
    u, _, vh = torch.linalg.svd(w.mT @ (basis / noise_sd[:, None] ** 2))
    found: Tensor = w @ u @ vh
    return found


def _set_noise(likelihood: Gaussian, each: list[_Mixture], directions: int) -> None:
    """The floor, and beyond it the mean of what the leading directions leave of each column."""
    floor = likelihood.sd_floor.cpu().double()
    left = torch.zeros_like(floor)
    if directions < len(floor):
        for one in each:
            w, _ = leading(one.covariance, floor, directions)
            rest = (one.covariance - w @ w.mT).diagonal(dim1=-2, dim2=-1) - floor**2
            left += (one.share[:, None] * rest.clamp(min=0)).sum(0) / len(each)
    log_excess = left.clamp(min=1e-6 * floor.min() ** 2).log()
    likelihood.log_excess.copy_(log_excess.to(likelihood.log_excess.dtype))


def _within(x: Tensor, q: Tensor) -> Tensor:
    """The common covariance `(D, D)` within classes, each about its own mean."""
    mass = q.sum(0)
    mean = q.T @ x / mass.clamp(min=1e-9)[:, None]
    scatter = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype)
    for of_class, m in zip(q.T, mean, strict=True):
        scatter += _scatter(x, of_class, m)
    return scatter / mass.sum()


def _scatter(x: Tensor, weight: Tensor, middle: Tensor) -> Tensor:
    """Of `x (N, D)` with weights `(N,)` about `middle (D,)`, a matrix `(D, D)`."""
    away = x - middle
    found: Tensor = (away * weight[:, None]).T @ away
    return found


def _of_class(
    x: Tensor, q: Tensor, common: Tensor, most: int, generator: torch.Generator
) -> _Mixture:
    """One class, of which pixels are with the probabilities `q (N,)`."""
    rows = torch.nonzero(q > SURE).flatten()
    if float(q[rows].sum()) < 1:  # of nobody: as all pixels are
        share = torch.ones(1, dtype=x.dtype, device=x.device)
        return _Mixture(share, x.mean(0, keepdim=True), common[None])
    x, q = x[rows], q[rows]
    count = max(1, min(most, int(q.sum()) // FEWEST))
    group = _k_means(x, q, common, count, generator)
    of_component = q[:, None] * torch.nn.functional.one_hot(group, count)
    for _ in range(EM_STEPS):
        one = _m_step(x, of_component, common)
        of_component = q[:, None] * torch.softmax(_log_joint(x, one), dim=1)
    return _m_step(x, of_component, common)


def _m_step(x: Tensor, of_component: Tensor, common: Tensor) -> _Mixture:
    mass = of_component.sum(0) + 1e-6
    mean = of_component.T @ x / mass[:, None]
    each = zip(of_component.T, mass, mean, strict=True)
    scatter = [_scatter(x, weight, m) / own for weight, own, m in each]
    covariance = (1 - SHRINKAGE) * torch.stack(scatter) + SHRINKAGE * common
    return _Mixture(mass / mass.sum(), mean, covariance)


def _log_joint(x: Tensor, one: _Mixture) -> Tensor:
    """log p(x, component) `(N, C)`, up to a constant."""
    lower = torch.linalg.cholesky(one.covariance)
    away = (x - one.mean[:, None]).mT
    white = torch.linalg.solve_triangular(lower, away, upper=False)
    log_scale = lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    found: Tensor = one.share.log() - log_scale - 0.5 * white.square().sum(1).T
    return found


def _k_means(
    x: Tensor, weight: Tensor, common: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Groups `(N,)` of `x (N, D)`, in units of the common covariance."""
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(common), x.T, upper=False).T
    first = _drawn(weight, generator)
    centres = white[first][None]
    for _ in range(count - 1):
        nearest = torch.cdist(white, centres).amin(1).square()
        row = _drawn(weight * nearest + 1e-12 * weight, generator)
        centres = torch.cat([centres, white[row][None]])
    for _ in range(K_MEANS_STEPS):
        group = torch.cdist(white, centres).argmin(1)
        of_group = weight[:, None] * torch.nn.functional.one_hot(group, count)
        mass = of_group.sum(0)
        there = mass > 0
        centres[there] = (of_group.T @ white)[there] / mass[there, None]
    return torch.cdist(white, centres).argmin(1)


def _drawn(weight: Tensor, generator: torch.Generator) -> int:
    """A row, as often as its weight says; `weight (N,)`."""
    ends = weight.cumsum(0)
    at = torch.rand((), generator=generator, dtype=torch.float64).to(ends) * ends[-1]
    return min(int(torch.searchsorted(ends, at)), len(weight) - 1)
