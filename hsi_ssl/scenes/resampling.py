"""Bands of one sensor out of those of another: weights by wavelength and by the widths of both.

A band that is wanted is a Gaussian of its full width at half maximum F. What is at hand has been
blurred by a band of width f already, so that what is left to do has the width sqrt(F^2 - f^2); a
band that is no narrower than its measured neighbours is interpolated. Between measured bands runs
the cubic through the four nearest where they lie evenly, else a line: bands half a step off a steep
edge, as of leaves at 700 nm, are wrong by 1 % by a line and by 0.2 % by the cubic.

A band that is farther than one step from all that are measured is missing. So two bands that are
lost side by side are interpolated over; three leave a gap of four steps, 30 to 50 nm of the sensors
that are used, which is as wide as most absorptions of minerals (Clark 1999, "Spectroscopy of rocks
and minerals"): one might lie in it unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SAME_NM = 1.0
"""Bands whose centres lie no farther apart are the same. Scenes of one push-broom differ by some
tenths of a nanometre, as each has its own calibration."""
SAID_NM = 0.05
"""A distance that is more than rounding, and is said."""
FWHM_PER_SD = 2.354820045
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
"""Gauss-Hermite quadrature: a Gaussian mean as a weighted sum of nine values."""
EVEN = 2.0
"""The longest of three steps in units of the shortest, up to which a cubic runs through them."""
LEAST_WEIGHT = 1e-4
"""Weights below it are left out, and so are the bands that have no other."""


class Resampling(NamedTuple):
    """How b measured bands become B wanted ones.

    `weights (b, B)`, each column of sum 1, or 0 of bands that are `missing (B,)`; `distance (B,)`
    to the nearest measured band in nm.
    """

    weights: Floats
    missing: npt.NDArray[np.bool_]
    distance: Floats


def resampling(
    here: npt.ArrayLike, widths: npt.ArrayLike | None,
    wanted: npt.ArrayLike, wanted_widths: npt.ArrayLike | None,
) -> Resampling:  # fmt: skip
    """Weights that make bands at `wanted (B,)` of those measured at `here (b,)`, in nm, any order.

    Widths are full widths at half maximum; where one side tells none, the spacing of both stands
    for them.
    """
    x, centres = np.asarray(here, np.float64), np.asarray(wanted, np.float64)
    told = widths is not None and wanted_widths is not None
    own = _known(widths if told else None, x)
    theirs = _known(wanted_widths if told else None, centres)
    known, first = np.unique(x, return_index=True)
    own = np.interp(centres, known, own[first])
    left = np.sqrt(np.maximum(theirs**2 - own**2, 0))
    places = centres[:, None] + left[:, None] / FWHM_PER_SD * NODES
    weights = np.zeros((len(x), len(centres)))
    weights[first] = _between(known, places)
    weights[np.abs(weights) < LEAST_WEIGHT] = 0
    weights /= weights.sum(axis=0)
    distance = np.abs(known - centres[:, None]).min(axis=1)
    steps = np.diff(known)
    step = np.maximum(float(np.median(steps)) if len(steps) else 0.0, own)
    missing = distance > step * (1 + 1e-6)
    weights[:, missing] = 0
    return Resampling(weights, missing, distance)


def drift_in_words(each: Sequence[tuple[Path, float]], of: str) -> str | None:
    """How far bands of scenes lie from those `of` whom they are matched with; None: not worth it.

    `each`: paths, and the farthest distance of a band in nm.
    """
    found = [(nm, path.name) for path, nm in each if nm > SAID_NM]
    if not found:
        return None
    nm, name = max(found)
    if len(found) == 1:
        who = f"{name}: its bands lie up to {nm:.2g} nm"
    else:
        who = f"bands of {len(found)} scenes lie up to {nm:.2g} nm ({name})"
    return f"{who} from those of {of}, and are taken as the same"


def _known(widths: npt.ArrayLike | None, centres: Floats) -> Floats:
    """Widths `(n,)`; where there is none, or none above 0, the distance to the nearer neighbour."""
    if len(centres) == 1:
        spacing = np.zeros(1)
    else:
        order = np.argsort(centres, kind="stable")
        steps = np.diff(centres[order])
        spacing = np.empty(len(centres))
        spacing[order] = np.minimum(np.append(steps, np.inf), np.insert(steps, 0, np.inf))
    if widths is None:
        return spacing
    told = np.asarray(widths, np.float64)
    return np.where(np.nan_to_num(told) > 0, told, spacing)


def _between(x: Floats, places: Floats) -> Floats:
    """Weights `(n, B)` of values at ascending `x (n,)` for Gaussian means over `places (B, 9)`."""
    count = NODE_WEIGHTS / NODE_WEIGHTS.sum()
    if len(x) == 1:
        return np.ones((1, len(places)))
    low = (np.searchsorted(x, places) - 1).clip(0, len(x) - 2)
    share = (places - x[low]) / (x[low + 1] - x[low])
    four = low[..., None] + np.arange(-1, 3)
    inside = (low > 0) & (low < len(x) - 3)
    steps = np.diff(x[four.clip(0, len(x) - 1)], axis=-1)
    even = inside & (steps.max(-1) <= EVEN * np.maximum(steps.min(-1), 1e-9))
    line = np.stack([np.zeros_like(share), 1 - share, share, np.zeros_like(share)], axis=-1)
    around = x[four.clip(0, len(x) - 1)]
    cubic = np.ones_like(line)
    for k in range(4):
        for other in range(4):
            if other != k:
                apart = around[..., k] - around[..., other]
                cubic[..., k] *= (places - around[..., other]) / np.where(apart == 0, 1, apart)
    each = np.where(even[..., None], cubic, line) * count[:, None]
    found = np.zeros((len(x), len(places)))
    bands = np.broadcast_to(np.arange(len(places))[:, None, None], four.shape)
    np.add.at(found, (four.clip(0, len(x) - 1), bands), each)
    return found
