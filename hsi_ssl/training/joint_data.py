"""The pixels of a dataset with several label sets: labels of some sets, batches, scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.datasets.store import Part
from hsi_ssl.models.joint import JointM2
from hsi_ssl.models.labels import allowed, combinations, conditioned, marginals
from hsi_ssl.models.spatial import information, learnt_strength
from hsi_ssl.training.inputs import APPLIED_BATCH, TIE, Inputs, Labelled, scores
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.stage import SMALLEST_BATCH
from hsi_ssl.training.temperature import fitted_temperature
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

MEANT = ("macro_f1", "oa", "balanced_accuracy", "cross_entropy")
"""Scores of which the mean over label sets is the whole's."""


class JointLabelled:
    """Pixels with a label of one set or more, and batches that are fair to every set."""

    def __init__(self, inputs: Inputs, y: Tensor, settings: M2Settings) -> None:
        """`y (N, V)`: classes 0..K-1, -1 where not known."""
        self.inputs, self.y = inputs, y
        self._rows = [torch.nonzero(column >= 0).flatten() for column in y.T]
        self._each = [
            Labelled(inputs, column[rows], settings)
            for rows, column in zip(self._rows, y.T, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def steps(self) -> int:
        """Batches in which each label set has drawn as many pixels as it labels."""
        return max(-(-len(one) // one.size) for one in self._each)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows, and for which label set each was drawn: as many for every set."""
        drawn = [
            rows[one.draw(generator)] for rows, one in zip(self._rows, self._each, strict=True)
        ]
        sets = [torch.full_like(rows, v) for v, rows in enumerate(drawn)]
        return torch.cat(drawn), torch.cat(sets)


@dataclass(frozen=True)
class JointValidation:
    """Validation pixels, none perhaps, with `y (N, V)`."""

    inputs: Inputs
    y: Tensor

    def of_classifier(self, module: JointM2) -> dict[str, float]:
        """Scores of q(y|x), each the mean over label sets, and macro-F1 of each; a `score`.

        Without validation pixels the score is infinite, so that the last state is kept.
        """
        each = self.by_label_set(module)
        if not each:
            return {"score": math.inf, "macro_f1": 0.0}
        found = {name: float(np.mean([one[name] for one in each.values()])) for name in MEANT}
        found |= {f"macro_f1_{name}": one["macro_f1"] for name, one in each.items()}
        return {"score": found["macro_f1"] - TIE * found["cross_entropy"], **found}

    def by_label_set(self, module: JointM2) -> dict[str, dict[str, float]]:
        """Scores and cross-entropy of each label set that has validation pixels."""
        if not len(self.y):
            return {}
        found = {}
        log_q = each_marginal(module, self.inputs)
        for name, of_set, y in zip(module.architecture.labels, log_q, self.y.T, strict=True):
            known = y >= 0
            if known.any():
                found[name] = scores(y[known], of_set[known])
                found[name]["cross_entropy"] = float(F.nll_loss(of_set[known], y[known]))
        return found

    def temperatures(self, module: JointM2) -> list[float]:
        """Of q(y|x) of each label set; none without validation pixels."""
        if not len(self.y):
            return []
        log_q = each_marginal(module, self.inputs)
        return [
            fitted_temperature(of_set[y >= 0], y[y >= 0])
            for of_set, y in zip(log_q, self.y.T, strict=True)
        ]


@dataclass(frozen=True)
class JointData(M2Data):
    """The pixels of a dataset as a joint model sees them."""

    def _y(self, rows: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.dataset.label[rows].astype(np.int64)).to(self.device)

    @cached_property
    def every(self) -> Inputs:
        """Training pixels, then those without any label."""
        return self._inputs(np.concatenate([self.dataset.rows(Part.TRAIN), self.unlabelled_rows]))

    @property
    def unlabelled_rows(self) -> npt.NDArray[np.int64]:
        """Rows of the dataset whose spectra may be learnt from without label."""
        return self.dataset.unlabelled_rows

    @cached_property
    def y(self) -> Tensor:
        """Classes `(N, V)` of `every`, -1 where not known."""
        labelled = self._y(self.dataset.rows(Part.TRAIN))
        return F.pad(labelled, (0, 0, 0, len(self.unlabelled_rows)), value=-1)

    @cached_property
    def labelled(self) -> JointLabelled:  # type: ignore[override]
        """Training pixels, each with a label of one set or more."""
        n = len(self.dataset.rows(Part.TRAIN))
        return JointLabelled(_part(self.every, slice(0, n)), self.y[:n], self.settings)

    @cached_property
    def unlabelled(self) -> Inputs:
        """Pixels without any label."""
        return _part(self.every, slice(len(self.labelled), None))

    @cached_property
    def validation(self) -> JointValidation:  # type: ignore[override]
        """Validation pixels of any label set."""
        rows = self.dataset.rows(Part.VALIDATION)
        return JointValidation(self._inputs(rows), self._y(rows))

    def strengths(self, model: JointM2, watcher: Watcher) -> list[float]:
        """How much neighbours agree in each label set."""
        found = []
        for i, of_set in enumerate(evidence(model, self.every, self.y)):
            prior = model.get_buffer(f"log_p_{i}")
            found.append(learnt_strength(of_set.exp(), self.neighbours, prior))
        of_each = zip(model.architecture.labels, found, strict=True)
        said = ", ".join(f"{name} {strength:.2f}" for name, strength in of_each)
        watcher.say(f"neighbours agree with strength (0: no more than any two pixels): {said}")
        return found

    def told(self, model: JointM2) -> Tensor:
        """What neighbours tell of each other's classes, by each expert, in nats, `(V, E)`."""
        counts = model.architecture.counts
        if not self.settings.spatial:
            return torch.zeros(len(counts), len(model.classifier), device=self.device)
        each = each_expert(model, self.every)
        return torch.tensor(
            [[information(q.exp(), self.neighbours) for q in of_set] for of_set in each],
            device=self.device,
        )


def at_once(module: JointM2) -> int:
    """Pixels at a time for q(y|x)."""
    return max(SMALLEST_BATCH, APPLIED_BATCH // module.rows(every_class=False))


def _part(inputs: Inputs, rows: slice) -> Inputs:
    """Some neighbouring rows, not copied."""
    logvar = None if inputs.logvar is None else inputs.logvar[rows]
    return Inputs(inputs.mean[rows], logvar, inputs.noise_sd)


@torch.no_grad()
def each_marginal(module: JointM2, inputs: Inputs) -> list[Tensor]:
    """log q(y|x) `(N, K)` of each label set at the means of inputs."""
    counts = module.architecture.counts
    found = [marginals(module.log_q(x), counts) for x in inputs.mean.split(at_once(module))]
    return [torch.cat(of_set) for of_set in zip(*found, strict=True)]


@torch.no_grad()
def each_expert(module: JointM2, inputs: Inputs) -> list[Tensor]:
    """log q_e(y|x) `(E, N, K)` of each expert for each label set at the means of inputs."""
    found = [module.each_marginal(x, module.draws) for x in inputs.mean.split(at_once(module))]
    return [torch.cat(of_set, dim=1) for of_set in zip(*found, strict=True)]


@torch.no_grad()
def evidence(module: JointM2, inputs: Inputs, y: Tensor) -> list[Tensor]:
    """log q(y_v | x, the other labels known of the pixel) `(N, K)` of each label set.

    `y (N, V)`: -1 where not known. What a pixel's own spectrum and its other labels say of it.
    """
    counts = module.architecture.counts
    states = combinations(counts, y.device)
    found: list[list[Tensor]] = [[] for _ in counts]
    for x, known in zip(inputs.mean.split(at_once(module)), y.split(at_once(module)), strict=True):
        table = module.log_q(x)
        for v, of_set in enumerate(found):
            others = known.clone()
            others[:, v] = -1
            given = conditioned(table, allowed(others, states))[1]
            of_set.append(torch.log_softmax(marginals(given, counts)[v], dim=-1))
    return [torch.cat(of_set) for of_set in found]
