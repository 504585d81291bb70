"""M2 as the training loop sees it: its pixels, their batches, the objective, the validation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor

from hsi_ssl.models.bounds import mean_j, objective
from hsi_ssl.models.m2 import M2
from hsi_ssl.models.networks import sample_gaussian
from hsi_ssl.training.consistency import adversarial_cost, balance_cost
from hsi_ssl.training.loop import StepCost
from hsi_ssl.training.stage import batch_size

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

TIE = 1e-4
"""Weight of the cross-entropy in the score: it decides between states of equal macro-F1."""
VALIDATION_BATCH = 2048


@dataclass(frozen=True)
class Inputs:
    """What M2 sees of N pixels: spectra, or M1's q(z1|x) as `mean` and `logvar (N, D)`."""

    mean: Tensor
    logvar: Tensor | None = None

    def __len__(self) -> int:
        return len(self.mean)

    def sample(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Inputs of some pixels: a fresh sample of q(z1|x), or the spectra themselves."""
        if self.logvar is None:
            return self.mean[rows]
        return sample_gaussian(self.mean[rows], self.logvar[rows], generator)


class M2Task:
    """M2 with its labelled, unlabelled and validation pixels, all on the device."""

    score_name = "macro_f1"

    def __init__(
        self,
        module: M2,
        labelled: Inputs,
        y: Tensor,
        unlabelled: Inputs,
        validation: Inputs,
        y_validation: Tensor,
        settings: M2Settings,
    ) -> None:
        self.module = module
        self.labelled, self.y = labelled, y
        self.unlabelled = unlabelled
        self.validation, self.y_validation = validation, y_validation
        self.settings = settings
        self.pixels = len(labelled) + len(unlabelled)
        self.batch_unlabelled = batch_size(settings.batch_unlabelled, len(unlabelled))
        self._by_class = torch.argsort(y, stable=True)
        counts = torch.bincount(y, minlength=module.architecture.classes)
        self._present = torch.nonzero(counts).flatten()
        self._counts = counts[self._present]
        self._starts = torch.cumsum(self._counts, 0) - self._counts

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows (labelled, unlabelled): each unlabelled pixel once, a labelled batch beside each.

        Without unlabelled pixels an epoch draws as many labelled ones as there are.
        """
        device = self.y.device
        if not len(self.unlabelled):
            nothing = torch.empty(0, dtype=torch.long, device=device)
            for _ in range(-(-len(self.labelled) // self.settings.batch_labelled)):
                yield self._labelled_rows(generator), nothing
            return
        order = torch.randperm(len(self.unlabelled), generator=generator, device=device)
        for rows in torch.split(order, self.batch_unlabelled):
            yield self._labelled_rows(generator), rows

    def _labelled_rows(self, generator: torch.Generator) -> Tensor:
        """A labelled batch: first the class at random, then the pixel; or pixels as they come."""
        size, device = self.settings.batch_labelled, self.y.device
        if not self.settings.balanced:
            return torch.randint(len(self.y), (size,), generator=generator, device=device)
        classes = torch.randint(len(self._present), (size,), generator=generator, device=device)
        place = torch.rand(size, generator=generator, device=device) * self._counts[classes]
        return self._by_class[self._starts[classes] + place.long()]

    def cost(
        self, batch: tuple[Tensor, Tensor], kl_weight: float, generator: torch.Generator
    ) -> StepCost:
        """J_alpha / N of a labelled and an unlabelled batch (see `bounds.objective`)."""
        rows, unlabelled_rows = batch
        x, y = self.labelled.sample(rows, generator), self.y[rows]
        labelled = self.module.labelled_cost(x, y, generator, kl_weight).mean()
        cross_entropy = F.nll_loss(self.module.log_q_y(x), y)
        unlabelled = beside = torch.zeros((), device=x.device)
        if len(unlabelled_rows):
            x_u = self.unlabelled.sample(unlabelled_rows, generator)
            unlabelled = self.module.unlabelled_cost(x_u, generator, kl_weight).mean()
            beside = self._beside_the_bound(x_u, generator)
        n_labelled, n_unlabelled = len(self.labelled), len(self.unlabelled)
        j = mean_j(labelled, unlabelled, n_labelled=n_labelled, n_unlabelled=n_unlabelled)
        cost = objective(j, cross_entropy, alpha=self.settings.alpha) + beside
        return StepCost(cost, -j, len(rows) + len(unlabelled_rows))

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
        """Bound on log p(x, y), cross-entropy and macro-F1 of q(y|x) on the validation pixels.

        Without validation pixels the score is infinite, so that the last state is kept.
        """
        if not len(self.validation):
            return {"bound": 0.0, "score": math.inf, "macro_f1": 0.0}
        costs, log_q = [], []
        batches = zip(
            torch.split(self.validation.mean, VALIDATION_BATCH),
            torch.split(self.y_validation, VALIDATION_BATCH),
            strict=True,
        )
        for x, y in batches:
            costs.append(self.module.labelled_cost(x, y, generator))
            log_q.append(self.module.log_q_y(x))
        log_p = torch.cat(log_q)
        cross_entropy = float(F.nll_loss(log_p, self.y_validation))
        found = scores(self.y_validation, log_p)
        return {
            "bound": -float(torch.cat(costs).mean()),
            "score": found["macro_f1"] - TIE * cross_entropy,
            "cross_entropy": cross_entropy,
            **found,
        }

    @torch.no_grad()
    def snapshot(self, generator: torch.Generator) -> Tensor:
        """One generated input a class, z drawn from its prior."""
        classes, latent = self.module.architecture.classes, self.module.architecture.latent
        z = torch.randn(classes, latent, generator=generator, device=self.y.device)
        return self.module.decode(torch.arange(classes, device=self.y.device), z)


def scores(y: Tensor, log_p: Tensor) -> dict[str, float]:
    """OA, balanced accuracy and macro-F1 of log p(y|x) `(N, K)` against `y (N,)`.

    Over the classes that occur among `y`.
    """
    truth, found = y.cpu().numpy(), log_p.argmax(-1).cpu().numpy()
    present = np.unique(truth)
    return {
        "oa": float(np.mean(truth == found)),
        "balanced_accuracy": float(np.mean([np.mean(found[truth == k] == k) for k in present])),
        "macro_f1": float(f1_score(truth, found, labels=present, average="macro", zero_division=0)),
    }
