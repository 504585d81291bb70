"""HYPSO's files, of the layouts that hypso-package writes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from delivered import bent, in_sensor_geometry, refused
from hypso_files import NM, Layout, write_hypso

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene


@pytest.mark.parametrize("layout", ["navigation", "geometry", "root"])
@pytest.mark.parametrize("planes", [False, True])
def test_every_layout(tmp_path: Path, layout: Layout, planes: bool) -> None:
    path = write_hypso(tmp_path / "fjord.nc", bent(), layout=layout, planes=planes)
    plain = write_hypso(tmp_path / "plain.nc", bent())
    with h5py.File(plain) as file:
        expected = file["products/rhot"][()]
        longitude = file["geometry/longitude"][()]
    with open_scene(path) as scene:
        assert scene.format == "HYPSO L1D"
        assert (scene.rows, scene.cols, scene.bands) == (36, 48, 20)
        assert scene.wavelengths_nm is not None
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM)
        np.testing.assert_allclose(scene.fwhm_nm, 4.5)
        np.testing.assert_array_equal(scene.read(), expected)
        np.testing.assert_array_equal(scene.read(slice(3, 7), slice(40, 48)), expected[3:7, 40:])
        rows, cols = np.array([0, 35, 7, 7]), np.array([47, 0, 3, 4])
        np.testing.assert_array_equal(scene.pixels(rows, cols), expected[rows, cols])
        some = scene.thinned([1, 5], [2, 3, 9], [12, 2, 7])
        np.testing.assert_array_equal(some, expected[np.ix_([1, 5], [2, 3, 9], [12, 2, 7])])
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2024-08-30T06:40:00+00:00"
        assert scene.grid.geolocation is not None
        np.testing.assert_array_equal(scene.grid.geolocation.x, longitude)


def test_levels(tmp_path: Path) -> None:
    for level, cube, kind in (("L1C", "Lt", "radiance"), ("L2", "rrs", "reflectance")):
        path = write_hypso(tmp_path / f"{level}.nc", bent(), level=level, cube=cube)
        with open_scene(path) as scene:
            assert scene.format == f"HYPSO {level}"
            assert scene.units is not None
            assert scene.units.kind == kind
    path = write_hypso(tmp_path / "raw.nc", bent(), level="L1A", cube="Lt")
    with open_scene(path, quality="strict") as scene:
        assert any("raw counts" in note for note in scene.notes)
        assert any("no quality layers" in note for note in scene.notes)


def test_worse_coordinates_where_there_are_no_better_ones(tmp_path: Path) -> None:
    path = write_hypso(tmp_path / "h.nc", bent())
    with h5py.File(path, "a") as file:
        file["geometry/latitude"][...] = np.nan
        direct = file["geometry/longitude_direct"][()]
    with open_scene(path) as scene:
        assert scene.grid.geolocation is not None
        np.testing.assert_array_equal(scene.grid.geolocation.x, direct)
        assert scene.origins.crs is not None
        assert "longitude_direct" in scene.origins.crs.where


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = write_hypso(tmp_path / "h.nc", bent())
    with h5py.File(path, "a") as file:
        file["products/rhot"].attrs["wavelengths"] = NM[1:]
    with pytest.raises(SceneError, match="20 bands and 19 wavelengths"):
        open_scene(path)
    with h5py.File(path, "a") as file:
        del file["products/rhot"]
        file["products/chl"] = np.ones((36, 48), np.float32)
    with pytest.raises(SceneError, match="without a cube"):
        open_scene(path)
    path = write_hypso(tmp_path / "p.nc", bent(), planes=True)
    with h5py.File(path, "a") as file:
        attributes = dict(file["products/rhot_421"].attrs)
        del file["products/rhot_421"]
        file["products/rhot_421"] = np.ones((36, 47), np.float32)
        file["products/rhot_421"].attrs.update(attributes)
    with pytest.raises(SceneError, match="expected all bands alike"):
        open_scene(path)
    path = write_hypso(tmp_path / "q.nc", bent())
    with h5py.File(path, "a") as file:
        del file["geometry/latitude"]
        file["geometry/latitude"] = np.zeros((35, 48), np.float32)
    refused(["36 x 48 pixels", "latitude of 35 x 48"], "info", path)
    whole = write_hypso(tmp_path / "whole.nc", bent()).read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    refused(["cut short, broken or no HDF5"], "info", tmp_path / "cut.nc")


@pytest.mark.slow
@pytest.mark.parametrize("planes", [False, True])
def test_to_the_map(tmp_path: Path, planes: bool) -> None:
    path = write_hypso(tmp_path / "h.nc", bent(), layout="root", planes=planes)
    in_sensor_geometry(path, bent(), tmp_path)
