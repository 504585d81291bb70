"""The whole model as the training loop sees it: labelled pixels, and those that lack a label.

What is minimised is a sum of terms (`training/terms`); what pixels are told by others is worked out
between epochs (`e_step.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.bounds import objective
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.factor_m2 import FactorM2
from hsi_ssl.models.moving import fetched, sent
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.inputs import (
    APPLIED_BATCH,
    Inputs,
    Labelled,
    Pixels,
    at_once,
    evidence,
    stride,
)
from hsi_ssl.training.processes import ALONE, Processes
from hsi_ssl.training.share import share_of
from hsi_ssl.training.stage import STEPS_AN_EPOCH, batch_size
from hsi_ssl.training.task import PlainTask, StepCost
from hsi_ssl.training.terms import asked_for
from hsi_ssl.training.terms.step import Step
from hsi_ssl.training.validation import Validation

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


FITTED = 50_000
"""Pixels that p(x|y) is fitted to, at most, beside labelled ones."""


LOG_JOINT = "log_joint"


class Batch(NamedTuple):
    """Rows of training pixels: some drawn for their labels, some that lack a label; on the CPU."""

    labelled: Tensor
    sets: Tensor
    """The label sets that those were drawn for."""
    lacking: Tensor
    inputs: Inputs
    """Where those that lack a label are seen."""
    at: Tensor
    """Rows of them there, on the device."""


class Data(Protocol):
    """All training pixels, labelled ones first, and the validation pixels."""

    @property
    def every(self) -> Pixels:
        """The training pixels."""

    @property
    def y(self) -> Tensor:
        """Their classes `(N, V)`, -1 where not known."""

    @property
    def labelled(self) -> Labelled:
        """The first of them, with a label of one set or more."""

    @property
    def validation(self) -> Validation:
        """Pixels to choose by."""


class SemiSupervisedTask(PlainTask):
    """A model with all its pixels, on the device."""

    module: DeclaredVAE

    score_name = "macro_f1"

    def __init__(
        self,
        module: DeclaredVAE,
        data: Data,
        settings: M2Settings,
        e_step: EStep | None = None,
        processes: Processes = ALONE,
        pixels: int | None = None,
    ) -> None:
        """`e_step`: who tells pixels of the labels that they lack, None for nobody.

        `pixels`: N of the weight prior, if other than that of the data.
        """
        self.module, self.settings, self.processes = module, settings, processes
        self.inputs, self.y = data.every, data.y
        self.labelled, self.validation = data.labelled, data.validation
        self.e_step = EStep() if e_step is None else e_step
        self.pixels = pixels or len(self.inputs)
        self.known = (self.y >= 0).cpu()
        """Which labels of pixels are known, `(N, V)`, on the CPU: steps ask, and must not wait."""
        self.lacking = torch.nonzero((~self.known).any(dim=1)).flatten()
        self.batch = batch_size(settings.batch_unlabelled, len(self.lacking))
        self.steps = math.ceil(len(self.lacking) / self.batch)
        if not self.steps:
            self.steps = max(STEPS_AN_EPOCH, self.labelled.steps)
        self.terms = asked_for(settings)
        self.log_joint: Tensor | None = None
        """log p(x, y) `(N, K)` of training pixels, where p is fitted between epochs, not learnt."""

    def objective_in_words(self) -> str:
        """What is minimised, for the card: which terms, and which are part of a bound."""
        said = []
        for term in self.terms:
            words = term.in_words(self.settings, self.e_step)
            if words is not None:
                said.append(words if term.in_bound else f"{words}, outside the bound")
        return "; ".join(said)

    def judged_by_bound(self, name: str) -> bool:
        """The generative part and its q(z|x, ...), where q(y|x) and it do not learn together."""
        together = self.settings.stop_gradient < 1 and not isinstance(self.module, FactorM2)
        if together or self.module.after:
            return False
        return not name.startswith("classifier.")

    def begin_epoch(self, epoch: int) -> None:
        """The E-step, `em_rounds` times in all, or once; then p(x|y), where it is fitted."""
        every = -(-self.settings.epochs // self.settings.em_rounds)
        if epoch % every:
            return
        asked = self.e_step.speaks and len(self.lacking) > 0
        if asked and epoch and not self.e_step.again:
            return
        if asked:
            bound_teaches = self.settings.stop_gradient < 1
            self.e_step.run(
                self.module, self.inputs, self.y, first=epoch == 0, bound_teaches=bound_teaches
            )
        if isinstance(self.module, FactorM2):
            self._fit_p(self.module)

    @torch.no_grad()
    def _fit_p(self, module: FactorM2) -> None:
        """Fit p(x|y) to labelled pixels, and to others and what was said of them last.

        Of very many an even share, with all labelled ones.
        """
        told = self.e_step.pseudo_labels
        (q,) = (
            [one.exp() for one in evidence(module, self.inputs, self.y)] if told is None else told
        )
        y, labelled = self.y[:, 0], len(self.labelled)
        q = q.clone()
        q[:labelled] = F.one_hot(y[:labelled], q.shape[1]).to(q)
        some = self.inputs.some(FITTED)
        rows = torch.arange(len(q), device=q.device)[:: stride(len(q), FITTED)]
        missing = torch.ones(labelled, dtype=torch.bool, device=q.device)
        missing[rows[rows < labelled]] = False
        x = torch.cat([self.labelled.inputs.mean[missing], some.mean])
        module.fit(x, torch.cat([q[:labelled][missing], q[rows]]), self.settings.seed)
        blocks = self.inputs.blocks(APPLIED_BATCH)
        self.log_joint = torch.cat([module.log_joint(b.mean, module.draws).T for b in blocks])

    def state(self) -> dict[str, Tensor]:
        """What the last E-step found, to resume from; p(x|y), where it was fitted to that."""
        found = self.e_step.state()
        if isinstance(self.module, FactorM2):
            found |= self.module.fitted()
        if self.log_joint is not None:
            found[LOG_JOINT] = self.log_joint
        return found

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`."""
        self.e_step.restore(state)
        if isinstance(self.module, FactorM2):
            self.module.restore(state)
        self.log_joint = state.get(LOG_JOINT)

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Each pixel that lacks a label once, a labelled batch beside each.

        Where none lacks any an epoch draws as many labelled ones as there are, of few some 30.
        """
        if not len(self.lacking):
            for _ in range(self.steps):
                inputs = self.labelled.inputs
                nobody = self.lacking.to(self.y.device)
                yield Batch(*self.labelled.draw(generator), self.lacking, inputs, nobody)
            return
        for rows, inputs, at in self.inputs.shuffled(self.lacking, self.batch, generator):
            yield Batch(*self.labelled.draw(generator), rows, inputs, at)

    def cost(self, batch: Batch, kl_weight: float, generator: torch.Generator) -> StepCost:
        """J_alpha / N, the weighted sum of the terms."""
        device, of_labels = self.y.device, self.labelled.inputs
        labelled = share_of(self.processes, len(batch.labelled))
        others = share_of(self.processes, len(batch.lacking))
        rows, at = sent(batch.labelled[labelled.at], device), batch.at[others.at]
        lacking = at if batch.inputs is self.inputs else sent(batch.lacking[others.at], device)
        joint = self.log_joint
        step = Step(
            module=self.module,
            settings=self.settings,
            inputs=of_labels,
            e_step=self.e_step,
            labelled=labelled,
            lacking=others,
            x=of_labels.sample(rows, labelled.numbers(generator)),
            y=self.y[rows],
            sets=batch.sets,
            known=self.known[batch.labelled],
            known_lacking=self.known[batch.lacking],
            rows=lacking,
            x_lacking=batch.inputs.sample(at, others.numbers(generator)),
            y_lacking=self.y[lacking],
            share_lacking=len(self.lacking) / self.pixels,
            kl_weight=kl_weight,
            generator=generator,
            log_joint=None if joint is None else (joint[rows], joint[lacking]),
        )
        costs = {term.name: term.cost(step) for term in self.terms}
        weights = [term.weight(self.settings) for term in self.terms]
        total = objective(list(costs.values()), weights)
        bound = [-costs[term.name] for term in self.terms if term.in_bound]
        return StepCost(total, torch.stack(bound).sum(), labelled.of + others.of, costs)

    @torch.no_grad()
    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Bound on log p(x, labels), and scores of q(y|x), on the validation pixels."""
        some, exact = at_once(self.module), self.settings.exact_classes
        x, y, known = self.validation.inputs.mean, self.validation.y, self.validation.known
        pieces = zip(*(t.split(some) for t in (x, y, known)), strict=True)
        costs = [
            self.module.cost(a, b, generator, exact=exact, known=c).sum() for a, b, c in pieces
        ]
        cost = {"cost": torch.stack(costs).sum()} if len(y) else {}
        read = fetched({**self.validation.measured(self.module), **cost})
        found = self.validation.of_classifier(self.module.architecture.labels, read)
        if any(self.module.architecture.free):
            found["score"] = math.inf  # of free slots these pixels say nothing: the last state
        return {"bound": -float(read.get("cost", 0.0)) / max(1, len(y)), **found}

    @torch.no_grad()
    def snapshot(self, generator: torch.Generator) -> Tensor:
        """One generated input a class of the first label set."""
        return self.module.generate(generator)
