"""Several label sets as the training loop sees them: the supervised part, and the whole model.

What `m2_task` does for one label set: the bound on all pixels, each with what is known of it;
cross-entropy on labelled pixels, set by set, each drawn class by class and teaching its own factor
of q; and the neighbours, who tell each pixel the labels that it lacks, by a Potts prior of its own
for every set. What a pixel says for itself in the E-step is q(y_v | x, its other labels).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hsi_ssl.models.bounds import mean_j, objective
from hsi_ssl.models.joint import JointM2
from hsi_ssl.models.spatial import mean_field
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.joint_data import JointData, at_once, evidence
from hsi_ssl.training.loop import StepCost, TaskWithoutState
from hsi_ssl.training.stage import STEPS_AN_EPOCH, batch_size
from hsi_ssl.training.supervised_task import taught

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

Batch = tuple[Tensor, Tensor, Tensor]
"""Rows drawn for labels, the label sets that they were drawn for, rows that lack a label."""


class JointSupervisedTask(TaskWithoutState):
    """The classifier of a joint model on labelled pixels alone."""

    score_name = "macro_f1"

    def __init__(self, module: JointM2, data: JointData, settings: M2Settings) -> None:
        """N, `pixels`, is that of the whole training, as in `SupervisedTask`."""
        self.module, self.data, self.settings = module, data, settings
        self.pixels = data.pixels

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """As many labelled batches as there are pixels for, of few some 30."""
        for _ in range(max(STEPS_AN_EPOCH, self.data.labelled.steps)):
            yield self.data.labelled.draw(generator)

    def cost(
        self, batch: tuple[Tensor, Tensor], kl_weight: float, generator: torch.Generator
    ) -> StepCost:
        """Cross-entropy of q(y|x), summed over label sets."""
        rows, sets = batch
        x, y = self.data.every.sample(rows, generator), self.data.y[rows]
        log_q = classified(self.module, self.data.every, x, self.settings, generator)
        cost = cross_entropy(log_q, y, sets)
        return StepCost(cost, -cost, len(rows))

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Scores of q(y|x) on the validation pixels; the bound is minus its cross-entropy."""
        found = self.data.validation.of_classifier(self.module)
        return {"bound": -found.get("cross_entropy", 0.0), **found}

    def snapshot(self, generator: torch.Generator) -> Tensor:
        """Nothing: a classifier generates no spectra."""
        return torch.empty(0, self.module.architecture.width)


class JointTask:
    """The whole model on all pixels."""

    score_name = "macro_f1"

    def __init__(
        self,
        module: JointM2,
        data: JointData,
        settings: M2Settings,
        strengths: list[float] | None = None,
    ) -> None:
        """`strengths`: of the Potts prior of each label set; None or 0 for no spatial prior."""
        self.module, self.data, self.settings = module, data, settings
        self.pixels = data.pixels
        self.lacking = torch.nonzero((data.y < 0).any(dim=1)).flatten()
        self.strengths = strengths if strengths is not None and any(strengths) else None
        self.batch = batch_size(settings.batch_unlabelled, len(self.lacking))
        self._taught: list[Tensor] = []

    def begin_epoch(self, epoch: int) -> None:
        """The E-step, `rounds` times in all: what neighbours say of the labels that are lacking."""
        every = -(-self.settings.epochs // self.settings.rounds)
        if self.strengths is None or not len(self.lacking) or epoch % every:
            return
        says = evidence(self.module, self.data.every, self.data.y)
        self._taught = [
            mean_field(log_f, self.data.neighbours, strength, known)
            for log_f, strength, known in zip(says, self.strengths, self.data.y.T, strict=True)
        ]

    def state(self) -> dict[str, Tensor]:
        """What the last E-step found, to resume from."""
        return {f"taught_{v}": t for v, t in enumerate(self._taught)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`."""
        self._taught = [state[f"taught_{v}"] for v in range(len(state))]

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Each pixel that lacks a label once, a labelled batch beside each."""
        labelled, device = self.data.labelled, self.data.y.device
        if not len(self.lacking):
            for _ in range(labelled.steps):
                yield *labelled.draw(generator), self.lacking
            return
        order = torch.randperm(len(self.lacking), generator=generator, device=device)
        for some in torch.split(order, self.batch):
            yield *labelled.draw(generator), self.lacking[some]

    def cost(self, batch: Batch, kl_weight: float, generator: torch.Generator) -> StepCost:
        """J_alpha / N: the bound takes each pixel once, with all that is known of it."""
        rows, sets, lacking = batch
        every, settings = self.data.every, self.settings
        x, y = every.sample(rows, generator), self.data.y[rows]
        log_q = classified(self.module, every, x, settings, generator)
        classification = cross_entropy(log_q, y, sets)
        whole = (y >= 0).all(dim=1)
        complete = incomplete = torch.zeros((), device=x.device)
        if whole.any():
            complete = self._bound(x[whole], y[whole], kl_weight, generator)
        if len(lacking):
            x_u, y_u = every.sample(lacking, generator), self.data.y[lacking]
            incomplete = self._bound(x_u, y_u, kl_weight, generator)
            if self._taught:
                log_q = classified(self.module, every, x_u, settings, generator)
                for v, (of_set, says) in enumerate(zip(log_q, self._taught, strict=True)):
                    unknown = torch.nonzero(y_u[:, v] < 0).flatten()
                    if len(unknown):
                        target = says[lacking[unknown]]
                        classification = classification + taught(of_set[:, unknown], target)
        n = len(self.lacking)
        j = mean_j(complete, incomplete, n_labelled=self.pixels - n, n_unlabelled=n)
        cost = objective(j, classification, alpha=settings.alpha)
        return StepCost(cost, -j, len(rows) + len(lacking))

    def _bound(self, x: Tensor, y: Tensor, kl_weight: float, generator: torch.Generator) -> Tensor:
        settings = self.settings
        return self.module.cost(
            x,
            y,
            generator,
            kl_weight=kl_weight,
            exact=settings.exact_classes,
            samples=settings.samples,
            pull=settings.pull,
        ).mean()

    @torch.no_grad()
    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Bound on log p(x, labels), and scores of q(y|x), on the validation pixels."""
        validation = self.data.validation
        found = validation.of_classifier(self.module)
        some = at_once(self.module)
        pairs = zip(validation.inputs.mean.split(some), validation.y.split(some), strict=True)
        exact = self.settings.exact_classes
        costs = [self.module.cost(*pair, generator, exact=exact).sum() for pair in pairs]
        return {"bound": -float(sum(costs)) / max(1, len(validation.y)), **found}

    @torch.no_grad()
    def snapshot(self, generator: torch.Generator) -> Tensor:
        """One generated input a class of the first label set."""
        return self.module.generate(generator)


def classified(
    module: JointM2, inputs: Inputs, x: Tensor, settings: M2Settings, generator: torch.Generator
) -> list[Tensor]:
    """log q_e(y|x) `(E, n, K)` of each label set, of sampled inputs as experts learn from them."""
    seen = inputs.learnt_from(x, len(module.classifier), generator)
    shape = (settings.samples if module.after else 0, len(x), module.architecture.latent)
    draws = torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
    return module.each_marginal(seen, draws)


def cross_entropy(log_q: list[Tensor], y: Tensor, sets: Tensor) -> Tensor:
    """Summed over label sets: of the pixels that were drawn for each, by `y (n, V)`."""
    total = y.new_zeros((), dtype=log_q[0].dtype)
    for v, of_set in enumerate(log_q):
        drawn = torch.nonzero(sets == v).flatten()
        total = total + taught(of_set[:, drawn], y[drawn, v])
    return total
