"""Library spectra as bands see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.errors import LibraryError
from hsi_ssl.libraries.library import (
    SpectralLibrary,
    at_bands,
    band_widths,
    resample,
    spectrum,
)
from hsi_ssl.scenes.resampling import FWHM_PER_SD

FINE = np.arange(900.0, 2601.0)
BANDS = np.linspace(1000, 2500, 151)


def library(
    *values: np.ndarray, names: tuple[str, ...] = ("Alunite A", "Calcite B")
) -> SpectralLibrary:
    spectra = [
        spectrum(name, name.split()[0], FINE, v, mixture="+" in name)
        for name, v in zip(names, values, strict=False)
    ]
    return SpectralLibrary(Path("lab.csv"), tuple(spectra))


def dip(centre: float, sd: float, depth: float) -> np.ndarray:
    return 0.8 - depth * np.exp(-0.5 * ((FINE - centre) / sd) ** 2)


@pytest.mark.parametrize("fwhm", [2.0, 20.0, 60.0])
def test_gaussian_bands_widen_a_gaussian_absorption_as_convolution_does(fwhm: float) -> None:
    found = resample(library(dip(2200, 15, 0.4)), BANDS, np.full(151, fwhm)).reflectance[0]
    widened = np.hypot(15, fwhm / FWHM_PER_SD)
    expected = 0.8 - 0.4 * 15 / widened * np.exp(-0.5 * ((BANDS - 2200) / widened) ** 2)
    assert found == pytest.approx(expected, abs=2e-3)


def test_without_widths_bands_are_as_wide_as_their_spacing() -> None:
    assert band_widths(np.array([1000.0, 1010, 1020, 1400, 1410])) == pytest.approx(10)
    found = resample(library(dip(2200, 15, 0.4)), BANDS).reflectance
    assert found == pytest.approx(
        resample(library(dip(2200, 15, 0.4)), BANDS, np.full(151, 10.0)).reflectance
    )


def test_a_coarse_library_is_interpolated() -> None:
    coarse = spectrum("Talc", "Talc", [1000.0, 1500, 2000, 2500], [0.2, 0.4, 0.4, 0.6])
    found = resample(SpectralLibrary(Path("x"), (coarse,)), [1100.0, 1250, 1750], [1.0, 1, 1])
    assert found.reflectance[0] == pytest.approx([0.24, 0.3, 0.4])


def test_deleted_points_are_bridged_one_by_one_and_missing_in_a_row() -> None:
    values = dip(2200, 15, 0.4)
    values[FINE == 1500] = -1.23e34
    values[(FINE >= 1880) & (FINE < 1930)] = np.nan
    found = resample(library(values), BANDS).reflectance[0]
    missing = BANDS[np.isnan(found)]
    assert missing.tolist() == [1890, 1900, 1910, 1920]
    assert found[BANDS == 1500] == pytest.approx(0.8)


def test_spectra_that_do_not_cover_the_bands_are_left_out_and_it_is_said() -> None:
    short = np.where(FINE < 1300, np.nan, 0.5)
    found = resample(library(dip(2200, 15, 0.4), short), BANDS)
    assert found.names == ("Alunite A",)
    assert found.notes == (
        "left out 1 of 2 spectra in lab.csv, which do not cover 1000 to 2500 nm",
    )
    with pytest.raises(LibraryError, match=r"no spectrum of lab\.csv covers .* 300 to 700"):
        resample(library(short), np.linspace(300, 700, 20))


def test_mixtures_are_left_out_and_it_is_said() -> None:
    both = library(
        dip(2200, 15, 0.4), dip(2300, 15, 0.4), names=("Calcite A", "Calcite+Dolomite B")
    )
    found = resample(both, BANDS)
    assert found.materials == ("Calcite",)
    assert found.notes == ("left out 1 mixtures of several materials in lab.csv",)


def test_the_order_of_a_file_does_not_matter() -> None:
    values = dip(2200, 15, 0.4)
    turned = spectrum("a", "a", FINE[::-1], values[::-1])
    assert turned.reflectance == pytest.approx(values)


def test_bands_of_the_librarys_own_keep_their_values() -> None:
    rng = np.random.default_rng(0)
    rough = 0.5 + rng.normal(0, 0.05, len(FINE))
    own = library(rough)
    assert resample(own, FINE).reflectance[0] == pytest.approx(rough, abs=0)
    # Some of its bands, none of them a neighbour's: as wide as their spacing, so they are means.
    tenth = resample(own, FINE[::10]).reflectance[0]
    assert np.std(tenth) < 0.5 * np.std(rough[::10])
    # Bands left out leave the others' values as they are; so do a few bands beyond the library.
    used = (FINE < 1800) | (FINE > 1950)
    assert resample(own, FINE[used]).reflectance[0] == pytest.approx(rough[used], abs=0)
    wider = resample(own, np.arange(890.0, 2601.0)).reflectance[0]
    assert wider[10:] == pytest.approx(rough, abs=0)
    assert np.isnan(wider[:8]).all()


def test_detectors_that_overlap_keep_both_values_of_a_wavelength() -> None:
    x = np.repeat(np.arange(1000.0, 1500, 10), 2)
    values = np.where(np.arange(len(x)) % 2, 0.4, 0.5)
    twice = SpectralLibrary(Path("x"), (spectrum("a", "a", x, values),))
    assert resample(twice, x).reflectance[0] == pytest.approx(values, abs=0)


def test_a_deleted_point_is_bridged_where_bands_are_the_librarys_own() -> None:
    values = dip(2200, 15, 0.4)
    values[FINE == 1500] = np.nan
    found = resample(library(values), FINE).reflectance[0]
    assert found[FINE == 1500] == pytest.approx(0.8)


def test_spectra_are_asked_for_the_bands_that_are_used() -> None:
    short = np.where(FINE < 1300, np.nan, 0.5)
    seen = at_bands(library(dip(2200, 15, 0.4), short), BANDS)
    assert len(seen.covering().names) == 1
    assert len(seen.covering(BANDS > 1350).names) == 2
    assert seen.covering(BANDS > 1350).reflectance.shape == (2, (BANDS > 1350).sum())
