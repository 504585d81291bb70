"""The plane in which spectra spread most, where a map may start."""

from __future__ import annotations

import torch
from torch import Tensor

from hsi_ssl.models.moving import exact, exact_mean
from hsi_ssl.models.quantisers.base import AT_ONCE

FLAT = 1e-6
"""Spread of spectra along their second direction over that along the first: less is none."""


def principal_plane(x: Tensor) -> tuple[Tensor, Tensor] | None:
    """Mean `(D,)` and two directions `(2, D)` of spectra, as long as their standard deviations.

    Float64. None where they spread along one direction only, or along none.
    """
    mean = exact_mean(x)
    covariance = mean.new_zeros(x.shape[1], x.shape[1])
    for some in x.split(AT_ONCE):
        away = exact(some) - mean
        covariance += away.T @ away
    values, vectors = torch.linalg.eigh(covariance / len(x))
    if x.shape[1] == 1 or not values[-2] > FLAT**2 * values[-1]:
        return None
    axes = vectors[:, -2:].flip(1).T
    # Eigenvectors have no sign of their own: the largest entry is made positive.
    largest = axes.abs().argmax(1, keepdim=True)
    return mean, axes * axes.gather(1, largest).sign() * values[-2:].flip(0).sqrt()[:, None]
