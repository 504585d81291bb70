"""EMIT granules of their writers' layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from delivered import refused, run, turned, whole_way
from emit_files import BAD, MASK_BANDS, NM, write_emit, write_mask, write_uncertainty

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene

GROUND = turned(20, 26)
OTHER = "EMIT_L2A_{}_001_20220815T042850_2222703_004.nc"


@pytest.fixture
def granule(tmp_path: Path) -> Path:
    """A file of reflectance."""
    return write_emit(tmp_path, GROUND)


def flags(**marked: tuple[int, int]) -> np.ndarray:
    """A mask with one pixel marked by some of its bands, which are named without spaces."""
    found = np.zeros((*GROUND.x.shape, len(MASK_BANDS)), np.float32)
    names = [name.lower().replace(" ", "_") for name in MASK_BANDS]
    for name, pixel in marked.items():
        found[(*pixel, names.index(name))] = 1
    return found


def test_bands_numbers_and_place(granule: Path) -> None:
    with open_scene(granule) as scene, h5py.File(granule) as file:
        assert (scene.format, scene.rows, scene.cols, scene.bands) == ("EMIT L2A", 20, 26, 30)
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM, atol=1e-3)
        assert scene.fwhm_nm is not None
        assert (scene.fwhm_nm == 8.5).all()
        np.testing.assert_array_equal(scene.good, ~BAD)
        assert scene.nodata == -9999
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2022-08-15T04:28:38+00:00"
        np.testing.assert_array_equal(scene.read(), file["reflectance"][()])
        assert scene.grid.geolocation is not None
        np.testing.assert_array_equal(scene.grid.geolocation.x, file["location/lon"][()])
        assert scene.ortho is not None
        assert (scene.ortho.rows, scene.ortho.cols) == file["location/glt_x"].shape
        row, col = scene.ortho.lookup(slice(10, 20), slice(0, scene.ortho.cols))
        np.testing.assert_array_equal(row, file["location/glt_y"][10:20] - 1)
        np.testing.assert_array_equal(col, file["location/glt_x"][10:20] - 1)
        c, a, b, f, d, e = file.attrs["geotransform"].tolist()
        assert scene.ortho.grid.transform == (a, b, c, d, e, f)


def test_radiance(tmp_path: Path) -> None:
    path = write_emit(tmp_path, GROUND, level="L1B")
    with open_scene(path) as scene:
        assert scene.format == "EMIT L1B"
        assert scene.good.all()
        assert scene.units is not None
        assert scene.units.kind == "radiance"


def test_what_measured_nothing_is_none(granule: Path) -> None:
    with h5py.File(granule, "a") as file:
        file["reflectance"][3, 4] = -9999
    with open_scene(granule) as scene:
        assert np.argwhere(~scene.valid(scene.read())).tolist() == [[3, 4]]


def test_bands_that_the_file_does_not_flag(granule: Path) -> None:
    with h5py.File(granule, "a") as file:
        del file["sensor_band_parameters/good_wavelengths"]
    with open_scene(granule) as scene:
        np.testing.assert_array_equal(scene.good, ~BAD)
        assert any("lists no good bands: 4 that hold nothing" in note for note in scene.notes)


def test_any_member_opens_the_granule(granule: Path, tmp_path: Path) -> None:
    members = [write_mask(tmp_path, GROUND, flags()), write_uncertainty(tmp_path, GROUND)]
    for path in (granule, *members):
        assert json.loads(run("info", path, "--json"))["path"] == str(granule)
    folder = tmp_path / granule.stem
    folder.mkdir()
    refused(["holds 0 files of reflectance"], "info", folder)
    for path in (granule, *members):
        path.rename(folder / path.name)
    assert json.loads(run("info", folder, "--json"))["format"] == "EMIT L2A"


def test_renamed_members_are_known_by_what_they_say(granule: Path, tmp_path: Path) -> None:
    mask = write_mask(tmp_path, GROUND, flags(spacecraft_flag=(2, 3)))
    mask, granule = mask.rename(tmp_path / "m.nc"), granule.rename(tmp_path / "r.nc")
    assert json.loads(run("info", mask, "--json"))["path"] == str(granule)
    with open_scene(granule) as scene:
        assert np.argwhere(~scene.valid(scene.read())).tolist() == [[2, 3]]


@pytest.mark.parametrize("called", [str.lower, lambda name: "m.nc"])
def test_a_mask_by_its_name_in_any_case_or_by_what_it_says(
    granule: Path, tmp_path: Path, called: Callable[[str], str]
) -> None:
    mask = write_mask(tmp_path, GROUND, flags(spacecraft_flag=(2, 3)))
    mask = mask.rename(tmp_path / called(mask.name))
    assert json.loads(run("info", mask, "--json"))["path"] == str(granule)
    with open_scene(granule) as scene:
        assert np.argwhere(~scene.valid(scene.read())).tolist() == [[2, 3]]


def test_masks_hide_pixels(granule: Path, tmp_path: Path) -> None:
    with open_scene(granule, quality="strict") as scene:
        assert any("no EMIT_L2A_MASK beside" in note for note in scene.notes)
    write_mask(
        tmp_path, GROUND,
        flags(
            spacecraft_flag=(1, 1), cloud_flag=(2, 2), cirrus_flag=(3, 3), water_flag=(4, 4),
            dilated_cloud_flag=(5, 5), aod550=(6, 6), aggregate_flag=(7, 7),
        ),
    )  # fmt: skip
    with open_scene(granule) as scene:
        assert np.argwhere(~scene.valid(scene.read())).tolist() == [[1, 1]]
        assert scene.origins.mask is not None
        assert "Spacecraft Flag of EMIT_L2A_MASK" in scene.origins.mask.where
    with open_scene(granule, quality="strict") as scene:
        hidden = np.argwhere(~scene.valid(scene.read())).tolist()
        assert hidden == [[1, 1], [2, 2], [3, 3], [5, 5]]
        planes = {name: np.argwhere(one.read()).tolist() for name, one in scene.layers.items()}
    assert planes == {
        "cloud": [[2, 2], [5, 5]], "cirrus": [[3, 3]], "water": [[4, 4]], "spacecraft": [[1, 1]],
    }  # fmt: skip


def test_members_that_do_not_belong_together_are_refused(granule: Path, tmp_path: Path) -> None:
    mask = write_mask(tmp_path, GROUND, flags())
    with h5py.File(mask, "a") as file:
        file.attrs["flight_line"] = "emit20220815t042850_o22227_s000"
    for path in (granule, mask):
        refused(["another acquisition", "flight_line", "get both again"], "info", path)
    mask.unlink()
    mask = write_mask(tmp_path, turned(20, 25), np.zeros((20, 25, 8)))
    refused(["a mask of (20, 25, 8)", "20 x 26"], "info", granule)
    mask.write_bytes(mask.read_bytes()[:3000])
    refused(["cut short, broken or no HDF5"], "info", granule)


def test_a_member_without_its_cube_is_refused(tmp_path: Path) -> None:
    mask = write_mask(tmp_path, GROUND, flags(), name=OTHER)
    write_emit(tmp_path, GROUND)
    refused(["is the mask of an EMIT granule", OTHER.format("RFL"), "not beside it"], "info", mask)
    other = write_mask(tmp_path, GROUND, flags(), name=OTHER)
    with h5py.File(other, "a") as file:
        file.attrs["flight_line"] = "emit20220815t042850_o22227_s000"
    refused(["is the mask", "EMIT_L2A_RFL_<...>.nc"], "info", other.rename(tmp_path / "m.nc"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"location/glt_x": 27}, ["its lookup table shows line 20 and sample 27", "20 x 26"]),
        ({"location/glt_x": 0}, ["shows no pixel"]),
        ({"location/lon": 0.05}, ["cells beside their own coordinates"]),
    ],
)
def test_lookup_tables_of_other_scenes_are_refused(
    granule: Path, change: dict[str, float], words: list[str]
) -> None:
    with h5py.File(granule, "a") as file:
        for name, value in change.items():
            plane = file[name][()]
            if name == "location/lon":
                plane += value
            elif value:
                plane[plane == plane.max()] = value
            else:
                plane[:] = 0
            file[name][...] = plane
    with pytest.raises(SceneError) as raised:
        open_scene(granule)
    for word in words:
        assert word in str(raised.value)


def test_what_is_missing_is_said_or_refused(granule: Path) -> None:
    with h5py.File(granule, "a") as file:
        numbers = file.attrs["geotransform"].tolist()
        file.attrs["geotransform"] = " ".join(map(str, numbers))  # as other programs write it
    with open_scene(granule) as scene:
        assert scene.ortho is not None
    with h5py.File(granule, "a") as file:
        del file.attrs["geotransform"]
    with open_scene(granule) as scene:
        assert scene.ortho is None
        assert any("its lookup table tells no place" in note for note in scene.notes)
    with h5py.File(granule, "a") as file:
        wavelengths = file["sensor_band_parameters/wavelengths"][:-1]
        del file["sensor_band_parameters/wavelengths"]
        file["sensor_band_parameters/wavelengths"] = wavelengths
    refused(["29 wavelengths for 30 bands"], "info", granule)
    granule.write_bytes(granule.read_bytes()[:9000])
    refused(["cut short, broken or no HDF5"], "info", granule)


def test_a_table_that_shows_a_part_is_said(granule: Path) -> None:
    with h5py.File(granule, "a") as file:
        lines = file["location/glt_y"][()]
        file["location/glt_y"][...] = np.where(lines > 12, 0, lines)
    with open_scene(granule) as scene:
        assert any("shows rows 1 to 12 and columns 1 to 26 alone" in one for one in scene.notes)


def test_coordinates_that_are_lacking(granule: Path) -> None:
    with h5py.File(granule, "a") as file:
        file["location/lon"][5, 6] = -9999
    with open_scene(granule) as scene:
        assert scene.grid.geolocation is not None
        assert np.argwhere(scene.grid.geolocation.lost).tolist() == [[5, 6]]
        assert np.argwhere(~scene.valid(scene.read())).tolist() == [[5, 6]]
        assert any("1 pixels have no latitude and longitude" in note for note in scene.notes)
    with h5py.File(granule, "a") as file:
        lon = file["location/lon"][()]
        del file["location/lon"]
        file["location/lon"] = lon[:, 1:]
    refused(["holds 20 x 26 pixels", "lon of 20 x 25"], "info", granule)


@pytest.mark.slow
def test_from_the_file_to_the_map(tmp_path: Path) -> None:
    """Where 30 m pixels meet fields of 240 m, cells beside a border are of the other class."""
    ground = turned(72, 96, 15.0)
    whole_way(write_emit(tmp_path, ground, cell=0.00015), ground, tmp_path)
