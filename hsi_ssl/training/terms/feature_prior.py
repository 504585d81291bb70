"""p(y) of a pixel's own, from its nearest neighbours in feature space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from hsi_ssl.models.tables import marginals
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.terms.step import Step

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


class FeaturePrior:
    """What U changes by when pixels have their own log p(y): sum_y q(y|x) (log p(y) - log p_n(y)).

    Part of the bound, on the likelihood under that prior.
    """

    name = "feature_prior"
    in_bound = True

    def weight(self, settings: M2Settings) -> float:
        """1 with the setting `propagation`."""
        return float(settings.propagation > 0)

    def in_words(self, settings: M2Settings, e_step: EStep) -> str | None:
        """Name it."""
        del settings
        if e_step.graph is None:
            return None
        return "p(y) of an unlabelled pixel from its nearest neighbours in feature space"

    def cost(self, step: Step) -> Tensor:
        """Mean over all training pixels, to stand in J / N."""
        log_priors = step.e_step.log_prior
        if log_priors is None or not len(step.rows):
            return step.nothing
        total = step.nothing
        each = marginals(step.log_q_lacking, step.module.architecture.counts)
        for v, log_q in enumerate(each):
            change = step.module.log_p_y(v) - log_priors[v][step.rows]
            total = total + step.lacking.mean((log_q.exp() * change).sum(-1))
        return step.share_lacking * total
