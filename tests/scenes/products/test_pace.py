"""PACE OCI's level 2, of l2gen's layout."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from delivered import DATE_LINE, bent, in_sensor_geometry, refused, run
from pace_files import ATMFAIL, CLDICE, NAVFAIL, NM, OFFSET, PACKING, SCALE, write_pace

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.product import Quality


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Surface reflectance, under a name of the user's."""
    return write_pace(tmp_path / "bay.nc", bent())


def hidden(path: Path, quality: Quality) -> list[list[int]]:
    """Rows and columns of pixels that are left out."""
    with open_scene(path, quality=quality) as scene:
        found: list[list[int]] = np.argwhere(~scene.valid(scene.read())).tolist()
        return found


def test_packed_integers(product: Path) -> None:
    with open_scene(product) as scene:
        assert scene.format == "PACE OCI L2 rhos"
        assert (scene.rows, scene.cols, scene.bands) == (36, 48, 25)
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        np.testing.assert_allclose(scene.units.scale, SCALE)
        np.testing.assert_allclose(scene.units.offset, OFFSET)
        assert scene.wavelengths_nm is not None
        np.testing.assert_array_equal(scene.wavelengths_nm, np.round(NM))
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2024-06-05T09:21:37.123000+00:00"
        assert scene.grid.geolocation is not None
        assert any("stay where they are" in note for note in scene.notes)
        assert scene.valid(scene.read()).all()
        with h5py.File(product) as file:
            raw = file["geophysical_data/rhos"][()]
        np.testing.assert_array_equal(scene.read(), raw)


def test_its_flags_are_no_labels(product: Path) -> None:
    told = json.loads(run("info", product, "--json"))
    assert "label_sets" not in told


def test_values_out_of_range_are_none(product: Path) -> None:
    with h5py.File(product, "a") as file:
        cube = file["geophysical_data/rhos"]
        cube[3, 4, 5] = PACKING["_FillValue"]
        cube[3, 5, 6] = 25001
        cube[3, 6, 7] = -30001
        cube[3, 7, 8] = 25000
    assert hidden(product, "lenient") == [[3, 4], [3, 5], [3, 6]]


@pytest.mark.parametrize("cube", ["rhos", "Rrs"])
def test_flags(tmp_path: Path, cube: str) -> None:
    path = write_pace(tmp_path / "p.nc", bent(), cube=cube, packed=False)
    with h5py.File(path, "a") as file:
        flags = file["geophysical_data/l2_flags"]
        flags[0, :3] = NAVFAIL, ATMFAIL, CLDICE + 2
        flags[1, :2] = -(2**31), 2**30  # SPARE, PRODFAIL
    corrected = [[0, 1]] if cube == "Rrs" else []
    assert hidden(path, "lenient") == [[0, 0], *corrected]
    assert hidden(path, "strict") == [[0, 0], *corrected, [0, 2]]
    with open_scene(path) as scene:
        assert np.argwhere(scene.layers["cloud"].read()).tolist() == [[0, 2]]
        assert not scene.layers["glint"].read().any()


def test_a_file_without_flags_says_so(product: Path) -> None:
    with h5py.File(product, "a") as file:
        del file["geophysical_data/l2_flags"]
    with open_scene(product, quality="strict") as scene:
        assert any("strict hides nothing" in note for note in scene.notes)


def test_flags_without_names_say_so(product: Path) -> None:
    with h5py.File(product, "a") as file:
        file["geophysical_data/l2_flags"].attrs["flag_masks"] = "one, two"
    with open_scene(product, quality="strict") as scene:
        assert any("32 names for 0 bits" in note for note in scene.notes)
        assert scene.valid(scene.read()).all()


def test_wavelengths_with_decimals_go_before(product: Path) -> None:
    with h5py.File(product, "a") as file:
        file["geophysical_data/wavelength"] = NM.astype(np.float32)
    with open_scene(product) as scene:
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, atol=1e-3)


def test_pixels_without_navigation_are_left_out(product: Path) -> None:
    with h5py.File(product, "a") as file:
        file["navigation_data/longitude"][5] = -32767
        file["navigation_data/latitude"][6, 7] = np.nan
    assert hidden(product, "lenient") == [[5, col] for col in range(48)] + [[6, 7]]
    with open_scene(product) as scene:
        assert any("49 pixels have no latitude" in note for note in scene.notes)


def test_what_contradicts_itself_is_refused(product: Path, tmp_path: Path) -> None:
    with h5py.File(product, "a") as file:
        del file["geophysical_data/l2_flags"]
        file["geophysical_data/l2_flags"] = np.zeros((36, 47), np.int32)
    with pytest.raises(SceneError, match="l2_flags of 36 x 47"):
        open_scene(product)
    with h5py.File(product, "a") as file:
        del file["geophysical_data/l2_flags"], file["sensor_band_parameters/wavelength_3d"]
        file["sensor_band_parameters/wavelength_3d"] = np.round(NM)[1:]
    with pytest.raises(SceneError, match="no wavelength for each of 25 bands"):
        open_scene(product)
    path = write_pace(tmp_path / "p.nc", bent())
    with h5py.File(path, "a") as file:
        del file["navigation_data/latitude"]
        file["navigation_data/latitude"] = np.zeros((35, 48), np.float32)
    refused(["36 x 48 pixels", "latitude of 35 x 48"], "info", path)
    whole = write_pace(tmp_path / "whole.nc", bent()).read_bytes()
    (tmp_path / "cut.nc").write_bytes(whole[: len(whole) // 2])
    refused(["cut short, broken or no HDF5"], "info", tmp_path / "cut.nc")


@pytest.mark.slow
def test_across_the_date_line_to_the_map(tmp_path: Path) -> None:
    path = write_pace(tmp_path / "p.nc", bent(), crs=DATE_LINE)
    with h5py.File(path) as file:
        assert np.ptp(file["navigation_data/longitude"][()]) > 359
    in_sensor_geometry(path, bent(), tmp_path, crs=DATE_LINE)
