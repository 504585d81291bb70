"""J, the bound on the log-likelihood of all training pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from hsi_ssl.models.bounds import mean_j
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
        if step.costs is not None:
            complete = step.labelled.mean(step.costs[0])
            if len(step.rows):
                incomplete = step.lacking.mean(step.costs[1])
            return mean_j(complete, incomplete, share_unlabelled=step.share_lacking)
        if bool(step.complete.all()):
            complete = self._mean(step, step.labelled, step.x, step.y)
        elif bool(step.complete.any()):
            rows, share = step.labelled.among(step.complete)
            complete = self._mean(step, share, step.x[rows], step.y[rows].clamp(min=0))
        if len(step.rows):
            pseudo = step.e_step.pseudo_labels
            log_q = None
            if pseudo is not None and step.settings.stop_gradient == 1:
                log_q = [log_of(q[step.rows]) for q in pseudo]
            incomplete = self._mean(step, step.lacking, step.x_lacking, step.y_lacking, log_q)
        return mean_j(complete, incomplete, share_unlabelled=step.share_lacking)

    @staticmethod
    def _mean(
        step: Step, share: Share, x: Tensor, y: Tensor, log_q: list[Tensor] | None = None
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
        )
        return share.mean(costs)
