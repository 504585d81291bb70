from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.errors import BandsError
from hsi_ssl.maps.bands import ModelBands, match_bands
from hsi_ssl.scenes.scene import Scene

Array = npt.NDArray[Any]
WAVELENGTHS = np.linspace(1000, 2500, 16)
USED = [0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15]  # a gap where water vapour absorbs
MODEL = ModelBands(16, USED, WAVELENGTHS[USED].tolist())


class NoReader:
    """Bands are matched by what a scene says of itself; no pixel is read."""

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        raise AssertionError

    def pixels(self, rows: Array, cols: Array) -> Array:
        raise AssertionError

    def thinned(self, rows: Array, cols: Array, bands: object) -> Array:
        raise AssertionError

    def close(self) -> None:
        pass


def scene(wavelengths: Array | None, bands: int | None = None, good: Array | None = None) -> Scene:
    found = bands if wavelengths is None else len(wavelengths)
    assert found is not None
    return Scene(
        path=Path("flight.tif"),
        format="GeoTIFF",
        rows=2,
        cols=3,
        bands=found,
        dtype=np.dtype("uint16"),
        reader=NoReader(),
        wavelengths_nm=wavelengths,
        good=np.ones(found, bool) if good is None else good,
    )


def test_the_same_bands_are_taken_as_they_are() -> None:
    match = match_bands(scene(WAVELENGTHS), MODEL)
    assert match.bands.tolist() == USED
    assert (match.weights, match.note) == (None, None)


def test_a_drift_of_less_than_a_nanometre_is_the_same_band() -> None:
    match = match_bands(scene(WAVELENGTHS + 0.9), MODEL)
    assert match.bands.tolist() == USED
    assert match.drift_nm == pytest.approx(0.9)


def test_overlapping_detectors_keep_their_own_bands() -> None:
    # Two detectors meet: 1300.2 and 1300.0 follow each other; by nearest wavelength a drift of
    # 0.15 nm would send both to one band.
    both = np.array([1200.0, 1300.2, 1300.0, 1400.0])
    model = ModelBands(4, [0, 1, 2, 3], both.tolist())
    assert match_bands(scene(both + np.array([0, -0.15, 0.15, 0])), model).bands.tolist() == [
        0,
        1,
        2,
        3,
    ]


def test_a_scene_with_more_bands_or_another_order_is_matched_by_wavelength() -> None:
    more = np.sort(np.concatenate([WAVELENGTHS, [1050.0, 1999.0, 2600.0]]))
    for wavelengths in (more, more[::-1]):
        match = match_bands(scene(wavelengths), MODEL)
        np.testing.assert_array_equal(wavelengths[match.bands], WAVELENGTHS[USED])
        assert match.weights is None


def test_only_the_used_bands_are_needed() -> None:
    assert match_bands(scene(WAVELENGTHS[USED]), MODEL).bands.tolist() == list(range(13))
    unused_bad = np.isin(np.arange(16), USED)
    assert match_bands(scene(WAVELENGTHS, good=unused_bad), MODEL).bands.tolist() == USED


def test_without_wavelengths_an_equal_number_is_taken_by_position() -> None:
    match = match_bands(scene(None, 16), MODEL)
    assert match.bands.tolist() == USED
    assert match.note == "the scene has no wavelengths: its 16 bands are taken by position"
    nameless = ModelBands(16, USED, None)
    assert "the model has no wavelengths" in str(match_bands(scene(WAVELENGTHS), nameless).note)
    assert match_bands(scene(None, 16), nameless).note is None  # nothing to wonder at


@pytest.mark.parametrize("resample", [False, True])
def test_without_wavelengths_another_number_is_refused(resample: bool) -> None:
    with pytest.raises(BandsError, match=r"has 13 bands, .* files of 16, and the scene has no wav"):
        match_bands(scene(None, 13), MODEL, resample=resample)


def test_other_wavelengths_are_refused_with_both_lists() -> None:
    with pytest.raises(BandsError) as refusal:
        match_bands(scene(WAVELENGTHS + 3), MODEL)
    sentence = str(refusal.value)
    assert "model 13 bands at 1000.0, 1100.0, 1200.0, ..., 2500.0 nm" in sentence
    assert "scene 16 bands at 1003.0, 1103.0, 1203.0, ..., 2503.0 nm" in sentence
    assert "needs 1000.0 nm, the scene's nearest is 1003.0 nm" in sentence
    assert "--resample" in sentence


def test_a_band_that_the_scene_flags_as_bad_is_not_used() -> None:
    good = np.arange(16) != 10
    with pytest.raises(BandsError, match=r"needs 2000\.0 nm, which the scene's file flags as bad"):
        match_bands(scene(WAVELENGTHS, good=good), MODEL)


def test_resampling_goes_by_wavelength_and_width() -> None:
    here = np.linspace(980, 2520, 400)
    match = match_bands(scene(here), MODEL, resample=True)
    assert "resampled to the model's by wavelength, at most" in str(match.note)
    window = np.tile(2000 + 500 * np.sin(here / 80), (2, 3, 1)).astype(np.uint16)
    found = match.interpolate(match.select(window))
    # Bands are as wide as their spacing, 100 nm: a Gaussian mean of a sine is a lower one.
    low = np.exp(-0.5 * (100 / 2.3548 / 80) ** 2)
    inner = slice(2, -2)
    wanted = 2000 + 500 * low * np.sin(WAVELENGTHS[USED] / 80)
    np.testing.assert_allclose(found[0][inner], wanted[inner], rtol=2e-3)
    assert found.dtype == np.float32
    narrow = ModelBands(16, USED, WAVELENGTHS[USED].tolist(), fwhm_nm=[4.0] * 13)
    own = replace(scene(here), fwhm_nm=np.full(400, 4.0))
    match = match_bands(own, narrow, resample=True)
    assert "by wavelength and width" in str(match.note)
    found = match.interpolate(match.select(window))
    wanted = 2000 + 500 * np.sin(WAVELENGTHS[USED] / 80)
    np.testing.assert_allclose(found[0], wanted, rtol=2e-3)


def test_resampling_leaves_bad_bands_out_whatever_they_hold() -> None:
    good = np.arange(16) != 10
    match = match_bands(scene(WAVELENGTHS, good=good), MODEL, resample=True)
    assert 10 not in match.bands
    window = np.tile(WAVELENGTHS.astype(np.float32), (2, 3, 1))
    window[..., 10] = np.nan
    found = match.interpolate(match.select(window))
    np.testing.assert_allclose(found, np.tile(WAVELENGTHS[USED], (6, 1)), rtol=1e-4)


def test_resampling_does_not_read_what_the_model_excludes() -> None:
    model = ModelBands(16, USED, WAVELENGTHS[USED].tolist(), excluded_nm=[[1450, 1750]])
    here = np.linspace(980, 2520, 40)
    excluded = (here >= 1450) & (here <= 1750)
    match = match_bands(scene(here), model, resample=True)
    assert not excluded[match.bands].any()
    window = np.tile(here.astype(np.float32), (2, 3, 1))
    window[..., excluded] = np.nan
    found = match.interpolate(match.select(window))
    np.testing.assert_allclose(found, np.tile(WAVELENGTHS[USED], (6, 1)), rtol=1e-4)
    inside = scene(np.linspace(1500, 1700, 5))
    with pytest.raises(BandsError, match="no good band beside those that the model excludes"):
        match_bands(inside, model, resample=True)


def test_resampling_sorts_bands_and_goes_a_step_over_the_edge() -> None:
    here = np.linspace(1040, 2460, 40)[::-1]  # spacing 36.4: 1000 and 2500 lie 40 outside
    with pytest.raises(BandsError, match=r"needs 1000\.0 nm, which lies farther than a step"):
        match_bands(scene(here), MODEL, resample=True)
    here = np.linspace(1030, 2470, 40)[::-1]
    match = match_bands(scene(here), MODEL, resample=True)
    found = match.interpolate(match.select(np.tile(here, (2, 3, 1))))
    np.testing.assert_allclose(found, np.tile(WAVELENGTHS[USED], (6, 1)), rtol=3e-3)


def test_selecting_takes_the_bands_in_the_models_order() -> None:
    window = np.arange(2 * 3 * 16).reshape(2, 3, 16)
    match = match_bands(scene(WAVELENGTHS[::-1]), MODEL)
    np.testing.assert_array_equal(match.select(window), window.reshape(6, 16)[:, ::-1][:, USED])
    whole = match_bands(scene(WAVELENGTHS), ModelBands(16, range(16), WAVELENGTHS.tolist()))
    assert np.shares_memory(whole.select(window), window)  # nothing to copy
