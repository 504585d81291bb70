"""q(y|x) is to use every class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hsi_ssl.models.tables import marginals
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.terms.step import Step

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


class Balance:
    """KL(mean of q(y|x) over unlabelled pixels || p(y)), summed over label sets."""

    name = "balance"
    in_bound = False

    def weight(self, settings: M2Settings) -> float:
        """The setting `balance`."""
        return settings.balance

    def in_words(self, settings: M2Settings, e_step: EStep) -> str:
        """Name it."""
        del settings, e_step
        return "balance of the mean q(y|x) of unlabelled pixels"

    def cost(self, step: Step) -> Tensor:
        """Of one batch of pixels that lack a label."""
        total = step.nothing
        if not len(step.rows):
            return total
        each = marginals(step.log_q_lacking, step.module.architecture.counts)
        for v, log_q in enumerate(each):
            total = total + balance_cost(log_q, step.module.log_p_y(v))
        return total


def balance_cost(log_q: Tensor, log_prior: Tensor) -> Tensor:
    """KL(mean of q(y|x) over a batch || p(y)), a scalar, of log q(y|x) `(N, K)`.

    It keeps a class from swallowing another while there are few labels to hold them apart.
    """
    log_mean = torch.logsumexp(log_q, dim=0) - torch.log(torch.tensor(float(len(log_q))))
    return (log_mean.exp() * (log_mean - log_prior)).sum()
