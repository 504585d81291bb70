"""p(x | z): what stands between a decoder's output and a spectrum."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.errors import ModelError

LOG_2_PI = math.log(2 * math.pi)


def log_normal(z: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; mean, exp(logvar)) `(...)` of `z (..., J)`, summed over units."""
    squares = (z - mean) ** 2 * torch.exp(-logvar)
    return -0.5 * (squares + logvar + LOG_2_PI).sum(-1)


class Likelihood(nn.Module, ABC):
    """A density of x given a decoder's output, `D` values each."""

    in_unit_interval = True
    """Whether x must lie in [0, 1]."""

    @abstractmethod
    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x | out), shape `(...)`, of `x (N, D)` and `out (..., N, D)`."""

    @abstractmethod
    def mean(self, out: Tensor) -> Tensor:
        """The mean of p(x | out), same shape as `out`."""

    def measured(self, mean: Tensor, eps: Tensor) -> Tensor:
        """What might be measured around a mean `(..., D)`, by draws `eps` of N(0, I).

        The mean itself, but for the Gaussian: other likelihoods know no noise of the sensor's.
        """
        del eps
        return mean


class Gaussian(Likelihood):
    """N(out, diag s^2) with one learned variance a band, never below `sd_floor`^2 `(width,)`.

    The floor is the measured noise where that is known: no model can know a spectrum better.
    Variances start there. Started at the data's own, what the latent units could tell looks like
    noise, the KL divergence wins, and the units collapse before they are of any use.
    """

    in_unit_interval = False

    sd_floor: Tensor

    def __init__(self, sd_floor: Tensor) -> None:
        super().__init__()
        self.register_buffer("sd_floor", sd_floor)
        self.log_excess = nn.Parameter(2 * sd_floor.log())

    @property
    def logvar(self) -> Tensor:
        """log s^2, `(D,)`."""
        return torch.log(self.sd_floor**2 + torch.exp(self.log_excess.clamp(-20, 10)))

    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        """Normal log-density, summed over bands."""
        logvar = self.logvar
        # As one product of squares and weights: no temporary of the size (..., N, D) but one.
        with torch.autocast(x.device.type, enabled=False):
            squares = torch.square(out - x) @ torch.exp(-logvar)
        return -0.5 * (squares + logvar.sum() + len(logvar) * LOG_2_PI)

    def mean(self, out: Tensor) -> Tensor:
        """The output itself."""
        return out

    def measured(self, mean: Tensor, eps: Tensor) -> Tensor:
        """A draw of the normal distribution."""
        return mean + torch.exp(0.5 * self.logvar) * eps


class Bernoulli(Likelihood):
    """Bernoulli with logits `out` (what the 2016 work used on values in [0, 1])."""

    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        """x log p + (1 - x) log(1 - p), summed over bands; no density for x inside (0, 1)."""
        return (x * out - F.softplus(out)).sum(-1)

    def mean(self, out: Tensor) -> Tensor:
        """The probability."""
        return torch.sigmoid(out)


class ContinuousBernoulli(Likelihood):
    """The properly normalised form on [0, 1] (Loaiza-Ganem and Cunningham 2019)."""

    def log_density(self, x: Tensor, out: Tensor) -> Tensor:
        """Bernoulli's sum plus log C(lambda), with lambda = sigmoid(out)."""
        return (x * out - F.softplus(out) + log_normaliser(out)).sum(-1)

    def mean(self, out: Tensor) -> Tensor:
        """lambda / (2 lambda - 1) + 1 / (2 artanh(1 - 2 lambda)), 1/2 at lambda = 1/2."""
        near = out.abs() < NEAR_HALF
        safe = torch.where(near, torch.ones_like(out), out)
        exact = torch.sigmoid(safe) / torch.tanh(safe / 2) - 1 / safe
        return torch.where(near, 0.5 + out / 12 - out**3 / 720, exact)


NEAR_HALF = 1e-1
"""Logits nearer to 0 than this take a series: the closed forms are 0 / 0 there."""


def log_normaliser(logits: Tensor) -> Tensor:
    """log C(lambda) of the continuous Bernoulli by its logit a.

    C = 2 artanh(1 - 2 lambda) / (1 - 2 lambda) = a / tanh(a / 2); near a = 0 its logarithm is
    log 2 + a^2 / 12 - 7 a^4 / 1440.
    """
    near = logits.abs() < NEAR_HALF
    safe = torch.where(near, torch.ones_like(logits), logits)
    exact = torch.log(safe / torch.tanh(safe / 2))
    square = logits * logits
    return torch.where(near, math.log(2) + square / 12 - 7 * square**2 / 1440, exact)


def make_likelihood(name: str, width: int, sd_floor: float | Sequence[float]) -> Likelihood:
    """The likelihood of that name over `width` bands; `sd_floor` for all of them or one each."""
    if name == "gaussian":
        return Gaussian(torch.ones(width) * torch.as_tensor(sd_floor))
    return {"bernoulli": Bernoulli, "continuous-bernoulli": ContinuousBernoulli}[name]()


def check_unit_interval(x: Tensor, what: str, scaling: str) -> None:
    """Refuse values outside [0, 1] for a likelihood, or codes, that are defined there.

    `what` needs them; `scaling` names what gave them.

    Raises
    ------
    ModelError
        Naming the range found and the scalings that suit.
    """
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise ModelError(
            f"{what} needs values in 0..1, scaling {scaling} gives "
            f"{low:.3g}..{high:.3g}: prepare with --scaling max or minmax, or use gaussian"
        )
