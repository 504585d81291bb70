"""AVIRIS-3, -5 and -NG as netCDF-4."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from aviris_files import ABSORBED, NM, RDN, RFL, write_gridded, write_seen
from delivered import on_grid, refused, run, turned, whole_way

from hsi_ssl.scenes.opening import open_scene

GRID, SEEN = on_grid(20, 26), turned(20, 26)


def test_reflectance_on_its_grid(tmp_path: Path) -> None:
    path = write_gridded(tmp_path / RFL, GRID)
    with open_scene(path) as scene, h5py.File(path) as file:
        assert (scene.format, scene.rows, scene.cols, scene.bands) == ("AVIRIS-3 L2A", 20, 26, 28)
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, atol=1e-3)
        assert scene.fwhm_nm is not None
        np.testing.assert_array_equal(scene.good, ~ABSORBED)
        assert any("1 that hold nothing, or -0.01" in note for note in scene.notes)
        assert scene.nodata == -9999
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
        assert scene.ortho is None
        assert scene.acquired is not None
        expected = file["reflectance/reflectance"][()].transpose(1, 2, 0)
        np.testing.assert_array_equal(scene.read(), expected)
        np.testing.assert_array_equal(scene.pixels([3, 9], [4, 0]), expected[[3, 9], [4, 0]])


def test_coordinates_of_corners_are_told_from_centres(tmp_path: Path) -> None:
    with open_scene(write_gridded(tmp_path / RFL, GRID, coordinates="corners")) as scene:
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
        assert any("lie 0.5 pixels beside" in note for note in scene.notes)


def test_coordinates_alone_are_centres(tmp_path: Path) -> None:
    path = write_gridded(tmp_path / RFL, GRID)
    with h5py.File(path, "a") as file:
        del file["transverse_mercator"].attrs["GeoTransform"]
    with open_scene(path) as scene:
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
    with h5py.File(path, "a") as file:
        for name in ("easting", "northing"):
            del file[name]
    with open_scene(path) as scene:
        assert scene.grid.transform is None
        assert any("no place" in note for note in scene.notes)


def test_contradictory_places_are_refused(tmp_path: Path) -> None:
    path = write_gridded(tmp_path / RFL, GRID)
    with h5py.File(path, "a") as file:
        file["easting"][...] += 300
    refused(
        ["contradictory", "GeoTransform puts the first pixel at 400000", "400315"], "info", path
    )


def test_an_array_without_a_group(tmp_path: Path) -> None:
    """As AVIRIS-5 is described: all at the root, the transform as an array of texts."""
    path = write_gridded(tmp_path / RFL, GRID)
    with h5py.File(path, "a") as file:
        for name in ("wavelength", "fwhm"):
            file.move(f"reflectance/{name}", name)
        file.move("reflectance/reflectance", "cube")
        del file["reflectance"]
        file.move("cube", "reflectance")
    path = path.rename(path.with_name("AV520250508t173511_000_L2A_OE_0b4f48b4_RFL_ORT.nc"))
    with open_scene(path) as scene:
        assert scene.format == "AVIRIS-5 L2A"
        assert scene.grid.transform == (30.0, 0.0, 400_000.0, 0.0, -30.0, 5_600_000.0)
        assert scene.fwhm_nm is not None


@pytest.mark.parametrize("own_places", [True, False])
def test_radiance_as_seen(tmp_path: Path, own_places: bool) -> None:
    path = write_seen(tmp_path / RDN, SEEN, cell=30, own_places=own_places)
    with open_scene(path) as scene, h5py.File(path) as file:
        assert (scene.format, scene.rows, scene.cols) == ("AVIRIS-3 L1B", 20, 26)
        assert scene.grid.geolocation is not None
        assert scene.grid.geolocation.degrees is own_places
        if not own_places:  # to half a pixel, and mostly much better
            away = np.hypot(scene.grid.geolocation.x - SEEN.x, scene.grid.geolocation.y - SEEN.y)
            assert away.max() < 15
            assert np.median(away) < 5
        assert scene.ortho is not None
        line = file["geolocation_lookup_table/line"][()]
        assert (line < 0).any()
        row, _ = scene.ortho.lookup(slice(0, None), slice(0, None))
        np.testing.assert_array_equal(row, np.abs(line) - 1)


def test_texts_as_netcdf_strings(tmp_path: Path) -> None:
    """Which h5py gives as arrays of one."""
    path = write_seen(tmp_path / RDN, SEEN, cell=30)
    with open_scene(path) as scene:
        plain = scene.ortho

    def as_string(_: str, item: h5py.Dataset) -> None:
        for name in {"GeoTransform", "crs_wkt", "spatial_ref"} & set(item.attrs):
            text = np.array([str(item.attrs[name].astype(str))], object)
            item.attrs.create(name, text, dtype=h5py.string_dtype())

    with h5py.File(path, "a") as file:
        file.visititems(as_string)
    with open_scene(path) as scene:
        assert plain is not None
        assert scene.ortho is not None
        assert scene.ortho.grid == plain.grid


def test_cells_that_are_nothing(tmp_path: Path) -> None:
    """By the array's fill value, or -9999 in both planes."""
    path = write_seen(tmp_path / RDN, SEEN, cell=30)
    with h5py.File(path, "a") as file:
        for name in ("line", "sample"):
            array = file[f"geolocation_lookup_table/{name}"]
            array[...] = np.where(array[()] == 0, -9999, array[()])
            del array.attrs["_FillValue"]
    with open_scene(path) as scene:
        assert scene.ortho is not None
        row, col = scene.ortho.lookup(slice(0, None), slice(0, None))
        assert (row.min(), row.max(), col.max()) == (-1, 19, 25)


def test_any_member_opens_the_product(tmp_path: Path) -> None:
    path = write_gridded(tmp_path / RFL, GRID)
    uncertainty = tmp_path / RFL.replace("RFL", "UNC")
    geometry = tmp_path / "AV320230926t201618_005_L1B_ORT_5b9e1cc2_OBS.nc"
    with h5py.File(uncertainty, "w") as file:
        file["uncertainty/uncertainty"] = np.ones((28, 20, 26), np.float32)
    with h5py.File(geometry, "w") as file:
        file["observation_parameters/path_length"] = np.ones((20, 26), np.float32)
    mask = tmp_path / "AV320230926t201618_005_L1B_RDN_5b9e1cc2_BANDMASK.nc"
    with h5py.File(mask, "w") as file:
        file["band_mask"] = np.zeros((28, 20, 26), np.uint8)
    picture = tmp_path / RFL.replace(".nc", "_QL.tif")
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 20, "width": 26}
    with rasterio.open(picture, "w", **profile) as raster:
        raster.write(np.ones((3, 20, 26), np.uint8))
    for member in (uncertainty, geometry, mask, picture):
        assert json.loads(run("info", member, "--json"))["path"] == str(path)
    path.unlink()
    assert json.loads(run("info", picture, "--json"))["bands"] == 3
    refused(["is the uncertainty of the flight AV320230926t201618_005"], "info", uncertainty)
    folder = tmp_path / "AV320230926t201618_005"
    folder.mkdir()
    seen = write_seen(folder / RDN, SEEN, cell=30)
    assert json.loads(run("info", folder, "--json"))["path"] == str(seen)
    write_gridded(folder / RFL, GRID)
    refused(["holds 2 files of reflectance or radiance"], "info", folder)


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    path = write_seen(tmp_path / RDN, SEEN, cell=30)
    with h5py.File(path, "a") as file:
        file["geolocation_lookup_table/sample"][5, 5] = 40
        file["geolocation_lookup_table/line"][5, 5] = 3
    refused(["its lookup table shows line 20 and sample 40", "20 x 26"], "info", path)
    path = write_gridded(tmp_path / RFL, GRID)
    with h5py.File(path, "a") as file:
        del file["reflectance/wavelength"]
        file["reflectance/wavelength"] = NM[:-2]
    refused(["26 wavelengths for 28 bands"], "info", path)
    path.write_bytes(path.read_bytes()[:5000])
    refused(["cut short, broken or no HDF5"], "info", path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gridded", "seen"])
def test_from_the_file_to_the_map(tmp_path: Path, kind: str) -> None:
    if kind == "gridded":
        whole_way(write_gridded(tmp_path / RFL, on_grid()), on_grid(), tmp_path)
    else:
        ground = turned(72, 96, 15.0)
        path = write_seen(tmp_path / RDN, ground, cell=15, own_places=False)
        whole_way(path, ground, tmp_path)
