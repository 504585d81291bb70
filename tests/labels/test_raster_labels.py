"""Labels from rasters: where they lie, what their values mean, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.labelling import raster_is_placed
from hsi_ssl.labels.rasters import open_label_raster
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.watcher import Watcher

Write = Callable[..., Path]
GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)
CODES = np.random.default_rng(0).integers(1, 5, (20, 30)).astype(np.uint8)


def open_(cube: Path, *labels: Path, watcher: Watcher | None = None, **rules: Any) -> Sources:
    return resolve(
        [str(cube)], labels=labels, rules=LabelRules(**rules), watcher=watcher or Watcher()
    )


def plane(
    cube: Path, *labels: Path, watcher: Watcher | None = None, **rules: Any
) -> npt.NDArray[np.uint16]:
    with open_(cube, *labels, watcher=watcher, **rules) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        return found


# ---------------------------------------------------------------------------- place


def test_the_same_grid_is_taken_without_a_word(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    found = plane(write_scene("s.tif"), write_tif("l.tif", CODES), watcher=hears)
    assert (found == CODES).all()
    assert hears.all == ""


def test_a_raster_of_more_bands_than_classes_is_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "many.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=1, height=1, count=1001, dtype="uint8",
        crs="EPSG:32633", transform=Affine(30, 0, 5e5, 0, -30, 5e6),
    ) as raster:  # fmt: skip
        raster.write(np.ones((1001, 1, 1), np.uint8))
    with pytest.raises(LabelError, match="has 1001 bands; expected labels in one band"):
        open_label_raster(path)


def test_labels_250_m_beside_label_what_lies_there(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    labels = write_tif("l.tif", CODES, transform=GRID @ Affine.translation(12, 0))
    found = plane(write_scene("s.tif"), labels, watcher=hears)
    assert (found[:, 12:] == CODES[:, :18]).all()
    assert not found[:, :12].any()
    assert "l.tif is laid on s.tif by its place, pixel on pixel: it labels 360 of 600" in hears.all


def test_south_up_labels_lie_where_they_lie(write_scene: Write, write_tif: Write) -> None:
    up = Affine(10, 0, 300_000, 0, 10, 5_000_000 - 200)
    found = plane(write_scene("s.tif"), write_tif("l.tif", CODES[::-1].copy(), transform=up))
    assert (found == CODES).all()


@pytest.mark.parametrize("upwards", [False, True])
@pytest.mark.parametrize("names", [("y", "x"), ("x", "y")])
def test_labels_of_netcdf_lie_where_their_coordinates_say(
    write_scene: Write, tmp_path: Path, hears: Any, upwards: bool, names: tuple[str, str]
) -> None:
    path, codes = tmp_path / "l.nc", CODES[:, :18]
    x = 300_005 + 10.0 * np.arange(12, 30)
    y = 4_999_995 - 10.0 * np.arange(20)
    if upwards:
        y, codes = y[::-1], codes[::-1]
    with h5py.File(path, "w") as file:
        file["classes"] = codes if names == ("y", "x") else codes.T
        file["crs"] = np.int32(0)
        file["crs"].attrs["spatial_ref"] = CRS.from_epsg(32632).to_wkt()
        file["classes"].attrs["grid_mapping"] = "crs"
        for axis, name in enumerate(names):
            file[name] = y if name == "y" else x
            file[name].make_scale(name)
            file[name].attrs["units"] = "m"
            file["classes"].dims[axis].attach_scale(file[name])
    scene = write_scene("s.tif")
    found = plane(scene, path, watcher=hears)
    assert (found[:, 12:] == CODES[:, :18]).all()
    assert not found[:, :12].any()
    assert "l.nc is laid on s.tif by its place, pixel on pixel: it labels 360 of 600" in hears.all
    assert raster_is_placed(path)


def test_finer_pixels_are_weighed_and_what_is_lost_is_counted(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    fine = np.repeat(np.repeat(CODES, 2, 0), 2, 1)
    fine[0, 0], fine[:2, 2:4] = 9, [[1, 1], [2, 2]]
    labels = write_tif("l.tif", fine, transform=GRID @ Affine.scale(0.5))
    found = plane(write_scene("s.tif"), labels, watcher=hears)
    expected = CODES.copy()
    expected[0, 1] = 0
    assert (found == expected).all()
    assert "1 pixels of s.tif that l.tif touches stay unlabelled" in hears.all
    assert "50 % of 0, two cover the same of 1" in hears.all
    assert plane(write_scene("t.tif"), labels, min_coverage=0.8)[0, 0] == 0


def test_another_place_is_refused_with_both_extents(write_scene: Write, write_tif: Write) -> None:
    labels = write_tif("l.tif", CODES, transform=GRID @ Affine.translation(0, 500))
    with pytest.raises(LabelError, match=r"x 300000 to 300300, y 4994800.*the scene x 300000"):
        plane(write_scene("s.tif"), labels)


@pytest.mark.parametrize("placed", ["scene", "labels", "neither"])
def test_without_a_place_position_counts_and_is_said(
    placed: str, write_scene: Write, write_tif: Write, hears: Any
) -> None:
    nowhere: dict[str, Any] = {"crs": None, "transform": None}
    cube = write_scene("s.tif", **({} if placed == "scene" else nowhere))
    labels = write_tif("l.tif", CODES, **({} if placed == "labels" else nowhere))
    assert (plane(cube, labels, watcher=hears) == CODES).all()
    assert "l.tif is taken for s.tif row by row, column by column" in hears.all
    small = write_tif("small.tif", CODES[1:], **nowhere)
    with pytest.raises(LabelError, match="19 x 30 pixels, the scene is 20 x 30"):
        plane(cube, small)


def test_a_world_file_without_crs_lies_in_the_scenes(write_scene: Write, write_tif: Write) -> None:
    labels = write_tif("l.tif", CODES, transform=GRID @ Affine.translation(1, 0), crs=None)
    assert (plane(write_scene("s.tif"), labels)[:, 1:] == CODES[:, :-1]).all()


def test_two_rasters_join_and_do_not_overrule_each_other(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    left, right = CODES.copy(), CODES.copy()
    left[:, 20:], right[:, :10] = 0, 0
    right[3, 12] = 5
    found = plane(
        write_scene("s.tif"), write_tif("l.tif", left), write_tif("r.tif", right), watcher=hears
    )
    expected = CODES.copy()
    expected[3, 12] = 0
    assert (found == expected).all()
    assert "1 pixels of s.tif that two label rasters give different classes" in hears.all


def test_train_and_test_maps_lie_by_their_place(write_scene: Write, write_tif: Write) -> None:
    train, test = CODES.copy(), CODES.copy()
    train[10:], test[:10] = 0, 0
    moved = GRID @ Affine.translation(0, 10)
    with resolve(
        [str(write_scene("s.tif"))],
        train_labels=[write_tif("a.tif", train[:10])],
        test_labels=[write_tif("b.tif", test[10:], transform=moved)],
    ) as sources:
        (one,) = sources.scenes
        assert one.train_labels is not None
        assert one.test_labels is not None
        assert (one.train_labels == train).all()
        assert (one.test_labels == test).all()


# ---------------------------------------------------------------------------- what values mean


def test_0_is_a_class_where_another_value_is_nothing(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    codes = CODES - 1
    codes[:5] = 255
    labels = write_tif("l.tif", codes, nodata=255)
    with open_(write_scene("s.tif"), labels, watcher=hears) as sources:
        (one,) = sources.scenes
        expected = np.where(codes == 255, 0, np.where(codes == 0, 4, codes))
        assert one.labels is not None
        assert (one.labels == expected).all()
        assert sources.recoded == {0: 4}
        assert sources.label_set.names == ("class 0",)
    assert "0 is a class in l.tif, where 255 stands for nothing" in hears.all
    assert "its code is 4" in hears.all
    assert (
        plane(write_scene("t.tif"), labels, ignore=(0,)) == np.where(codes == 255, 0, codes)
    ).all()


def test_0_is_nothing_where_nothing_else_is_and_that_is_said(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    labels = write_tif("l.tif", CODES - 1)
    assert (plane(write_scene("s.tif"), labels, watcher=hears) == CODES - 1).all()
    assert "0 is taken as unlabelled in l.tif" in hears.all
    assert "--zero-is-a-class" in hears.all
    found = plane(write_scene("t.tif"), labels, zero_is_a_class=True)
    assert (found == np.where(CODES == 1, 4, CODES - 1)).all()


def test_few_labels_in_much_0_are_as_usual(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    codes = CODES.copy()
    codes[4:] = 0
    plane(write_scene("s.tif"), write_tif("l.tif", codes), watcher=hears)
    assert hears.all == ""


@pytest.mark.parametrize("code", [-1, -9999])
def test_negative_codes_are_refused_with_the_way_out(
    code: int, write_scene: Write, write_tif: Write
) -> None:
    codes = CODES.astype(np.int16)
    codes[2, 3] = code
    labels = write_tif("l.tif", codes)
    with pytest.raises(LabelError, match=f"{code} at row 2, column 3.*--ignore-codes {code}"):
        plane(write_scene("s.tif"), labels)
    assert plane(write_scene("t.tif"), labels, ignore=(code, 77))[2, 3] == 0


def test_255_that_nobody_declares_is_said(write_scene: Write, write_tif: Write, hears: Any) -> None:
    codes = CODES.copy()
    codes[:3] = 255
    labels = write_tif("l.tif", codes)
    assert (plane(write_scene("s.tif"), labels, watcher=hears) == codes).all()
    assert "leave it out with --ignore-codes 255" in hears.warned[0]
    assert not plane(write_scene("t.tif"), labels, ignore=(255,))[:3].any()


def test_codes_above_65535_get_new_ones(write_scene: Write, write_tif: Write, hears: Any) -> None:
    codes = CODES.astype(np.int32)
    codes[codes == 4] = 70_001
    codes[codes == 3] = 1_000_000
    with open_(write_scene("s.tif"), write_tif("l.tif", codes), watcher=hears) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == np.where(CODES == 4, 3, np.where(CODES == 3, 4, CODES))).all()
        assert sources.recoded == {70_001: 3, 1_000_000: 4}
        assert sources.label_set.names == ("class 70001", "class 1000000")
    assert "70001 is 3, 1000000 is 4" in hears.all


def test_measurements_are_no_labels(write_scene: Write, write_tif: Write) -> None:
    codes = CODES.astype(np.float32)
    codes[1, 1] = 0.25
    with pytest.raises(LabelError, match=r"0\.25 at row 1, column 1.*not measurements"):
        plane(write_scene("s.tif"), write_tif("l.tif", codes))
    many = np.arange(600, dtype=np.float32).reshape(20, 30) * 1e6
    many[0, 0] = np.nan
    assert plane(write_scene("t.tif"), write_tif("m.tif", many))[0, 0] == 0


def test_codes_are_the_same_for_all_scenes(write_scene: Write, write_tif: Write) -> None:
    here, there = {"transform": GRID}, {"transform": GRID @ Affine.translation(40, 0)}
    cubes = [str(write_scene("a.tif", **here)), str(write_scene("b.tif", **there))]
    a, b = CODES - 1, np.where(CODES == 4, 9, CODES - 1)
    labels = [
        write_tif(f"{n}_labels.tif", c, nodata=255, **g)
        for n, c, g in (("a", a, here), ("b", b.astype(np.uint8), there))
    ]
    with resolve(cubes, labels=labels) as sources:
        assert sources.recoded == {0: 10}
        for one, codes in zip(sources.scenes, (a, b), strict=True):
            assert one.labels is not None
            assert (one.labels == np.where(codes == 0, 10, codes)).all()


def test_values_whose_names_stand_for_no_class_are_unlabelled(
    tmp_path: Path, write_scene: Write, write_tif: Write, hears: Any
) -> None:
    labels = write_tif("l.tif", CODES)
    (tmp_path / "l.csv").write_text("code,name\n1,oak\n2,Background\n3,soil\n4,n/a\n")
    with open_(write_scene("s.tif"), labels, watcher=hears) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        assert (found == np.where(CODES % 2 == 0, 0, CODES)).all()
        assert sources.label_set.names == ("oak", "soil")
    assert "2 (Background), 4 (n/a) of l.tif is taken as unlabelled" in hears.all
