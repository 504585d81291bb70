"""What the numbers were like that a model learnt from: their units, and how they lie band by band.

A scene in other units gives a map without any error, and a wrong one: often a single class. So what
was learnt from is remembered, and what is to be classified is compared with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.units import Units, as_they_are

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Quantiles that are remembered of each band."""
LOW, MIDDLE, HIGH = 0, LEVELS.index(0.5), len(LEVELS) - 1
ALIKE = math.log10(4)
"""Medians of two scenes of one unit seldom differ by more: a wet, shaded scene and a dry one."""
ONE_FACTOR = 0.1
"""Median distance between bands' log10 ratios up to which one factor explains them all."""
NEAR_TEN = 0.35
"""Distance from a power of ten up to which scenes of other brightness may differ besides."""
NEAR_PRODUCT = 0.05
ABOUT_ZERO = 0.05
"""Of the range that was learnt."""
WITHIN = 0.8
"""Share of a scene's numbers in the range that was learnt, from which on it may be a dark part of
what was learnt from: water alone, say."""
HARDLY = 0.2
"""Share of a scene's numbers in that range below which it is worth a word."""
PRODUCT_FACTORS = (2.75e-5, 2e-5, 1 / 255, 1 / 65535)
"""That products multiply by, beside powers of ten: Landsat's collection 2, for one."""
SHOWN = 3
"""Bands of which a refusal gives the numbers."""


@dataclass(frozen=True)
class LearntNumbers:
    """`units` of the used bands, and `quantiles (LEVELS, used bands)` of the raw numbers."""

    units: Units
    quantiles: Floats

    @classmethod
    def of(cls, spectra: Array, units: Units | None) -> Self:
        """Of raw spectra `(n, bands)`, n > 0, whose file told `units`."""
        quantiles = np.quantile(spectra.astype(np.float64), LEVELS, axis=0)
        return cls(units or as_they_are(spectra.shape[1]), quantiles)

    @property
    def physical(self) -> Self:
        """The same, in physical numbers."""
        units = self.units
        quantiles = self.quantiles * units.scale + units.offset
        return replace(self, units=as_they_are(quantiles.shape[1]), quantiles=quantiles)

    def to_card(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scale": self.units.scale.tolist(),
            "offset": self.units.offset.tolist(),
            "kind": self.units.kind,
            "source": self.units.source,
            "levels": list(LEVELS),
            "quantiles": self.quantiles.tolist(),
        }

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> Self:
        """Inverse of `to_card`."""
        units = Units(
            np.array(card["scale"]), np.array(card["offset"]), card["kind"], card["source"]
        )
        return cls(units, np.array(card["quantiles"]))


@dataclass(frozen=True)
class Difference:
    """How numbers differ from those of another: `factor` times them where one explains it all.

    `numbers` are medians of some bands, for people. `slight`: as a scene in other light may, so
    that only an offset or a factor a band would be a reason.
    """

    factor: float | None
    numbers: str
    slight: bool = False


def difference(learnt: LearntNumbers, spectra: Array) -> Difference | None:
    """How raw spectra `(n, bands)` differ in unit from what was learnt; None where they need not.

    They do where medians differ by more than scenes do (`ALIKE`), and either all bands by about the
    same factor, or most numbers lie outside the range that was learnt; slightly where medians are
    alike and hardly a number lies in that range.
    """
    here = np.quantile(spectra.astype(np.float64), LEVELS, axis=0)
    there = learnt.quantiles
    middle, known = here[MIDDLE], there[MIDDLE]
    # Numbers that lie about 0 have no size to compare.
    sized = np.abs(known) > ABOUT_ZERO * (there[HIGH] - there[LOW])
    telling = sized & (middle != 0) & (np.sign(middle) == np.sign(known))
    if not telling.any():
        outside = not (np.abs(middle) <= np.abs(there[[LOW, HIGH]]).max(axis=0)).all()
        return Difference(None, _numbers(middle, known)) if outside else None
    ratios = np.log10(middle[telling] / known[telling])
    ratio = float(np.median(ratios))
    inside = float(((spectra >= there[LOW]) & (spectra <= there[HIGH])).mean())
    if abs(ratio) <= ALIKE:
        return Difference(None, _numbers(middle, known), True) if inside < HARDLY else None
    spread = float(np.median(np.abs(ratios - ratio)))
    if spread <= ONE_FACTOR and (factor := _round(ratio)) is not None:
        return Difference(factor, _numbers(middle, known))
    return None if inside >= WITHIN else Difference(None, _numbers(middle, known))


def _round(ratio: float) -> float | None:
    """The factor that numbers so far apart (log10) differ by: a product's, or a power of ten."""
    power = round(ratio)
    if abs(ratio - power) > NEAR_PRODUCT:
        for factor in PRODUCT_FACTORS:
            for some in (factor, 1 / factor):
                if abs(ratio - math.log10(some)) <= NEAR_PRODUCT:
                    return some
    return 10.0**power if power and abs(ratio - power) <= NEAR_TEN else None


def _numbers(here: Floats, there: Floats) -> str:
    """Medians of the first, a middle and the last band."""
    which = np.unique(np.linspace(0, len(here) - 1, SHOWN).astype(int))
    one, other = (", ".join(f"{values[i]:.4g}" for i in which) for values in (here, there))
    return f"medians of band {', '.join(str(i + 1) for i in which)}: {one} against {other}"
