"""J, the bound on the log-likelihood of all training pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hsi_ssl.models.bounds import cost_u, mean_j
from hsi_ssl.models.moving import sent
from hsi_ssl.training.e_step import EStep, log_of
from hsi_ssl.training.share import Share
from hsi_ssl.training.terms.step import Step

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


class Bound:
    """J / N: the bound takes each pixel once, with all that is known of it (eq. 8).

    Where pseudo-labels teach q(y|x) and no gradient of U does, U is taken with them, which leaves
    it a bound on log p(x).
    """

    name = "bound"
    in_bound = True

    def weight(self, settings: M2Settings) -> float:
        """Always 1."""
        del settings
        return 1.0

    def in_words(self, settings: M2Settings, e_step: EStep) -> str:
        """Name it, and what is kept from q(y|x)."""
        del e_step
        named = "J, a bound on the log-likelihood of all training pixels with what is known of each"
        if not settings.stop_gradient:
            return named
        return f"{named}; {1 - settings.stop_gradient:.0%} of its gradient reaches q of the labels"

    def cost(self, step: Step) -> Tensor:
        """J / N of the two batches."""
        complete, incomplete = step.nothing, step.nothing
        if step.log_joint is not None:
            return self._of_joint(step, *step.log_joint)
        whole = step.known.all(dim=1)
        if bool(whole.all()):
            complete = self._mean(step, step.labelled, step.x, step.y, step.known)
        elif bool(whole.any()):
            own, share = step.labelled.among(whole)
            rows = sent(own, step.y.device)
            known = torch.ones(len(own), step.known.shape[1], dtype=torch.bool)
            complete = self._mean(step, share, step.x[rows], step.y[rows].clamp(min=0), known)
        if len(step.rows):
            known, own = step.known_lacking[step.lacking.at], step.y_lacking
            told = self._told(step)
            incomplete = self._mean(step, step.lacking, step.x_lacking, own, known, told)
        return mean_j(complete, incomplete, share_unlabelled=step.share_lacking)

    @staticmethod
    def _told(step: Step) -> list[Tensor] | None:
        """log q(y) that U is taken with in the place of q(y|x), if any."""
        pseudo = step.e_step.pseudo_labels
        if pseudo is None or step.settings.stop_gradient < 1:
            return None
        return [log_of(q[step.rows]) for q in pseudo]

    def _of_joint(self, step: Step, labelled: Tensor, lacking: Tensor) -> Tensor:
        """J / N by log p(x, y) `(n, K), (m, K)` of one label set, which only q(y|x) can change."""
        complete, incomplete = -labelled.gather(1, step.y)[:, 0], step.nothing
        if len(step.rows):
            told, stopped = self._told(step), step.settings.stop_gradient
            log_q = step.log_q_lacking if told is None else told[0]
            reached = stopped * log_q.detach() + (1 - stopped) * log_q
            incomplete = step.lacking.mean(cost_u(-lacking.T, reached.T))
        mean = step.labelled.mean(complete)
        return mean_j(mean, incomplete, share_unlabelled=step.share_lacking)

    @staticmethod
    def _mean(
        step: Step,
        share: Share,
        x: Tensor,
        y: Tensor,
        known: Tensor,
        log_q: list[Tensor] | None = None,
    ) -> Tensor:
        settings = step.settings
        costs = step.module.cost(
            x,
            y,
            share.numbers(step.generator),
            kl_weight=step.kl_weight,
            exact=settings.exact_classes,
            samples=settings.samples,
            stop_gradient=settings.stop_gradient,
            log_q=log_q,
            known=known,
        )
        return share.mean(costs)
