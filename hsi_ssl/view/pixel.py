"""What a click on a pixel tells: its spectrum, probabilities, and its like in the training set."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.maps.bands import BandMatch, ModelBands, match_bands
from hsi_ssl.scenes.scene import Scene, valid_spectra

NEIGHBOURS = 5
MOST_CANDIDATES = 100_000
"""Training pixels among which neighbours are sought; of more, so many evenly chosen."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of a class's training spectra, band by band: its range."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Neighbour:
    """A training pixel: scene of the dataset, place, class index, distance in the scaled space."""

    scene: int
    row: int
    col: int
    index: int
    distance: float
    spectrum: list[float]


@dataclass(frozen=True)
class Inspector:
    """Answers about pixels, by a classifier and the dataset it learnt from, as far as there are."""

    classifier: Classifier | None
    dataset: Dataset | None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ranges: dict[int, npt.NDArray[np.float64] | None] = field(default_factory=dict)

    def match(self, scene: Scene) -> BandMatch:
        """How a scene's bands become those of the model, else of the dataset, else its good ones.

        Raises
        ------
        BandsError
            The scene lacks bands of the model, beyond what interpolation can mend.
        """
        if self.classifier is not None:
            bands = ModelBands.from_card(self.classifier.card)
        elif self.dataset is not None:
            bands = ModelBands.from_card(self.dataset.meta)
        else:
            return BandMatch(np.flatnonzero(scene.good))
        return match_bands(scene, bands, resample=True)

    def wavelengths_nm(self, scene: Scene) -> list[float] | None:
        """Of the bands of `spectrum`."""
        if self.classifier is not None:
            return self.classifier.wavelengths_nm
        if self.dataset is not None:
            return self.dataset.wavelengths_nm
        return None if scene.wavelengths_nm is None else scene.wavelengths_nm[scene.good].tolist()

    def spectrum(self, scene: Scene, row: int, col: int) -> tuple[npt.NDArray[Any], bool]:
        """The raw spectrum `(bands,)` of a pixel, and whether it holds a measurement in all.

        Raises
        ------
        IndexError
            The pixel is outside the scene.
        BandsError
            As `match`.
        """
        match = self.match(scene)
        raw = match.select(scene.pixels([row], [col])[None])
        return match.interpolate(raw)[0], bool(valid_spectra(raw, scene.nodata)[0])

    def posterior(self, spectrum: npt.NDArray[Any]) -> Floats | None:
        """p(y|x) `(K + free slots,)` of a valid spectrum; None without a classifier."""
        if self.classifier is None:
            return None
        with self._lock:
            found: Floats = self.classifier.posterior(spectrum[None])[0]
        return found

    def neighbours(self, spectrum: npt.NDArray[Any]) -> list[Neighbour]:
        """The training pixels nearest in the scaled space (Euclidean), nearest first."""
        if self.dataset is None:
            return []
        with self._lock:
            rows, scaled = self._candidates
            x = self._scaler.transform(spectrum[None])[0]
        distance = np.sqrt(np.square(scaled - x).sum(axis=1))
        nearest = np.argsort(distance, kind="stable")[:NEIGHBOURS]
        data = self.dataset
        return [
            Neighbour(
                int(data.scene[row]),
                int(data.pixel[row, 0]),
                int(data.pixel[row, 1]),
                int(data.label[row]),
                float(far),
                values.tolist(),
            )
            for row, far, values in zip(
                rows[nearest], distance[nearest], data.spectra(rows[nearest]), strict=True
            )
        ]

    def known(self, number: int, row: int, col: int) -> tuple[int, Part] | None:
        """Class index and part of a pixel of the dataset's scene `number`, where it has a label."""
        if self.dataset is None:
            return None
        data = self.dataset
        here = (data.scene == number) & (data.pixel == (row, col)).all(axis=1) & (data.label >= 0)
        found = np.flatnonzero(here)
        return (int(data.label[found[0]]), Part(data.part[found[0]])) if len(found) else None

    def class_range(self, index: int) -> npt.NDArray[np.float64] | None:
        """Quantiles `(5, bands)` of a class's training spectra; None where there are none."""
        if self.dataset is None:
            return None
        data = self.dataset
        with self._lock:
            if index not in self._ranges:
                rows = np.flatnonzero((data.part == Part.TRAIN) & (data.label == index))
                self._ranges[index] = (
                    np.quantile(data.spectra(rows), QUANTILES, axis=0) if len(rows) else None
                )
            return self._ranges[index]

    @cached_property
    def _scaler(self) -> Scaler:
        assert self.dataset is not None
        return self.dataset.scaler if self.classifier is None else self.classifier.scaler

    @cached_property
    def _candidates(self) -> tuple[npt.NDArray[np.int64], Floats]:
        """Rows of training pixels with a label, and their scaled spectra."""
        assert self.dataset is not None
        rows = np.flatnonzero((self.dataset.part == Part.TRAIN) & (self.dataset.label >= 0))
        if len(rows) > MOST_CANDIDATES:
            rows = rows[np.linspace(0, len(rows) - 1, MOST_CANDIDATES).astype(int)]
        return rows, self.dataset.scaled(rows, self._scaler)
