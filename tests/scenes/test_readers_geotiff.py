from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[Any]
Agrees = Callable[[Scene, Cube], None]
TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16}
ROTATED = Affine(27.0, 12.0, 364095.0, 12.0, -27.0, 5809965.0)


def write(path: Path, cube: Cube, **profile: Any) -> rasterio.io.DatasetWriter:
    """An open GeoTIFF that holds the cube."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(
            path,
            "w",
            **{
                "driver": "GTiff",
                "height": cube.shape[0],
                "width": cube.shape[1],
                "count": cube.shape[2],
                "dtype": cube.dtype,
                **profile,
            },
        )
    dataset.write(np.moveaxis(cube, -1, 0))
    return dataset


@pytest.mark.parametrize(
    "profile",
    [
        {"interleave": "pixel"},
        {"interleave": "band"},
        {"interleave": "band", "compress": "deflate", "blockysize": 4},
        {
            "interleave": "pixel",
            "compress": "lzw",
            "tiled": True,
            "blockxsize": 16,
            "blockysize": 16,
        },
        {"interleave": "band", "tiled": True, "blockxsize": 16, "blockysize": 32},
        {"BIGTIFF": "YES"},
        {"ENDIANNESS": "BIG"},
    ],
)
def test_any_layout(tmp_path: Path, agrees: Agrees, profile: dict[str, Any]) -> None:
    cube = np.random.default_rng(0).integers(0, 999, (50, 40, 5), np.uint16)
    write(tmp_path / "scene.tif", cube, **profile).close()
    scene = open_scene(tmp_path / "scene.tif")
    assert scene.format == "GeoTIFF"
    if "blockxsize" in profile:
        assert scene.block == (profile["blockysize"], profile["blockxsize"])
    agrees(scene, cube)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_any_number_type(tmp_path: Path, cube: Cube, agrees: Agrees, dtype: str) -> None:
    cube = (cube % 200).astype(dtype)
    write(tmp_path / "scene.tif", cube).close()
    agrees(open_scene(tmp_path / "scene.tif"), cube)


def test_other_drivers(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    for driver, name in (("HFA", "scene.img"), ("PCIDSK", "scene.pix")):
        write(tmp_path / name, cube, driver=driver).close()
        scene = open_scene(tmp_path / name)
        assert scene.format == driver
        agrees(scene, cube)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "scene.tif", np.ones((4, 4, 2), np.complex64)).close()
    with pytest.raises(SceneError, match="complex64; expected real numbers"):
        open_scene(tmp_path / "scene.tif")


def test_grid_survives(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path / "scene.tif", cube, crs="EPSG:32633", transform=ROTATED, nodata=65535).close()
    with open_scene(tmp_path / "scene.tif") as scene:
        assert scene.grid.transform == tuple(ROTATED)[:6]
        assert scene.grid.crs is not None
        assert rasterio.crs.CRS.from_wkt(scene.grid.crs).to_epsg() == 32633
        assert scene.nodata == 65535
        assert scene.grid.control_points == ()
        assert scene.grid.rpcs is None


def test_control_points_and_rpcs_survive(tmp_path: Path, cube: Cube) -> None:
    points = [
        GroundControlPoint(row, col, 300000.0 + col, 5e6 - row, 12.0)
        for row, col in ((0, 0), (0, 11), (13, 0), (13, 11))
    ]
    write(tmp_path / "gcps.tif", cube, gcps=points, crs="EPSG:32633").close()
    with open_scene(tmp_path / "gcps.tif") as scene:
        assert scene.grid.transform is None
        assert scene.grid.crs is not None
        assert "33N" in scene.grid.crs
        found = [(p.row, p.col, p.x, p.y, p.z) for p in scene.grid.control_points]
        assert found == [(p.row, p.col, p.x, p.y, p.z) for p in points]
    names = [f"{of}_{kind}" for of in ("LINE", "SAMP", "LAT", "LONG", "HEIGHT")
             for kind in ("OFF", "SCALE")]  # fmt: skip
    rpcs = dict.fromkeys(names, "1")
    terms = ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF")
    rpcs |= {name: " ".join(["1"] * 20) for name in terms}
    with write(tmp_path / "rpcs.tif", cube) as dataset:
        dataset.update_tags(ns="RPC", **rpcs)
    with open_scene(tmp_path / "rpcs.tif") as scene:
        assert scene.grid.rpcs is not None
        assert set(rpcs) <= set(scene.grid.rpcs)
        assert scene.grid.transform is None


def test_nothing_invented_and_nothing_warned(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path / "scene.tif", cube).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_scene(tmp_path / "scene.tif") as scene:
            assert scene.grid.crs is None
            assert scene.grid.transform is None
            assert scene.nodata is None
            assert scene.wavelengths_nm is None
            assert scene.good.all()
            scene.read()


def test_imagery_domain_comes_before_band_tags(tmp_path: Path, cube: Cube) -> None:
    with write(tmp_path / "scene.tif", cube) as dataset:
        for band in dataset.indexes:
            dataset.update_tags(
                band, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=f"{band / 10}", FWHM_UM="0.01"
            )
            dataset.update_tags(band, wavelength="1", wavelength_units="nm", bbl=str(band % 2))
    with open_scene(tmp_path / "scene.tif") as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [100, 200, 300, 400, 500, 600, 700]
        assert scene.fwhm_nm is not None
        assert scene.fwhm_nm.tolist() == [10] * 7
        assert np.flatnonzero(~scene.good).tolist() == [1, 3, 5]
        assert scene.notes == ()


@pytest.mark.parametrize(
    ("tags", "note"),
    [
        ({"wavelength_units": "Micrometers"}, None),
        ({"wavelength_units": "μm"}, None),
        ({}, "taken as micrometres"),
    ],
)
def test_band_tags(tmp_path: Path, cube: Cube, tags: dict[str, str], note: str | None) -> None:
    with write(tmp_path / "scene.tif", cube) as dataset:
        for band in dataset.indexes:
            dataset.update_tags(band, wavelength=f"{0.4 + band / 10:.1f}", fwhm="0.0065", **tags)
    with open_scene(tmp_path / "scene.tif") as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [500, 600, 700, 800, 900, 1000, 1100]
        assert scene.fwhm_nm is not None
        assert scene.fwhm_nm.tolist() == [6.5] * 7
        assert [note is None or note in n for n in scene.notes] == ([True] if note else [])


def test_envi_domain(tmp_path: Path, cube: Cube) -> None:
    listed = "{ " + ", ".join(str(400 + 10 * i) for i in range(7)) + " }"
    with write(tmp_path / "scene.tif", cube) as dataset:
        dataset.update_tags(
            ns="ENVI", wavelength=listed, wavelength_units="Nanometers", bbl="{1,1,1,0,1,1,1}"
        )
    with open_scene(tmp_path / "scene.tif") as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm[-1] == 460
        assert np.flatnonzero(~scene.good).tolist() == [3]


def test_companion_header(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path / "scene.tif", cube).close()
    header = "ENVI\nWavelength Units = Micrometers\nbbl = {0,1,1,1,1,1,1}\n"
    header += "wavelength = {\n 0.4, 0.5, 0.6, 0.7,\n 0.8, 0.9, 1}\n"
    (tmp_path / "scene.hdr").write_text(header)
    with open_scene(tmp_path / "scene.tif") as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [400, 500, 600, 700, 800, 900, 1000]
        assert np.flatnonzero(~scene.good).tolist() == [0]
    (tmp_path / "scene.hdr").write_text("ENVI\nwavelength = { 0.4, 0.5\n")
    with open_scene(tmp_path / "scene.tif") as scene:
        assert scene.wavelengths_nm is None
        assert "broken ENVI header" in scene.notes[0]
    (tmp_path / "scene.hdr").write_text("NROWS 13\nNCOLS 11\n")  # ESRI's
    with open_scene(tmp_path / "scene.tif") as scene:
        assert scene.notes == ()


@pytest.mark.parametrize("profile", [{}, {"compress": "deflate"}, TILED])
def test_cut_short(tmp_path: Path, profile: dict[str, Any]) -> None:
    cube = np.random.default_rng(0).integers(0, 9999, (64, 64, 8), np.uint16)
    path = tmp_path / "scene.tif"
    write(path, cube, **profile).close()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(SceneError, match=r"scene\.tif is (cut short|broken)") as caught:
        with open_scene(path) as scene:
            scene.read()
    assert len(str(caught.value).splitlines()) == 1


def test_cut_short_before_the_data_is_noticed_on_reading(tmp_path: Path) -> None:
    """A cloud-optimised file has its directory in front: it opens, and its end is missing."""
    cube = np.random.default_rng(0).integers(0, 9999, (64, 64, 8), np.uint16)
    path = tmp_path / "scene.tif"
    write(path, cube, driver="COG").close()
    os.truncate(path, path.stat().st_size // 2)
    with open_scene(path) as scene:
        with pytest.raises(SceneError, match="cut short or broken: rows 0 to 63"):
            scene.read()
        with pytest.raises(SceneError, match="cut short or broken"):
            scene.pixels([0, 63], [0, 63])


def test_text_named_tif(tmp_path: Path) -> None:
    (tmp_path / "scene.tif").write_text("this is no raster\n" * 20)
    with pytest.raises(SceneError, match="broken or of no format that hsi-ssl knows"):
        open_scene(tmp_path / "scene.tif")


def test_no_names_in_a_plain_raster(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path / "scene.tif", cube).close()
    with pytest.raises(SceneNotFoundError, match="holds no x; it holds one raster only"):
        open_scene(tmp_path / "scene.tif", variable="x")


def test_label_raster(tmp_path: Path) -> None:
    codes = np.arange(30, dtype=np.float32).reshape(5, 6, 1)
    codes[1, 1], codes[2, 2] = np.nan, -1
    write(tmp_path / "labels.tif", codes, nodata=-1).close()
    found = read_label_plane(tmp_path / "labels.tif", shape=(5, 6))
    expected = np.arange(30).reshape(5, 6)
    expected[1, 1] = expected[2, 2] = 0
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int64


def test_label_raster_with_bands(tmp_path: Path, cube: Cube) -> None:
    write(tmp_path / "labels.tif", cube).close()
    with pytest.raises(LabelError, match="has 7 bands; expected labels in one band"):
        read_label_plane(tmp_path / "labels.tif")


def test_threads_may_share_a_scene(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).integers(0, 9999, (200, 60, 20), np.uint16)
    write(tmp_path / "scene.tif", cube, compress="deflate", blockysize=8).close()
    wrong = []
    with open_scene(tmp_path / "scene.tif") as scene:

        def read(first: int) -> None:
            for row in range(first, 200, 20):
                if not (scene.read(slice(row, row + 20)) == cube[row : row + 20]).all():
                    wrong.append(row)

        threads = [threading.Thread(target=read, args=(i,)) for i in range(0, 20, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_real_enmap(real_data: Callable[[str], Path]) -> None:
    with open_scene(real_data("enmap-potsdam/scene.tif")) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (192, 160, 224)
        assert scene.nodata == -32768
        assert scene.wavelengths_nm is not None
        bad = scene.wavelengths_nm[~scene.good]
        assert len(bad) == 6
        assert 1330 < bad.min() < bad.max() < 1392
        assert scene.fwhm_nm is not None
        assert scene.fwhm_nm[0] == pytest.approx(6.9956, abs=1e-4)
        assert scene.grid.transform == (30, 0, 364095, 0, -30, 5809965)
        assert scene.notes == ()
        whole = scene.read()
        assert 0 < scene.valid(whole).sum() < 192 * 160
        draw = np.random.default_rng(0)
        rows, cols = draw.integers(0, 192, 500), draw.integers(0, 160, 500)
        np.testing.assert_array_equal(scene.pixels(rows, cols), whole[rows, cols])
    labels = read_label_plane(real_data("enmap-potsdam/labels.tif"), shape=(192, 160))
    assert np.bincount(labels.ravel())[1:].tolist() == [505, 953, 1694, 2070, 91, 359]
