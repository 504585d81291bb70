"""Trainings step by step, and in float64, where rounding has far to grow: same means same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from hsi_ssl.training import loop
from hsi_ssl.training.task import StepCost, Turn


@contextmanager
def in_double() -> Iterator[None]:
    """Within it this process draws, reads and learns in float64."""
    reads = torch.from_numpy

    def reads_double(array: Any) -> Tensor:
        found = reads(array)
        return found.double() if found.is_floating_point() else found

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with (
            patch.object(torch, "from_numpy", reads_double),
            patch.object(Tensor, "float", Tensor.double),
        ):
            yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def costs_noted(most: int | None = None) -> Iterator[list[Tensor]]:
    """Within it the cost of each step of a training comes to a list, this process's part.

    `most`: an epoch ends after so many steps.
    """
    costs: list[Tensor] = []
    within = loop._Loop._steps

    def noted(turn: Turn) -> Turn:
        def cost(*of: Any) -> StepCost:
            found = turn.cost(*of)
            costs.append(found.cost.detach().clone())
            return found

        return Turn(turn.parameters, cost)

    def steps(self: Any) -> Any:
        task = self.task
        self.turns = [noted(turn) for turn in task.turns()]
        every = type(task).batches
        task.batches = lambda generator: islice(every(task, generator), most)
        return within(self)

    with patch.object(loop._Loop, "_steps", steps):
        yield costs
