"""alpha's term: q(y|x) learns labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.supervised_task import cross_entropy_of_sets
from hsi_ssl.training.terms.step import Step

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


class CrossEntropy:
    """E_labelled[-log q(y|x)], summed over label sets and experts (eq. 9)."""

    name = "cross_entropy"
    in_bound = False

    def weight(self, settings: M2Settings) -> float:
        """`alpha`: J_alpha / N = J / N + alpha E_labelled[-log q(y|x)]."""
        return settings.alpha

    def in_words(self, settings: M2Settings, e_step: EStep) -> str:
        """Name it."""
        del settings, e_step
        return "cross-entropy of q(y|x) on labelled pixels"

    def cost(self, step: Step) -> Tensor:
        """Mean over the pixels that were drawn for each label set."""
        return cross_entropy_of_sets(step.log_q[0], step.y, step.sets, step.labelled)
