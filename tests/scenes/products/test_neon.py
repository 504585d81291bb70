"""NEON's reflectance and radiance, of the layouts that its documents and tutorials tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from delivered import NORTH, WEST, on_grid, refused, run, whole_way
from neon_files import NM, in_water, write_neon, write_radiance

from hsi_ssl.scenes.opening import open_scene

GROUND = on_grid()
SIZE = GROUND.x.shape
PLANES = "SJER/Reflectance/Metadata/Ancillary_Imagery/"
WEATHER = PLANES + "Weather_Quality_Indicator"


@pytest.mark.parametrize("revision", [1, 2])
def test_bands_numbers_and_place(tmp_path: Path, revision: int) -> None:
    with open_scene(write_neon(tmp_path / "renamed.h5", GROUND, revision=revision)) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (*SIZE, len(NM))
        assert scene.format == "NEON HDF5"
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM)
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.fwhm_nm, 5.5)
        np.testing.assert_array_equal(scene.good, ~in_water())
        assert scene.nodata == -9999
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        np.testing.assert_allclose(scene.units.scale, 1e-4)
        assert scene.grid.transform == (30.0, 0.0, WEST, 0.0, -30.0, NORTH)
        assert scene.grid.crs is not None
        assert "UTM zone 33N" in scene.grid.crs
        seen = scene.valid(scene.read())
        assert np.argwhere(~seen).tolist() == [[0, 0]]
        if revision == 2:
            assert scene.acquired is not None
            assert scene.acquired.date().isoformat() == "2022-06-23"
        else:
            assert scene.acquired is None
        assert scene.notes == ()


def test_windows_of_water_count_where_a_file_tells_none(tmp_path: Path) -> None:
    with open_scene(write_neon(tmp_path / "n.h5", GROUND, windows=False)) as scene:
        np.testing.assert_array_equal(scene.good, ~in_water())
        assert scene.origins.bad_bands is not None
        assert scene.origins.bad_bands.guessed


def test_days_of_a_mosaic_and_the_name_of_a_flight_line(tmp_path: Path) -> None:
    path = write_neon(tmp_path / "n.h5", GROUND)
    with h5py.File(path, "a") as file:
        file[PLANES + "Acqusition_Date"][10:] = 20220617
    with open_scene(path) as scene:
        assert scene.acquired is not None
        assert scene.acquired.date().isoformat() == "2022-06-17"
        assert any("on 2 days: 2022-06-17, 2022-06-23" in note for note in scene.notes)
    name = "NEON_D02_SERC_DP1_20160807_160154_reflectance.h5"
    with open_scene(write_neon(tmp_path / name, GROUND, revision=1)) as scene:
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2016-08-07T16:01:54+00:00"


@pytest.mark.parametrize("revision", [1, 2])
def test_weather(tmp_path: Path, revision: int) -> None:
    path = write_neon(tmp_path / "n.h5", GROUND, revision=revision)
    with h5py.File(path, "a") as file:
        if revision == 2:
            file[WEATHER][4, :], file[WEATHER][9, 3:8], file[WEATHER][0, 1] = 2, 3, -9999
        else:
            file[WEATHER][4, :], file[WEATHER][9, 3:8] = (255, 255, 0), (255, 0, 0)
            file[WEATHER][0, 1] = 0
    known = json.loads(run("info", path, "--json"))
    assert known["layers"] == {"cloudy sky": "Weather_Quality_Indicator"}
    assert "label_sets" not in known  # of maps of haze, which are no labels
    with open_scene(path) as lenient, open_scene(path, quality="strict") as strict:
        assert lenient.valid(lenient.read()).sum() == SIZE[0] * SIZE[1] - 1
        hidden = ~strict.valid(strict.read())
        hidden[0, 0] = False
        expected = np.zeros(SIZE, bool)
        expected[4], expected[9, 3:8] = True, True
        np.testing.assert_array_equal(hidden, expected)
        assert "Weather_Quality_Indicator (--quality strict)" in str(strict.origins.mask)
    with h5py.File(path, "a") as file:
        del file[WEATHER]
        file[WEATHER] = np.ones((5, 48))
    refused(["Weather_Quality_Indicator of 5 x 48 and a cube of 36 x 48"], "info", path)


def test_rotation_is_about_the_reference_pixel(tmp_path: Path) -> None:
    def transform(info: str) -> tuple[float, ...]:
        with open_scene(write_neon(tmp_path / "n.h5", GROUND, map_info=info)) as scene:
            assert scene.grid.transform is not None
            return scene.grid.transform

    plain = "UTM, {}, {}, 500.0, 900.0, 2.0, 2.0, 11, North, WGS-84, units=Meters"
    assert transform(plain.format(3, 2)) == (2, 0, 496, 0, -2, 902)
    image = tmp_path / "a.img"
    np.ones((5, 6), np.uint8).tofile(image)
    image.with_suffix(".hdr").write_text(
        "ENVI\nsamples = 6\nlines = 5\nbands = 1\ndata type = 1\ninterleave = bsq\n"
        f"byte order = 0\nmap info = {{{plain.format(1, 1)}, rotation=-43.5}}\n"
    )
    with rasterio.open(image) as raster:  # GDAL is right where pixels are square, from the first
        expected = raster.transform[:6]
    np.testing.assert_allclose(transform(plain.format(1, 1) + ", rotation=-43.5"), expected)
    turned = transform(plain.format(3, 2) + ", rotation=90")
    np.testing.assert_allclose(turned, (0, 2, 498, 2, 0, 896), atol=1e-9)
    a, b, c, d, e, f = turned
    assert (a * 2 + b * 1 + c, d * 2 + e * 1 + f) == pytest.approx((500, 900))


def test_a_file_that_tells_no_place(tmp_path: Path) -> None:
    path = write_neon(tmp_path / "n.h5", GROUND)
    with h5py.File(path, "a") as file:
        del file["SJER/Reflectance/Metadata/Coordinate_System"]
    with open_scene(path) as scene:
        assert not scene.grid.placed
        assert scene.notes == ("n.h5 tells no place of its pixels",)


def test_radiance_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    path, values = write_radiance(tmp_path / "r.h5", GROUND)
    with open_scene(path) as scene:
        assert scene.format == "NEON radiance HDF5"
        assert scene.dtype == np.float32
        assert scene.units is not None
        assert scene.units.kind == "radiance"
        found = scene.read()
        np.testing.assert_allclose(found, values, atol=2e-5)
        assert np.argwhere(~scene.valid(found)).tolist() == [[0, 0]]
        rows, cols = np.array([35, 0, 7]), np.array([0, 0, 3])
        np.testing.assert_array_equal(scene.pixels(rows, cols), found[rows, cols])
        np.testing.assert_array_equal(
            scene.thinned([1, 5], [2, 9], [3, 0]), found[np.ix_([1, 5], [2, 9], [3, 0])]
        )
        assert scene.grid.transform == (30.0, 0.0, WEST, 0.0, -30.0, NORTH)
    with h5py.File(path, "a") as file:
        del file["SJER/Radiance/RadianceDecimalPart"].attrs["Scale_Factor"]
    with open_scene(path) as scene:
        np.testing.assert_allclose(scene.read(), values, atol=2e-5)
        assert any("divided by 50,000" in note for note in scene.notes)
    with h5py.File(path, "a") as file:
        del file["SJER/Radiance/RadianceDecimalPart"]
    refused(["RadianceIntegerPart without RadianceDecimalPart"], "info", path)


def test_what_is_cut_short_or_contradicts_itself(tmp_path: Path) -> None:
    path = write_neon(tmp_path / "n.h5", GROUND)
    with h5py.File(path, "a") as file:
        spectral = file["SJER/Reflectance/Metadata/Spectral_Data"]
        del spectral["Wavelength"]
        spectral["Wavelength"] = NM[:-1]
    refused(["has 30 bands and 29 wavelengths"], "info", path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(["cut short, broken or no HDF5"], "info", path)


@pytest.mark.slow
@pytest.mark.parametrize("revision", [1, 2])
def test_from_the_file_to_the_map(tmp_path: Path, revision: int) -> None:
    whole_way(write_neon(tmp_path / "n.h5", GROUND, revision=revision), GROUND, tmp_path)


def test_real_neon(real_data: Callable[[str], Path]) -> None:
    with open_scene(real_data("neon-sjer/NEON_SJER_reflectance_30x30.h5")) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (30, 30, 426)
        assert scene.nodata == -9999
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm[[0, -1]].tolist() == pytest.approx(
            [383.534, 2511.894], abs=1e-3
        )
        assert scene.grid.transform == (1, 0, 257000, 0, -1, 4112000)
        assert scene.grid.crs is not None
        assert '"32611"' in scene.grid.crs
        whole = scene.read()
        rows, cols = np.indices((30, 30)).reshape(2, -1)
        np.testing.assert_array_equal(scene.pixels(rows, cols), whole.reshape(900, 426))
