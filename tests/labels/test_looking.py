"""What the user's masks leave of scenes: by place, by name, inside and out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from hearing import Hears
from rasterio.transform import Affine

from hsi_ssl.errors import LabelError, VectorError
from hsi_ssl.labels.looking import looked_at
from hsi_ssl.labels.sources import resolve
from hsi_ssl.maps.masks import write_mask
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT

from .conftest import GRID, UTM

ROWS, COLS, BANDS = 40, 50, 5
CUBE = np.random.default_rng(0).integers(1, 1000, (ROWS, COLS, BANDS)).astype(np.uint16)
Write = Callable[..., Path]


@pytest.fixture
def scene(write_tif: Write) -> Path:
    return write_tif("s.tif", CUBE)


def left(path: Path, reading: Reading) -> npt.NDArray[np.bool_]:
    """Which pixels are looked at, told in three ways that must agree."""
    with open_scene(path) as opened:
        (seen,) = looked_at([opened], reading, SILENT)
        assert seen is not None
        valid = seen.valid(seen.read())
        rows, cols = np.indices(valid.shape).reshape(2, -1)
        single = seen.valid(seen.pixels(rows, cols)).reshape(valid.shape)
        thin = seen.valid(seen.thinned(np.arange(ROWS), np.arange(COLS), range(BANDS)))
        np.testing.assert_array_equal(single, valid)
        np.testing.assert_array_equal(thin, valid)
        np.testing.assert_array_equal(seen.read()[valid], CUBE[valid])
        assert seen.looked is not None
        np.testing.assert_array_equal(
            seen.looked.mask(slice(3, 30), slice(7, 50)), valid[3:30, 7:50]
        )
    return valid


MARKED = np.zeros((ROWS, COLS), np.uint8)
MARKED[5:20, 10:45] = 7


def test_a_raster_that_is_not_0(scene: Path, write_tif: Write) -> None:
    mask = write_tif("mask.tif", MARKED)
    np.testing.assert_array_equal(left(scene, Reading(mask=(mask,))), MARKED > 0)
    np.testing.assert_array_equal(left(scene, Reading(mask_out=(mask,))), MARKED == 0)


def test_nodata_and_nan_of_a_mask_mark_nothing(scene: Path, write_tif: Write) -> None:
    values = MARKED.astype(np.float32)
    values[5:8] = np.nan
    values[8:10] = -9999
    mask = write_tif("mask.tif", values, nodata=-9999)
    wanted = MARKED > 0
    wanted[5:10] = False
    np.testing.assert_array_equal(left(scene, Reading(mask=(mask,))), wanted)


def test_a_mask_lies_where_its_place_says(scene: Path, write_tif: Write) -> None:
    cut = write_tif(
        "mask.tif", MARKED[5:20, 10:45][::-1], transform=Affine(10, 0, 300_100, 0, 10, 4_999_800)
    )  # south-up, cut out
    np.testing.assert_array_equal(left(scene, Reading(mask=(cut,))), MARKED > 0)


def test_polygons_mark_what_is_inside(scene: Path, tmp_path: Path, write_layer: Write) -> None:
    shapes = [shapely.box(300_100, 4_999_800, 300_450, 4_999_950)]
    layer = write_layer(tmp_path / "core.gpkg", shapes, crs=UTM)
    np.testing.assert_array_equal(left(scene, Reading(mask=(layer,))), MARKED > 0)
    np.testing.assert_array_equal(left(scene, Reading(mask_out=(layer,))), MARKED == 0)


def test_inside_one_and_outside_of_another(scene: Path, write_tif: Write) -> None:
    other = np.zeros((ROWS, COLS), np.uint8)
    other[:, 20:30] = 1
    reading = Reading(
        mask=(write_tif("mask.tif", MARKED),), mask_out=(write_tif("out.tif", other),)
    )
    np.testing.assert_array_equal(left(scene, reading), (MARKED > 0) & (other == 0))


def test_of_a_proposed_mask_only_what_is_to_be_looked_at_counts(
    scene: Path, write_tif: Write, hears: Hears
) -> None:
    codes = np.where(MARKED > 0, 1, 2).astype(np.uint8)
    codes[:3] = 4
    plain = write_tif("mask.tif", codes)
    with open_scene(scene) as opened:
        looked_at([opened], Reading(mask=(plain,)), hears)
    assert "mask.tif holds 1, 2, 4: all that is not 0 is taken alike" in hears.all
    assert left(scene, Reading(mask=(plain,))).all()
    plain.with_suffix(".csv").write_text("code,name\n1,look at\n2,shadow or background\n4,cloud\n")
    np.testing.assert_array_equal(left(scene, Reading(mask=(plain,))), MARKED > 0)


def several(write_tif: Write, *names: str) -> list[Scene]:
    shifted = [GRID @ Affine.translation(0, i * ROWS) for i in range(len(names))]
    return [
        open_scene(write_tif(f"{name}.tif", CUBE, transform=place))
        for name, place in zip(names, shifted, strict=True)
    ]


def test_masks_go_to_the_scenes_whose_name_they_bear(write_tif: Write, tmp_path: Path) -> None:
    scenes = several(write_tif, "a", "b")
    for name, value in (("b_mask", 1), ("a_mask", 0)):
        plane = np.full((ROWS, COLS), value, np.uint8)
        plane[0, 0] = 1
        write_tif(f"masks/{name}.tif", plane, crs=None, transform=Affine.identity())
    a, b = looked_at(scenes, Reading(mask=(tmp_path / "masks",)), SILENT)
    assert a is not None
    assert b is not None
    assert a.valid(a.read()).sum() == 1
    assert b.valid(b.read()).all()


def test_a_folder_of_proposed_masks_holds_pictures_and_legends_too(
    write_tif: Write, tmp_path: Path
) -> None:
    with open_scene(write_tif("a.tif", CUBE)) as scene:
        write_mask(
            tmp_path / "masks" / "a_mask.tif", scene, np.where(MARKED > 0, 1, 2).astype(np.uint8)
        )
        (seen,) = looked_at([scene], Reading(mask=(tmp_path / "masks",)), SILENT)
        assert seen is not None
        np.testing.assert_array_equal(seen.valid(seen.read()), MARKED > 0)


def test_a_scene_of_which_nothing_is_looked_at_is_left_out(write_tif: Write, hears: Hears) -> None:
    scenes = several(write_tif, "a", "b")
    mask = write_tif("mask.tif", MARKED)
    found = looked_at(scenes, Reading(mask=(mask,)), hears)
    assert [one is None for one in found] == [False, True]
    assert "left out" in hears.all
    assert "b.tif" in hears.all
    out = looked_at(scenes, Reading(mask_out=(mask,)), hears)
    assert all(one is not None for one in out)


def test_a_scene_all_of_which_masks_take_away_is_left_out(write_tif: Write, hears: Hears) -> None:
    """One mask lies over both scenes, and marks nothing of the second or all of it."""
    scenes = several(write_tif, "a", "b")
    both = np.concatenate([MARKED, np.zeros_like(MARKED)])
    mask, out = write_tif("mask.tif", both), write_tif("out.tif", np.flipud(both > 0).astype("u1"))
    found = looked_at(scenes, Reading(mask=(mask,)), hears)
    assert [one is None for one in found] == [False, True]
    assert "b.tif: its masks leave nothing" in hears.all
    with pytest.raises(LabelError, match=r"mask\.tif and .*out\.tif leaves nothing of .*a\.tif"):
        looked_at(scenes[:1], Reading(mask=(mask,), mask_out=(mask, out)), hears)


def test_a_folder_may_hold_masks_of_other_scenes(
    scene: Path, write_tif: Write, tmp_path: Path
) -> None:
    """As people keep them: one a flight line, of which one is classified."""
    write_tif("masks/s_mask.tif", MARKED)
    other = write_tif("masks/t_mask.tif", MARKED, transform=Affine(10, 0, 0, 0, -10, 0))
    folder = tmp_path / "masks"
    np.testing.assert_array_equal(left(scene, Reading(mask=(folder,))), MARKED > 0)
    np.testing.assert_array_equal(left(scene, Reading(mask_out=(folder,))), MARKED == 0)
    with open_scene(scene) as opened, pytest.raises(VectorError, match="marks no part of"):
        looked_at([opened], Reading(mask=(folder / "s_mask.tif", other)), SILENT)


def test_a_mask_that_lies_elsewhere_is_refused(scene: Path, write_tif: Write) -> None:
    mask = write_tif("mask.tif", MARKED, transform=Affine(10, 0, 0, 0, -10, 0))
    with open_scene(scene) as opened, pytest.raises(VectorError, match="marks no part of"):
        looked_at([opened], Reading(mask=(mask,)), SILENT)


def test_a_mask_of_another_size_without_a_place_is_refused(scene: Path, write_tif: Write) -> None:
    mask = write_tif("mask.tif", MARKED[:-1], crs=None, transform=Affine.identity())
    with open_scene(scene) as opened, pytest.raises(LabelError, match="39 x 50"):
        looked_at([opened], Reading(mask=(mask,)), SILENT)


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_what_is_masked_is_nothing_in_every_number_type(write_tif: Write, kind: type[Any]) -> None:
    path = write_tif("s.tif", CUBE.astype(kind), nodata=-1)
    mask = write_tif("mask.tif", MARKED)
    np.testing.assert_array_equal(left(path, Reading(mask=(mask,))), MARKED > 0)


def test_labels_under_a_mask_are_left_out_and_said(
    scene: Path, write_tif: Write, hears: Hears
) -> None:
    labels = write_tif("l.tif", np.repeat([[1, 2]], ROWS, 0).repeat(COLS // 2, 1).astype(np.uint8))
    mask = write_tif("mask.tif", MARKED)
    with resolve(
        [str(scene)], labels=[labels], reading=Reading(mask=(mask,)), watcher=hears
    ) as sources:
        plane = sources.scenes[0].labels
    assert plane is not None
    np.testing.assert_array_equal(plane > 0, MARKED > 0)
    assert f"{(MARKED == 0).sum():,} labelled pixels are masked" in hears.all
