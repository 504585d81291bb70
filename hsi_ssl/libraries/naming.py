"""Naming the spectra of a file, each at its own bands."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import LibrarySpectrum, Resampled, SpectralLibrary, resample
from hsi_ssl.libraries.matching import Match, best_matches, verdict

COLUMNS = ("spectrum", "rank", "material", "sample", "angle_degrees", "share")


@dataclass(frozen=True)
class Named:
    """A spectrum and the materials that it looks like most, nearest first."""

    name: str
    matches: tuple[Match, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "spectrum": self.name,
            "verdict": verdict(self.matches),
            "matches": [match.to_json() for match in self.matches],
        }


def name_spectra(
    spectra: SpectralLibrary,
    library: SpectralLibrary,
    *,
    background: str | None = None,
    count: int = 3,
) -> tuple[list[Named], tuple[str, ...]]:
    """The nearest materials of `library` to each of `spectra`, and what is to be said of them.

    `background` names the one among `spectra` that is mixed into the others, a scene's mean say.

    Raises
    ------
    LibraryError
        `background` is not there or at other bands; no library spectrum covers a spectrum.
    """
    behind = None if background is None else _named(spectra, background)
    seen: dict[bytes, Resampled] = {}
    notes = dict.fromkeys(spectra.notes)
    found = []
    for sample in spectra.spectra:
        if sample is behind:
            continue
        known = np.isfinite(sample.reflectance)
        beside = None
        if behind is not None:
            if not np.array_equal(behind.wavelengths_nm, sample.wavelengths_nm):
                raise LibraryError(f"{behind.name} and {sample.name} are not at the same bands")
            known &= np.isfinite(behind.reflectance)
            beside = behind.reflectance[known]
        bands = sample.wavelengths_nm[known]
        if not len(bands):
            raise LibraryError(f"{sample.name} in {spectra.path} holds no positive value")
        if bands.tobytes() not in seen:
            seen[bands.tobytes()] = resample(library, bands)
        here = seen[bands.tobytes()]
        notes.update(dict.fromkeys(here.notes))
        matches = best_matches(
            sample.reflectance[known], bands, here, background=beside, count=count
        )
        found.append(Named(sample.name, tuple(matches[0])))
    return found, tuple(notes)


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
