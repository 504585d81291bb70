"""What is counted pixel by pixel of a classifier's slots: sums that windows add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.libraries.matching import shapes

SHAPE_PIXELS = 4096
"""Of a window, about so many give their shapes: enough, and quick."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass
class Tally:
    """Sums over pixels by their most probable slot, of S = K + F slots: K classes, F free ones.

    `pixels (S,)`; `posterior (S, S)`: row s the sum of p(y|x) over the pixels of slot s;
    `spectra`, `squares (S, bands)`; `shared`: for each other run pixels `(S, S')` by both slots.
    Of some pixels only, evenly chosen, `shape_pixels (S,)` and what their shapes (`libraries.
    matching.shapes`) sum up to: `shapes (S, bands)`, `products (bands, bands)`.
    """

    pixels: Ints
    posterior: Floats
    spectra: Floats
    squares: Floats
    shared: tuple[Ints, ...]
    shape_pixels: Ints
    shapes: Floats
    products: Floats

    def __iadd__(self, other: Tally) -> Self:
        self.pixels += other.pixels
        self.posterior += other.posterior
        self.spectra += other.spectra
        self.squares += other.squares
        for mine, theirs in zip(self.shared, other.shared, strict=True):
            np.add(mine, theirs, out=mine)
        self.shape_pixels += other.shape_pixels
        self.shapes += other.shapes
        self.products += other.products
        return self

    @property
    def scatter(self) -> Floats:
        """Covariance `(bands, bands)` of shapes around the mean shape of their slot."""
        within = self.products - (self.shapes.T / np.maximum(self.shape_pixels, 1)) @ self.shapes
        return np.asarray(within / max(1, self.shape_pixels.sum()))

    @property
    def means(self) -> Floats:
        """Mean spectrum of each slot `(S, bands)`, NaN for empty ones."""
        return self.spectra / self._counts

    @property
    def deviations(self) -> Floats:
        """Standard deviation of the spectra in each slot `(S, bands)`, NaN for empty ones."""
        variance = self.squares / self._counts - self.means**2
        return np.asarray(np.sqrt(variance.clip(min=0)))

    @property
    def overall(self) -> Floats:
        """Mean spectrum of all pixels `(bands,)`."""
        return np.asarray(self.spectra.sum(axis=0) / max(1, self.pixels.sum()))

    @property
    def _counts(self) -> Floats:
        return np.where(self.pixels > 0, self.pixels, np.nan)[:, None]


def empty_tally(slots: int, bands: int, others: Sequence[int] = ()) -> Tally:
    """Nothing counted yet; `others` are the numbers of slots of other runs."""
    return Tally(
        np.zeros(slots, np.int64),
        np.zeros((slots, slots)),
        np.zeros((slots, bands)),
        np.zeros((slots, bands)),
        tuple(np.zeros((slots, other), np.int64) for other in others),
        np.zeros(slots, np.int64),
        np.zeros((slots, bands)),
        np.zeros((bands, bands)),
    )


def tally(
    spectra: npt.NDArray[Any],
    posterior: npt.NDArray[Any],
    others: Sequence[npt.NDArray[Any]] = (),
    wavelengths_nm: Sequence[float] | None = None,
) -> tuple[Tally, Ints]:
    """The sums over `spectra (n, bands)`, and each one's slot `(n,)`.

    `posterior (n, S)`; `others` the posteriors `(n, S')` of the same pixels by other runs. Pixels
    on which a model gives no finite answer are in no slot: -1. Without wavelengths spectra have no
    shapes.
    """
    slots = posterior.shape[1]
    sure = np.isfinite(posterior).all(axis=1)
    for other in others:
        sure &= np.isfinite(other).all(axis=1)
    best = np.where(sure, posterior.argmax(axis=1), UNLABELLED)
    found = empty_tally(slots, spectra.shape[1], [other.shape[1] for other in others])
    for slot in np.unique(best[sure]):
        here = best == slot
        found.pixels[slot] = here.sum()
        found.posterior[slot] = posterior[here].sum(axis=0, dtype=np.float64)
        values = spectra[here].astype(np.float64)
        found.spectra[slot] = values.sum(axis=0)
        found.squares[slot] = (values**2).sum(axis=0)
    for shared, other in zip(found.shared, others, strict=True):
        both = best[sure] * other.shape[1] + other[sure].argmax(axis=1)
        counts = np.bincount(both, minlength=shared.size)
        np.add(shared, counts.reshape(shared.shape), out=shared)
    some = np.flatnonzero(sure)
    some = some[:: max(1, len(some) // SHAPE_PIXELS)]
    if wavelengths_nm is not None and len(some):
        seen = shapes(spectra[some], wavelengths_nm)
        members = (best[some, None] == np.arange(slots)).astype(np.float64)
        found.shape_pixels += np.bincount(best[some], minlength=slots)
        found.shapes += members.T @ seen
        found.products += seen.T @ seen
    return found, best
