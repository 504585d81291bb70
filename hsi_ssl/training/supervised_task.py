"""The supervised part as the training loop sees it: q(y|x) on the labelled pixels alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.draws import drawn
from hsi_ssl.models.moving import fetched, sent
from hsi_ssl.training.inputs import Inputs, Labelled
from hsi_ssl.training.share import Share, whole
from hsi_ssl.training.stage import STEPS_AN_EPOCH
from hsi_ssl.training.task import PlainTask, StepCost
from hsi_ssl.training.validation import Validation

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


class SupervisedTask(PlainTask):
    """The classifier of a model with its labelled and validation pixels; the rest is left alone."""

    module: DeclaredVAE

    score_name = "macro_f1"

    def __init__(
        self,
        module: DeclaredVAE,
        labelled: Labelled,
        validation: Validation,
        settings: M2Settings,
        pixels: int,
    ) -> None:
        """`pixels`: N of the whole training, so that the weight prior is the same in both parts.

        Counted for a few labelled pixels alone it would hold the network down (Indian Pines, 20
        labels a class: macro-F1 64 instead of 75).
        """
        self.module = module
        self.labelled, self.validation = labelled, validation
        self.settings = settings
        self.pixels = pixels

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """As many labelled batches as there are pixels for, of few some 30."""
        for _ in range(max(STEPS_AN_EPOCH, self.labelled.steps)):
            yield self.labelled.draw(generator)

    def cost(
        self, batch: tuple[Tensor, Tensor], kl_weight: float, generator: torch.Generator
    ) -> StepCost:
        """Cross-entropy of q(y|x), summed over label sets, among the labelled classes.

        Over all classes free slots would learn that nothing is theirs.
        """
        inputs, sets = self.labelled.inputs, batch[1]
        rows = sent(batch[0], self.labelled.y.device)
        x, y = inputs.sample(rows, generator), self.labelled.y[rows]
        log_q = learnt_log_q(self.module, inputs, x, self.settings, generator)
        among = [self.module.among_labelled(of_set, v) for v, of_set in enumerate(log_q)]
        cost = cross_entropy_of_sets(among, y, sets, whole(len(rows)))
        return StepCost(cost, -cost, len(rows))

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Scores of q(y|x) on the validation pixels; the bound is minus its cross-entropy."""
        read = fetched(self.validation.measured(self.module, labelled_only=True))
        found = self.validation.of_classifier(self.module.architecture.labels, read)
        return {"bound": -found.get("cross_entropy", 0.0), **found}

    def snapshot(self, generator: torch.Generator) -> Tensor:
        """Nothing: a classifier generates no spectra."""
        return torch.empty(0, self.module.architecture.width)


def learnt_log_q(
    module: DeclaredVAE,
    inputs: Inputs,
    x: Tensor,
    settings: M2Settings,
    generator: torch.Generator,
) -> list[Tensor]:
    """log q_e(y|x) `(E, n, K)` of each label set, of sampled inputs as experts learn from them."""
    seen = inputs.learnt_from(x, len(module.classifier), generator)
    if not module.after:
        return module.log_q_of_experts(seen)
    shape = (settings.samples, len(x), module.architecture.latent)
    draws = drawn(torch.randn, shape, generator, device=x.device, dtype=x.dtype)
    return module.log_q_of_experts(seen, draws)


def cross_entropy(log_q: Tensor, y: Tensor, share: Share) -> Tensor:
    """Cross-entropy of each expert's log q_e(y|x) `(E, n, K)`, summed over experts.

    `share`'s part of the mean over pixels, of classes `y (n,)` or of distributions `(n, K)`. Each
    expert learns by itself: taught through their product they would share the work and be wrong
    together.
    """
    if y.ndim == 1:
        costs = F.nll_loss(log_q.flatten(0, 1), y.repeat(len(log_q)), reduction="none")
        return share.mean(costs.view(len(log_q), -1)).sum()
    return share.mean(-(y * log_q).sum(-1)).sum()


def cross_entropy_of_sets(log_q: list[Tensor], y: Tensor, sets: Tensor, share: Share) -> Tensor:
    """`cross_entropy` summed over label sets, each of the pixels that were drawn for it.

    `y (n, V)` of the share; `sets (N,)`: for which label set each pixel of the batch was drawn, on
    the CPU.
    """
    if len(log_q) == 1:
        return cross_entropy(log_q[0], y[:, 0], share)
    total = y.new_zeros((), dtype=log_q[0].dtype)
    for v, of_set in enumerate(log_q):
        for_set = sets == v
        if bool(for_set.any()):
            own, of_drawn = share.among(for_set)
            drawn = sent(own, y.device)
            total = total + cross_entropy(of_set[:, drawn], y[drawn, v].clamp(min=0), of_drawn)
    return total


def supervised_settings(settings: M2Settings) -> M2Settings:
    """How the supervised part of a training is trained."""
    epochs = settings.supervised_epochs
    return settings.model_copy(
        update={"epochs": epochs, "patience": epochs, "decay": "cosine", "warm_up": 0}
    )
