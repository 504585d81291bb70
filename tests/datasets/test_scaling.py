from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LinearRegression

from hsi_ssl.datasets.noise import measure_noise
from hsi_ssl.datasets.scaling import (
    AffineScaler,
    fit_scaler,
    mean_and_covariance,
    scaler_from_card,
)
from hsi_ssl.datasets.scalings.shapes import continuum_removed
from hsi_ssl.errors import DatasetError, ModelError

KINDS = ["none", "max", "minmax", "standard", "snv", "continuum", "derivative", "noise", "mnf"]
AFFINE = [kind for kind in KINDS if kind not in {"snv", "continuum"}]
BANDS = 24
NOISE = np.linspace(8.0, 20.0, BANDS)


def cube(rows: int = 40, cols: int = 50, seed: int = 0) -> npt.NDArray[np.float64]:
    """Smooth mixtures of four smooth spectra, with noise of known size: (rows, cols, BANDS)."""
    rng = np.random.default_rng(seed)
    band = np.arange(BANDS)
    members = np.array([1000 + 300 * np.sin(band / 5 + k) for k in range(4)])
    row, col = np.mgrid[:rows, :cols]
    shares = np.stack([1 + np.sin(row / (9 + k) + col / (13 - k) + k) for k in range(4)], axis=-1)
    found: npt.NDArray[np.float64] = shares @ members
    return found + rng.normal(size=found.shape) * NOISE


def grid_neighbours(rows: int, cols: int) -> npt.NDArray[np.int32]:
    table = np.full((rows * cols, 8), -1, np.int32)
    steps = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    for row in range(rows):
        for col in range(cols):
            for k, (down, right) in enumerate(steps):
                if 0 <= row + down < rows and 0 <= col + right < cols:
                    table[row * cols + col, k] = (row + down) * cols + col + right
    return table


SPECTRA = cube().reshape(-1, BANDS)
NEIGHBOURS = grid_neighbours(40, 50)


def fitted(kind: str, spectra: npt.NDArray[Any] = SPECTRA, components: int = 10) -> Any:
    neighbours = NEIGHBOURS if len(spectra) == len(NEIGHBOURS) else grid_neighbours(len(spectra), 1)
    return fit_scaler(kind, spectra, components=components, neighbours=neighbours)


@pytest.mark.parametrize("n", [2000, 100])
def test_noise_is_the_residual_of_each_band_regressed_on_all_others(n: int) -> None:
    spectra = SPECTRA[:n]
    noise = measure_noise(mean_and_covariance(spectra)[1], n).independent
    for band in range(BANDS):
        others = np.delete(spectra, band, axis=1)
        left = spectra[:, band] - LinearRegression().fit(others, spectra[:, band]).predict(others)
        assert noise[band] == pytest.approx(np.sqrt((left**2).sum() / (n - BANDS)), rel=1e-6)


def test_noise_finds_what_was_planted_and_says_it_in_scaled_units() -> None:
    scaler = fitted("noise")
    assert isinstance(scaler, AffineScaler)
    # A little more than planted: the other bands predict with noise of their own.
    np.testing.assert_allclose(scaler.numbers["noise"], NOISE, rtol=0.25)
    assert np.median(scaler.numbers["noise"] / NOISE) < 1.15
    planted = np.random.default_rng(1).normal(size=SPECTRA.shape) * NOISE
    assert scaler.noise_sd is not None
    moved = scaler.transform(SPECTRA + planted) - scaler.transform(SPECTRA)
    np.testing.assert_allclose(moved.std(axis=0), scaler.noise_sd, rtol=0.15)


@pytest.mark.parametrize("kind", ["noise", "standard", "derivative"])
def test_gain_multiplies_the_columns_and_is_kept_in_the_card(kind: str) -> None:
    plain = fitted(kind)
    assert isinstance(plain, AffineScaler)
    gain = np.linspace(0.5, 3, plain.width)
    twice = plain.with_gain(gain).with_gain(gain)
    again = scaler_from_card(json.loads(json.dumps(twice.to_card())))
    for scaler in (twice, again):
        scaled = scaler.transform(SPECTRA)
        np.testing.assert_allclose(scaled, plain.transform(SPECTRA) * gain**2, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            scaler.inverse(scaled), plain.inverse(plain.transform(SPECTRA)), rtol=1e-4
        )
        if plain.noise_sd is not None:
            assert scaler.noise_sd is not None
            np.testing.assert_allclose(scaler.noise_sd, plain.noise_sd * gain**2)


@pytest.mark.parametrize("kind", ["noise", "mnf"])
def test_rotated_scalings_give_uncorrelated_components_the_first_of_spread_one(kind: str) -> None:
    scaled = fitted(kind).transform(SPECTRA).astype(float)
    covariance = np.cov(scaled.T)
    assert covariance[0, 0] == pytest.approx(1, rel=1e-4)
    assert (np.diff(covariance.diagonal()) <= 1e-9).all()
    np.testing.assert_allclose(covariance, np.diag(covariance.diagonal()), atol=1e-5)


def test_mnf_whitens_the_differences_of_neighbours() -> None:
    scaler = fitted("mnf", components=BANDS)
    assert scaler.noise_sd is not None
    scaled = scaler.transform(SPECTRA).reshape(40, 50, -1).astype(float)
    steps = [scaled[:, 1:] - scaled[:, :-1], scaled[1:] - scaled[:-1]]
    steps += [scaled[1:, 1:] - scaled[:-1, :-1], scaled[1:, :-1] - scaled[:-1, 1:]]
    differences = np.concatenate([d.reshape(-1, BANDS) for d in steps])
    covariance = differences.T @ differences / len(differences) / 2
    np.testing.assert_allclose(
        covariance, np.diag(scaler.noise_sd**2), atol=2e-3 * scaler.noise_sd[0] ** 2
    )


def test_mnf_without_neighbours_says_what_to_do() -> None:
    with pytest.raises(DatasetError, match="--tile"):
        fit_scaler("mnf", SPECTRA, components=5, neighbours=np.full((2000, 8), -1, np.int32))


@pytest.mark.parametrize("kind", KINDS)
def test_card_is_json_and_leads_back_to_the_same_scaling(kind: str) -> None:
    scaler = fitted(kind)
    again = scaler_from_card(json.loads(json.dumps(scaler.to_card(), allow_nan=False)))
    assert (again.kind, again.width) == (kind, scaler.width)
    np.testing.assert_array_equal(again.noise_sd, scaler.noise_sd)
    np.testing.assert_array_equal(again.transform(SPECTRA), scaler.transform(SPECTRA))
    assert again.transform(SPECTRA).dtype == np.float32
    assert again.transform(SPECTRA).shape == (len(SPECTRA), scaler.width)


@pytest.mark.parametrize("kind", AFFINE)
def test_affine_scalings_are_what_they_say(kind: str) -> None:
    scaler = fitted(kind)
    shift, matrix = scaler.affine()
    np.testing.assert_allclose(scaler.transform(SPECTRA), (SPECTRA - shift) @ matrix, atol=2e-5)


@pytest.mark.parametrize("kind", ["none", "max", "minmax", "standard", "noise", "mnf"])
def test_all_components_lead_back_to_the_raw_spectra(kind: str) -> None:
    scaler = fitted(kind, components=BANDS)
    assert scaler.invertible
    np.testing.assert_allclose(scaler.inverse(scaler.transform(SPECTRA)), SPECTRA, atol=0.05)


@pytest.mark.parametrize("kind", ["noise", "mnf"])
def test_leading_components_lead_back_up_to_the_noise(kind: str) -> None:
    scaler = fitted(kind, components=5)
    left = scaler.inverse(scaler.transform(SPECTRA)) - SPECTRA
    assert (left.std(axis=0) < 1.1 * NOISE).all()


def test_derivative_leads_back_up_to_the_level() -> None:
    # Smooth spectra: what is rougher than the slope's window is lost for good.
    smooth = np.random.default_rng(0).normal(size=(50, 3)) @ np.vander(np.arange(20.0), 3).T
    scaler = fit_scaler("derivative", smooth, components=1)
    left = scaler.inverse(scaler.transform(smooth)) - smooth
    shape = left - left.mean(axis=1, keepdims=True)
    assert np.abs(shape).max() < 0.01 * np.abs(smooth).max()
    scaled = scaler.transform(smooth)
    np.testing.assert_allclose(scaled.std(axis=0, ddof=1), 1, rtol=1e-4)


@pytest.mark.parametrize("kind", ["snv", "continuum"])
def test_scalings_without_level_refuse_to_go_back(kind: str) -> None:
    scaler = fitted(kind)
    assert scaler.affine() is None
    assert not scaler.invertible
    with pytest.raises(ModelError, match="level"):
        scaler.inverse(scaler.transform(SPECTRA))


def test_simple_scalings_by_hand() -> None:
    raw = np.array([[10, 20, 40], [0, 30, 20]], np.uint16)
    np.testing.assert_allclose(fitted("max", raw).transform(raw), raw / 40)
    np.testing.assert_allclose(fitted("minmax", raw).transform(raw), [[1, 0, 1], [0, 1, 0]])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        fitted("standard", raw).transform(raw), half * np.array([[1, -1, 1], [-1, 1, -1]])
    )
    snv = fitted("snv", raw).transform(raw)
    np.testing.assert_allclose(snv.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(snv.std(axis=1), 1, rtol=1e-6)


def test_maximum_of_spectra_that_never_rise_above_zero_is_no_divisor() -> None:
    raw = np.array([[-3.0, 0.0], [-1.0, -2.0]])
    np.testing.assert_array_equal(fitted("max", raw).transform(raw), raw)


def hull_by_pairs(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Upper hull: at each point the highest of all chords over it."""
    hull = y.astype(float).copy()
    for k in range(len(x)):
        for i in range(k + 1):
            for j in range(k, len(x)):
                if i < j:
                    chord = y[i] + (y[j] - y[i]) * (x[k] - x[i]) / (x[j] - x[i])
                    hull[k] = max(hull[k], chord)
    return hull


def test_continuum_is_the_upper_convex_hull() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.uniform(1, 30, 17))
    y = np.vstack([rng.uniform(1, 9, (20, 17)), np.ones((1, 17)), np.arange(1.0, 18)[None]])
    expected = np.array([row / hull_by_pairs(x, row) for row in y])
    np.testing.assert_allclose(continuum_removed(y, x), expected, rtol=1e-12)
    # Sensors whose ranges overlap store bands out of order.
    order = rng.permutation(17)
    np.testing.assert_allclose(continuum_removed(y[:, order], x[order]), expected[:, order])


def test_continuum_of_dark_spectra_is_one() -> None:
    np.testing.assert_array_equal(continuum_removed(np.zeros((2, 5)), np.arange(5.0)), 1)
    assert np.isfinite(continuum_removed(-np.ones((1, 5)), np.arange(5.0))).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["constant band", "two bands alike", "more bands than pixels"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.float64])
def test_awkward_spectra_scale_to_finite_numbers(kind: str, case: str, dtype: type) -> None:
    spectra: npt.NDArray[Any] = SPECTRA.clip(0, 30000).astype(dtype)
    if case == "constant band":
        spectra[:, 3] = 77
    elif case == "two bands alike":
        spectra[:, 4] = spectra[:, 5]
    else:
        spectra = spectra[:10]
    scaler = fitted(kind, spectra, components=100)
    scaled = scaler.transform(spectra)
    assert np.isfinite(scaled).all()
    assert scaled.shape == (len(spectra), scaler.width)
    if scaler.invertible:
        back = scaler.inverse(scaled)
        assert np.isfinite(back).all()
        if case == "constant band" and kind != "derivative":
            np.testing.assert_allclose(back[:, 3], 77, rtol=1e-4)
    if case == "two bands alike" and kind == "noise":
        # The twins, which predict each other, must not outweigh the rest.
        weight = np.abs(scaler.affine()[1][:, 0])
        assert weight[4:6].max() < 0.999 * np.sqrt((weight**2).sum())


@pytest.mark.parametrize("kind", ["standard", "derivative", "noise", "mnf"])
def test_equal_spectra_are_refused(kind: str) -> None:
    with pytest.raises(DatasetError, match="all 9 pixels"):
        fitted(kind, np.full((9, BANDS), 7.0))


def test_block_borders_do_not_show() -> None:
    many = np.tile(SPECTRA, (9, 1))
    for kind in KINDS:
        scaler = fitted(kind)
        np.testing.assert_allclose(
            scaler.transform(many), np.tile(scaler.transform(SPECTRA), (9, 1)), atol=1e-5
        )


def test_large_offsets_keep_their_digits() -> None:
    raw = 1e9 + SPECTRA
    np.testing.assert_allclose(
        fitted("standard", raw).transform(raw), fitted("standard").transform(SPECTRA), atol=1e-4
    )
