"""A spectral library, and its spectra as a sensor's bands would see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LibraryError

Floats = npt.NDArray[np.float64]

FWHM_PER_SD = 2.354820045
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(17)
"""Gauss-Hermite quadrature: a Gaussian mean as a weighted sum of seventeen values."""
WIDEST_GAP = 2.5
"""Between samples of a spectrum, in units of its usual step or the band's width: beyond it the
spectrum says nothing there."""
MOST_MISSING = 0.1
"""Share of the bands that a spectrum may lack."""


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
    """Spectra of known materials; `notes` is what reading it guessed or left out."""

    path: Path
    spectra: tuple[LibrarySpectrum, ...] = field(repr=False)
    notes: tuple[str, ...] = ()


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


def resample(
    library: SpectralLibrary, wavelengths_nm: npt.ArrayLike, fwhm_nm: npt.ArrayLike | None = None
) -> Resampled:
    """The library as a sensor with bands of Gaussian response would see it.

    Bands narrower than the library's own steps get interpolated values. Spectra that lack more
    than a tenth of the bands, and mixtures of materials, are left out.

    Parameters
    ----------
    wavelengths_nm, fwhm_nm
        Centres and full widths at half maximum `(bands,)`; None: the bands' spacing.

    Raises
    ------
    LibraryError
        No spectrum is left.
    """
    centres = np.asarray(wavelengths_nm, np.float64)
    widths = band_widths(centres) if fwhm_nm is None else np.asarray(fwhm_nm, np.float64)
    pure = [s for s in library.spectra if not s.mixture]
    seen = [(s, _at_bands(s, centres, widths)) for s in pure]
    kept = [(s, v) for s, v in seen if np.isnan(v).mean() <= MOST_MISSING]
    span = f"{centres.min():.0f} to {centres.max():.0f} nm"
    if not kept:
        raise LibraryError(
            f"no spectrum of {library.path} covers the bands at {span}; "
            "give a library that reaches over this range"
        )
    notes = list(library.notes)
    if len(pure) < len(library.spectra):
        notes.append(
            f"left out {len(library.spectra) - len(pure)} mixtures of several materials in "
            f"{library.path.name}"
        )
    if len(kept) < len(seen):
        notes.append(
            f"left out {len(seen) - len(kept)} of {len(seen)} spectra in {library.path.name}, "
            f"which do not cover {span}"
        )
    return Resampled(
        tuple(s.name for s, _ in kept),
        tuple(s.material for s, _ in kept),
        np.stack([values for _, values in kept]),
        tuple(notes),
    )


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
    return np.where(near, values, np.nan)
