"""The slope of spectra along their bands, smoothed (Savitzky and Golay 1964)."""

from __future__ import annotations

import numpy as np

from hsi_ssl.datasets.noise import Floats
from hsi_ssl.datasets.scaling import AffineScaler, Numbers, Sample, or_one
from hsi_ssl.errors import DatasetError

SLOPE_WINDOW, SLOPE_DEGREE = 7, 2
"""Bands and degree of the polynomial whose slope is taken."""


class Derivative(AffineScaler):
    """Savitzky-Golay slope along the bands, then as `standard`."""

    kind = "derivative"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """Mean spectrum, and the standard deviation of each slope."""
        mean, covariance = sample.varying(cls.kind)
        slope = _slope(sample.bands)
        variance = np.einsum("ij,ik,kj->j", slope, covariance, slope, optimize=True)
        # Slopes of bands that are exactly straight differ by rounding only.
        real = variance > 1e-12 * variance.max()
        return {"mean": mean, "sd": or_one(np.sqrt(np.where(real, variance, 0)))}

    @staticmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """The slope knows neither the level nor what is finer than its window.

        On the way back these are the mean spectrum's.
        """
        matrix = _slope(len(numbers["mean"])) / numbers["sd"]
        back: Floats = np.linalg.pinv(matrix, rcond=1e-6).astype(np.float64)
        return numbers["mean"], matrix, back


def _slope(bands: int) -> Floats:
    """Savitzky-Golay first derivative as a matrix `(bands, bands)`: slopes = spectra @ matrix."""
    from scipy.signal import savgol_filter  # slow to import, rarely wanted

    window = min(SLOPE_WINDOW, bands - 1 + bands % 2)
    if window <= SLOPE_DEGREE:
        raise DatasetError("scaling derivative needs at least 3 bands; take --scaling standard")
    slopes: Floats = savgol_filter(np.eye(bands), window, SLOPE_DEGREE, deriv=1, axis=1)
    return slopes
