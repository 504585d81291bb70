"""Naming the spectra of a file, each at its own bands."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import (
    MOST_MISSING,
    LibrarySpectrum,
    Resampled,
    SpectralLibrary,
    at_bands,
)
from hsi_ssl.libraries.matching import FEWEST_BANDS, Match, best_matches, shapes, verdict
from hsi_ssl.libraries.noise import noisy_bands, ranges_of

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

VOTERS, MAJORITY = 200, 0.5
"""Of so many spectra of a library at most, more than this share says where the library is noise."""
COLUMNS = ("spectrum", "rank", "material", "sample", "angle_degrees", "share")


@dataclass(frozen=True)
class Named:
    """A spectrum and the materials that it looks like most, nearest first.

    `left_out_nm` are the stretches of its bands that were not compared, being noise.
    """

    name: str
    matches: tuple[Match, ...]
    left_out_nm: tuple[tuple[float, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "spectrum": self.name,
            "verdict": verdict(self.matches),
            "matches": [match.to_json() for match in self.matches],
            "left_out_nm": [list(stretch) for stretch in self.left_out_nm],
        }


def name_spectra(
    spectra: SpectralLibrary,
    library: SpectralLibrary,
    *,
    background: str | None = None,
    count: int = 3,
) -> tuple[list[Named], tuple[str, ...]]:
    """The nearest materials of `library` to each of `spectra`, and what is to be said of them.

    Bands where a spectrum or most of the library is noise (`noisy_bands`) are not compared.
    `background` names the one among `spectra` that is mixed into the others, a scene's mean say.

    Raises
    ------
    LibraryError
        `background` is not there or at other bands; no library spectrum covers a spectrum.
    """
    behind = None if background is None else _named(spectra, background)
    grids: dict[bytes, _Grid] = {}
    notes = dict.fromkeys(spectra.notes)
    found = []
    for sample in spectra.spectra:
        if sample is behind:
            continue
        if behind is not None and not np.array_equal(behind.wavelengths_nm, sample.wavelengths_nm):
            raise LibraryError(f"{behind.name} and {sample.name} are not at the same bands")
        key = sample.wavelengths_nm.tobytes()
        if key not in grids:
            grids[key] = _Grid(library, sample.wavelengths_nm)
        grid = grids[key]
        known = np.isfinite(sample.reflectance)
        if behind is not None:
            known &= np.isfinite(behind.reflectance)
        if not known.any():
            raise LibraryError(f"{sample.name} in {spectra.path} holds no positive value")
        own, library_s = grid.noise_of(sample, behind), grid.library_noise
        used = known & ~(own | library_s)
        if used.sum() < FEWEST_BANDS:
            used = known
        here = grid.covering(used)
        notes.update(dict.fromkeys(here.notes))
        bands = grid.wavelengths_nm[used]
        matches = best_matches(
            sample.reflectance[used],
            bands,
            here,
            background=None if behind is None else behind.reflectance[used],
            count=count,
        )
        left_out = known & ~used
        grid.left_out.append((left_out & own, left_out & library_s & ~own))
        found.append(
            Named(sample.name, tuple(matches[0]), ranges_of(grid.wavelengths_nm, left_out))
        )
    for grid in grids.values():
        notes.update(dict.fromkeys(grid.notes(spectra, library)))
    return found, tuple(notes)


class _Grid:
    """A library at the bands that some spectra share, and where it is noise."""

    def __init__(self, library: SpectralLibrary, wavelengths_nm: Floats) -> None:
        self.wavelengths_nm = wavelengths_nm
        self._library = at_bands(library, wavelengths_nm)
        self._covering: dict[bytes, Resampled] = {}
        values = self._library.values
        values = values[np.isnan(values).mean(axis=1) <= MOST_MISSING]
        values = values[:: -(-len(values) // VOTERS) or 1]
        noisy = _noise(wavelengths_nm, values)
        self.library_noise = noisy.mean(axis=0) > MAJORITY if len(values) else noisy.any(axis=0)
        self.left_out: list[tuple[Bools, Bools]] = []

    def covering(self, used: Bools) -> Resampled:
        """The library's spectra that cover the bands used."""
        key = used.tobytes()
        if key not in self._covering:
            self._covering[key] = self._library.covering(used)
        return self._covering[key]

    def noise_of(self, sample: LibrarySpectrum, behind: LibrarySpectrum | None) -> Bools:
        """Where a spectrum, or the background mixed into it, is noise."""
        both = [s.reflectance for s in (sample, behind) if s is not None]
        return np.asarray(_noise(self.wavelengths_nm, np.array(both)).any(axis=0))

    def notes(self, spectra: SpectralLibrary, library: SpectralLibrary) -> list[str]:
        """What was left out as noise."""
        found = []
        own = [mine for mine, _ in self.left_out if mine.any()]
        if own:
            several = len(self.left_out) > 1
            among = f" in {len(own)} of {len(self.left_out)} spectra" if several else ""
            where = _in_words(self.wavelengths_nm, np.any(own, axis=0))
            found.append(f"left out what is noise{among} of {spectra.path.name}: {where}")
        its = np.any([its for _, its in self.left_out], axis=0)
        if its.any():
            found.append(
                f"left out what is noise in most spectra of {library.path.name}: "
                f"{_in_words(self.wavelengths_nm, its)}"
            )
        return found


def _noise(wavelengths_nm: Floats, reflectance: Floats) -> Bools:
    """Where spectra `(n, bands)` are noise; stretches without values are bridged for this."""
    filled = []
    for row in reflectance:
        known = np.isfinite(row)
        if known.any():
            filled.append(np.interp(wavelengths_nm, wavelengths_nm[known], row[known]))
        else:
            filled.append(np.ones(len(row)))
    if not filled:
        return np.zeros(reflectance.shape, bool)
    return noisy_bands(wavelengths_nm, shapes(np.array(filled), wavelengths_nm))


def _in_words(wavelengths_nm: Floats, chosen: Bools) -> str:
    return ", ".join(
        f"{low:.0f} to {high:.0f} nm" for low, high in ranges_of(wavelengths_nm, chosen)
    )


def matches_csv(found: list[Named]) -> str:
    """Rows `spectrum, rank, material, sample, angle_degrees, share`."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for named in found:
        for rank, m in enumerate(named.matches, 1):
            rows.writerow(
                (named.name, rank, m.material, m.name, f"{m.angle:.3f}", f"{m.share:.3f}")
            )
    return text.getvalue()


def _named(spectra: SpectralLibrary, name: str) -> LibrarySpectrum:
    found = [sample for sample in spectra.spectra if sample.name == name]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sample.name for sample in spectra.spectra[:10])
    raise LibraryError(
        f"{spectra.path} has {len(found) or 'no'} spectra called {name!r}; it holds {names}"
    )
