"""Noise told from absorptions: field spectra with water vapour, and laboratory ones without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from hsi_ssl.libraries.matching import shapes
from hsi_ssl.libraries.noise import noisy_bands, ranges_of
from hsi_ssl.libraries.reading import open_library
from hsi_ssl.scenes.minerals import MINERALS

FINE = np.arange(1000.0, 2501.0)
COARSE = np.arange(1000.0, 2501.0, 10)


def noise(wavelengths: np.ndarray, seed: int, smooth: float = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(0, 1, len(wavelengths))
    if smooth:
        drawn = gaussian_filter1d(drawn, smooth) * np.sqrt(2 * np.sqrt(np.pi) * smooth)
    vapour = (wavelengths > 1800) & (wavelengths < 1960)
    return drawn * np.where(vapour | (wavelengths > 2400), 0.05, 0.0005)


def found(wavelengths: np.ndarray, reflectance: np.ndarray) -> np.ndarray:
    spectra = np.atleast_2d(reflectance)
    return noisy_bands(wavelengths, shapes(spectra, wavelengths))


@pytest.mark.parametrize("smooth", [0, 1.5])
@pytest.mark.parametrize("name", ["alunite", "kaolinite", "gypsum", "muscovite"])
def test_noise_is_found_where_it_is(name: str, smooth: float) -> None:
    """Of instruments that write every nanometre neighbours share their noise."""
    clean = MINERALS[name].reflectance(FINE)
    seen = found(FINE, clean * (1 + noise(FINE, 3, smooth)))[0]
    inner = ((FINE > 1835) & (FINE < 1935)) | ((FINE > 2425) & (FINE < 2460))
    outer = ((FINE > 1765) & (FINE < 1995)) | (FINE > 2365)
    assert seen[inner].all()
    assert not seen[~outer].any()


@pytest.mark.parametrize("bands", [FINE, COARSE, np.arange(1000.0, 2501, 5.6)])
@pytest.mark.parametrize("name", sorted(MINERALS))
def test_absorptions_are_no_noise(name: str, bands: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    clean = MINERALS[name].reflectance(bands)
    assert not found(bands, clean).any()
    assert not found(bands, clean * (1 + rng.normal(0, 0.002, len(bands)))).any()


def test_noise_everywhere_is_left_in() -> None:
    rng = np.random.default_rng(0)
    assert not found(FINE, 0.5 + rng.normal(0, 0.05, (4, len(FINE)))).any()


def test_a_lone_spike_and_left_out_bands_are_no_noise() -> None:
    values = MINERALS["kaolinite"].reflectance(FINE)
    values[700] *= 3
    used = (FINE < 1340) | (FINE > 1460)
    assert not found(FINE, values).any()
    assert not found(FINE[used], values[used]).any()


def test_too_few_bands_tell_nothing() -> None:
    assert not found(COARSE[:20], np.random.default_rng(0).random(20)).any()
    assert noisy_bands([1000.0], np.ones((2, 1))).tolist() == [[False], [False]]
    assert not noisy_bands([1000.0, 1000.0], np.ones((1, 2))).any()


def test_ranges() -> None:
    chosen = [True, True, False, True, False]
    assert ranges_of([1.0, 2, 3, 4, 5], chosen) == ((1, 2), (4, 4))
    assert ranges_of([1.0, 2], [False, False]) == ()


@pytest.mark.slow
def test_laboratory_spectra_of_the_usgs_are_no_noise(real_data: Callable[[str], Path]) -> None:
    library = open_library(real_data("usgs-splib06/s06av95a_envi.hdr"))
    told: list[bool] = []
    for sample in library.spectra:
        known = np.isfinite(sample.reflectance)
        if known.sum() > 50:
            seen = found(sample.wavelengths_nm[known], sample.reflectance[known])
            told.append(bool(seen.any()))
    assert sum(told) < 0.01 * len(library.spectra)
