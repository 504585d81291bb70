"""Temperature: one number that makes a classifier's probabilities as sure as it is right."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

HOTTEST = 20.0
"""The temperature lies between 1 / HOTTEST and HOTTEST."""


@torch.no_grad()
def tempered(log_p: Tensor, temperature: float) -> Tensor:
    """Log-probabilities `(N, K)` at a temperature: p ** (1 / T), normalised; the order stays."""
    return log_p if temperature == 1 else torch.log_softmax(log_p / temperature, dim=-1)


@torch.no_grad()
def fitted_temperature(log_p: Tensor, y: Tensor) -> float:
    """The temperature at which true classes `y (N,)` are most probable (Guo et al. 2017).

    `log_p (N, K)`: log-probabilities of validation pixels; without any it is 1. ln T is N(0, 1)
    beforehand, so that a handful of pixels that are all right make no model infinitely sure.
    """
    if not len(y):
        return 1.0
    from scipy.optimize import minimize_scalar  # slow to import

    log_p, y = log_p.cpu().double(), y.cpu()  # at once: each cost is asked for, in float64

    def cost(log_t: float) -> float:
        surprise = F.nll_loss(tempered(log_p, math.exp(log_t)), y, reduction="sum")
        return float(surprise) + 0.5 * log_t**2

    ends = -math.log(HOTTEST), math.log(HOTTEST)
    return math.exp(minimize_scalar(cost, bounds=ends, method="bounded").x)


def tempered_in_words(temperature: float) -> str:
    """Say which way the probabilities were off."""
    off = "surer than right" if temperature > 1 else "less sure than right"
    return f"probabilities were {off}: calibrated at temperature {temperature:.2f}"
