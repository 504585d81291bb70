"""Bands of one sensor out of those of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.errors import BandsError
from hsi_ssl.scenes.ranges import WavelengthRange
from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.resampled import resampled
from hsi_ssl.scenes.resampling import FWHM_PER_SD, drift_in_words, resampling
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.units import Units

Floats = npt.NDArray[np.float64]
VNIR, SWIR = np.arange(420.0, 1000.0, 6.5), np.arange(1004.0, 2445.0, 10.5)
CENTRES = np.concatenate([VNIR, SWIR])
WIDTHS = np.concatenate([np.full(len(VNIR), 8.1), np.full(len(SWIR), 12.5)])
"""Much as EnMAP has them."""
FINE = np.arange(380.0, 2600.0, 0.5)


def leaf(nm: Floats) -> Floats:
    """Reflectance with the edge of leaves at 715 nm, water and a mineral's absorption."""
    found: Floats = 0.18 + 0.4 / (1 + np.exp(-(nm - 715) / 14))
    for at, wide, deep in ((980, 30, 0.15), (1440, 50, 0.2), (1940, 50, 0.3), (2200, 22, 0.12)):
        found = found - deep * np.exp(-(((nm - at) / wide) ** 2))
    return found


def seen(centres: Floats, widths: Floats) -> Floats:
    """What bands of Gaussian response see of a leaf, `(bands,)`."""
    response = np.exp(-0.5 * ((FINE - centres[:, None]) / (widths[:, None] / FWHM_PER_SD)) ** 2)
    found: Floats = response @ leaf(FINE) / response.sum(axis=1)
    return found


def scene(cube: npt.NDArray[Any], nm: Floats, **facts: Any) -> Scene:
    reader = ArrayReader(cube)
    path = Path(facts.pop("path", "b.tif"))
    found = Scene(path, "test", *reader.shape, reader.dtype, reader, nm)
    return replace(found, **facts)


def test_the_same_bands_stay_and_a_flat_spectrum_stays_flat() -> None:
    found = resampling(CENTRES, WIDTHS, CENTRES, WIDTHS)
    np.testing.assert_allclose(found.weights, np.eye(len(CENTRES)), atol=1e-12)
    assert (found.distance == 0).all()
    coarse = np.linspace(450, 2400, 12)
    for widths in (None, WIDTHS):
        theirs = None if widths is None else np.full(12, 60.0)
        np.testing.assert_allclose(resampling(CENTRES, widths, coarse, theirs).weights.sum(0), 1)


def test_widths_count_as_gaussians_do() -> None:
    """A dip of width s, seen in bands of width F, has width sqrt(s^2 + F^2), by whatever way."""
    x = np.arange(1000.0, 2000.0, 2.0)
    s, own, wanted = 30.0, 10.0, 60.0

    def dip(sd: float) -> Floats:
        found: Floats = s / sd * np.exp(-0.5 * ((x - 1500) / sd) ** 2)
        return found

    spectrum = dip(np.hypot(s, own / FWHM_PER_SD))
    centres = np.array([1450.0, 1500.0, 1560.0])
    weights = resampling(x, np.full(len(x), own), centres, np.full(3, wanted)).weights
    expected = np.interp(centres, x, dip(np.hypot(s, wanted / FWHM_PER_SD)))
    np.testing.assert_allclose(spectrum @ weights, expected, rtol=1e-3)
    narrow = resampling(x, np.full(len(x), own), centres, np.full(3, own)).weights
    assert np.abs(spectrum @ narrow - expected).max() > 0.05  # without its width it is another


@pytest.mark.parametrize("shift", [0.3, 3.0, -5.0])
def test_a_scene_of_the_same_sensor_is_brought_within_half_a_per_cent(shift: float) -> None:
    here = CENTRES + shift
    order = np.random.default_rng(0).permutation(len(here))
    found = resampling(here[order], WIDTHS[order], CENTRES, WIDTHS)
    assert not found.missing.any()
    brought = seen(here, WIDTHS)[order] @ found.weights
    np.testing.assert_allclose(brought, seen(CENTRES, WIDTHS), rtol=5e-3)
    if abs(shift) > 1:  # else nothing was to be done
        assert np.abs(seen(here, WIDTHS) / seen(CENTRES, WIDTHS) - 1).max() > 0.03


def test_finer_bands_become_coarser_ones() -> None:
    here = np.arange(400.0, 2500.0, 2.5)
    own = np.full(len(here), 3.5)
    found = resampling(here, own, CENTRES, WIDTHS)
    np.testing.assert_allclose(seen(here, own) @ found.weights, seen(CENTRES, WIDTHS), rtol=1e-3)


def test_two_lost_bands_are_interpolated_over_and_three_are_missing() -> None:
    nm, widths = np.arange(400.0, 800.0, 10.0), np.full(40, 10.0)
    for lost, missing in (([10, 11], []), ([10, 11, 12], [11])):
        kept = np.setdiff1d(np.arange(40), lost)
        found = resampling(nm[kept], widths[kept], nm, widths)
        assert np.flatnonzero(found.missing).tolist() == missing
        assert not found.weights[:, missing].any()
    beyond = resampling(nm, widths, [395.0, 390.0, 389.0, 801.0], [10.0] * 4)
    assert beyond.missing.tolist() == [False, False, True, True]


def test_what_is_not_measured_is_in_no_band_made_of_it() -> None:
    nm, like_nm = np.arange(400.0, 800.0, 10.0), np.arange(403.0, 790.0, 10.0)
    cube = np.tile((1000 + nm).astype(np.int16), (3, 4, 1))
    cube[0, 1, 20] = -9999
    cube[2] = 0
    first = scene(np.ones((3, 4, len(like_nm)), np.int16), like_nm, path="a.tif")
    found, distance = resampled(scene(cube, nm, nodata=-9999.0), first)
    assert distance == pytest.approx(3)
    values = found.read()
    assert values.dtype == found.dtype == np.float32
    touched = np.abs(like_nm - nm[20]) < 20
    assert np.isnan(values[0, 1]).tolist() == touched.tolist()
    np.testing.assert_allclose(values[0, 1][~touched], 1000 + like_nm[~touched], rtol=1e-6)
    np.testing.assert_allclose(values[1, 3], 1000 + like_nm, rtol=1e-6)
    assert not found.valid(values[2]).any()
    picked = found.pixels([0, 1], [1, 2])  # sums of single pixels may round otherwise
    np.testing.assert_allclose(picked, values[[0, 1], [1, 2]], rtol=1e-6)
    some = [30, 2, 20]
    thin = found.thinned([0, 1], [1, 3], some)
    np.testing.assert_allclose(thin, values[np.ix_([0, 1], [1, 3], some)], rtol=1e-6)


def test_bands_that_the_first_scene_does_not_use_need_not_be_there() -> None:
    nm = np.arange(400.0, 800.0, 10.0)
    gone = (nm > 500) & (nm < 600)
    short = scene(np.full((2, 2, int((~gone).sum())), 5.0), nm[~gone] + 3)
    first = scene(np.ones((2, 2, 40)), nm, path="a.tif")
    with pytest.raises(BandsError, match=r"8 of 40 bands, the first at 520\.0 nm.*520-590"):
        resampled(short, first)
    for like, ranges in ((replace(first, good=~gone), ()), (first, (WavelengthRange(501, 599),))):
        found, _ = resampled(short, like, ranges)
        assert found.good.tolist() == (~gone).tolist()
        np.testing.assert_allclose(found.read()[..., found.good], 5)
        assert np.isnan(found.read()[..., ~found.good]).all()
    with pytest.raises(BandsError, match=r"b\.tif has no wavelengths to resample"):
        resampled(replace(short, wavelengths_nm=None), first)


def test_scales_that_differ_by_band_make_numbers_physical() -> None:
    nm = np.arange(400.0, 800.0, 10.0)
    scale = np.linspace(1e-4, 2e-4, 40)
    first = scene(np.ones((2, 2, 40)), nm + 4, path="a.tif")
    raw = np.broadcast_to(np.round(0.3 / scale), (2, 2, 40)).astype(np.uint16)
    units = Units(scale, np.zeros(40), "reflectance", "gain")
    found, _ = resampled(scene(raw.copy(), nm, units=units), first)
    assert found.units is not None
    np.testing.assert_allclose(found.read() * found.units.scale, 0.3, rtol=1e-3)
    same = replace(units, scale=np.full(40, 1e-4))
    found, _ = resampled(scene(raw.copy(), nm, units=same), first)
    assert found.units is not None
    np.testing.assert_allclose(found.units.scale, 1e-4)
    assert found.read().max() > 1000


def test_a_drift_is_said_once_for_many_scenes() -> None:
    each = [(Path("a.tif"), 0.0), (Path("b.tif"), 0.31), (Path("c.tif"), 0.7)]
    assert drift_in_words(each[:1], "a.tif") is None
    assert drift_in_words(each[:2], "a.tif") == (
        "b.tif: its bands lie up to 0.31 nm from those of a.tif, and are taken as the same"
    )
    assert str(drift_in_words(each, "a.tif")).startswith("bands of 2 scenes lie up to 0.7 nm (c.ti")
