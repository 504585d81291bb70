"""The spectra of a dataset as M1 sees them: scaled, in memory or read when they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.datasets.checked_rows import READ_ROWS
from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError
from hsi_ssl.training.inputs import Inputs, Pixels
from hsi_ssl.training.memory import Amount
from hsi_ssl.training.processes import Processes
from hsi_ssl.training.streaming import StreamedInputs
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M1Settings

HELD_OUT = 0.1
"""Share of the training pixels that validate when the dataset has no validation pixels."""
BLOCK = 8192
JUDGED = 65_536
"""Spectra that tell what a closed form has kept, at most."""


@dataclass(frozen=True)
class M1Data:
    """The pixels of a dataset that M1 learns from, and those that stop it."""

    dataset: Dataset
    settings: M1Settings
    scaler: Scaler
    device: torch.device
    processes: Processes
    watcher: Watcher

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """`Dataset.learnt_rows`.

        Raises
        ------
        DatasetError
            There are less than two.
        """
        rows = self.dataset.learnt_rows
        if len(rows) < 2:  # noqa: PLR2004
            raise DatasetError(f"{self.dataset.path} has {len(rows)} pixels to learn from: too few")
        return rows

    @cached_property
    def spectra(self) -> tuple[Pixels, Pixels]:
        """Scaled spectra to learn from, and those that stop the training."""
        rows, validation = self.rows, self.dataset.rows(Part.VALIDATION)
        if not len(validation):
            held_out = max(1, int(HELD_OUT * len(rows)))
            generator = torch.Generator().manual_seed(self.settings.seed)
            order = torch.randperm(len(rows), generator=generator).numpy()
            validation, rows = np.sort(rows[order[:held_out]]), np.sort(rows[order[held_out:]])
            self.watcher.say(
                f"no validation pixels: {held_out} of the training pixels stop the training"
            )
        return self._seen(rows), self._seen(validation)

    @cached_property
    def streamed(self) -> bool:
        """Whether spectra are read again in every epoch."""
        pixels = len(self.rows) + len(self.dataset.rows(Part.VALIDATION))
        amount = Amount(pixels, pixels * self.scaler.width, self.settings.stream)
        found = amount.streamed(self.device, self.processes)
        if found:
            self.watcher.say(amount.in_words())
        return found

    def _seen(self, rows: npt.NDArray[np.int64]) -> Pixels:
        """Scaled spectra of some pixels, in memory or not."""
        if not self.streamed:
            return Inputs(self.scaled(rows))

        def read(some: npt.NDArray[np.int64]) -> Inputs:
            return Inputs(torch.from_numpy(self.dataset.scaled(some, self.scaler)))

        return StreamedInputs(rows, read, self.scaler.width, self.device)

    def judged(self, spectra: Pixels) -> Tensor:
        """What tells how good features are: all spectra, or of those in a file so many."""
        return spectra.some(JUDGED if self.streamed else len(spectra)).mean

    def extremes(self, spectra: Pixels) -> Tensor:
        """Spectra with the extremes of all in each column among them."""
        if not self.streamed:
            return spectra.some(len(spectra)).mean
        each = [(some.mean.amin(0), some.mean.amax(0)) for some in spectra.blocks(BLOCK)]
        lows, highs = (torch.stack(found) for found in zip(*each, strict=True))
        return torch.cat([spectra.some(JUDGED).mean, lows.amin(0)[None], highs.amax(0)[None]])

    def scaled(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Scaled spectra `(n, D)` of some pixels, in memory."""
        return torch.from_numpy(self.dataset.scaled(rows, self.scaler)).to(self.device)


def scaled_blocks(
    dataset: Dataset, rows: npt.NDArray[np.int64], scaler: Scaler, device: torch.device
) -> Iterator[Tensor]:
    """Scaled spectra of `rows`, ascending, in blocks `(n, D)`: nothing is read twice."""
    firsts = np.arange(READ_ROWS, len(dataset), READ_ROWS)
    for some in np.split(rows, np.searchsorted(rows, firsts)):
        if len(some):
            yield torch.from_numpy(dataset.scaled(some, scaler)).to(device)
