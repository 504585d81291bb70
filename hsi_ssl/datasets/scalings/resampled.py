"""Another sensor's spectra as a model's own sensor would see them, in that model's scaling."""

from __future__ import annotations

from hsi_ssl.datasets.noise import Floats
from hsi_ssl.datasets.scaling import AffineScaler, Numbers, Sample
from hsi_ssl.errors import DatasetError


class Resampled(AffineScaler):
    """A chain of linear steps as one: resampled to other bands and units, then scaled.

    `training.transfer` makes it; nothing is measured of a dataset.
    """

    kind = "resampled"

    @classmethod
    def measure(cls, sample: Sample) -> Numbers:
        """Refuse: there is nothing to measure.

        Raises
        ------
        DatasetError
            Always.
        """
        del sample
        raise DatasetError(
            "scaling resampled is what `hsi-ssl train-m1 --init-from RUN` makes of a run of another"
            " sensor; prepare with another --scaling, such as noise"
        )

    @staticmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """As they were put together."""
        return numbers["shift"], numbers["matrix"], numbers["back"]

    @staticmethod
    def noise(numbers: Numbers) -> Floats | None:
        """The model's own, if it knew any."""
        return numbers.get("noise")
