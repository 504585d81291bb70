"""What pixels of a scene hear from others: the Potts prior, and how strange their surroundings are.

A pixel hears from others as far away as there are sweeps, or as its surroundings reach. So first
every pixel says what it is by itself, window by window as the file lies; then squares are taken
with a border of that width, which is cut off again. A map does not depend on windows, and no
spectrum is read twice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl.inference.classifier import SMALLEST_POSTERIOR
from hsi_ssl.inference.surroundings import RADIUS, medians_on_grid
from hsi_ssl.maps.spool import Spool
from hsi_ssl.models.spatial import SWEEPS
from hsi_ssl.models.spatial_grid import mean_field_on_grid

Floats = npt.NDArray[np.float32]

VALUES = 4 * 2**20
"""Of a square with its border, pixels times classes: 16 MiB, of which some copies are held."""
SMALLEST_SIDE = 32


@dataclass(frozen=True)
class Seen:
    """What the pixels of a window say.

    `valid (r, c)`: which of them have a measurement; of these, row by row, `p (n, K)`, `novelty
    (n,)` and the median `around (n,)` each, NaN where there is none. The last two are empty where
    nobody asked for them.
    """

    valid: npt.NDArray[np.bool_]
    p: Floats
    novelty: Floats
    around: Floats = field(default_factory=lambda: np.empty(0, np.float32))

    def only(self, mask: npt.NDArray[np.bool_]) -> Self:
        """What is seen of some of the pixels, `mask (r, c)`."""
        kept = mask[self.valid]
        told = (self.novelty, self.around)
        novelty, around = (each[kept] if each.size else each for each in told)
        return type(self)(self.valid & mask, self.p[kept], novelty, around)


def reach(strength: float, *, surroundings: bool) -> int:
    """How many pixels away others are that a pixel hears from, 0 if it hears from nobody."""
    return SWEEPS if strength else RADIUS * surroundings


class Neighbourhood:
    """The pixels of a scene, laid by until all have said what they are by themselves."""

    def __init__(
        self, folder: Path, shape: tuple[int, int], classes: int, strength: float,
        device: torch.device, *, surroundings: bool = False,
    ) -> None:  # fmt: skip
        """`folder`: on whose disk they wait, 4 bytes a pixel and class; `shape`: of the scene.

        `strength`: of the Potts prior, 0 for none; `surroundings`: tell how strange they are.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        self._shape, self._classes, self._strength = shape, classes, strength
        self._reach, self._surroundings = reach(strength, surroundings=surroundings), surroundings
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
        side = max(SMALLEST_SIDE, math.isqrt(VALUES // self._classes) - 2 * self._reach)
        high, wide = self._shape
        for row, col in itertools.product(range(0, high, side), range(0, wide, side)):
            yield slice(row, min(row + side, high)), slice(col, min(col + side, wide))

    @torch.inference_mode()
    def hear(self, rows: slice, cols: slice) -> Seen:
        """What the pixels of a window are, now that their neighbours count.

        Pixels for which the model gave no finite answer, and those that have said nothing, are not
        valid any more: they have no say.
        """
        wide_rows, wide_cols = (
            slice(max(0, part.start - self._reach), min(end, part.stop + self._reach))
            for part, end in zip((rows, cols), self._shape, strict=True)
        )
        inside = (_within(rows, wide_rows), _within(cols, wide_cols))
        values = self._spool.read(wide_rows, wide_cols)
        own, novelty = values[..., :-1], values[..., -1]
        valid: npt.NDArray[np.bool_] = np.isfinite(own).all(axis=-1) & (own != 0).any(axis=-1)
        here = np.zeros_like(valid)
        here[inside] = valid[inside]
        p = self._agreed(own, valid)[here] if self._strength else own[here]
        around = np.empty(0, np.float32)
        if self._surroundings:
            around = medians_on_grid(np.where(valid, novelty, np.nan))[here]
        return Seen(valid[inside], p, novelty[here], around)

    def _agreed(self, own: Floats, valid: npt.NDArray[np.bool_]) -> Floats:
        """What pixels are by the Potts prior, `(r, c, K)`."""
        there = torch.from_numpy(valid).to(self.device)
        p = torch.from_numpy(own).to(self.device).permute(2, 0, 1)
        log_f = torch.where(there, p, 1.0).clamp_(min=SMALLEST_POSTERIOR).log_()
        q = mean_field_on_grid(log_f, there, self._strength)
        found: Floats = q.permute(1, 2, 0).cpu().numpy()
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spool.__exit__(kind, error, trace)


def _within(part: slice, wide: slice) -> slice:
    return slice(part.start - wide.start, part.stop - wide.start)
