"""Scalings: from raw spectra to what the models see, and back.

Most kinds are affine, `scaled = (raw - shift) @ matrix`, so that a map can fold them into the
first layer of a network. They are fitted once, on pixels that may be learnt from, and travel with
the dataset and with every model. `scalings` holds them by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hsi_ssl.datasets.noise import Floats
from hsi_ssl.datasets.scalings import SCALINGS
from hsi_ssl.errors import DatasetError, ModelError
from hsi_ssl.watcher import SILENT, Watcher

BLOCK = 8192
"""Spectra transformed at a time: a block and its float copy stay in the processor's cache."""
FIT_PIXELS = 32_768
"""Pixels to fit a scaling on, at most: more would hardly change its numbers."""

Numbers = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Sample:
    """What a scaling is fitted on.

    `spectra (n, bands)`, raw and valid; `components`: columns kept by scalings that choose, at
    most; `wavelengths (bands,)` in nm, where known; `neighbours (n, 8)`: rows of `spectra`, -1
    where absent, as in `Dataset`; `band_numbers`: which bands of the scene these are, counted from
    0, to name them, else all.
    """

    spectra: npt.NDArray[Any]
    components: int
    wavelengths: npt.ArrayLike | None = None
    neighbours: npt.NDArray[np.integer[Any]] | None = None
    band_numbers: Sequence[int] | None = None
    watcher: Watcher = SILENT

    @property
    def bands(self) -> int:
        """Columns of the spectra."""
        return int(self.spectra.shape[1])

    def band_name(self, band: int) -> str:
        """The number of a band, counted from 1, and its wavelength: `63 (1350.2 nm)`."""
        number = str((band if self.band_numbers is None else self.band_numbers[band]) + 1)
        if self.wavelengths is None:
            return number
        return f"{number} ({np.asarray(self.wavelengths)[band]:.1f} nm)"

    def varying(self, kind: str) -> tuple[Floats, Floats]:
        """Mean and covariance of the spectra.

        Raises
        ------
        DatasetError
            They are all equal.
        """
        mean, covariance = mean_and_covariance(self.spectra)
        if not covariance.diagonal().any():
            raise DatasetError(
                f"scaling {kind} needs spectra that differ, and all {len(self.spectra)} pixels to "
                "fit it on are equal; take more pixels or check the cubes"
            )
        return mean, covariance


class Scaler(ABC):
    """A fitted scaling; `numbers` are what was measured, the rest follows from them.

    `noise_sd (width,)` is the standard deviation of the measured noise in scaled units, the same in
    every column until `with_gain`; None where the scaling does not measure it.
    """

    kind: ClassVar[str]
    """Name of the scaling."""
    invertible: ClassVar[bool] = True
    """Whether `inverse` gives raw units."""

    numbers: Numbers
    noise_sd: Floats | None = None

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers

    @classmethod
    def fit(cls, sample: Sample) -> Self:
        """Fit to a sample of spectra.

        Raises
        ------
        DatasetError
            It cannot be fitted to them.
        """
        return cls(cls.measure(sample))

    @classmethod
    @abstractmethod
    def measure(cls, sample: Sample) -> Numbers:
        """What a fitted scaling remembers of a sample."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Columns of the scaled spectra."""

    @abstractmethod
    def transform(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scaled spectra `(n, width)` of raw ones `(n, bands)`."""

    def inverse(self, scaled: npt.NDArray[Any]) -> Floats:
        """Raw units `(n, bands)` of scaled spectra `(n, width)`, as far as the scaling kept them.

        Raises
        ------
        ModelError
            The scaling is not `invertible`.
        """
        raise ModelError(
            f"scaling {self.kind} throws the level of each spectrum away, so there is no way back "
            "to raw units; prepare with another --scaling to see spectra in them"
        )

    def affine(self) -> tuple[Floats, Floats] | None:
        """`shift (bands,)`, `matrix (bands, width)`, scaled = (raw - shift) @ matrix; or None."""
        return None

    def with_gain(self, gain: Floats) -> Self:
        """The same scaling, its columns multiplied by `gain (width,)`."""
        whole = gain * self.numbers.get("gain", np.ones(1))
        return type(self)({**self.numbers, "gain": whole})

    def to_card(self) -> dict[str, Any]:
        """As JSON; `scaler_from_card` is the way back."""
        return {"kind": self.kind, **{k: np.asarray(v).tolist() for k, v in self.numbers.items()}}


class AffineScaler(Scaler):
    """scaled = (raw - shift) @ matrix and raw = scaled @ back + shift.

    A `matrix (bands,)`, with `back (bands,)`, stands for a diagonal one.
    """

    shift: Floats
    matrix: Floats
    back: Floats

    def __init__(self, numbers: Numbers) -> None:
        super().__init__(numbers)
        self.shift, matrix, back = self.map(numbers)
        noise = self.noise(numbers)
        if "gain" in numbers:
            gain = numbers["gain"]
            matrix = matrix * gain
            back = back / gain if back.ndim == 1 else back / gain[:, None]
            noise = None if noise is None else noise * gain
        self.matrix, self.back, self.noise_sd = matrix, back, noise

    @staticmethod
    @abstractmethod
    def map(numbers: Numbers) -> tuple[Floats, Floats, Floats]:
        """Shift, matrix and the way back, before any gain."""

    @staticmethod
    def noise(numbers: Numbers) -> Floats | None:
        """Standard deviation of the noise of each column before any gain, if it is measured."""
        del numbers
        return None

    @property
    def width(self) -> int:
        """Columns of the scaled spectra."""
        return int(self.matrix.shape[-1])

    def transform(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scaled spectra, see `Scaler`."""
        # Whole numbers of up to 16 bits and float32 lose nothing in float32; others are shifted
        # in float64 first.
        exact = np.float32 if np.can_cast(raw.dtype, np.float32) else np.float64
        shift, matrix = self.shift.astype(exact), self.matrix.astype(np.float32)
        scaled = np.empty((len(raw), self.width), np.float32)
        space = np.empty((min(len(raw), BLOCK), len(shift)), exact)
        for first in range(0, len(raw), BLOCK):
            block = space[: len(raw[first : first + BLOCK])]
            block[:] = raw[
                first : first + BLOCK
            ]  # by itself: numpy casts slowly while it subtracts
            block -= shift
            small = block.astype(np.float32, copy=False)
            out = scaled[first : first + BLOCK]
            if matrix.ndim == 1:
                np.multiply(small, matrix, out=out)
            else:
                np.matmul(small, matrix, out=out)
        return scaled

    def inverse(self, scaled: npt.NDArray[Any]) -> Floats:
        """Raw units, see `Scaler`."""
        values = scaled.astype(np.float64)
        values = values * self.back if self.back.ndim == 1 else values @ self.back
        found: Floats = values + self.shift
        return found

    def affine(self) -> tuple[Floats, Floats] | None:
        """Shift and full matrix, see `Scaler`."""
        return self.shift, np.diag(self.matrix) if self.matrix.ndim == 1 else self.matrix


def scaler_from_card(card: dict[str, Any]) -> Scaler:
    """Inverse of `Scaler.to_card`.

    Raises
    ------
    SettingsError
        The scaling is another package's, which is not installed.
    """
    numbers = {k: np.asarray(v, np.float64) for k, v in card.items() if k != "kind"}
    return SCALINGS.find(card["kind"])(numbers)


def rows_to_fit(rows: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """All of some rows, or `FIT_PIXELS` of them drawn at random, ascending."""
    if len(rows) <= FIT_PIXELS:
        return rows
    return np.sort(rng.choice(rows, FIT_PIXELS, replace=False))


def fit_scaler(
    kind: str,
    spectra: npt.NDArray[Any],
    *,
    components: int,
    wavelengths: npt.ArrayLike | None = None,
    neighbours: npt.NDArray[np.integer[Any]] | None = None,
    band_numbers: Sequence[int] | None = None,
    watcher: Watcher = SILENT,
) -> Scaler:
    """Scaling fitted on `spectra (n, bands)`, raw and valid; other arguments as in `Sample`.

    The watcher hears from `noise` of bands that are copies, interpolated or smoothed.

    Raises
    ------
    DatasetError
        All spectra are equal; `mnf` without any pair of neighbours.
    SettingsError
        There is no such scaling.
    """
    sample = Sample(spectra, components, wavelengths, neighbours, band_numbers, watcher)
    # Between matrices of this size threads wait more than they work, for seconds where other
    # programs keep the processor busy.
    with threadpool_limits(limits=1, user_api="blas"):
        return SCALINGS.find(kind).fit(sample)


def mean_and_covariance(spectra: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Mean `(bands,)` and covariance `(bands, bands)` of `spectra (n, bands)`, in float64."""
    mean: Floats = spectra.mean(axis=0, dtype=np.float64)
    product = np.zeros((len(mean), len(mean)))
    for first in range(0, len(spectra), BLOCK):
        block = spectra[first : first + BLOCK] - mean
        product += block.T @ block
    # Rounding of the mean must not make a constant band vary.
    constant = (spectra == spectra[0]).all(axis=0)
    product[constant] = product[:, constant] = 0
    return mean, product / max(1, len(spectra) - 1)


def or_one(numbers: Floats) -> Floats:
    """`numbers` with 1 for 0, to divide by."""
    return np.where(numbers == 0, 1.0, numbers)
