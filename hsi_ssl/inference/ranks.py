"""How rare a score is among those of validation pixels: by itself, by its surroundings, by both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

ALONE = 2
"""How often as rare as its surroundings a pixel must be to count as much. Where this is larger, a
lone pixel that is stranger than all validation pixels is no longer among the rarest of few."""
FEWEST = 100
"""Surroundings of validation pixels that others are ranked among."""


@dataclass(frozen=True)
class Ranks:
    """The validation pixels' scores, ascending, `alone (n,)`; the medians `around (n,)` them.

    `around` is NaN where the dataset does not hold enough pixels about one. Where it is for nearly
    all, each validation pixel stands for its surroundings: as if these were always as strange as it
    is, and half of them seldom are, so that this errs towards keeping a pixel.
    """

    alone: Floats
    around: Floats

    @classmethod
    def of(cls, alone: Floats, around: Floats) -> Self:
        """From scores and medians in any order, the same for both."""
        order = np.argsort(alone, kind="stable")
        return cls(alone[order], around[order])

    def __len__(self) -> int:
        return len(self.alone)

    def p_alone(self, score: npt.ArrayLike) -> Doubles:
        """p = (1 + number of validation scores >= score) / (1 + their number), `(n,)` in (0, 1].

        Of a pixel drawn as the validation pixels were, the chance that p <= alpha is at most alpha.
        """
        return _share_above(self.alone, score)

    def p_values(self, score: npt.ArrayLike, around: npt.ArrayLike) -> Doubles:
        """The same of pixels together with their surroundings.

        What is ranked is the smaller of twice the rank of the score and the rank of `around`, the
        medians, among those of validation pixels; where they are NaN, the score alone.
        """
        rarer = self._rarer(np.asarray(score), np.asarray(around))
        return _share_above(self._rarest_last, -rarer)

    def _rarer(self, score: Floats, around: Floats) -> Doubles:
        about = np.where(np.isnan(around), np.inf, _share_above(self._medians, around))
        found: Doubles = np.minimum(ALONE * self.p_alone(score), about)
        return found

    @cached_property
    def _about(self) -> Floats:
        """Medians about the validation pixels `(n,)`, or what stands for them."""
        known = np.count_nonzero(~np.isnan(self.around))
        return self.around if known >= FEWEST else self.alone

    @cached_property
    def _medians(self) -> Floats:
        """Those that there are, ascending."""
        return np.sort(self._about[~np.isnan(self._about)])

    @cached_property
    def _rarest_last(self) -> Doubles:
        return np.sort(-self._rarer(self.alone, self._about))


def _share_above(ascending: Floats | Doubles, values: npt.ArrayLike) -> Doubles:
    """(1 + number of `ascending (n,)` >= value) / (1 + n)."""
    below = np.searchsorted(ascending, values, side="left")
    found: Doubles = (1 + len(ascending) - below) / (1 + len(ascending))
    return found
