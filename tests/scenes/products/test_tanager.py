"""Tanager files of the specification's layout."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from delivered import bent, in_sensor_geometry, on_grid, refused, run, whole_way
from tanager_files import BAD, NM, write_tanager

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.product import Quality

GRID = "HDFEOS/GRIDS/HYP"
SWATH = "HDFEOS/SWATHS/HYP"
STRUCTURE = "HDFEOS INFORMATION/StructMetadata.0"


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Reflectance on a map grid, under a name of the user's."""
    return write_tanager(tmp_path / "lake.h5", on_grid())


def rewritten(path: Path, old: str, new: str) -> None:
    """The same file with another description of its structure."""
    with h5py.File(path, "a") as file:
        text = file[STRUCTURE][()].decode()
        assert old in text
        del file[STRUCTURE]
        file[STRUCTURE] = np.bytes_(text.replace(old, new))


def test_ortho_reflectance(product: Path) -> None:
    with open_scene(product) as scene:
        assert scene.format == "Tanager ortho"
        assert (scene.rows, scene.cols, scene.bands) == (36, 48, 24)
        assert scene.wavelengths_nm is not None
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, atol=1e-3)
        np.testing.assert_allclose(scene.fwhm_nm, 5.5)
        assert np.flatnonzero(~scene.good).tolist() == list(BAD)
        assert scene.nodata == -9999
        assert scene.units is not None
        assert (scene.units.kind, scene.units.said) == ("reflectance", False)
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
        assert scene.grid.crs is not None
        assert "32633" in scene.grid.crs
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2025-04-07T04:26:40+00:00"
        with h5py.File(product) as file:
            raw = file[f"{GRID}/Data Fields/surface_reflectance"][()]
        np.testing.assert_array_equal(scene.read(), raw.transpose(1, 2, 0))
        assert scene.valid(scene.read()).all()


def test_basic_radiance_in_sensor_geometry(tmp_path: Path) -> None:
    path = write_tanager(tmp_path / "b.h5", bent(), ortho=False, radiance=True)
    with open_scene(path) as scene:
        assert scene.format == "Tanager basic"
        assert scene.good.all()  # it lists no good wavelengths
        assert scene.units is not None
        assert scene.units.kind == "radiance"
        assert scene.grid.geolocation is not None
        assert any("sensor geometry" in note for note in scene.notes)
        assert scene.acquired is not None


def test_masks(product: Path) -> None:
    with h5py.File(product, "a") as file:
        file[f"{GRID}/Data Fields/nodata_pixels"][0, :2] = 1, 255
        file[f"{GRID}/Data Fields/beta_cloud_mask"][1, :2] = 1, 255
        file[f"{GRID}/Data Fields/beta_cirrus_mask"][2, 5] = 1
    hidden: dict[Quality, object] = {}
    qualities: tuple[Quality, ...] = ("lenient", "strict")
    for quality in qualities:
        with open_scene(product, quality=quality) as scene:
            hidden[quality] = np.argwhere(~scene.valid(scene.read())).tolist()
            assert scene.origins.mask is not None
    assert hidden["lenient"] == [[0, 0], [0, 1]]
    assert hidden["strict"] == [[0, 0], [0, 1], [1, 0], [2, 5]]
    with open_scene(product) as scene:
        assert np.argwhere(scene.layers["cloud"].read()).tolist() == [[1, 0]]
        assert np.argwhere(scene.layers["cirrus"].read()).tolist() == [[2, 5]]


def test_delivered_names_stand_for_the_cube(tmp_path: Path) -> None:
    folder = tmp_path / "order"
    folder.mkdir()
    write_tanager(folder / "20250407_035527_47_4001_ortho_sr_hdf5.h5", on_grid())
    (folder / "20250407_035527_47_4001_metadata.json").write_text("{}")
    for path in (folder, folder / "20250407_035527_47_4001_metadata.json"):
        assert json.loads(run("info", path, "--json"))["format"] == "Tanager ortho"


def test_other_arrays_of_the_file(product: Path) -> None:
    name = f"{GRID}/Data Fields/surface_reflectance_uncertainty"
    with open_scene(product, variable=name, axes="bands,rows,cols") as scene:
        assert scene.format == "HDF5"
    refused(["holds no toa_radiance"], "info", product, "--variable", "toa_radiance")


def test_zones_and_origins(product: Path) -> None:
    with h5py.File(product, "a") as file:
        del file[GRID].attrs["epsg_code"]
    rewritten(product, "ZoneCode=33", "ZoneCode=-21")
    with open_scene(product) as scene:
        assert scene.grid.crs is not None
        assert "32721" in scene.grid.crs
    rewritten(product, "HE5_HDFE_GD_UL", "HE5_HDFE_GD_LL")
    with open_scene(product) as scene:
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, 30.0, 5_600_000.0 - 36 * 30)


@pytest.mark.parametrize("code", [np.bytes_("EPSG:32633"), "32633", np.array([32633]), "UTM 33"])
def test_codes_as_programs_write_them(product: Path, code: object) -> None:
    """What is no code at all leaves it to the zone."""
    with h5py.File(product, "a") as file:
        file[GRID].attrs["epsg_code"] = code
    with open_scene(product) as scene:
        assert scene.grid.crs is not None
        assert "32633" in scene.grid.crs


def test_what_tells_no_place(product: Path, tmp_path: Path) -> None:
    with h5py.File(product, "a") as file:
        del file[STRUCTURE]
    with open_scene(product) as scene:
        assert not scene.grid.placed
        assert any("no place" in note for note in scene.notes)
    path = write_tanager(tmp_path / "b.h5", bent(), ortho=False)
    with h5py.File(path, "a") as file:
        file[f"{SWATH}/Geolocation Fields/Latitude"][...] = 0
        file[f"{SWATH}/Geolocation Fields/Longitude"][...] = 0
    with open_scene(path) as scene:
        assert not scene.grid.placed


def test_without_wavelengths(product: Path) -> None:
    with h5py.File(product, "a") as file:
        attributes = file[f"{GRID}/Data Fields/surface_reflectance"].attrs
        del attributes["wavelengths"], attributes["fwhm"], attributes["good_wavelengths"]
    with open_scene(product) as scene:
        assert scene.wavelengths_nm is None
        assert any("--wavelengths" in note for note in scene.notes)


def test_what_contradicts_itself_is_refused(product: Path, tmp_path: Path) -> None:
    fields = f"{GRID}/Data Fields"
    rewritten(product, "XDim=48", "XDim=47")
    with pytest.raises(SceneError, match="36 x 48 pixels, and its StructMetadata"):
        open_scene(product)
    rewritten(product, "XDim=47", "XDim=48")
    rewritten(product, "ZoneCode=33", "ZoneCode=32")
    with pytest.raises(SceneError, match="epsg_code 32633, and zone 32"):
        open_scene(product)
    rewritten(product, "ZoneCode=32", "ZoneCode=33")
    with h5py.File(product, "a") as file:
        file[f"{fields}/surface_reflectance"].attrs["fwhm"] = np.ones(23, np.float32)
    with pytest.raises(SceneError, match="and 23 fwhm"):
        open_scene(product)
    with h5py.File(product, "a") as file:
        del file[f"{fields}/surface_reflectance"].attrs["fwhm"], file[f"{fields}/nodata_pixels"]
        file[f"{fields}/nodata_pixels"] = np.zeros((36, 47), np.uint8)
    with pytest.raises(SceneError, match="nodata_pixels of 36 x 47"):
        open_scene(product)
    whole = write_tanager(tmp_path / "whole.h5", on_grid()).read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    refused(["cut short, broken or no HDF5"], "info", tmp_path / "cut.h5")
    path = write_tanager(tmp_path / "b.h5", bent(), ortho=False)
    with h5py.File(path, "a") as file:
        del file[f"{SWATH}/Geolocation Fields/Latitude"]
        file[f"{SWATH}/Geolocation Fields/Latitude"] = np.zeros((35, 48))
    refused(["36 x 48 pixels", "Latitude of 35 x 48"], "info", path)


@pytest.mark.slow
def test_ortho_to_the_map(product: Path, tmp_path: Path) -> None:
    whole_way(product, on_grid(), tmp_path)


@pytest.mark.slow
def test_basic_to_the_map(tmp_path: Path) -> None:
    path = write_tanager(tmp_path / "b.h5", bent(), ortho=False)
    lost = np.zeros((36, 48), bool)
    lost[:, :2] = lost[7] = True
    with h5py.File(path, "a") as file:
        plane = file[f"{SWATH}/Geolocation Fields/Latitude"]
        plane[...] = np.where(lost, -9999, plane[()])
    in_sensor_geometry(path, bent(), tmp_path, hidden=lost)
