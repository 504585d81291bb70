"""GeoTIFFs with a STAC Item beside: Wyvern's, and others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from delivered import on_grid, refused, run, whole_way
from wyvern_files import NAME, NM, WIDTHS, write_wyvern

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.products import product_at


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    """Of a delivered scene of level 2A."""
    return write_wyvern(tmp_path / NAME, on_grid())


def changed(path: Path, **assets: Any) -> None:
    """The cube's asset in the Item beside, with other fields."""
    item = path.with_suffix(".json")
    told = json.loads(item.read_text())
    told["assets"]["Cloud optimized GeoTiff"].update(assets)
    item.write_text(json.dumps(told))


def test_a_scene_without_its_item_says_so(cube: Path) -> None:
    cube.with_suffix(".json").unlink()
    with open_scene(cube) as scene:
        assert scene.format == "GeoTIFF"
        assert any("no STAC Item lies beside it" in note for note in scene.notes)


def test_any_member_opens_the_scene(cube: Path) -> None:
    names = ["", f"{cube.stem}.json", cube.name, f"{cube.stem}_data_mask.tiff"]
    for path in [cube.parent / name for name in names]:
        with open_scene(path) as scene:
            assert (scene.path, scene.format) == (cube, "Wyvern L2A")
            assert (scene.rows, scene.cols, scene.bands) == (36, 48, len(NM))


@pytest.mark.parametrize("tags", [True, False])
def test_the_item_tells_the_scale_that_the_file_does_not(tmp_path: Path, tags: bool) -> None:
    cube = write_wyvern(tmp_path / "x", on_grid(), tags=tags)
    with rasterio.open(cube) as raster:
        assert set(raster.scales) == {1.0}
    with open_scene(cube) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.fwhm_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, NM)
        np.testing.assert_allclose(scene.fwhm_nm, WIDTHS, atol=0.51)
        assert scene.units is not None
        assert (scene.units.kind, scene.units.scale[0]) == ("reflectance", 1e-4)
        assert scene.nodata == 65535
        assert scene.acquired is not None
        assert scene.acquired.isoformat() == "2025-05-08T09:23:13+00:00"
        assert not scene.valid(scene.read())[0, 0]


def test_level_1_is_radiance(tmp_path: Path) -> None:
    with open_scene(write_wyvern(tmp_path / "x", on_grid(), level="L1B").parent) as scene:
        assert scene.format == "Wyvern L1B"
        assert scene.units is not None
        assert (scene.units.kind, scene.units.scale[0]) == ("radiance", 1.0)
        assert scene.nodata == -9999


def test_unclear_pixels_are_hidden_where_it_is_strict(cube: Path) -> None:
    with open_scene(cube) as scene:
        assert np.argwhere(~scene.valid(scene.read())).tolist() == [[0, 0]]
    with open_scene(cube, quality="strict") as scene:
        hidden = np.argwhere(~scene.valid(scene.read())).tolist()
        assert hidden == [[0, 0], [2, 3], [2, 4]]
    cube.with_name(f"{cube.stem}_data_mask.tiff").unlink()
    with open_scene(cube, quality="strict") as scene:
        assert any("hides nothing" in note for note in scene.notes)


def test_delivered_whole_with_a_catalog(cube: Path, tmp_path: Path) -> None:
    whole = tmp_path / "a60915a4-e949"
    whole.mkdir()
    shutil.move(cube.parent, whole / cube.stem)
    (whole / "catalog.json").write_text(json.dumps({"type": "Catalog", "stac_version": "1.0.0"}))
    with open_scene(whole) as scene:
        assert scene.path.name == cube.name


def test_folders_with_other_scenes_are_folders_of_scenes(cube: Path) -> None:
    with rasterio.open(cube) as raster:
        profile, values = raster.profile, raster.read()
    with rasterio.open(cube.with_name("other.tif"), "w", **profile) as raster:
        raster.write(values)
    assert product_at(cube.parent) is None
    member = product_at(cube)
    assert member is not None
    assert member.main == cube
    assert product_at(cube.with_name("other.tif")) is None


def test_other_items_are_none_of_ours(cube: Path, tmp_path: Path) -> None:
    """Items of single bands, as Sentinel-2's, and what only looks like an Item."""
    item = cube.with_suffix(".json")
    told = json.loads(item.read_text())
    told["assets"]["Cloud optimized GeoTiff"]["eo:bands"] = told["assets"][
        "Cloud optimized GeoTiff"
    ]["eo:bands"][:1]
    for content in (json.dumps(told), "[]", "{", '{"type": "Feature"}', "[" * 10_000):
        item.write_text(content)
        assert product_at(cube) is None
        assert product_at(item) is None


def test_bands_as_stac_1_1_lists_them(cube: Path) -> None:
    item = cube.with_suffix(".json")
    told = json.loads(item.read_text())
    asset = told["assets"]["Cloud optimized GeoTiff"]
    asset["bands"] = [
        {"eo:center_wavelength": nm / 1000, "eo:full_width_half_max": 0.02, "raster:scale": 1e-4}
        for nm in NM
    ]
    asset["raster:offset"] = 0.0
    del asset["eo:bands"], asset["raster:bands"]
    told["id"] = "mine"
    item.write_text(json.dumps(told))
    with open_scene(cube) as scene:
        assert scene.format == "GeoTIFF"
        assert scene.units is not None
        assert scene.units.scale[0] == 1e-4
        np.testing.assert_allclose(scene.wavelengths_nm, NM)  # type: ignore[arg-type]


def test_mixed_up_members_are_refused(cube: Path) -> None:
    bands = [{"center_wavelength": nm / 1000} for nm in NM]
    for fields, words in (
        ({"eo:bands": bands[1:], "raster:bands": []}, ["lists 15 bands", "has 16"]),
        ({"eo:bands": bands[:-1] + bands[:1]}, ["puts band 16 at 445.0 nm", "at 870.0 nm"]),
        ({"eo:bands": bands, "proj:shape": [36, 47]}, ["[36, 47] rows and columns"]),
        (
            {"proj:shape": [36, 48], "proj:transform": [30, 0, 0, 0, -30, 0]},
            ["tells another place"],
        ),
    ):
        changed(cube, **fields)
        refused([*words, "one acquisition"], "info", cube)
    cube.rename(cube.with_name("moved.tiff"))
    refused(["does not lie beside it", "names"], "info", cube.with_suffix(".json"))


@pytest.mark.parametrize("transform", [["a"] * 6, [30, 0], [[1, 2], [3]], "x", None])
def test_what_is_no_transform_places_nothing(cube: Path, transform: object) -> None:
    changed(cube, **{"proj:transform": transform})
    with open_scene(cube) as scene:
        assert scene.grid.transform is not None


def test_a_cube_cut_short_is_refused(cube: Path) -> None:
    content = cube.read_bytes()
    cube.write_bytes(content[: len(content) // 2])
    with pytest.raises(SceneError, match=r"cut short|broken|cannot be read"), open_scene(cube) as s:
        s.read()


def test_what_item_and_file_say_of_no_data_is_compared(cube: Path) -> None:
    bands = json.loads(cube.with_suffix(".json").read_text())["assets"]["Cloud optimized GeoTiff"]
    changed(cube, **{"raster:bands": [{**b, "nodata": 0} for b in bands["raster:bands"]]})
    with open_scene(cube) as scene:
        assert scene.nodata == 65535
        assert any("the file counts" in note for note in scene.notes)


def test_our_own_maps_with_items_stay_maps(cube: Path, tmp_path: Path) -> None:
    known = json.loads(run("info", cube, "--json"))
    assert (known["kind"], known["nodata"]) == ("scene", 65535)
    told = json.loads(cube.with_suffix(".json").read_text())
    for asset in told["assets"].values():
        asset.pop("eo:bands")
    cube.with_suffix(".json").write_text(json.dumps(told))
    assert json.loads(run("info", cube, "--json"))["format"] == "GeoTIFF"


@pytest.mark.slow
@pytest.mark.parametrize("member", ["", ".json"])
def test_from_the_folder_to_the_map(cube: Path, tmp_path: Path, member: str) -> None:
    whole_way(cube.with_suffix(member) if member else cube.parent, on_grid(), tmp_path)
