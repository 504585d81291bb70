"""A spectral library, and its spectra as a sensor's bands would see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LibraryError
from hsi_ssl.scenes.resampling import FWHM_PER_SD

Floats = npt.NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(17)
"""Gauss-Hermite quadrature: a Gaussian mean as a weighted sum of seventeen values."""
WIDEST_GAP = 2.5
"""Between samples of a spectrum, in units of its usual step or the band's width: beyond it the
spectrum says nothing there."""
MOST_MISSING = 0.1
"""Share of the bands that a spectrum may lack."""
SAME_BAND, AS_WIDE, MOST_THE_SAME = 0.01, 1.5, 0.5
"""A band is the library's own if their centres are no farther apart than this share of its width,
and it is not so many times wider than the library's steps; this share of all bands must be."""


@dataclass(frozen=True)
class LibrarySpectrum:
    """One sample's reflectance `(n,)`, in any unit, at ascending `wavelengths_nm (n,)`.

    NaN where the library has no value. `material` is what it is a sample of: several samples of
    one mineral share it. `mixture`: it is several materials mixed, by its name.
    """

    name: str
    material: str
    wavelengths_nm: Floats = field(repr=False)
    reflectance: Floats = field(repr=False)
    mixture: bool = False


@dataclass(frozen=True)
class SpectralLibrary:
    """Spectra of known materials; `notes` is what reading it guessed or left out.

    `unit` is the unit of wavelengths that the file tells.
    """

    path: Path
    spectra: tuple[LibrarySpectrum, ...] = field(repr=False)
    notes: tuple[str, ...] = ()
    format: str = ""
    unit: str | None = None


@dataclass(frozen=True)
class Resampled:
    """Library spectra at a sensor's bands: `reflectance (L, bands)`, NaN where one has no value.

    `notes` says what was left out.
    """

    names: tuple[str, ...]
    materials: tuple[str, ...]
    reflectance: Floats
    notes: tuple[str, ...]


def spectrum(
    name: str, material: str, wavelengths_nm: Any, reflectance: Any, *, mixture: bool = False
) -> LibrarySpectrum:
    """A library spectrum of values in any order; those that are no positive number become NaN.

    Libraries mark deleted points by such values, the USGS by -1.23e34.
    """
    order = np.argsort(wavelengths_nm, kind="stable")
    values = np.asarray(reflectance, np.float64)[order]
    with np.errstate(invalid="ignore"):
        values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    centres = np.asarray(wavelengths_nm, np.float64)[order]
    return LibrarySpectrum(name, material, centres, values, mixture)


def band_widths(wavelengths_nm: Floats) -> Floats:
    """Full widths at half maximum `(bands,)` of bands whose widths nobody tells: their spacing."""
    if len(wavelengths_nm) == 1:
        return np.ones(1)
    order = np.argsort(wavelengths_nm, kind="stable")
    steps = np.diff(wavelengths_nm[order])
    widths = np.empty(len(wavelengths_nm))
    # To the nearer neighbour: left-out bands make the other one look far.
    widths[order] = np.minimum(np.append(steps, np.inf), np.insert(steps, 0, np.inf))
    return np.maximum(widths, 1e-6)


@dataclass(frozen=True)
class AtBands:
    """A library without its mixtures at a sensor's bands, `values (L, bands)`, whole or not."""

    library: SpectralLibrary
    spectra: tuple[LibrarySpectrum, ...]
    wavelengths_nm: Floats
    values: Floats

    def covering(self, used: npt.NDArray[np.bool_] | None = None) -> Resampled:
        """At the bands that are `used` (`(bands,)`; None: all), the spectra that cover them.

        Those that lack more than a tenth of these bands are left out.

        Raises
        ------
        LibraryError
            No spectrum is left.
        """
        values = self.values if used is None else self.values[:, used]
        centres = self.wavelengths_nm if used is None else self.wavelengths_nm[used]
        kept = np.flatnonzero(np.isnan(values).mean(axis=1) <= MOST_MISSING)
        path = self.library.path
        span = f"{centres.min():.0f} to {centres.max():.0f} nm"
        if not len(kept):
            raise LibraryError(
                f"no spectrum of {path} covers the bands at {span}; "
                "give a library that reaches over this range"
            )
        notes = list(self.library.notes)
        mixed = len(self.library.spectra) - len(self.spectra)
        if mixed:
            notes.append(f"left out {mixed} mixtures of several materials in {path.name}")
        if len(kept) < len(values):
            notes.append(
                f"left out {len(values) - len(kept)} of {len(values)} spectra in {path.name}, "
                f"which do not cover {span}"
            )
        return Resampled(
            tuple(self.spectra[i].name for i in kept),
            tuple(self.spectra[i].material for i in kept),
            values[kept],
            tuple(notes),
        )


def at_bands(
    library: SpectralLibrary, wavelengths_nm: npt.ArrayLike, fwhm_nm: npt.ArrayLike | None = None
) -> AtBands:
    """The library as a sensor with bands of Gaussian response would see it.

    Bands narrower than the library's own steps get interpolated values; where bands are the
    library's own, values stay as they are. Mixtures of materials are left out.

    Parameters
    ----------
    wavelengths_nm, fwhm_nm
        Centres and full widths at half maximum `(bands,)`; None: the bands' spacing.
    """
    centres = np.asarray(wavelengths_nm, np.float64)
    widths = band_widths(centres) if fwhm_nm is None else np.asarray(fwhm_nm, np.float64)
    pure = tuple(s for s in library.spectra if not s.mixture)
    values = [_at_bands(s, centres, widths) for s in pure]
    return AtBands(library, pure, centres, np.reshape(values, (len(pure), len(centres))))


def resample(
    library: SpectralLibrary, wavelengths_nm: npt.ArrayLike, fwhm_nm: npt.ArrayLike | None = None
) -> Resampled:
    """The spectra of a library that cover all of a sensor's bands; see `at_bands`, `covering`."""
    return at_bands(library, wavelengths_nm, fwhm_nm).covering()


def _at_bands(sample: LibrarySpectrum, centres: Floats, widths: Floats) -> Floats:
    """One spectrum `(bands,)` seen through Gaussian bands; NaN where it has no value nearby."""
    known = np.isfinite(sample.reflectance)
    x, y = sample.wavelengths_nm[known], sample.reflectance[known]
    if len(x) < 2:  # noqa: PLR2004
        return np.full(len(centres), np.nan)
    places = centres[:, None] + widths[:, None] / FWHM_PER_SD * NODES
    values = np.interp(places, x, y) @ (WEIGHTS / WEIGHTS.sum())
    after = np.searchsorted(x, centres).clip(1, len(x) - 1)
    step = np.maximum(widths, np.median(np.diff(sample.wavelengths_nm)))
    near = x[after] - x[after - 1] <= WIDEST_GAP * step
    # The last sample before a gap is one all the same.
    near |= np.minimum(np.abs(centres - x[after - 1]), np.abs(x[after] - centres)) <= step / 4
    near &= (centres >= x[0] - step) & (centres <= x[-1] + step)
    values = np.where(near, values, np.nan)
    own = _own_values(sample, centres, widths)
    return np.where(np.isfinite(own), own, values)


def _own_values(sample: LibrarySpectrum, centres: Floats, widths: Floats) -> Floats:
    """A spectrum's own values `(bands,)` where a sensor's bands are its own, else NaN.

    All NaN unless most bands are: a Gaussian mean would smooth what is compared as it is.
    """
    x = sample.wavelengths_nm
    # Detectors may overlap: the second of two equal wavelengths is the second there too.
    order = np.argsort(centres, kind="stable")
    ordered = centres[order]
    later = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")
    tolerance = SAME_BAND * widths
    place = np.empty(len(centres), np.int64)
    place[order] = np.searchsorted(x, ordered - tolerance[order], side="left") + later
    place = place.clip(max=len(x) - 1)
    same = np.abs(x[place] - centres) <= tolerance
    same &= widths <= AS_WIDE * band_widths(x)[place]
    found = np.where(same, sample.reflectance[place], np.nan)
    return found if same.mean() > MOST_THE_SAME else np.full(len(centres), np.nan)
