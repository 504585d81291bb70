"""A classifier that is no declared model, with its pixels, as the training loop sees it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from hsi_ssl.models.classifiers.base import Batch, ClassifierModel, Move
from hsi_ssl.models.moving import fetched, sent
from hsi_ssl.training.inputs import APPLIED_BATCH
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.stage import STEPS_AN_EPOCH, batch_size
from hsi_ssl.training.task import PlainTask, StepCost, Turn
from hsi_ssl.training.validation import measured, over_label_sets, scores_by_label_set

Rows = tuple[Tensor, Tensor, Tensor]
"""Of labelled pixels, the label sets that they were drawn for, and rows of any pixels."""
Pair = tuple[Tensor | None, Tensor | None]
SHOWN = 12
"""Inputs that are drawn while training goes on, at most."""


class ClassifierTask(PlainTask):
    """A `ClassifierModel` with labelled pixels, all training pixels, and those that validate."""

    module: ClassifierModel

    score_name = "macro_f1"
    bound_name = "minus_cost"

    def __init__(
        self,
        module: ClassifierModel,
        data: M2Data,
        taught: Pair = (None, None),
        both: Pair = (None, None),
    ) -> None:
        """What is known of all training pixels, and of those that validate, beside their inputs.

        `taught`: log q(y|x) `(N, K)` by a teacher; `both`: inputs `(N, D')` of two sensors.
        """
        self.module, self.data = module, data
        self.taught, self.taught_validation = taught
        self.both, self.both_validation = both
        self.pixels = data.pixels
        self.batch = batch_size(data.settings.batch_unlabelled, self.pixels)
        self.steps = max(STEPS_AN_EPOCH, data.labelled.steps, math.ceil(self.pixels / self.batch))
        self.names = [label_set.name for label_set in data.label_sets]

    def batches(self, generator: torch.Generator) -> Iterator[Rows]:
        """Each training pixel once or more, a batch drawn for its labels beside each."""
        data = self.data
        device = data.seen.mean.device
        order = sent(torch.randperm(self.pixels, generator=generator), device)
        rounds = math.ceil(self.steps * self.batch / self.pixels)
        for some in order.repeat(rounds).split(self.batch)[: self.steps]:
            rows, sets = data.labelled.draw(generator)
            yield sent(rows, device), sent(sets, device), some

    def turns(self) -> Sequence[Turn]:
        """Those of the model's moves, on inputs as they might be measured another time."""
        moves = self.module.moves()
        return [Turn(move.parameters, partial(self._cost_of, move)) for move in moves]

    def _cost_of(
        self, move: Move, batch: Rows, kl_weight: float, generator: torch.Generator
    ) -> StepCost:
        del kl_weight
        found = move.cost(self.seen(batch, generator), generator)
        return StepCost(found.total, -found.total, len(batch[0]) + len(batch[2]), found.terms)

    def seen(self, batch: Rows, generator: torch.Generator) -> Batch:
        """The inputs and labels of a batch of rows; labels of the set it was drawn for alone."""
        rows, sets, some = batch
        labelled, every = self.data.labelled, self.data.seen
        x = labelled.inputs.sample(rows, generator)
        y = labelled.y[rows]
        here = torch.arange(y.shape[1], device=y.device) == sets[:, None]
        x = labelled.inputs.perturbed(x, generator)
        y = torch.where(here, y, -1)
        beside = _at(self.taught, some), _at(self.both, rows), _at(self.both, some)
        return Batch(x, y, every.sample(some, generator), *beside)

    @torch.no_grad()
    def log_q(self) -> list[Tensor]:
        """log q(y|x) `(N, K)` of the validation pixels, of each label set."""
        return log_q_each(self.module, self.data.validation.inputs.mean)

    @torch.no_grad()
    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Scores on the validation pixels; the bound is minus what the first move costs there."""
        validation = self.data.validation
        if not len(validation):
            return {"bound": 0.0, "score": math.inf, "macro_f1": 0.0}
        first, costs = self.module.moves()[0], dict[str, Tensor]()
        pieces = [slice(i, i + APPLIED_BATCH) for i in range(0, len(validation), APPLIED_BATCH)]
        for rows in pieces:
            x, y = validation.inputs.mean[rows], validation.y[rows]
            taught, both = _at(self.taught_validation, rows), _at(self.both_validation, rows)
            batch = Batch(x, y, x, taught, both, both)
            costs[f"cost_{rows.start}"] = first.cost(batch, generator).total
        read = fetched({**measured(self.log_q(), validation.y, validation.known), **costs})
        cost = sum(len(validation.y[rows]) * float(read[f"cost_{rows.start}"]) for rows in pieces)
        each = scores_by_label_set(self.names, read, validation.truth)
        return {
            "bound": -cost / len(validation),
            **over_label_sets(each, several=len(self.names) > 1),
        }

    @torch.no_grad()
    def snapshot(self, generator: torch.Generator) -> Tensor:
        """Inputs that show what has been learnt, none perhaps."""
        return self.module.shown(self.measured, generator)

    @property
    def measured(self) -> Tensor:
        """A few inputs, to show what has been learnt beside them."""
        x = self.data.seen.mean
        return x[:: max(1, len(x) // SHOWN)][:SHOWN]


def _at(known: Tensor | None, rows: Tensor | slice) -> Tensor | None:
    return None if known is None else known[rows]


@torch.no_grad()
def log_q_each(module: ClassifierModel, x: Tensor) -> list[Tensor]:
    """log q(y|x) `(N, K)` of each label set at inputs `(N, D)`, some pixels at a time."""
    found = [module.log_q_each(some) for some in x.split(APPLIED_BATCH)]
    return [torch.cat(of_set) for of_set in zip(*found, strict=True)]
