"""What q(y|x) owes to unlabelled pixels beside the bound: to be steady, and to use every class.

Neither term is part of a bound on log p(x); both act on the classifier alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PROBE = 0.1
"""Length of the step, in units of the input, along which the worst direction is felt for."""


def adversarial_cost(
    log_q: Callable[[Tensor], Tensor],
    x: Tensor,
    log_q_x: Tensor,
    radius: float,
    generator: torch.Generator,
) -> Tensor:
    """Mean KL(q(y|x) || q(y|x + r)), r the perturbation of length `radius` that changes it most.

    Virtual adversarial training (Miyato, Maeda, Koyama, Ishii 2018, arXiv:1704.03976, eqs. 5-8,
    one power iteration). `log_q` gives log q(y|.) `(N, K)`; `x (N, D)`; `log_q_x (N, K)` its value
    at x, to which the gradient is stopped: the perturbed prediction is pulled to the clean one.
    """
    clean = log_q_x.detach()
    direction = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
    probe = (PROBE * F.normalize(direction, dim=-1)).requires_grad_()
    with torch.enable_grad():
        (worst,) = torch.autograd.grad(_divergence(clean, log_q(x + probe)), probe)
    return _divergence(clean, log_q(x + radius * F.normalize(worst, dim=-1))) / len(x)


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q), summed over pixels."""
    return (log_p.exp() * (log_p - log_q)).sum()


def balance_cost(log_q: Tensor, log_prior: Tensor) -> Tensor:
    """KL(mean of q(y|x) over a batch || p(y)), a scalar, of log q(y|x) `(N, K)`.

    It keeps a class from swallowing another while there are few labels to hold them apart.
    """
    log_mean = torch.logsumexp(log_q, dim=0) - torch.log(torch.tensor(float(len(log_q))))
    return (log_mean.exp() * (log_mean - log_prior)).sum()
