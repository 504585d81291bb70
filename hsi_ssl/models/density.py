"""log p(x) of a generative model, by importance sampling.

1/S sum_s p(x, z_s) / q(z_s|x) with z_s from q(z|x) is an unbiased estimate of p(x); its logarithm
is below log p(x) on average and rises to it with S (Burda, Grosse, Salakhutdinov 2016,
arXiv:1509.00519). The noise is given and the same for every pixel, so that a pixel's result depends
on nothing but the pixel.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hsi_ssl.models.bounds import log_mean_exp
from hsi_ssl.models.extractors.base import FeatureExtractor
from hsi_ssl.models.likelihoods import LOG_2_PI


class ClassModel(Protocol):
    """What M2 and its kin offer."""

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """Importance-sampled log p(x, y) `(K, N)` of `x (N, D)` with the noise `eps (S, J)`."""


def log_density(model: ClassModel, x: Tensor, eps: Tensor) -> Tensor:
    """log p(x) `(N,)` = log sum_y p(x, y): the sum exact, z from q(z|x, y) for each class.

    Stratified over the classes, so S samples a class do what 1 sample of y and z in turn needs many
    times S for. `x (N, D)`, `eps (S, J)`.
    """
    return torch.logsumexp(model.log_joint(x, eps), dim=0)


def stacked_log_density(
    m1: FeatureExtractor,
    model: ClassModel,
    kept: Tensor,
    x: Tensor,
    eps: Tensor,
    eps_above: Tensor,
) -> Tensor:
    """log p(x) `(N,)` of M1+M2: p(x|z1) p(z1) over z1, with p(z1) that of the class model.

    p(z1) is `log_density` of the units that the class model stands on, `kept (J,)` bool, times N(0,
    1) for each other unit, as in M1 alone. z1 comes from q(z1|x) `eps (S, J)`, and for each one z2
    of each class from q(z2|z1, y) `eps_above (S, J2)`: one estimate of p(z1), which is unbiased, so
    the whole is.

    Raises
    ------
    ModelError
        The extractor is no model of spectra.
    """
    mean, logvar = m1.encode(x)
    if logvar is None:
        m1.log_likelihood(x, mean)
        logvar = torch.zeros_like(mean)
    weights = []
    for e, above in zip(eps, eps_above, strict=True):
        z = mean + torch.exp(0.5 * logvar) * e
        log_p_x = m1.log_likelihood(x, z)
        log_q = -0.5 * (e * e + logvar + LOG_2_PI).sum(-1)
        idle = -0.5 * (z[:, ~kept].square() + LOG_2_PI).sum(-1)
        log_p_z = log_density(model, z[:, kept], above[None]) + idle
        weights.append(log_p_x + log_p_z - log_q)
    return log_mean_exp(torch.stack(weights))
