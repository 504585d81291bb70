"""What the spectra are that each unit won, and what a spectral library calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.inference.quantising import TrainedQuantiser
from hsi_ssl.libraries.library import resample
from hsi_ssl.libraries.matching import Match, best_matches, shapes, verdict
from hsi_ssl.libraries.reading import open_library

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK = 65_536
SHAPES = 20_000
"""Spectra, at most, that tell how pixels of one unit differ."""
MATCHES = 3


@dataclass(frozen=True)
class Units:
    """Of C units the spectra that each won among some rows of a dataset.

    `winner (n,)` of the rows; `pixels (C,)`; `means (C, bands)` of raw spectra, NaN without any;
    `matches`: the materials of a library that each looks like, none without one; `notes` are to be
    told to the user.
    """

    rows: Ints
    winner: Ints
    pixels: Ints
    means: Floats
    overall: Floats
    matches: tuple[tuple[Match, ...], ...] = ()
    notes: tuple[str, ...] = ()


def units_of(
    trained: TrainedQuantiser, dataset: Dataset, rows: Ints, library: Path | None = None
) -> Units:
    """The units of a quantiser over rows of the dataset that it learnt from.

    Raises
    ------
    LibraryError
        The library is missing, broken or does not cover the bands.
    """
    winner = np.empty(len(rows), np.int64)
    sums = np.zeros((trained.units, dataset.bands))
    for first in range(0, len(rows), BLOCK):
        raw = dataset.spectra(rows[first : first + BLOCK])
        won = winner[first : first + BLOCK] = trained.assign(raw)
        # In order of their units: sums of runs are many times faster than adding row by row.
        order = np.argsort(won, kind="stable")
        found, starts = np.unique(won[order], return_index=True)
        sums[found] += np.add.reduceat(raw[order].astype(np.float64), starts, axis=0)
    pixels = np.bincount(winner, minlength=trained.units)
    means = sums / np.where(pixels > 0, pixels, np.nan)[:, None]
    overall = sums.sum(0) / max(1, len(rows))
    units = Units(rows, winner, pixels, means, overall)
    return units if library is None else _named(units, dataset, library)


def _named(units: Units, dataset: Dataset, path: Path) -> Units:
    """With what each unit looks like, by its mean, as `discover` names groups."""
    library = open_library(path)
    waves, fwhm = dataset.wavelengths_nm, dataset.meta["fwhm_nm"]
    if waves is None:
        note = "the scene has no wavelengths: its units are matched with no library"
        return Units(**{**vars(units), "notes": (note,)})
    samples = resample(library, waves, fwhm)
    there = np.flatnonzero(units.pixels)
    some = np.arange(len(units.rows))[:: 1 + len(units.rows) // SHAPES]
    seen = shapes(dataset.spectra(units.rows[some]), waves)
    found = best_matches(
        units.means[there],
        waves,
        samples,
        background=units.overall,
        scatter=scatter_within(seen, units.winner[some]),
        count=MATCHES,
    )
    of_unit = dict(zip(there.tolist(), found, strict=True))
    matches = tuple(tuple(of_unit.get(unit, ())) for unit in range(len(units.pixels)))
    return Units(**{**vars(units), "matches": matches, "notes": samples.notes})


def scatter_within(values: Floats, group: Ints) -> Floats:
    """Covariance `(D, D)` of values `(n, D)` around the means of their groups `(n,)`."""
    _, place, count = np.unique(group, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), values.shape[1]))
    np.add.at(sums, place, values)
    away = values - (sums / count[:, None])[place]
    return np.asarray(away.T @ away / max(1, len(values)))


def material(matches: tuple[Match, ...]) -> str | None:
    """A unit's name by its matches; None where nothing of the library is near."""
    if not matches or verdict(matches) == "none":
        return None
    names = [match.material for match in matches]
    return " or ".join(names[:2]) if verdict(matches) == "open" else names[0]
