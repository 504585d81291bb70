"""q(y|x) is to use every class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hsi_ssl.models.tables import marginals
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.share import Share
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
            total = total + balance_cost(log_q, step.module.log_p_y(v), step.lacking)
        return total


def balance_cost(log_q: Tensor, log_prior: Tensor, share: Share) -> Tensor:
    """KL(mean of q(y|x) over a batch || p(y)), a scalar, of log q(y|x) `(n, K)` of a share of it.

    It keeps a class from swallowing another while there are few labels to hold them apart.
    """
    mean = share.mean_of_all(log_q.exp().T)
    log_mean = mean.clamp(min=torch.finfo(mean.dtype).tiny).log()
    return (mean * (log_mean - log_prior)).sum()
