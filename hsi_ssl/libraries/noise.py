"""At which bands spectra are noise, told from the spectra themselves.

Measured out of doors, nothing is left of sunlight in water vapour's bands near 1.4 and 1.9 um, and
little of it beyond 2.4 um: what an instrument writes there says nothing of a material. An
absorption goes on over several bands; noise changes its sign from band to band. So a band's second
difference, against its neighbours some nanometres away, is compared with the spectrum's usual one
(both as medians, which one narrow absorption does not move), and differences that follow each
other must be opposed as those of white noise are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

REACH_NM = 4.0
"""How far neighbours are taken: spectra written at 1 nm are smooth between bands even in noise."""
WINDOW_NM, FEWEST = 50.0, 15
"""Width over which noise is measured, in nanometres and in bands: the larger counts."""
ABOVE_USUAL = 5.0
"""Noise is left out where it is so many times the spectrum's usual noise,"""
OF_SHAPE = 0.1
"""and so large a share of how far the spectrum departs from its continuum,"""
OPPOSED = -0.4
"""and where the correlation of a difference with the next one is below this. It is -2/3 in white
noise, and cos(2 pi / n) in absorptions that come back every n bands: n must be below 3.2."""
SHORTEST = 10
"""Bands in a row, or half the window: a few bands may be sharp absorptions on coarse bands."""
MAD_TO_SD = 1.4826
MOST = 0.5
"""Share of the bands that may be noise: where more are, no band is worse than usual."""


def noisy_bands(wavelengths_nm: npt.ArrayLike, shapes: npt.ArrayLike) -> Bools:
    """Which bands of each spectrum are noise, `(n, bands)`.

    Parameters
    ----------
    wavelengths_nm
        `(bands,)`, ascending.
    shapes
        `(n, bands)`: ln R without a continuum, without missing values.
    """
    x, y = np.asarray(wavelengths_nm, np.float64), np.asarray(shapes, np.float64)
    noisy = np.zeros(y.shape, bool)
    step = float(np.median(np.diff(x))) if len(x) > 1 else 0.0
    if step <= 0:
        return noisy
    reach = max(1, round(REACH_NM / step))
    window = max(FEWEST, 2 * round(WINDOW_NM / step / 2) + 1)
    if len(x) < 2 * window:
        return noisy
    left, here, right = x[: -2 * reach], x[reach:-reach], x[2 * reach :]
    share = (here - left) / np.maximum(right - left, 1e-9)
    # Across left-out bands neighbours are no neighbours: their differences are unknown.
    near = right - left <= 3 * reach * step
    differences = y[:, reach:-reach] - (1 - share) * y[:, : -2 * reach] - share * y[:, 2 * reach :]
    differences = differences / np.sqrt(1 + share**2 + (1 - share) ** 2)
    differences[:, ~near] = 0
    level = MAD_TO_SD * median_filter(np.abs(differences), size=(1, window), mode="nearest")
    following = differences[:, reach:] * differences[:, :-reach]
    # Each product stands between its two differences.
    following = np.pad(following, ((0, 0), (reach // 2, reach - reach // 2)))
    with np.errstate(invalid="ignore", divide="ignore"):
        opposed = uniform_filter1d(following, window, axis=1, mode="nearest") / uniform_filter1d(
            differences**2, window, axis=1, mode="nearest"
        )
    usual = np.median(level, axis=1, keepdims=True)
    spread = y.std(axis=1, keepdims=True)
    found = (level > ABOVE_USUAL * usual) & (level > OF_SHAPE * spread) & (opposed < OPPOSED)
    noisy[:, reach:-reach] = found
    noisy[:, :reach], noisy[:, -reach:] = found[:, :1], found[:, -1:]
    for row in noisy:
        _in_stretches(row, max(SHORTEST, window // 2))
    # A median passes at the middle of its window: what is half noise is left out too.
    noisy = maximum_filter1d(noisy.astype(np.uint8), 2 * (window // 4) + 1, axis=1) > 0
    noisy[noisy.mean(axis=1) > MOST] = False
    return noisy


def _in_stretches(chosen: Bools, shortest: int) -> None:
    """Close gaps shorter than that between chosen bands, then give up shorter stretches."""
    for value in (False, True):
        runs = np.split(np.arange(len(chosen)), np.flatnonzero(np.diff(chosen)) + 1)
        for run in runs:
            if chosen[run[0]] == value and len(run) < shortest and (value or len(runs) > 1):
                chosen[run] = not value


def ranges_of(
    wavelengths_nm: npt.ArrayLike, chosen: npt.ArrayLike
) -> tuple[tuple[float, float], ...]:
    """The stretches `(first, last)` in nm of bands that are chosen, `(bands,)` each."""
    x, places = np.asarray(wavelengths_nm, np.float64), np.flatnonzero(np.asarray(chosen))
    if not len(places):
        return ()
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    return tuple((float(x[run[0]]), float(x[run[-1]])) for run in runs)
