"""An extractor of one sensor started from on another: spectra resampled by wavelength and width.

Pan and Yang (2010) call it parameter transfer. Resampling (`scenes.resampling`), units and the
learnt scaling are linear, and become one scaling.
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
from hsi_ssl.scenes.resampling import SAME_NM, resampling
from hsi_ssl.watcher import Watcher

Floats = npt.NDArray[np.float64]

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
    found = resampling(here, dataset.meta["fwhm_nm"], there, card["fwhm_nm"])
    if found.missing.any():
        lost = np.asarray(there)[found.missing]
        raise ModelError(
            f"{run} learnt from {lost[0]:.1f} nm, and {dataset.path} ({here[0]:.1f} to "
            f"{here[-1]:.1f} nm) has no band within a step of it ({len(lost)} of {len(there)} "
            "bands): start from a run of a sensor that covers no more, or from one whose dataset "
            "was prepared with --exclude of what lies outside"
        )
    weights = found.weights
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
