from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hearing import Hears
from scipy.ndimage import convolve1d
from scipy.signal import savgol_filter

from hsi_ssl.datasets.noise import Noise, measure_noise
from hsi_ssl.datasets.scaling import AffineScaler, fit_scaler, mean_and_covariance

Floats = npt.NDArray[np.float64]
BANDS, PIXELS = 80, 4000
SAME = np.eye(BANDS)


def spectra() -> tuple[Floats, Floats]:
    """Mixtures of four smooth spectra, brighter and darker, with noise; the noise of each band."""
    rng = np.random.default_rng(0)
    place = np.linspace(0, 1, BANDS)
    waves = [(0.4 + k / 8) * place + k for k in range(4)]
    members = 1 + 0.4 * np.sin(2 * np.pi * np.array(waves))
    shares = rng.dirichlet(np.ones(4), PIXELS) * rng.uniform(0.6, 1.4, (PIXELS, 1))
    sd = 0.006 + 0.012 * rng.uniform(size=BANDS) ** 2
    return shares @ members + rng.normal(size=(PIXELS, BANDS)) * sd, sd


SPECTRA, SD = spectra()


def measured(x: npt.NDArray[Any]) -> Noise:
    return measure_noise(mean_and_covariance(x)[1], len(x))


def truth(matrix: Floats, *, smooth: bool = False) -> tuple[Floats, Floats]:
    """Noise that bands of `SPECTRA @ matrix` hold, and that they are worth."""
    covariance = (matrix.T * SD**2) @ matrix
    held = np.sqrt(covariance.diagonal())
    correlation = covariance / np.outer(held, held)
    sums = (correlation if smooth else np.abs(correlation)).sum(axis=1)
    return held, held * np.sqrt(sums.clip(min=1))


def test_independent_bands_are_measured_and_nothing_is_told() -> None:
    noise = measured(SPECTRA)
    np.testing.assert_allclose(noise.sd, SD, rtol=0.25)
    np.testing.assert_array_equal(noise.independent, noise.sd)
    assert noise.sentences() == []


@pytest.mark.parametrize("times", [1.0, -1.7])
@pytest.mark.parametrize("bands", [[30], [3, 40, 77], [30, 30], [12, 12, 12, 12]])
def test_copies_count_as_one_band(bands: list[int], times: float) -> None:
    matrix = np.hstack([SAME, times * SAME[:, bands]])
    noise = measured(SPECTRA @ matrix + 5)
    held, worth = truth(matrix)
    np.testing.assert_allclose(noise.sd, held, rtol=0.25)
    np.testing.assert_allclose(noise.independent, worth, rtol=0.25)
    same = [[b, *(BANDS + i for i, c in enumerate(bands) if c == b)] for b in sorted(set(bands))]
    assert noise.copies == tuple(map(tuple, same))
    assert noise.interpolated == ()
    assert noise.smoothed is None


def test_all_bands_stored_twice() -> None:
    noise = measured(np.hstack([SPECTRA, SPECTRA]))
    np.testing.assert_allclose(noise.sd, np.tile(SD, 2), rtol=0.25)
    np.testing.assert_allclose(noise.independent, np.tile(SD, 2) * np.sqrt(2), rtol=0.25)
    assert noise.copies == tuple((b, BANDS + b) for b in range(BANDS))


def test_copies_that_were_rounded_are_copies_too() -> None:
    noise = measured(np.round(10_000 * np.hstack([SPECTRA, 0.93 * SPECTRA[:, [20, 50]]])))
    assert noise.copies == ((20, 80), (50, 81))
    np.testing.assert_allclose(noise.sd[[20, 50]], 1e4 * SD[[20, 50]], rtol=0.25)


@pytest.mark.parametrize("weights", [[0, 1 / 2], [-1 / 16, 9 / 16]])
@pytest.mark.parametrize("bands", [[30], [5, 40, 73]])
def test_interpolated_bands_are_named_and_hold_the_noise_of_a_mean(
    bands: list[int], weights: list[float]
) -> None:
    matrix = SAME.copy()
    for b in bands:
        matrix[:, b] = 0
        for far, weight in zip((2, 1), weights, strict=True):
            matrix[[b - far, b + far], b] = weight
    noise = measured(SPECTRA @ matrix)
    held, worth = truth(matrix)
    assert noise.interpolated == tuple(bands)
    np.testing.assert_allclose(noise.sd, held, rtol=0.25)
    np.testing.assert_allclose(noise.independent, worth, rtol=0.3)


def test_a_run_of_interpolated_bands_weighs_no_more_than_it_tells_even_rounded() -> None:
    matrix = SAME.copy()
    for k in (1, 2, 3):
        matrix[:, 30 + k] = (SAME[:, 30] * (4 - k) + SAME[:, 34] * k) / 4
    for x in (SPECTRA @ matrix, np.round(2000 * SPECTRA @ matrix) / 2000):
        noise = measured(x)
        assert {31, 32, 33} <= set(noise.interpolated)
        assert (noise.independent > 0.7 * truth(matrix)[1]).all()


def test_a_mean_of_far_bands_is_found() -> None:
    matrix = np.hstack([SAME, SAME[:, [5, 35, 60]].mean(axis=1, keepdims=True)])
    noise = measured(SPECTRA @ matrix)
    assert noise.interpolated == (BANDS,)
    np.testing.assert_allclose(noise.sd, truth(matrix)[0], rtol=0.25)


SMOOTHINGS = {
    "121": convolve1d(SAME, [0.25, 0.5, 0.25], axis=1, mode="nearest"),
    "131": convolve1d(SAME, [0.2, 0.6, 0.2], axis=1, mode="nearest"),
    "savgol": savgol_filter(SAME, 5, 2, axis=1),
    "finer": np.stack(
        [np.interp(np.linspace(0, BANDS - 1, 2 * BANDS - 1), np.arange(BANDS), e) for e in SAME]
    ),
}


@pytest.mark.parametrize("kind", SMOOTHINGS)
def test_smoothed_spectra_have_the_noise_of_before(kind: str) -> None:
    matrix = SMOOTHINGS[kind]
    noise = measured(SPECTRA @ matrix)
    held, worth = truth(matrix, smooth=True)
    assert noise.smoothed is not None
    assert noise.smoothed.all()
    assert np.median(noise.sd / held) == pytest.approx(1, abs=0.1)
    assert np.median(noise.independent / worth) == pytest.approx(1, abs=0.25)
    assert (noise.independent > 0.75 * worth).all()
    (sentence,) = noise.sentences()
    assert "smoothed" in sentence


def test_one_spectrometer_smoothed_and_the_other_not() -> None:
    half = BANDS // 2
    matrix = SAME.copy()
    matrix[half:, half:] = convolve1d(SAME[half:, half:], [0.25, 0.5, 0.25], axis=1, mode="nearest")
    noise = measured(SPECTRA @ matrix)
    assert noise.smoothed is not None
    assert not noise.smoothed[: half - 3].any()
    assert noise.smoothed[half + 3 :].all()
    assert np.median(noise.sd / truth(matrix)[0]) == pytest.approx(1, abs=0.1)


def test_constant_bands_have_no_noise_and_change_no_numbers() -> None:
    x = np.insert(np.hstack([SPECTRA, SPECTRA[:, [40]]]), 10, 7.0, axis=1)
    noise = measured(x)
    assert noise.sd[10] == noise.independent[10] == 0
    assert noise.copies == ((41, 81),)


def test_few_pixels_invent_no_copies() -> None:
    for n in (20, 60, 200):
        assert measured(SPECTRA[:n]).sentences() == []


def test_scaling_says_once_which_bands_are_copies_and_scales_as_without_them() -> None:
    heard = Hears()
    numbers = [*range(10, 10 + BANDS), 200]
    wavelengths = [*np.linspace(400, 1000, BANDS), 700.0]
    twice = np.hstack([SPECTRA, 3 * SPECTRA[:, [40]]])
    scaler = fit_scaler(
        "noise", twice, components=6, wavelengths=wavelengths, band_numbers=numbers, watcher=heard
    )
    assert heard.said == [
        "bands that are copies of each other, counted as one: 51 (703.8 nm) = 201 (700.0 nm)"
    ]
    plain = fit_scaler("noise", SPECTRA, components=6, watcher=heard)
    assert len(heard.said) == 1
    np.testing.assert_allclose(
        scaler.transform(twice), plain.transform(SPECTRA), rtol=0.01, atol=0.002
    )
    assert isinstance(scaler, AffineScaler)
    np.testing.assert_allclose(
        scaler.inverse(scaler.transform(twice))[:, -1],
        3 * plain.inverse(plain.transform(SPECTRA))[:, 40],
        rtol=0.02,
    )


@pytest.mark.parametrize("bands", [*range(1, 30), 60])
@pytest.mark.parametrize("kind", ["plain", "copy", "smoothed", "rounded", "empty"])
def test_any_number_of_bands_is_measured(bands: int, kind: str) -> None:
    rng = np.random.default_rng(bands)
    spectra = rng.normal(0, 1, (300, 3)) @ rng.normal(0, 1, (3, bands))
    spectra += rng.normal(0, 0.05, spectra.shape)
    if kind == "copy":
        spectra[:, bands // 2] = spectra[:, bands // 3]
    elif kind == "smoothed":
        spectra = convolve1d(spectra, [0.25, 0.5, 0.25], axis=1)
    elif kind == "rounded":
        spectra = spectra.round(1)
    elif kind == "empty":
        spectra[:, bands // 2] = 0
    found = measure_noise(np.cov(spectra.T).reshape(bands, bands), len(spectra))
    assert found.independent.shape == (bands,)
    assert np.isfinite(found.independent).all()
    assert (found.independent >= 0).all()
