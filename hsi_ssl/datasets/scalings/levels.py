"""Scalings of each band by itself, or of none: `none`, `max`, `minmax`, `standard`."""

from __future__ import annotations

import numpy as np

from hsi_ssl.datasets.noise import Floats
from hsi_ssl.datasets.scaling import AffineScaler, Numbers, Sample, or_one


class AsItIs(AffineScaler):
    """Spectra as they are."""

    kind = "none"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """The number of bands."""
        return {"bands": np.array(sample.bands)}

    @staticmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """Divide by the maximum, where there is one."""
        shift = np.zeros(int(numbers["bands"]))
        back = np.full(len(shift), float(numbers.get("maximum", np.ones(()))))
        return shift, 1 / back, back


class Maximum(AsItIs):
    """Divided by the largest value of all bands, as one number: spectra keep their shape."""

    kind = "max"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """The number of bands and the largest value."""
        largest = float(sample.spectra.max(initial=0))
        return {
            "bands": np.array(sample.bands),
            "maximum": np.array(largest if largest > 0 else 1.0),
        }


class UnitInterval(AffineScaler):
    """Each band to 0..1."""

    kind = "minmax"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """Smallest value and range of each band."""
        x = sample.spectra
        low, high = (f(axis=0).astype(np.float64) for f in (x.min, x.max))
        return {"minimum": low, "range": or_one(high - low)}

    @staticmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """Less the smallest value, divided by the range."""
        return numbers["minimum"], 1 / numbers["range"], numbers["range"]


class Standard(AffineScaler):
    """Each band to mean 0 and standard deviation 1."""

    kind = "standard"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """Mean and standard deviation of each band."""
        mean, covariance = sample.varying(cls.kind)
        return {"mean": mean, "sd": or_one(np.sqrt(covariance.diagonal()))}

    @staticmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """Less the mean, divided by the standard deviation."""
        return numbers["mean"], 1 / numbers["sd"], numbers["sd"]
