"""An extractor of one sensor started from on another: spectra resampled by wavelength and width.

Pan and Yang (2010) call it parameter transfer. A band of the sensor that was learnt from is a
Gaussian of its full width at half maximum; the spectrum that is to go through it has been blurred
by its own bands already, so that what is left to do has the width sqrt(F^2 - F_own^2). Resampling,
units and the learnt scaling are linear, and become one scaling.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.learnt_numbers import LearntNumbers, difference
from hsi_ssl.datasets.scalings.resampled import Resampled
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import ModelError, UnitsError
from hsi_ssl.inference.extractor import Extractor
from hsi_ssl.watcher import Watcher

Floats = npt.NDArray[np.float64]

FWHM_PER_SD = 2.354820045
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
"""Gauss-Hermite quadrature: a Gaussian mean as a weighted sum of nine values."""
SAME_NM = 0.5
EXACT = 1e-4
"""Of the scaled units, of which the largest spread is about 1."""
SOME = 4096
"""Pixels by which units are compared, at most."""


def other_sensor(card: dict[str, Any], dataset: Dataset) -> bool:
    """Whether a run learnt from other bands than the dataset's: by wavelength, else by number."""
    ours, theirs = dataset.wavelengths_nm, card["wavelengths_nm"]
    meta = dataset.meta
    if ours is None or theirs is None or len(ours) != len(theirs):
        return bool((card["bands"], card["used_bands"]) != (meta["bands"], meta["used_bands"]))
    return bool(np.abs(np.subtract(ours, theirs)).max() > SAME_NM)


def transferred(source: Extractor, run: Any, dataset: Dataset, watcher: Watcher) -> Resampled:
    """The scaling that brings a dataset's raw spectra to what the extractor of `run` has learnt.

    Raises
    ------
    ModelError
        Wavelengths are not known, do not cover the learnt ones, or are too few; the learnt scaling
        is not affine.
    UnitsError
        Numbers are in another unit.
    """
    card = source.card
    here, there = dataset.wavelengths_nm, card["wavelengths_nm"]
    if here is None or there is None:
        silent = run if there is None else dataset.path
        raise ModelError(
            f"{run} learnt from another sensor than {dataset.path}'s, and {silent} knows no "
            "wavelengths to resample by: prepare with --wavelengths CSV, or leave out --init-from"
        )
    affine = source.scaler.affine()
    if affine is None:
        raise ModelError(
            f"{run} scales by {source.scaler.kind}, which is no linear map, and cannot start a "
            "model of another sensor: train it with --scaling noise or standard"
        )
    weights = resampling(here, dataset.meta["fwhm_nm"], there, card["fwhm_nm"], f"{run}")
    (gain, offset), (own_gain, own_offset) = _units(card, dataset, weights, watcher)
    shift, matrix = affine
    whole = (gain[:, None] * weights / own_gain) @ matrix
    constant = ((offset @ weights - own_offset) / own_gain - shift) @ matrix
    mean = dataset.spectra(_some(dataset)).mean(axis=0, dtype=np.float64)
    towards = np.linalg.lstsq(whole.T, -constant - mean @ whole, rcond=None)[0]
    if np.abs((mean + towards) @ whole + constant).max() > EXACT:
        raise ModelError(
            f"the {len(here)} bands of {dataset.path} do not tell the {whole.shape[1]} columns "
            f"that {run} has learnt: train it on fewer (prepare with --components), or leave out "
            "--init-from"
        )
    watcher.say(
        f"{len(here)} bands ({here[0]:.0f} to {here[-1]:.0f} nm) are resampled to the "
        f"{len(there)} ({there[0]:.0f} to {there[-1]:.0f} nm) that {run} learnt from"
    )
    numbers = {"shift": mean + towards, "matrix": whole, "back": np.linalg.pinv(whole)}
    if source.scaler.noise_sd is not None:
        numbers["noise"] = source.scaler.noise_sd
    return Resampled(numbers)


def resampling(
    here: npt.ArrayLike, widths: npt.ArrayLike | None, there: npt.ArrayLike,
    their_widths: npt.ArrayLike | None, run: str,
) -> Floats:  # fmt: skip
    """Weights `(b, B)` that make the B bands `there` of spectra in the b bands `here`, in nm.

    Widths are full widths at half maximum; None: the bands' spacing.

    Raises
    ------
    ModelError
        A band of `there` lies more than one spacing outside of `here`.
    """
    x, centres = np.asarray(here, np.float64), np.asarray(there, np.float64)
    order = np.argsort(x, kind="stable")
    own = _spacing(x) if widths is None else np.asarray(widths, np.float64)
    wanted = _spacing(centres) if their_widths is None else np.asarray(their_widths, np.float64)
    low, high = x.min() - own[order[0]], x.max() + own[order[-1]]
    outside = (centres < low) | (centres > high)
    if outside.any():
        raise ModelError(
            f"{run} learnt from {centres[outside][0]:.1f} nm, which lies outside of the dataset's "
            f"{x.min():.1f} to {x.max():.1f} nm: start from a run of a sensor that covers no more, "
            "or from one whose dataset was prepared with --exclude of what lies outside"
        )
    blurred = np.interp(centres, x[order], own[order])
    left = np.sqrt(np.maximum(wanted**2 - blurred**2, 0))
    places = centres[:, None] + left[:, None] / FWHM_PER_SD * NODES
    # Each band of the identity in turn is a spectrum; its interpolation is that band's weight.
    columns = [np.interp(places, x[order], unit[order]) @ WEIGHTS for unit in np.eye(len(x))]
    found: Floats = np.stack(columns) / WEIGHTS.sum()
    return found


def _spacing(centres: Floats) -> Floats:
    if len(centres) < 2:  # noqa: PLR2004
        return np.zeros(len(centres))
    order = np.argsort(centres, kind="stable")
    found = np.empty(len(centres))
    found[order] = np.gradient(centres[order])
    return found


def _some(dataset: Dataset) -> npt.NDArray[np.int64]:
    rows = dataset.rows(Part.TRAIN, Part.POOL)
    return rows[:: max(1, len(rows) // SOME)]


def _units(
    card: dict[str, Any], dataset: Dataset, weights: Floats, watcher: Watcher
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Scale and offset of both sides' bands; ones and zeros where numbers stay as they are.

    Raises
    ------
    UnitsError
        Numbers cannot be in one unit.
    """
    plain = tuple((np.ones(n), np.zeros(n)) for n in weights.shape)
    theirs, ours = card.get("numbers"), dataset.meta.get("numbers")
    if theirs is None:
        watcher.say("the run to start from does not remember its numbers: units are not compared")
        return plain[0], plain[1]
    learnt, spectra = LearntNumbers.from_card(theirs), dataset.spectra(_some(dataset))
    found = plain[0], plain[1]
    if ours is not None and learnt.units.said:
        here = LearntNumbers.from_card(ours).units
        if here.said:
            there = learnt.units
            found = (here.scale, here.offset), (there.scale, there.offset)
    (gain, offset), (own_gain, own_offset) = found
    as_theirs = ((spectra * gain + offset) @ weights - own_offset) / own_gain
    apart = difference(learnt, as_theirs)
    if apart is not None and not apart.slight:
        times = "" if apart.factor is None else f", {apart.factor:g} times as much"
        raise UnitsError(
            f"the numbers of {dataset.path} are not in the unit that was learnt from "
            f"({apart.numbers}{times}): prepare with a --scale that brings them there"
        )
    return found
