"""Scalings: from raw spectra to what the models see, and back.

Most kinds are affine, `scaled = (raw - shift) @ matrix`, so that a map can fold them into the
first layer of a network. They are fitted once, on pixels that may be learnt from, and travel with
the dataset and with every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hsi_ssl.datasets.noise import Floats, Noise, measure_noise
from hsi_ssl.errors import DatasetError, ModelError
from hsi_ssl.watcher import SILENT, Watcher

BLOCK = 8192
"""Spectra transformed at a time: a block and its float copy stay in the processor's cache."""
FIT_PIXELS = 32_768
"""Pixels to fit a scaling on, at most: more would hardly change its numbers."""
SLOPE_WINDOW, SLOPE_DEGREE = 7, 2
"""Bands and degree of the polynomial whose slope the scaling `derivative` takes."""
EAST_TO_SOUTH_WEST = slice(2, 6)
"""Half of the columns of a neighbour table: each pair of neighbours once."""


class Scaler(Protocol):
    """What every scaling offers. `width` is the number of columns of the scaled spectra.

    `noise_sd (width,)` is the standard deviation of the measured noise in scaled units, the same in
    every column until `with_gain`; None where the scaling does not measure it.
    """

    @property
    def kind(self) -> str:
        """Name of the scaling."""

    @property
    def width(self) -> int:
        """Columns of the scaled spectra."""

    @property
    def noise_sd(self) -> Floats | None:
        """Standard deviation of the noise in scaled units `(width,)`, or None."""

    @property
    def invertible(self) -> bool:
        """Whether `inverse` gives raw units."""

    def transform(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scaled spectra `(n, width)` of raw ones `(n, bands)`."""

    def inverse(self, scaled: npt.NDArray[Any]) -> Floats:
        """Raw units `(n, bands)` of scaled spectra `(n, width)`, as far as the scaling kept them.

        Raises
        ------
        ModelError
            The scaling is not `invertible`.
        """

    def affine(self) -> tuple[Floats, Floats] | None:
        """`shift (bands,)`, `matrix (bands, width)`, scaled = (raw - shift) @ matrix; or None."""

    def to_card(self) -> dict[str, Any]:
        """As JSON; `scaler_from_card` is the way back."""


@dataclass(frozen=True)
class AffineScaler:
    """scaled = (raw - shift) @ matrix and raw = scaled @ back + shift.

    A `matrix (bands,)`, with `back (bands,)`, stands for a diagonal one. `numbers` are what was
    measured; the rest follows from them.
    """

    kind: str
    numbers: dict[str, npt.NDArray[Any]]
    shift: Floats
    matrix: Floats
    back: Floats
    noise_sd: Floats | None = None
    invertible: bool = True

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
        for first in range(0, len(raw), BLOCK):
            block = np.subtract(raw[first : first + BLOCK], shift, dtype=exact)
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

    def with_gain(self, gain: Floats) -> AffineScaler:
        """The same scaling, its columns multiplied by `gain (width,)`."""
        whole = gain * self.numbers.get("gain", 1.0)
        return _affine(self.kind, {**self.numbers, "gain": whole})

    def to_card(self) -> dict[str, Any]:
        """As JSON, see `Scaler`."""
        return {"kind": self.kind, **{k: v.tolist() for k, v in self.numbers.items()}}


@dataclass(frozen=True)
class ShapeScaler:
    """`snv` and `continuum`: each spectrum by itself, its level thrown away."""

    kind: str
    axis: Floats
    """Wavelengths in nm, or band numbers, `(bands,)`."""
    noise_sd: None = None
    invertible: bool = False

    @property
    def width(self) -> int:
        """Columns of the scaled spectra."""
        return len(self.axis)

    def transform(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scaled spectra, see `Scaler`."""
        scaled = np.empty(raw.shape, np.float32)
        for first in range(0, len(raw), BLOCK):
            block = raw[first : first + BLOCK].astype(np.float64)
            scaled[first : first + BLOCK] = (
                standard_normal_variate(block)
                if self.kind == "snv"
                else continuum_removed(block, self.axis)
            )
        return scaled

    def inverse(self, scaled: npt.NDArray[Any]) -> Floats:
        """Refuse, see `Scaler`."""
        raise ModelError(
            f"scaling {self.kind} throws the level of each spectrum away, so there is no way back "
            "to raw units; prepare with another --scaling to see spectra in them"
        )

    def affine(self) -> tuple[Floats, Floats] | None:
        """None: not affine."""
        return None

    def to_card(self) -> dict[str, Any]:
        """As JSON, see `Scaler`."""
        return {"kind": self.kind, "axis": self.axis.tolist()}


def scaler_from_card(card: dict[str, Any]) -> Scaler:
    """Inverse of `Scaler.to_card`."""
    kind = card["kind"]
    numbers = {k: np.asarray(v, np.float64) for k, v in card.items() if k != "kind"}
    return ShapeScaler(kind, numbers["axis"]) if "axis" in numbers else _affine(kind, numbers)


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
    """Scaling fitted on `spectra (n, bands)`, raw and valid.

    kind
        `none`; `max`: divided by the largest value of all bands, as one number, so that spectra
        keep their shape; `minmax`: each band to 0..1; `standard`: each band to mean 0 and
        standard deviation 1; `derivative`: Savitzky-Golay slope along the bands, then standard;
        `snv`: each spectrum to mean 0, standard deviation 1 (Barnes et al. 1989); `continuum`:
        each spectrum divided by its upper convex hull (Clark & Roush 1984);
        `noise`: each band divided by the noise of an independent measurement, the residual of its
        regression on the others (Roger & Arnold 1996; `measure_noise`), then rotated onto the
        leading components, the largest of which gets standard deviation 1; `mnf`: the same with
        the full noise covariance of differences between neighbours (Green et al. 1988).
    components
        Columns that `noise` and `mnf` keep, at most.
    wavelengths
        `(bands,)` in nm, for `continuum`, where band numbers serve without, and to name bands.
    neighbours
        `(n, 8)` rows of `spectra`, -1 where absent, as in `Dataset`; for `mnf`.
    band_numbers
        Which bands of the scene these are, to name them, counted from 0; else all.
    watcher
        Hears from `noise` of bands that are copies, interpolated or smoothed.

    Raises
    ------
    DatasetError
        All spectra are equal; `mnf` without any pair of neighbours.
    """
    # Between matrices of this size threads wait more than they work, for seconds where other
    # programs keep the processor busy.
    with threadpool_limits(limits=1, user_api="blas"):
        if kind != "noise":
            return _fitted(kind, spectra, components, wavelengths, neighbours)
        numbers, noise = _fit_noise(*_varying(kind, spectra), len(spectra), components)
        for sentence in noise.sentences(partial(_band_name, band_numbers, wavelengths)):
            watcher.say(sentence)
        return _affine(kind, numbers)


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


def standard_normal_variate(spectra: Floats) -> Floats:
    """Each spectrum of `(n, bands)` minus its mean, divided by its standard deviation."""
    centred = spectra - spectra.mean(axis=1, keepdims=True)
    found: Floats = centred / _or_one(centred.std(axis=1, keepdims=True))
    return found


def continuum_removed(spectra: Floats, axis: Floats) -> Floats:
    """Each spectrum of `(n, bands)` divided by its upper convex hull over `axis (bands,)`.

    1 at the hull, below in absorptions; 1 where the hull is not positive.
    """
    order = np.argsort(axis, kind="stable")
    x, y = axis[order], spectra[:, order]
    hull = _hull_vertices(x, y)
    number = np.arange(len(x))
    left = np.maximum.accumulate(np.where(hull, number, 0), axis=1)
    right = np.where(hull, number, len(x) - 1)[:, ::-1]
    right = np.minimum.accumulate(right, axis=1)[:, ::-1]
    low, high = np.take_along_axis(y, left, axis=1), np.take_along_axis(y, right, axis=1)
    way = (x - x[left]) / _or_one(x[right] - x[left])
    continuum = low + way * (high - low)
    removed = np.empty_like(y)
    removed[:, order] = np.divide(y, continuum, out=np.ones_like(y), where=continuum > 0)
    return removed


def _hull_vertices(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Which points of each row of `y (n, bands)` are vertices of its upper convex hull.

    Andrew's monotone chain, all rows side by side: a stack of vertices a row, from whose top
    points are popped that lie on or under the line from the one below them to the new point.
    """
    n, bands = y.shape
    rows = np.arange(n)
    stack = np.zeros((n, bands), np.intp)
    top = np.zeros(n, np.intp)
    for j in range(1, bands):
        open_rows = rows[top > 0]
        while len(open_rows):
            at = top[open_rows]
            a, b = stack[open_rows, at - 1], stack[open_rows, at]
            ya, yb = y[open_rows, a], y[open_rows, b]
            under = (yb - ya) * (x[j] - x[a]) <= (y[open_rows, j] - ya) * (x[b] - x[a])
            open_rows = open_rows[under]
            top[open_rows] -= 1
            open_rows = open_rows[top[open_rows] > 0]
        top += 1
        stack[rows, top] = j
    hull = np.zeros((n, bands), bool)
    on_stack = np.arange(bands) <= top[:, None]
    hull[np.nonzero(on_stack)[0], stack[on_stack]] = True
    return hull


def _fitted(
    kind: str,
    spectra: npt.NDArray[Any],
    components: int,
    wavelengths: npt.ArrayLike | None,
    neighbours: npt.NDArray[np.integer[Any]] | None,
) -> Scaler:
    bands = spectra.shape[1]
    if kind in {"snv", "continuum"}:
        axis = np.arange(bands) if wavelengths is None else np.asarray(wavelengths)
        return ShapeScaler(kind, axis.astype(np.float64))
    if kind == "none":
        numbers = {"bands": np.array(bands)}
    elif kind == "max":
        largest = float(spectra.max(initial=0))
        numbers = {"bands": np.array(bands), "maximum": np.array(largest if largest > 0 else 1.0)}
    elif kind == "minmax":
        low, high = (f(axis=0).astype(np.float64) for f in (spectra.min, spectra.max))
        numbers = {"minimum": low, "range": _or_one(high - low)}
    else:
        mean, covariance = _varying(kind, spectra)
        if kind == "standard":
            numbers = {"mean": mean, "sd": _or_one(np.sqrt(covariance.diagonal()))}
        elif kind == "derivative":
            slope = _slope(bands)
            variance = np.einsum("ij,ik,kj->j", slope, covariance, slope, optimize=True)
            # Slopes of bands that are exactly straight differ by rounding only.
            real = variance > 1e-12 * variance.max()
            numbers = {"mean": mean, "sd": _or_one(np.sqrt(np.where(real, variance, 0)))}
        else:
            numbers = _fit_mnf(mean, covariance, spectra, neighbours, components)
    return _affine(kind, numbers)


def _varying(kind: str, spectra: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Mean and covariance of spectra that are not all equal."""
    mean, covariance = mean_and_covariance(spectra)
    if not covariance.diagonal().any():
        raise DatasetError(
            f"scaling {kind} needs spectra that differ, and all {len(spectra)} pixels to fit "
            "it on are equal; take more pixels or check the cubes"
        )
    return mean, covariance


def _band_name(numbers: Sequence[int] | None, wavelengths: npt.ArrayLike | None, band: int) -> str:
    """The number of a band, counted from 1, and its wavelength: `63 (1350.2 nm)`."""
    number = str((band if numbers is None else numbers[band]) + 1)
    return number if wavelengths is None else f"{number} ({np.asarray(wavelengths)[band]:.1f} nm)"


def _fit_noise(
    mean: Floats, covariance: Floats, n: int, components: int
) -> tuple[dict[str, Floats], Noise]:
    measured = measure_noise(covariance, n)
    noise = measured.independent
    per_noise = 1 / np.where(noise > 0, noise, np.inf)
    variances, rotation = _leading(covariance * np.outer(per_noise, per_noise), components)
    return {
        "mean": mean,
        "noise": noise,
        "rotation": rotation,
        "scale": np.sqrt(variances[0]),
    }, measured


def _fit_mnf(
    mean: Floats,
    covariance: Floats,
    spectra: npt.NDArray[Any],
    neighbours: npt.NDArray[np.integer[Any]] | None,
    components: int,
) -> dict[str, Floats]:
    one, other = _pairs(neighbours)
    if not len(one):
        raise DatasetError(
            "scaling mnf measures noise between neighbouring pixels, and the pool has none; "
            "take a larger --tile or --scaling noise"
        )
    bands = len(mean)
    noise = np.zeros((bands, bands))
    for first in range(0, len(one), BLOCK):
        pair = slice(first, first + BLOCK)
        difference = spectra[one[pair]].astype(np.float64) - spectra[other[pair]]
        noise += difference.T @ difference
    noise /= 2 * len(one)
    # Too few pairs give a singular covariance: lean on its diagonal.
    lean = 1e-9 if len(one) >= 2 * bands else 0.1
    spread = np.sqrt(covariance.diagonal())
    floor = (1e-6 * spread) ** 2
    noise = (1 - lean) * noise + np.diag(lean * noise.diagonal() + floor)
    varies = spread > 0
    values, vectors = np.linalg.eigh(noise[np.ix_(varies, varies)])
    values = values.clip(min=1e-12 * values[-1])
    whiten, colour = np.zeros((bands, bands)), np.zeros((bands, bands))
    whiten[np.ix_(varies, varies)] = (vectors / np.sqrt(values)) @ vectors.T
    colour[np.ix_(varies, varies)] = (vectors * np.sqrt(values)) @ vectors.T
    variances, rotation = _leading(whiten @ covariance @ whiten, components)
    return {
        "mean": mean,
        "whiten": whiten @ rotation,
        "colour": rotation.T @ colour,
        "scale": np.sqrt(variances[0]),
    }


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


def _slope(bands: int) -> Floats:
    """Savitzky-Golay first derivative as a matrix `(bands, bands)`: slopes = spectra @ matrix."""
    from scipy.signal import savgol_filter  # slow to import, rarely wanted

    window = min(SLOPE_WINDOW, bands - 1 + bands % 2)
    if window <= SLOPE_DEGREE:
        raise DatasetError("scaling derivative needs at least 3 bands; take --scaling standard")
    slopes: Floats = savgol_filter(np.eye(bands), window, SLOPE_DEGREE, deriv=1, axis=1)
    return slopes


def _affine(kind: str, numbers: dict[str, Any]) -> AffineScaler:
    """The scaling that the measured `numbers` define."""
    noise_sd = None
    if kind in {"none", "max"}:
        shift = np.zeros(int(numbers["bands"]))
        back = np.full(len(shift), float(numbers.get("maximum", 1.0)))
        matrix = 1 / back
    elif kind == "minmax":
        shift, back = numbers["minimum"], numbers["range"]
        matrix = 1 / back
    elif kind == "standard":
        shift, back = numbers["mean"], numbers["sd"]
        matrix = 1 / back
    elif kind == "derivative":
        # The slope knows neither the level nor what is finer than its window: on the way back
        # these are the mean spectrum's.
        shift, matrix = numbers["mean"], _slope(len(numbers["mean"])) / numbers["sd"]
        back = np.linalg.pinv(matrix, rcond=1e-6)
    else:
        scale = float(numbers["scale"])
        noise_sd = np.full(numbers["rotation" if kind == "noise" else "whiten"].shape[1], 1 / scale)
        shift = numbers["mean"]
        if kind == "noise":
            noise, rotation = numbers["noise"], numbers["rotation"]
            matrix = rotation / np.where(noise > 0, noise, np.inf)[:, None] / scale
            back = rotation.T * noise * scale
        else:
            matrix, back = numbers["whiten"] / scale, numbers["colour"] * scale
    if "gain" in numbers:
        gain = numbers["gain"]
        matrix = matrix * gain
        back = back / gain if back.ndim == 1 else back / gain[:, None]
        noise_sd = None if noise_sd is None else noise_sd * gain
    return AffineScaler(kind, numbers, shift, matrix, back, noise_sd)


def _or_one(numbers: Floats) -> Floats:
    """`numbers` with 1 for 0, to divide by."""
    return np.where(numbers == 0, 1.0, numbers)
