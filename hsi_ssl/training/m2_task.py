"""M2 as the training loop sees it: its pixels, their batches, the objective, the validation.

The bounds on log p(x, y) and log p(x) are those of `bounds`. How q(y|x) learns from unlabelled
pixels is chosen by the settings:

pull        share of U's gradient that reaches q(y|x); 1 is the paper's model.
spatial     variational EM with a Potts prior on the grid. E-step: mean field over all training
            pixels, each saying log q(y|x) for itself, labelled ones saying their class. M-step:
            q(y|x) learns the result, by cross-entropy, until the next E-step. U is then taken with
            the E-step's distribution, which leaves it a bound on log p(x); the cross-entropy
            stands outside the bound, as alpha's term does.
slot_start  the first E-step where there are free slots, of which q(y|x) knows nothing yet: groups
            in scenes (`scene_start`), or without a grid on the graph of nearest neighbours
            (`slot_start`). It is learnt in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.bounds import mean_j, objective
from hsi_ssl.models.m2 import M2
from hsi_ssl.models.spatial import mean_field
from hsi_ssl.training.consistency import adversarial_cost, balance_cost
from hsi_ssl.training.inputs import APPLIED_BATCH, Inputs, Labelled, Validation, log_q_of
from hsi_ssl.training.loop import StepCost
from hsi_ssl.training.propagation import FeatureGraph
from hsi_ssl.training.stage import batch_size
from hsi_ssl.training.supervised_task import taught

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

SHARPER = 2.0
"""Exponent of posteriors that were made smooth, which leaves them less sure than they are right."""
LEAST_PRIOR = 1e-3
"""Smallest p(y) that neighbours give: they may be wrong."""
LEAST = 1e-6
"""Smallest probability of a class in U: its logarithm must be finite."""


@dataclass(frozen=True)
class Grid:
    """Labelled and unlabelled pixels, in this order, as places in scenes.

    `neighbours (N, 8)`: rows among them, -1 where there is none; `strength`: of the Potts prior.
    """

    neighbours: Tensor
    strength: float


class M2Task:
    """M2 with its labelled, unlabelled and validation pixels, all on the device."""

    score_name = "macro_f1"

    def __init__(
        self,
        module: M2,
        labelled: Labelled,
        unlabelled: Inputs,
        validation: Validation,
        settings: M2Settings,
        grid: Grid | None = None,
        graph: FeatureGraph | None = None,
        start: Tensor | None = None,
    ) -> None:
        """`grid`: where the pixels lie, None or of strength 0 for no spatial prior.

        `graph`: labelled and unlabelled pixels, in this order, in feature space; `start (N, K)`:
        first q(y) of the same where there are free slots, of which q(y|x) knows nothing yet.
        """
        self.module = module
        self.labelled, self.unlabelled, self.validation = labelled, unlabelled, validation
        self.settings = settings
        self.grid = grid if grid is not None and grid.strength and len(unlabelled) else None
        self.graph, self.start = graph, start
        self.pixels = len(labelled) + len(unlabelled)
        self.batch_unlabelled = batch_size(settings.batch_unlabelled, len(unlabelled))
        self._taught: Tensor | None = None
        self._log_prior: Tensor | None = None

    def begin_epoch(self, epoch: int) -> None:
        """The E-step, `rounds` times in all: what its neighbours say of each unlabelled pixel."""
        every = -(-self.settings.epochs // self.settings.rounds)
        nobody_tells = self.grid is None and self.graph is None and self.start is None
        if nobody_tells or epoch % every:
            return
        first = epoch == 0
        if first and self.start is not None:
            log_q = self.start.clamp(min=LEAST).log()
        else:
            log_q = log_q_of(self.module, self.labelled.inputs, self.unlabelled)
        nobody = torch.full((len(self.unlabelled),), -1, device=log_q.device)
        known = torch.cat([self.labelled.y, nobody])
        self._taught = None
        if self.grid is not None:
            found = mean_field(log_q, self.grid.neighbours, self.grid.strength, known)
            self._taught = found[len(self.labelled) :]
        elif self.start is not None and (first or not self.settings.pull):
            self._taught = self.start[len(self.labelled) :]  # later U tells, if anything does
        if self.graph is not None:
            alone = first and self.start is None
            self._log_prior = self._of_features(self.graph, log_q, known, first=alone)

    def _of_features(
        self, graph: FeatureGraph, log_q: Tensor, known: Tensor, *, first: bool
    ) -> Tensor:
        """log p(y) of each unlabelled pixel by its neighbours in feature space, `(N, K)`.

        First from the labels alone, then from `log_q (N, K)` of all pixels.
        """
        if first:
            found = graph.of_labels(known, log_q.shape[1]) ** self.settings.propagation
        else:
            q = log_q.exp()
            q[: len(self.labelled)] = F.one_hot(self.labelled.y, log_q.shape[1]).to(q.dtype)
            found = graph.of_posteriors(q) ** SHARPER
        found = found[len(self.labelled) :]
        return (found / found.sum(1, keepdim=True)).clamp(min=LEAST_PRIOR).log()

    def state(self) -> dict[str, Tensor]:
        """What the last E-step found, to resume from."""
        found = {"taught": self._taught, "log_prior": self._log_prior}
        return {name: t for name, t in found.items() if t is not None}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`."""
        self._taught, self._log_prior = state.get("taught"), state.get("log_prior")

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows (labelled, unlabelled): each unlabelled pixel once, a labelled batch beside each.

        Without unlabelled pixels an epoch draws as many labelled ones as there are.
        """
        device = self.labelled.y.device
        if not len(self.unlabelled):
            nothing = torch.empty(0, dtype=torch.long, device=device)
            for _ in range(-(-len(self.labelled) // self.labelled.size)):
                yield self.labelled.draw(generator), nothing
            return
        order = torch.randperm(len(self.unlabelled), generator=generator, device=device)
        for rows in torch.split(order, self.batch_unlabelled):
            yield self.labelled.draw(generator), rows

    def cost(
        self, batch: tuple[Tensor, Tensor], kl_weight: float, generator: torch.Generator
    ) -> StepCost:
        """J_alpha / N of a labelled and an unlabelled batch (see `bounds.objective`)."""
        rows, unlabelled_rows = batch
        module, inputs = self.module, self.labelled.inputs
        x, y = inputs.sample(rows, generator), self.labelled.y[rows]
        labelled = module.mean_labelled_cost(x, y, generator, kl_weight)
        classifier = module.classifier
        seen = inputs.learnt_from(x, len(classifier), generator)
        classification = taught(classifier.each(seen), y)
        unlabelled = beside = torch.zeros((), device=x.device)
        if len(unlabelled_rows):
            x_u = self.unlabelled.sample(unlabelled_rows, generator)
            neighbours_say = None if self._taught is None else self._taught[unlabelled_rows]
            unlabelled = self._mean_u(x_u, neighbours_say, kl_weight, generator)
            if self._log_prior is not None:
                unlabelled = unlabelled + self._own_prior(x_u, self._log_prior[unlabelled_rows])
            beside = self._beside_the_bound(x_u, generator)
            if neighbours_say is not None:
                seen = self.unlabelled.learnt_from(x_u, len(classifier), generator)
                classification = classification + taught(classifier.each(seen), neighbours_say)
        n_labelled, n_unlabelled = len(self.labelled), len(self.unlabelled)
        j = mean_j(labelled, unlabelled, n_labelled=n_labelled, n_unlabelled=n_unlabelled)
        cost = objective(j, classification, alpha=self.settings.alpha) + beside
        return StepCost(cost, -j, len(rows) + len(unlabelled_rows))

    def _mean_u(
        self, x: Tensor, taught: Tensor | None, kl_weight: float, generator: torch.Generator
    ) -> Tensor:
        """Mean of U(x), with q(y|x) or with what the E-step found."""
        pull = self.settings.pull
        if taught is not None and not pull:
            log_q = taught.clamp(min=LEAST).log()
        else:
            log_q = self.module.log_q_y(x)
            log_q = log_q.detach() + pull * (log_q - log_q.detach())
        return self.module.mean_unlabelled_cost(
            x, generator, kl_weight, self.settings.exact_classes, log_q
        )

    def _own_prior(self, x: Tensor, log_prior: Tensor) -> Tensor:
        """What U(x) changes by, in the mean, when pixels have their own log p(y) `(N, K)`."""
        q = self.module.log_q_y(x).exp()
        return (q * (self.module.log_p_y - log_prior)).sum(-1).mean()

    def _beside_the_bound(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """What the settings ask of q(y|x) on unlabelled pixels `(N, D)` that is in no bound."""
        settings, found = self.settings, torch.zeros((), device=x.device)
        if not (settings.steadiness or settings.balance):
            return found
        log_q = self.module.log_q_y(x)
        if settings.steadiness:
            found = found + settings.steadiness * adversarial_cost(
                self.module.log_q_y, x, log_q, settings.radius, generator
            )
        if settings.balance:
            found = found + settings.balance * balance_cost(log_q, self.module.log_p_y)
        return found

    @torch.no_grad()
    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Bound on log p(x, y), cross-entropy and macro-F1 of q(y|x) on the validation pixels."""
        found = self.validation.of_classifier(self.module)
        if self.module.architecture.free:
            found["score"] = math.inf  # of free slots these pixels say nothing: the last state
        y, x = self.validation.y, self.validation.inputs.mean
        pairs = zip(x.split(APPLIED_BATCH), y.split(APPLIED_BATCH), strict=True)
        costs = [self.module.labelled_cost(*pair, generator).sum() for pair in pairs]
        return {"bound": -float(sum(costs)) / max(1, len(y)), **found}

    @torch.no_grad()
    def snapshot(self, generator: torch.Generator) -> Tensor:
        """One generated input a class, z drawn from its prior."""
        device = self.labelled.y.device
        classes, latent = self.module.architecture.classes, self.module.architecture.latent
        eps = torch.randn(classes, latent, generator=generator, device=device)
        y = torch.arange(classes, device=device)
        return self.module.decode(y, self.module.prior.from_standard(eps, y))
