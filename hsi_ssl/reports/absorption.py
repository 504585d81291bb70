"""Absorption features: where a spectrum dips below its continuum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from hsi_ssl.datasets.scalings.shapes import continuum_removed

LEAST_DEPTH = 0.03
"""Of the continuum; shallower dips are noise as often as not."""
GAP = 3.0
"""Times the usual step between bands: there, bands are left out."""


@dataclass(frozen=True)
class Absorption:
    """A local minimum of the continuum-removed spectrum, at a band of the spectrum."""

    band: int
    wavelength_nm: float
    depth: float


def absorptions(
    spectrum: npt.NDArray[Any], wavelengths_nm: npt.NDArray[Any], least: float = LEAST_DEPTH
) -> list[Absorption]:
    """Features of one spectrum `(bands,)` of positive values, in the order of the bands.

    A minimum counts whose depth below the upper convex hull, as a share of it, is `least`, and that
    stands out from its surroundings by half of that (Clark & Roush 1984 for the hull). Beside
    bands that are left out none is known to be a minimum. What a single band shows is the sensor's
    doing: a median over three neighbours takes it away first.
    """
    order = np.argsort(wavelengths_nm, kind="stable")
    axis = np.asarray(wavelengths_nm, np.float64)[order]
    values = median_filter(np.asarray(spectrum, np.float64)[order], 3, mode="nearest")
    if values.min() <= 0:
        return []
    depth = 1 - continuum_removed(values[None], axis)[0]
    peaks, _ = find_peaks(depth, height=least, prominence=least / 2)
    steps = np.diff(axis)
    before = np.flatnonzero(steps > GAP * np.median(steps))
    edges = np.add.outer(before, [-1, 0, 1, 2])  # of a gap, with what the median took from there
    inside = peaks[~np.isin(peaks, edges)]
    return [Absorption(int(order[i]), float(axis[i]), float(depth[i])) for i in inside]
