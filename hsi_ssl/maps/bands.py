"""A scene's bands brought to those that a model was trained on, and its numbers to their unit.

Bands go by wavelength, else by position. Numbers are converted where both sides say their unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.learnt_numbers import LearntNumbers
from hsi_ssl.errors import BandsError, UnitsError
from hsi_ssl.scenes.ranges import WavelengthRange
from hsi_ssl.scenes.resampling import SAME_NM, resampling
from hsi_ssl.scenes.scene import Bools, Scene, only_valid, valid_spectra
from hsi_ssl.scenes.units import Units, as_they_are

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ModelBands:
    """What a model says of its bands: the used ones among all `total` of the files it learnt from.

    `wavelengths_nm` are those of the used bands, `numbers` what they held, None for a run of a
    version that did not remember it or of `pictures`; `excluded_nm` the ranges, ends included, of
    those that the user left out: what a scene holds there must not be interpolated from.
    """

    total: int
    used: Sequence[int]
    wavelengths_nm: Sequence[float] | None
    numbers: LearntNumbers | None = None
    excluded_nm: Sequence[Sequence[float]] = ()
    pictures: bool = False
    fwhm_nm: Sequence[float] | None = None

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Self:
        """As a run's card or a dataset's meta data tell; older ones do not know the last."""
        numbers = card.get("numbers")
        return cls(
            int(card["bands"]),
            card["used_bands"],
            card["wavelengths_nm"],
            None if numbers is None else LearntNumbers.from_card(numbers),
            card.get("excluded_nm", ()),
            bool(card.get("image_like")),
            card.get("fwhm_nm"),
        )


@dataclass(frozen=True)
class BandMatch:
    """How a scene's bands become the model's D bands.

    `bands (n,)` are the scene's bands to read. Without `weights` they are the model's, in its
    order; else `weights (n, D)`, float32, make them. Where the scene has other units, `gain` and
    `shift (D,)`, float32, make the model's raw numbers of its own. `note` is to be told to the
    user. `drift_nm`: how far bands that are taken as the same lie apart at most.
    """

    bands: Ints
    weights: npt.NDArray[np.float32] | None = None
    note: str | None = None
    gain: npt.NDArray[np.float32] | None = None
    shift: npt.NDArray[np.float32] | None = None
    drift_nm: float = 0.0

    @property
    def converts(self) -> bool:
        """Whether numbers are brought to another unit."""
        return self.gain is not None or self.shift is not None

    def select(self, window: Array) -> Array:
        """The needed bands `(pixels, n)` of raw values `(r, c, bands)`; a view where it can be."""
        spectra = window.reshape(-1, window.shape[-1])
        first, n = int(self.bands[0]), len(self.bands)
        if (self.bands == np.arange(first, first + n)).all():
            return spectra[:, first : first + n]
        return spectra[:, self.bands]

    def interpolate(self, spectra: Array) -> Array:
        """The model's bands and numbers `(pixels, D)` of selected, valid spectra `(pixels, n)`."""
        values: Array = spectra
        if self.weights is not None:
            values = spectra.astype(np.float32) @ self.weights
        if self.gain is not None:
            values = values.astype(np.float32) * self.gain
        return values if self.shift is None else values + self.shift

    def brought(
        self, window: Array, nodata: float | None, among: Bools | None = None
    ) -> tuple[Array, Bools]:
        """The model's bands and numbers of the pixels of raw values `(r, c, bands)` that hold some.

        Spectra `(n, D)`, and which pixels `(r * c,)` they are of: those that are valid in all bands
        that are needed, of `among (r * c,)` alone where that is given.
        """
        spectra = self.select(window)
        valid = valid_spectra(spectra, nodata)
        if among is not None:
            valid &= among
        return self.interpolate(only_valid(spectra, valid)), valid

    def converted(self, here: Units, there: Units) -> BandMatch:
        """The same from a scene's units (of all its bands) to the model's (of its own bands).

        raw there = (raw here * scale here + offset here - offset there) / scale there; weights
        interpolate physical numbers.
        """
        own = here.of_bands(self.bands)
        offset = own.offset
        weights = gain = None
        if self.weights is None:
            gain = (own.scale / there.scale).astype(np.float32)
        else:
            offset = own.offset @ self.weights
            weights = (own.scale[:, None] * self.weights / there.scale).astype(np.float32)
        shift = ((offset - there.offset) / there.scale).astype(np.float32)
        return replace(self, weights=weights, gain=gain, shift=shift)


def match_bands(scene: Scene, model: ModelBands, *, resample: bool = False) -> BandMatch:
    """Find the model's bands in a scene; where both say their unit, numbers are converted.

    A factor that the user gives (`scaled_by`) counts even if the model's scenes told no unit.

    In this order: the same number of bands with the same wavelengths; each of the model's
    wavelengths somewhere among the scene's good bands, within `SAME_NM`; with `resample`, of the
    scene's good bands by wavelength and width, those that the model excludes left out.
    Where either side has no wavelengths, an equal number of bands is taken by position.

    Raises
    ------
    BandsError
        There is no such way; the sentence gives both lists in short and the first band missed.
    UnitsError
        One says reflectance and the other radiance.
    """
    match = match_wavelengths(scene, model, resample=resample)
    if scene.units is None:
        return match
    if model.numbers is None:
        # Nothing but what the user says tells how numbers become those that it learnt from.
        raw = as_they_are(len(model.used))
        given = scene.units.given and not scene.units.of_bands(match.bands).same_numbers(raw)
        return match.converted(scene.units, raw) if given else match
    here, there = scene.units, model.numbers.units
    if here.kind and there.kind and here.kind != there.kind and not here.given:
        raise UnitsError(
            f"{scene.path} holds {here.kind} and the model learnt from {there.kind}; expected "
            "scenes of one kind: convert it, train on such scenes, or pass --scale F where the "
            "file's word is wrong"
        )
    if not here.said or not (there.said or here.given):
        return match
    if match.weights is None and here.of_bands(match.bands).same_numbers(there):
        return match
    return match.converted(here, there)


def match_wavelengths(scene: Scene, model: ModelBands, *, resample: bool = False) -> BandMatch:
    """As `match_bands`, with numbers as they are."""
    used = np.asarray(model.used, np.int64)
    if scene.wavelengths_nm is None or model.wavelengths_nm is None:
        return _by_position(scene, model, used)
    wanted = np.asarray(model.wavelengths_nm, np.float64)
    here = np.asarray(scene.wavelengths_nm, np.float64)
    if scene.bands == model.total:
        away = np.abs(here[used] - wanted)
        if (away <= SAME_NM).all() and scene.good[used].all():
            return BandMatch(used, drift_nm=float(away.max(initial=0.0)))
    good = np.flatnonzero(scene.good & np.isfinite(here))
    if not len(good):
        raise BandsError(f"{scene.path} has no good band with a wavelength")
    nearest = good[np.abs(here[good] - wanted[:, None]).argmin(1)]
    distance = np.abs(here[nearest] - wanted)
    if (distance <= SAME_NM).all() and len(np.unique(nearest)) == len(wanted):
        return BandMatch(nearest, drift_nm=float(distance.max()))
    if resample:
        return _resampled(scene, here, _not_excluded(scene, here, good, model), model)
    raise BandsError(
        f"{scene.path} has other bands than the model: "
        f"model {_in_short(wanted)}; scene {_in_short(here[good])}; "
        f"{_first_missed(scene, here, wanted, here[nearest])}; "
        "pass --resample to bring the scene's bands to the model's, or train on such scenes"
    )


def _by_position(scene: Scene, model: ModelBands, used: Ints) -> BandMatch:
    if scene.bands != model.total:
        lacking = "the scene" if scene.wavelengths_nm is None else "the model"
        raise BandsError(
            f"{scene.path} has {scene.bands} bands, the model was trained on files of "
            f"{model.total}, and {lacking} has no wavelengths to match them by; "
            "classify scenes of the same sensor, or give wavelengths with --wavelengths"
        )
    if (scene.wavelengths_nm is None) == (model.wavelengths_nm is None):
        return BandMatch(used)
    side = "scene" if scene.wavelengths_nm is None else "model"
    return BandMatch(
        used, note=f"the {side} has no wavelengths: its {scene.bands} bands are taken by position"
    )


def _not_excluded(scene: Scene, here: Floats, good: Ints, model: ModelBands) -> Ints:
    for low, high in model.excluded_nm:
        good = good[~WavelengthRange(low, high).holds(here[good])]
    if not len(good):
        raise BandsError(
            f"{scene.path} has no good band beside those that the model excludes; train on such "
            "scenes"
        )
    return good


def _resampled(scene: Scene, here: Floats, good: Ints, model: ModelBands) -> BandMatch:
    """The model's bands made of the scene's, by wavelength and by the widths of both."""
    wanted = np.asarray(model.wavelengths_nm, np.float64)
    own = None if scene.fwhm_nm is None else scene.fwhm_nm[good]
    found = resampling(here[good], own, wanted, model.fwhm_nm)
    if found.missing.any():
        lost = wanted[found.missing]
        raise BandsError(
            f"{scene.path} cannot be resampled: the model needs {lost[0]:.1f} nm, which lies "
            f"farther than a step from all good bands of the scene ({len(lost)} of its "
            f"{len(wanted)} bands do); model {_in_short(wanted)}; "
            f"scene {_in_short(np.sort(here[good]))}; train on such scenes"
        )
    needed = found.weights.any(axis=1)
    by = "wavelength" if own is None or model.fwhm_nm is None else "wavelength and width"
    return BandMatch(
        good[needed],
        found.weights[needed].astype(np.float32),
        f"{scene.path.name}: bands are resampled to the model's by {by}, "
        f"at most {found.distance.max():.1f} nm from a measured band",
    )


def _in_short(wavelengths: Floats) -> str:
    head = ", ".join(f"{w:.1f}" for w in wavelengths[:3])
    return f"{len(wavelengths)} bands at {head}, ..., {wavelengths[-1]:.1f} nm"


def _first_missed(scene: Scene, here: Floats, wanted: Floats, nearest: Floats) -> str:
    missed = np.flatnonzero(np.abs(nearest - wanted) > SAME_NM)
    if not len(missed):
        return "two of the model's bands fall on one of the scene's"
    need, found = wanted[missed[0]], nearest[missed[0]]
    bad = here[~scene.good]
    if len(bad) and np.abs(bad - need).min() <= SAME_NM:
        return f"the model needs {need:.1f} nm, which the scene's file flags as bad"
    return f"the model needs {need:.1f} nm, the scene's nearest is {found:.1f} nm"
