"""The Potts prior on a scene of any size.

A pixel hears from others as far away as there are sweeps. So first every pixel says what it is by
itself, window by window as the file lies; then squares are taken with a border of that width,
which is cut off again. A map does not depend on windows, and no spectrum is read twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl.maps.spool import Spool
from hsi_ssl.models.spatial import SWEEPS
from hsi_ssl.models.spatial_grid import mean_field_on_grid
from hsi_ssl.training.classifier import SMALLEST_POSTERIOR

Floats = npt.NDArray[np.float32]

VALUES = 4 * 2**20
"""Of a square with its border, pixels times classes: 16 MiB, of which some copies are held."""
SMALLEST_SIDE = 32


@dataclass(frozen=True)
class Seen:
    """What the pixels of a window say.

    `valid (r, c)`: which of them have a measurement; of these, row by row, `p (n, K)` and
    `novelty (n,)`, which is empty where nobody asked for it.
    """

    valid: npt.NDArray[np.bool_]
    p: Floats
    novelty: Floats


class Neighbourhood:
    """The pixels of a scene, laid by until all have said what they are by themselves."""

    def __init__(
        self, folder: Path, shape: tuple[int, int], classes: int, strength: float,
        device: torch.device,
    ) -> None:  # fmt: skip
        """`folder`: on whose disk they wait, 4 bytes a pixel and class; `shape`: of the scene.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        self._shape, self._classes, self._strength = shape, classes, strength
        self.device = device
        self._spool = Spool(folder, shape[1], classes + 1)

    def tell(self, rows: slice, cols: slice, seen: Seen) -> None:
        """Say what the pixels of a window are by themselves.

        Raises
        ------
        OutputError
            The disk is full.
        """
        values = np.full((*seen.valid.shape, self._classes + 1), np.nan, np.float32)
        values[seen.valid, :-1] = seen.p
        if seen.novelty.size:
            values[seen.valid, -1] = seen.novelty
        self._spool.write(rows, cols, values)

    def squares(self) -> Iterator[tuple[slice, slice]]:
        """Windows that tile the scene."""
        side = max(SMALLEST_SIDE, math.isqrt(VALUES // self._classes) - 2 * SWEEPS)
        high, wide = self._shape
        for row, col in itertools.product(range(0, high, side), range(0, wide, side)):
            yield slice(row, min(row + side, high)), slice(col, min(col + side, wide))

    @torch.inference_mode()
    def hear(self, rows: slice, cols: slice) -> Seen:
        """What the pixels of a window are, now that their neighbours count.

        Pixels for which the model gave no finite answer, and those that have said nothing, are not
        valid any more: they have no say.
        """
        wide_rows, wide_cols = _widened(rows, self._shape[0]), _widened(cols, self._shape[1])
        inside = (_within(rows, wide_rows), _within(cols, wide_cols))
        values = self._spool.read(wide_rows, wide_cols)
        own = torch.from_numpy(values[..., :-1]).to(self.device).permute(2, 0, 1)
        valid = own.isfinite().all(0) & own.any(0)
        log_f = torch.where(valid, own, 1.0).clamp_(min=SMALLEST_POSTERIOR).log_()
        q = mean_field_on_grid(log_f, valid, self._strength)
        mine, novelty = valid[inside], torch.from_numpy(values[..., -1])[inside]
        p = q[:, inside[0], inside[1]].permute(1, 2, 0)[mine]
        there = mine.cpu().numpy()
        return Seen(there, p.cpu().numpy(), novelty.numpy()[there])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.__exit__(kind, error, trace)


def _widened(part: slice, end: int) -> slice:
    return slice(max(0, part.start - SWEEPS), min(end, part.stop + SWEEPS))


def _within(part: slice, wide: slice) -> slice:
    return slice(part.start - wide.start, part.stop - wide.start)
