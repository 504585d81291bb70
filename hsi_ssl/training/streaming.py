"""Pixels whose spectra are read from the dataset in every epoch, where memory cannot hold them.

Chunks of the file are taken in random order, `BUFFER` of them at a time, fewer at first, for which
a training has to wait; the pixels of these are shuffled together. While one buffer is learnt from,
a thread reads the next. So memory does not grow with the number of pixels, and each chunk is
checked by its checksum whenever it is read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.datasets.checked_rows import CHUNK_ROWS, READ_ROWS
from hsi_ssl.models.moving import sent
from hsi_ssl.training.inputs import Inputs, even_sizes, stride

BUFFER = 64
"""Chunks whose pixels are shuffled together."""
FIRST = 8
"""Of the first buffer of an epoch; each has twice as many as the one before."""
PIECE = 16
"""Chunks of which raw spectra lie in memory at a time."""

Rows = npt.NDArray[np.int64]
Place = TypeVar("Place")
Read = TypeVar("Read")


@dataclass(frozen=True)
class StreamedInputs:
    """What a model sees of pixels, `Inputs` that are read when they are wanted.

    `rows (N,)`: of the dataset, ascending within each of a few runs; `read` gives their inputs;
    `width`: columns.
    """

    rows: Rows
    read: Callable[[Rows], Inputs]
    width: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    def blocks(self, size: int) -> Iterator[Inputs]:
        """All pixels in their order, `size` at a time; of each piece read the last may be fewer."""
        pieces = [self.rows[first : first + READ_ROWS] for first in range(0, len(self), READ_ROWS)]
        for piece in _ahead(self.read, pieces):
            yield from piece.to(self.device).blocks(size)

    def some(self, most: int) -> Inputs:
        """At most so many of the pixels, evenly spaced."""
        step = stride(len(self), most)
        return self.read(self.rows[::step]).to(self.device)

    def shuffled(
        self, rows: Tensor, size: int, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Inputs, Tensor]]:
        """Each of the pixels `rows (n,)` once, in even batches of up to `size`: rows, and where.

        That is inputs and rows of these, as of `Inputs.shuffled`.
        """
        mine = rows.numpy()
        chunk = self.rows[mine] // CHUNK_ROWS
        by_chunk = np.argsort(chunk, kind="stable")
        each = np.split(mine[by_chunk], np.flatnonzero(np.diff(chunk[by_chunk])) + 1)
        order = _shuffled(len(each), generator)
        groups = [[each[i] for i in some] for some in _buffers(order)] if len(mine) else []
        sizes = even_sizes(len(mine), size)
        left = np.zeros(0, np.int64)
        left_inputs: Inputs | None = None
        for new, read in _ahead(self._buffer, groups):
            inputs = read.to(self.device)
            if left_inputs is not None:
                inputs = joined([left_inputs, inputs])
            found = np.concatenate([left, new])
            at = torch.from_numpy(_shuffled(len(found), generator))
            shuffled, there = torch.from_numpy(found)[at], sent(at, self.device)
            first = 0
            while sizes and first + sizes[0] <= len(at):
                some = slice(first, first := first + sizes.pop(0))
                yield shuffled[some], inputs, there[some]
            left, left_inputs = shuffled[first:].numpy(), inputs.rows(there[first:])

    def _buffer(self, chunks: list[Rows]) -> tuple[Rows, Inputs]:
        """The pixels of some chunks, and their inputs, on the CPU."""
        rows = np.sort(np.concatenate(chunks))
        rows = rows[np.argsort(self.rows[rows], kind="stable")]
        pieces = np.array_split(rows, max(1, len(chunks) // PIECE))
        return rows, joined([self.read(self.rows[piece]) for piece in pieces])


def _shuffled(count: int, generator: torch.Generator) -> npt.NDArray[np.int64]:
    order: npt.NDArray[np.int64] = torch.randperm(count, generator=generator).numpy()
    return order


def _buffers(order: Rows) -> list[Rows]:
    """Chunks in their order, a few first, then more, up to `BUFFER`."""
    ends, size = [0], FIRST
    while ends[-1] < len(order):
        ends.append(ends[-1] + min(size, BUFFER))
        size *= 2
    return [order[first:end] for first, end in itertools.pairwise(ends)]


def _ahead(read: Callable[[Place], Read], places: list[Place]) -> Iterator[Read]:
    """What is read of each place, the next one by a thread while one is made use of."""
    with ThreadPoolExecutor(1, "reads ahead") as thread:
        coming: Future[Read] | None = None
        for place in places:
            reading = thread.submit(read, place)
            if coming is not None:
                yield coming.result()
            coming = reading
        if coming is not None:
            yield coming.result()


def joined(inputs: list[Inputs]) -> Inputs:
    """Inputs of pixels, one after another."""
    if len(inputs) == 1:
        return inputs[0]
    logvars = [one.logvar for one in inputs if one.logvar is not None]
    mean = torch.cat([one.mean for one in inputs])
    return Inputs(mean, torch.cat(logvars) if logvars else None, inputs[0].noise_sd)
