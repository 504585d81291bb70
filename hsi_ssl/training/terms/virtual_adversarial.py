"""q(y|x) is to be steady around unlabelled pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.draws import drawn
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.terms.step import Step

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

PROBE = 0.1
"""Length of the step, in units of the input, along which the worst direction is felt for."""


class VirtualAdversarial:
    """Virtual adversarial training of q of all label sets together (Miyato et al. 2018)."""

    name = "steadiness"
    in_bound = False

    def weight(self, settings: M2Settings) -> float:
        """The setting `steadiness`."""
        return settings.steadiness

    def in_words(self, settings: M2Settings, e_step: EStep) -> str:
        """Name it."""
        del settings, e_step
        return "steadiness of q(y|x) on unlabelled pixels (virtual adversarial training)"

    def cost(self, step: Step) -> Tensor:
        """Mean over the pixels that lack a label."""
        if not len(step.rows):
            return step.nothing
        costs = adversarial_costs(
            step.module.log_q,
            step.x_lacking,
            step.log_q_lacking,
            step.settings.radius,
            step.lacking.numbers(step.generator),
        )
        return step.lacking.mean(costs)


def adversarial_costs(
    log_q: Callable[[Tensor], Tensor],
    x: Tensor,
    log_q_x: Tensor,
    radius: float,
    generator: torch.Generator,
) -> Tensor:
    """KL(q(y|x) || q(y|x + r)) `(N,)`, r the perturbation of length `radius` that changes it most.

    Virtual adversarial training (Miyato, Maeda, Koyama, Ishii 2018, arXiv:1704.03976, eqs. 5-8,
    one power iteration). `log_q` gives log q(y|.) `(N, K)`; `x (N, D)`; `log_q_x (N, K)` its value
    at x, to which the gradient is stopped: the perturbed prediction is pulled to the clean one.
    """
    clean = log_q_x.detach()
    direction = drawn(torch.randn, x.shape, generator, device=x.device, dtype=x.dtype)
    probe = (PROBE * F.normalize(direction, dim=-1)).requires_grad_()
    with torch.enable_grad():
        (worst,) = torch.autograd.grad(_divergence(clean, log_q(x + probe)).sum(), probe)
    return _divergence(clean, log_q(x + radius * F.normalize(worst, dim=-1)))


def _divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of each pixel."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)
