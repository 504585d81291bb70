"""What a process works on of a batch, and means over the whole of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.draws import RowsGenerator
from hsi_ssl.training.processes import ALONE, Processes


@dataclass(frozen=True)
class Share:
    """Rows of a batch of `of` that this process works on.

    `at`: which, known on the CPU; never none, so that every process takes the same way: where there
    is nothing for one it looks at a row of another's, and `kept` is 0 instead of all of its rows.
    """

    at: slice | Tensor
    of: int
    kept: int
    processes: Processes = ALONE

    def mean(self, costs: Tensor) -> Tensor:
        """The part of `costs (..., n)` of its rows in the mean over the batch, `(...)`.

        The mean over processes of their parts is that over the whole batch, so is the gradient's.
        """
        if self.processes.size == 1:
            return costs.mean(-1)
        found: Tensor = costs[..., : self.kept].sum(-1) * (self.processes.size / self.of)
        return found

    def mean_of_all(self, values: Tensor) -> Tensor:
        """The mean `(...)` of `values (..., n)` over the whole batch, known to every process.

        Its gradient reaches this process's part: the mean over processes is the whole's.
        """
        own = self.mean(values)
        if self.processes.size == 1:
            return own
        whole = own.detach().clone()
        self.processes.average([whole])
        return whole + own - own.detach()

    def numbers(self, generator: torch.Generator) -> torch.Generator:
        """What gives its rows the numbers that they would have in one process."""
        if self.processes.size == 1:
            return generator
        at = torch.arange(self.of)[self.at] if isinstance(self.at, slice) else self.at
        return RowsGenerator(generator, at, self.of)

    def among(self, chosen: Tensor) -> tuple[Tensor, Share]:
        """Of a batch's rows that are `chosen (of,)`, one at least: which of its own, and its share.

        The first result counts from its first row on; all is on the CPU.
        """
        number = int(chosen.sum())
        mine = torch.nonzero(chosen[self.at][: self.kept]).flatten()
        if self.processes.size == 1:
            return mine, Share(slice(None), number, number)
        at = (torch.cumsum(chosen, 0) - 1)[self.at][mine]
        if not len(mine):
            mine = at = torch.zeros(1, dtype=torch.long)
            return mine, Share(at, number, 0, self.processes)
        return mine, Share(at, number, len(mine), self.processes)

    def beside(self, other: Share) -> Share:
        """Its rows, and after them those of another batch."""
        if self.processes.size == 1:
            return Share(slice(None), self.of + other.of, self.kept + other.kept)
        each = [
            torch.arange(one.of)[one.at] if isinstance(one.at, slice) else one.at
            for one in (self, other)
        ]
        at = torch.cat([each[0], self.of + each[1]])
        return Share(at, self.of + other.of, len(at), self.processes)


def share_of(processes: Processes, rows: int) -> Share:
    """What a process works on of a batch of `rows`: an even part of it, in its order."""
    size, rank = processes.size, processes.rank
    first, stop = rows * rank // size, rows * (rank + 1) // size
    if first == stop:
        return Share(slice(0, min(1, rows)), rows, 0, processes)
    return Share(slice(first, stop), rows, stop - first, processes)


def whole(rows: int) -> Share:
    """All of a batch, in one process."""
    return Share(slice(None), rows, rows)
