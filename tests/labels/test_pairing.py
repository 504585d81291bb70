"""Which label files are for which scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.pairing import named
from hsi_ssl.labels.sources import resolve
from hsi_ssl.watcher import SILENT, Watcher

Write = Callable[..., Path]
GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)
NOWHERE: dict[str, Any] = {"crs": None, "transform": None}


def place(i: int) -> dict[str, Any]:
    return {"transform": GRID @ Affine.translation(40 * i, 0)}


def codes(i: int) -> Any:
    return np.full((20, 30), i + 1, np.uint8)


def largest(cubes: list[Path], labels: list[Path], watcher: Watcher = SILENT) -> list[int]:
    """The largest code of each scene, in the order of their names."""
    with resolve([*map(str, cubes)], labels=labels, watcher=watcher) as s:
        return [0 if one.labels is None else int(one.labels.max()) for one in s.scenes]


@pytest.mark.parametrize(
    ("scene", "label"),
    [
        ("tile_{}", "tile_{}"), ("tile_{}", "tile_{}_labels"), ("tile_{}", "gt_tile_{}"),
        ("image_{}", "mask_{}"), ("{}_cube", "{}-ground_truth"),
        ("Tile{}", "tile{}_GT"),
    ],
)  # fmt: skip
def test_a_folder_of_labels_is_paired_by_name(
    scene: str, label: str, tmp_path: Path, write_scene: Write, write_tif: Write
) -> None:
    cubes = [write_scene(f"images/{scene.format(i)}.tif", **NOWHERE) for i in range(3)]
    for i in range(3):
        write_tif(f"labels/{label.format(i)}.tif", codes(i), **NOWHERE)
    assert largest(cubes[::-1], [tmp_path / "labels"]) == [1, 2, 3]
    assert largest(cubes, [tmp_path / "labels" / "*.tif"]) == [1, 2, 3]
    files = sorted((tmp_path / "labels").iterdir())
    assert largest(cubes, [files[2], files[0], files[1]]) == [1, 2, 3]


def test_names_that_tell_nothing_go_by_place(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    cubes = [write_scene(f"s{i}.tif", **place(i)) for i in range(3)]
    labels = [write_tif(f"{n}.tif", codes(i), **place(i)) for i, n in enumerate("cab")]
    assert largest(cubes, labels, hears) == [1, 2, 3]
    assert hears.all == ""


def test_one_large_raster_serves_all_scenes(write_scene: Write, write_tif: Write) -> None:
    cubes = [write_scene(f"s{i}.tif", **place(i)) for i in range(3)]
    large = np.zeros((20, 120), np.uint8)
    large[:, :30], large[:, 40:70], large[:, 80:110] = 1, 2, 3
    assert largest(cubes, [write_tif("all.tif", large)]) == [1, 2, 3]


def test_a_raster_that_lies_nowhere_near_is_said_or_refused(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    cubes = [write_scene(f"s{i}.tif", **place(i)) for i in range(2)]
    far = write_tif("far.tif", codes(5), transform=GRID @ Affine.translation(0, 900))
    near = write_tif("near.tif", codes(0), **place(0))
    assert largest(cubes, [near, far], hears) == [1, 0]
    assert "far.tif, which lies on none of the scenes: it spans x 300000" in hears.all
    with pytest.raises(LabelError, match=r"far\.tif lie on none of 2 scene\(s\): they span"):
        largest(cubes, [far])


def test_neither_name_nor_place_goes_in_order_and_is_said(
    write_scene: Write, write_tif: Write, hears: Any
) -> None:
    cubes = [write_scene(f"s{i}.tif", **NOWHERE) for i in range(2)]
    labels = [write_tif(f"{n}.tif", codes(i), **NOWHERE) for i, n in enumerate("xy")]
    assert largest(cubes, labels, hears) == [1, 2]
    assert "taken in the order given: x.tif for s0.tif, y.tif for s1.tif" in hears.warned[0]
    with pytest.raises(LabelError, match="nothing tells which of 2 scenes"):
        largest(cubes, labels[:1])
    mixed = [write_tif("s1_labels.tif", codes(1), **NOWHERE), labels[0]]
    with pytest.raises(LabelError, match=r"nothing tells which of 2 scenes .*x\.tif"):
        largest(cubes, mixed)


def test_labels_of_other_scenes_in_a_folder_are_left_alone(
    tmp_path: Path, write_scene: Write, write_tif: Write, hears: Any
) -> None:
    cubes = [write_scene(f"s{i}.tif", **NOWHERE) for i in range(2)]
    for i in range(4):
        write_tif(f"labels/s{i}.tif", codes(i), **NOWHERE)
    assert largest(cubes, [tmp_path / "labels"], hears) == [1, 2]
    assert "left out" in hears.all
    assert "s3.tif" in hears.all
    assert largest(cubes[:1], [tmp_path / "labels"]) == [1]


def test_a_name_wins_over_a_place_and_must_fit(write_scene: Write, write_tif: Write) -> None:
    cubes = [write_scene(f"s{i}.tif", **place(i)) for i in range(2)]
    wrong = write_tif("s0_labels.tif", codes(0), **place(1))
    with pytest.raises(LabelError, match=r"s0_labels\.tif lie elsewhere than .*s0\.tif"):
        largest(cubes, [wrong])


@pytest.mark.parametrize(
    ("scenes", "label", "found"),
    [
        (("flight.1", "flight.2"), "flight.2", [1]),
        (("flight.1", "flight.2"), "flight.2_labels", [1]),
        (("flight.1", "flight.2"), "flight.3", []),
        (("flight.1", "flight.2"), "flight_labels", []),
        (("flight.1", "other"), "flight_labels", [0]),
        (("flight", "other"), "flight.2", []),
        (("sc03.a", "sc04.a"), "sc04_gt", [1]),
        (("scene", "other"), "scene.v2_labels", [0]),
        (("scene.v1", "other"), "scene.v2", []),
    ],
)
def test_names_with_dots(scenes: tuple[str, ...], label: str, found: list[int]) -> None:
    called = [SimpleNamespace(name=name) for name in scenes]
    assert named(Path(f"{label}.tif"), called) == found


def test_empty_folders_and_patterns_are_refused(tmp_path: Path, write_scene: Write) -> None:
    cube = write_scene("s.tif")
    (tmp_path / "none").mkdir()
    with pytest.raises(LabelError, match="no label raster and no vector layer in the folder"):
        largest([cube], [tmp_path / "none"])
    with pytest.raises(LabelError, match=r"no file fits .*x\*\.tif"):
        largest([cube], [tmp_path / "x*.tif"])
