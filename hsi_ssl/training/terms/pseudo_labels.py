"""The M-step: q(y|x) learns what a teacher, neighbours, or groups for free slots, have told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from hsi_ssl.models.moving import sent
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.supervised_task import cross_entropy
from hsi_ssl.training.terms.step import Step

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


class PseudoLabels:
    """Cross-entropy of q(y|x) against the E-step's q(y), on pixels that lack the label."""

    name = "pseudo_labels"
    in_bound = False

    def weight(self, settings: M2Settings) -> float:
        """`alpha`, as of labels."""
        return settings.alpha

    def in_words(self, settings: M2Settings, e_step: EStep) -> str | None:
        """Name who tells."""
        del settings
        if e_step.spatial:
            named = (
                "cross-entropy of q(y|x) against the mean field of a Potts prior on pixels that "
                "lack the label"
            )
            if e_step.teacher is not None:
                return f"{named}, at first of a kernel machine's posteriors"
            start = ", at first started from groups of pixels, for free slots"
            return named + (start if e_step.start is not None else "")
        if e_step.teacher is not None:
            return "cross-entropy of q(y|x) against a kernel machine's posteriors on the others"
        if e_step.start is not None:
            return "cross-entropy of q(y|x) against groups of pixels, for free slots, at first"
        return None

    def cost(self, step: Step) -> Tensor:
        """Summed over label sets and experts, mean over pixels."""
        pseudo, total = step.e_step.pseudo_labels, step.nothing
        if pseudo is None or not len(step.rows):
            return total
        for of_set, q, of_batch in zip(step.log_q[1], pseudo, (~step.known_lacking).T, strict=True):
            if bool(of_batch.all()):
                total = total + cross_entropy(of_set, q[step.rows], step.lacking)
            elif bool(of_batch.any()):
                own, share = step.lacking.among(of_batch)
                unknown = sent(own, q.device)
                target = q[step.rows[unknown]]
                total = total + cross_entropy(of_set[:, unknown], target, share)
        return total
