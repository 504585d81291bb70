"""Leading components in units of noise: `noise` and `mnf`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.noise import Floats, measure_noise
from hsi_ssl.datasets.scaling import BLOCK, AffineScaler, Numbers, Sample
from hsi_ssl.errors import DatasetError

EAST_TO_SOUTH_WEST = slice(2, 6)
"""Half of the columns of a neighbour table: each pair of neighbours once."""


class NoiseComponents(AffineScaler):
    """Each band divided by its noise, then rotated onto the leading components.

    A band's noise is that of an independent measurement, the residual of its regression on the
    others (Roger and Arnold 1996; `measure_noise`). The largest component gets standard deviation
    1.
    """

    kind = "noise"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """Mean, noise of each band, rotation, and the leading component's standard deviation."""
        mean, covariance = sample.varying(cls.kind)
        measured = measure_noise(covariance, len(sample.spectra))
        for sentence in measured.sentences(sample.band_name):
            sample.watcher.say(sentence)
        noise = measured.independent
        per_noise = 1 / np.where(noise > 0, noise, np.inf)
        scaled = covariance * np.outer(per_noise, per_noise)
        variances, rotation = _leading(scaled, sample.components)
        scale = np.sqrt(variances[0])
        return {"mean": mean, "noise": noise, "rotation": rotation, "scale": scale}

    @staticmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """Divide by the noise, rotate, divide by the scale."""
        noise, rotation, scale = numbers["noise"], numbers["rotation"], float(numbers["scale"])
        matrix = rotation / np.where(noise > 0, noise, np.inf)[:, None] / scale
        return numbers["mean"], matrix, rotation.T * noise * scale

    @staticmethod
    def noise(numbers: Numbers) -> Floats:
        """1 before the scale."""
        return np.full(numbers["rotation"].shape[1], 1 / float(numbers["scale"]))


class MinimumNoiseFraction(AffineScaler):
    """The same with the full noise covariance of differences between neighbours (Green 1988)."""

    kind = "mnf"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """Mean, whitening and its inverse along the leading components, and their scale.

        Raises
        ------
        DatasetError
            No pixel has a neighbour.
        """
        mean, covariance = sample.varying(cls.kind)
        noise, pairs = _noise_of_neighbours(sample)
        spread = np.sqrt(covariance.diagonal())
        # Too few pairs give a singular covariance: lean on its diagonal.
        lean = 1e-9 if pairs >= 2 * sample.bands else 0.1
        floor = (1e-6 * spread) ** 2
        noise = (1 - lean) * noise + np.diag(lean * noise.diagonal() + floor)
        whiten, colour = _roots(noise, spread > 0)
        variances, rotation = _leading(whiten @ covariance @ whiten, sample.components)
        return {
            "mean": mean,
            "whiten": whiten @ rotation,
            "colour": rotation.T @ colour,
            "scale": np.sqrt(variances[0]),
        }

    @staticmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """Whiten, divide by the scale."""
        scale = float(numbers["scale"])
        return numbers["mean"], numbers["whiten"] / scale, numbers["colour"] * scale

    @staticmethod
    def noise(numbers: Numbers) -> Floats:
        """1 before the scale."""
        return np.full(numbers["whiten"].shape[1], 1 / float(numbers["scale"]))


def _noise_of_neighbours(sample: Sample) -> tuple[Floats, int]:
    """Half the covariance of differences between neighbours, and how many pairs there are."""
    one, other = _pairs(sample.neighbours)
    if not len(one):
        raise DatasetError(
            "scaling mnf measures noise between neighbouring pixels, and the pool has none; "
            "take a larger --tile or --scaling noise"
        )
    noise = np.zeros((sample.bands, sample.bands))
    for first in range(0, len(one), BLOCK):
        pair = slice(first, first + BLOCK)
        difference = sample.spectra[one[pair]].astype(np.float64) - sample.spectra[other[pair]]
        noise += difference.T @ difference
    return noise / (2 * len(one)), len(one)


def _roots(covariance: Floats, varies: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Inverse square root and square root of a covariance of the bands that vary."""
    values, vectors = np.linalg.eigh(covariance[np.ix_(varies, varies)])
    values = values.clip(min=1e-12 * values[-1])
    inverse, root = np.zeros_like(covariance), np.zeros_like(covariance)
    inverse[np.ix_(varies, varies)] = (vectors / np.sqrt(values)) @ vectors.T
    root[np.ix_(varies, varies)] = (vectors * np.sqrt(values)) @ vectors.T
    return inverse, root


def _pairs(
    neighbours: npt.NDArray[np.integer[Any]] | None,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows of each pair of neighbours, every pair once."""
    if neighbours is None:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    half = neighbours[:, EAST_TO_SOUTH_WEST]
    one, direction = np.nonzero(half >= 0)
    return one, half[one, direction].astype(np.intp)


def _leading(covariance: Floats, components: int) -> tuple[Floats, Floats]:
    """Variances and directions `(bands, width)` of the leading components, largest first."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    width = min(components, int((values > 1e-10 * values[0]).sum()))
    vectors = vectors[:, :width]
    # Eigenvectors have no sign of their own: the largest entry is made positive.
    largest = np.abs(vectors).argmax(axis=0)
    return values[:width], vectors * np.sign(vectors[largest, np.arange(width)])
