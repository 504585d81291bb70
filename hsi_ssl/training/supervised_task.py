"""M2's supervised part as the training loop sees it: q(y|x) on the labelled pixels alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.m2 import M2
from hsi_ssl.training.inputs import Labelled, Validation
from hsi_ssl.training.loop import StepCost, TaskWithoutState
from hsi_ssl.training.stage import STEPS_AN_EPOCH

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


class SupervisedTask(TaskWithoutState):
    """The classifier of an M2 with its labelled and validation pixels; the rest stays untouched."""

    score_name = "macro_f1"

    def __init__(self, module: M2, labelled: Labelled, validation: Validation, pixels: int) -> None:
        """`pixels`: N of the whole training, so that the weight prior is the same in both parts.

        Counted for a few labelled pixels alone it would hold the network down (Indian Pines, 20
        labels a class: macro-F1 64 instead of 75).
        """
        self.module = module
        self.labelled, self.validation = labelled, validation
        self.pixels = pixels

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Rows of labelled batches: as many pixels as there are, of few some 30 batches."""
        steps = max(STEPS_AN_EPOCH, -(-len(self.labelled) // self.labelled.size))
        for _ in range(steps):
            yield self.labelled.draw(generator)

    def cost(self, batch: Tensor, kl_weight: float, generator: torch.Generator) -> StepCost:
        """Cross-entropy of q(y|x) on a batch of rows, among the labelled classes.

        Over all classes free slots would learn that nothing is theirs.
        """
        inputs = self.labelled.inputs
        classifier = self.module.classifier
        x = inputs.learnt_from(inputs.sample(batch, generator), len(classifier), generator)
        log_q = self.module.among_labelled(classifier.each(x))
        cost = taught(log_q, self.labelled.y[batch])
        return StepCost(cost, -cost, len(batch))

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Scores of q(y|x) on the validation pixels; the bound is minus its cross-entropy."""
        found = self.validation.of_classifier(self.module, labelled_only=True)
        return {"bound": -found.get("cross_entropy", 0.0), **found}

    def snapshot(self, generator: torch.Generator) -> Tensor:
        """Nothing: a classifier generates no spectra."""
        return torch.empty(0, self.module.architecture.width)


def taught(log_q: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each expert's log q_e(y|x) `(E, n, K)`, summed over experts.

    Mean over pixels, of classes `y (n,)` or of distributions `(n, K)`. Each expert learns by
    itself: taught through their product they would share the work and be wrong together.
    """
    if y.ndim == 1:
        return F.nll_loss(log_q.flatten(0, 1), y.repeat(len(log_q))) * len(log_q)
    return -(y * log_q).sum(-1).mean(-1).sum()


def supervised_settings(settings: M2Settings) -> M2Settings:
    """How the supervised part of a training is trained."""
    epochs = settings.supervised_epochs
    return settings.model_copy(
        update={"epochs": epochs, "patience": epochs, "decay": "cosine", "warm_up": 0}
    )
