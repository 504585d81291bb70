from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hearing import Hears
from patchy_scenes import (
    BANDS,
    CODES,
    COLS,
    ROWS,
    class_counts,
    cube,
    label_plane,
    places,
    prepared,
    write_scene,
    write_scenes,
)
from scipy.ndimage import binary_dilation

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.labels.label_set import codes_to_indices
from hsi_ssl.reports.balance_page import report_dataset
from hsi_ssl.settings import PrepareSettings


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Dataset]:
    folder = tmp_path_factory.mktemp("six")
    paths = write_scenes(folder / "scenes", 6)
    return paths, prepared(folder, paths)


def test_each_row_is_the_pixel_it_says_it_is(six: tuple[list[Path], Dataset]) -> None:
    paths, dataset = six
    assert [source["path"] for source in dataset.meta["sources"]] == list(map(str, paths))
    planes = [codes_to_indices(label_plane(i), dataset.label_set) for i in range(6)]
    cubes = np.array([cube(i) for i in range(6)])
    row, col = dataset.pixel.T
    np.testing.assert_array_equal(dataset.spectra(), cubes[dataset.scene, row, col])
    pool = dataset.part == Part.POOL
    assert (dataset.label[pool] == -1).all()
    labels = np.array(planes)[dataset.scene, row, col]
    np.testing.assert_array_equal(dataset.label[~pool], labels[~pool])
    assert dataset.spectra().dtype == np.uint16
    assert dataset.label_set.codes.tolist() == list(CODES)


def test_parts_are_disjoint_and_scenes_go_as_wholes(six: tuple[list[Path], Dataset]) -> None:
    _, dataset = six
    places(dataset)
    labelled = dataset.part != Part.POOL
    for scene in range(6):
        assert len(np.unique(dataset.part[labelled & (dataset.scene == scene)])) == 1
    assert pool_scenes(dataset) & set(dataset.scene[dataset.rows(Part.TEST, Part.VALIDATION)])


def test_cap_holds_for_training_and_validation_and_test_is_complete(
    six: tuple[list[Path], Dataset],
) -> None:
    _, dataset = six
    scenes_of = {
        part: np.unique(dataset.scene[dataset.rows(part)])
        for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)
    }
    for part, scenes in scenes_of.items():
        found = class_counts(dataset, part)
        for code, n in zip(CODES, found, strict=True):
            there = sum(int((label_plane(int(s)) == code).sum()) for s in scenes)
            assert n == (there if part == Part.TEST else min(40, there))
    assert len(dataset.rows(Part.POOL)) == 500


def test_counts_are_those_of_planes_and_rows(six: tuple[list[Path], Dataset]) -> None:
    _, dataset = six
    counts = dataset.meta["counts"]
    planes = np.array([label_plane(i) for i in range(6)])
    for k, (found, code) in enumerate(zip(counts["classes"], CODES, strict=True)):
        by_scene = (planes == code).sum(axis=(1, 2))
        parts = [class_counts(dataset, part)[k] for part in (Part.TRAIN, Part.VALIDATION)]
        tested = class_counts(dataset, Part.TEST)[k]
        assert found == {
            "code": code,
            "name": dataset.label_set.names[k],
            "count": by_scene.sum(),
            "kept": sum(parts) + tested,
            "train": parts[0],
            "validation": parts[1],
            "test": tested,
            "scenes": np.count_nonzero(by_scene),
            "by_scene": {str(i): int(n) for i, n in enumerate(by_scene) if n},
        }
    assert counts["total"] == np.count_nonzero(planes)
    assert counts["pixels"] == planes.size
    assert counts["unlabelled"] == planes.size - np.count_nonzero(planes)
    assert counts["pool"] == 500
    assert counts["guard"] == 0


def test_order_of_files_and_place_of_output_do_not_matter(
    six: tuple[list[Path], Dataset], tmp_path: Path
) -> None:
    paths, dataset = six
    again = prepared(tmp_path, [paths[i] for i in (3, 0, 5, 4, 1, 2)], output=tmp_path / "x.h5")
    assert again.path.read_bytes() == dataset.path.read_bytes()
    folder = prepared(tmp_path, [paths[0].parent])
    np.testing.assert_array_equal(folder.spectra(), dataset.spectra())
    other = prepared(tmp_path, paths, seed=1)
    assert places(other) != places(dataset)


def test_scaling_does_not_know_test_and_validation_pixels(
    six: tuple[list[Path], Dataset], tmp_path: Path
) -> None:
    paths, dataset = six
    fit = dataset.rows(Part.TRAIN, Part.POOL)
    own = fit_scaler("noise", dataset.spectra(fit), components=4)
    assert own.to_card() == dataset.meta["scaling"]
    held_out = dataset.rows(Part.VALIDATION, Part.TEST)
    changed = []
    for i, path in enumerate(paths):
        data = cube(i)
        row, col = dataset.pixel[held_out[dataset.scene[held_out] == i]].T
        data[row, col, 3:] *= 3
        changed.append(write_scene(tmp_path / path.name, data, label_plane(i)))
    again = prepared(tmp_path, changed)
    assert again.meta["scaling"] == dataset.meta["scaling"]
    np.testing.assert_array_equal(again.pixel, dataset.pixel)


def test_few_labels_leave_the_others_to_the_pool(
    six: tuple[list[Path], Dataset], tmp_path: Path
) -> None:
    paths, many = six
    dataset = prepared(tmp_path, paths, per_class=3, unlabelled=10**6)
    assert class_counts(dataset, Part.TRAIN) == [2, 2, 2]
    assert class_counts(dataset, Part.VALIDATION) == [1, 1, 1]  # three labels a class in all
    # Labelled pixels of the training scenes but for the six, and what touches no held-out class.
    expected = set()
    for scene in range(6):
        labelled = label_plane(scene) > 0
        if scene in many.scene[many.rows(Part.TRAIN)]:
            free = np.ones((ROWS, COLS), bool)
        else:
            free = ~binary_dilation(labelled, np.ones((3, 3), bool))
        expected |= {(scene, r, c) for r, c in np.argwhere(free).tolist()}
    trained = places(dataset, dataset.rows(Part.TRAIN))
    assert places(dataset, dataset.rows(Part.POOL)) == expected - trained


@pytest.mark.parametrize("split", ["scenes", "blocks", "pixels"])
def test_without_validation_all_labels_train(tmp_path: Path, split: str) -> None:
    paths = [write_scene(tmp_path / f"{i}.h5", cube(i), label_plane(i)) for i in range(6)]
    dataset = prepared(tmp_path, paths, per_class=4, validation=0, split=split)
    assert not len(dataset.rows(Part.VALIDATION))
    assert class_counts(dataset, Part.TRAIN) == [4, 4, 4]
    assert len(dataset.rows(Part.TEST))


def pool_scenes(dataset: Dataset) -> set[int]:
    return set(dataset.scene[dataset.rows(Part.POOL)].tolist())


def test_invalid_pixels_are_replaced_by_valid_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths, dead = [], []
    for i in range(5):
        data = cube(i)
        dead.append(rng.random((ROWS, COLS)) < 0.5)
        data[dead[-1]] = 0
        paths.append(write_scene(tmp_path / f"{i}.h5", data, label_plane(i)))
    dataset = prepared(tmp_path, paths, cap=50)
    row, col = dataset.pixel.T
    assert not np.array(dead)[dataset.scene, row, col].any()
    for part in (Part.TRAIN, Part.VALIDATION):
        scenes = np.unique(dataset.scene[dataset.rows(part)])
        for code, n in zip(CODES, class_counts(dataset, part), strict=True):
            valid = sum(int(((label_plane(s) == code) & ~dead[s]).sum()) for s in scenes)
            assert n == min(50, valid)
    assert len(dataset.rows(Part.POOL)) == 500


@pytest.mark.parametrize("tile", [1, 8])
def test_pool_keeps_neighbours_together(tmp_path: Path, tile: int) -> None:
    path = write_scene(tmp_path / "a.h5", cube(0, 160, 160), label_plane(0, 160, 160))
    dataset = prepared(tmp_path, [path], unlabelled=640, split="pixels", tile=tile)
    around = (dataset.neighbours[dataset.rows(Part.POOL)] >= 0).sum(axis=1)
    if tile == 8:  # 36 of 64 pixels of a tile have all eight
        assert np.mean(around == 8) > 0.4
    else:
        assert np.mean(around == 8) < 0.05
    one, direction = np.nonzero(dataset.neighbours >= 0)
    other = dataset.neighbours[one, direction]
    assert np.abs(dataset.pixel[one] - dataset.pixel[other]).max(axis=1).tolist() == [1] * len(one)


def test_no_pool_or_training_pixel_touches_a_test_pixel(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    dataset = prepared(tmp_path, paths, unlabelled=10**6, cap=10**6)
    assert dataset.meta["split"]["kind"] == "blocks"
    side = np.where(dataset.part == Part.POOL, np.uint8(Part.TRAIN), dataset.part)
    one, direction = np.nonzero(dataset.neighbours >= 0)
    assert (side[one] == side[dataset.neighbours[one, direction]]).all()
    assert dataset.meta["counts"]["guard"] > 0
    kept = sum(c["kept"] for c in dataset.meta["counts"]["classes"])
    assert kept + dataset.meta["counts"]["guard"] == dataset.meta["counts"]["total"]


def test_transductive_lets_the_pool_come_from_anywhere(
    six: tuple[list[Path], Dataset], tmp_path: Path
) -> None:
    paths, strict = six
    dataset = prepared(tmp_path, paths, transductive=True, unlabelled=10**6)
    np.testing.assert_array_equal(
        places(dataset, dataset.rows(Part.TEST)), places(strict, strict.rows(Part.TEST))
    )
    held_out = dataset.rows(Part.TEST, Part.VALIDATION)
    assert np.isin(held_out, dataset.unlabelled_rows).all()
    assert len(dataset) == 6 * ROWS * COLS
    assert not np.isin(strict.rows(Part.TEST), strict.unlabelled_rows).any()


def test_rare_class_is_kept_in_training_and_told(tmp_path: Path, hears: Hears) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    labels = label_plane(0)
    labels[20:26, 20:26] = 5
    labels[23, 23] = 77
    write_scene(paths[0], cube(0), labels)
    dataset = prepared(tmp_path, paths, watcher=hears)
    k = dataset.label_set.codes.tolist().index(77)
    assert class_counts(dataset, Part.TRAIN)[k] == 1
    assert class_counts(dataset, Part.TEST)[k] == 0
    assert dataset.meta["split"]["rare"] == [77]
    assert any("kept in training" in w and "77 (1)" in w for w in hears.warned)


def test_split_by_pixels_warns_of_neighbours(tmp_path: Path, hears: Hears) -> None:
    prepared(tmp_path, write_scenes(tmp_path / "scenes", 1), split="pixels", watcher=hears)
    assert any("neighbours" in warning for warning in hears.warned)


def test_class_without_a_valid_pixel_is_left_out(tmp_path: Path, hears: Hears) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    data, labels = cube(0), label_plane(0)
    labels[:3, :9], data[:3, :9] = 7, 0
    write_scene(paths[0], data, labels)
    dataset = prepared(tmp_path, paths, watcher=hears)
    assert dataset.label_set.codes.tolist() == list(CODES)
    assert [c["code"] for c in dataset.meta["counts"]["classes"]] == list(CODES)
    planes = np.array([label_plane(i) for i in range(2)])
    labelled = dataset.label >= 0
    row, col = dataset.pixel[labelled].T
    codes = dataset.label_set.codes[dataset.label[labelled]]
    np.testing.assert_array_equal(codes, planes[dataset.scene[labelled], row, col])
    assert any("left out" in warning for warning in hears.warned)


def test_bands_of_nodata_are_left_out(tmp_path: Path) -> None:
    data = cube(0).astype(np.float32)
    data[..., 4] = -9999
    data[..., 7] = np.nan
    data[:9, :9] = -9999
    path = tmp_path / "scene.tif"
    with rasterio.open(
        path, "w", width=COLS, height=ROWS, count=BANDS, dtype="float32", nodata=-9999
    ) as file:
        file.write(data.transpose(2, 0, 1))
    with rasterio.open(
        tmp_path / "labels.tif", "w", width=COLS, height=ROWS, count=1, dtype="uint16"
    ) as file:
        file.write(label_plane(0), 1)
    dataset = prepared(tmp_path, [path], labels=(tmp_path / "labels.tif",))
    assert dataset.meta["used_bands"] == [b for b in range(BANDS) if b not in {4, 7}]
    assert dataset.bands == BANDS - 2
    spectra = dataset.spectra()
    assert spectra.dtype == np.float32
    assert np.isfinite(spectra).all()
    assert (spectra != -9999).all()


@pytest.mark.slow
def test_no_torch_is_imported() -> None:
    code = "import sys, hsi_ssl.datasets.prepare; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(
    ("settings", "n", "kind"),
    [
        ({"split": "blocks", "block": 12}, 2, "block"),
        ({"split": "polygons"}, 2, "patch"),
        ({"split": "pixels"}, 2, "patch"),
        ({"split": "scenes"}, 6, "patch"),  # too few to test on to draw among them
        ({"split": "scenes", "test": 0.6}, 9, "scene"),
    ],
)
def test_units_are_what_lies_together(
    tmp_path: Path, settings: dict[str, Any], n: int, kind: str
) -> None:
    dataset = prepared(tmp_path, write_scenes(tmp_path / "scenes", n), **settings)
    assert dataset.unit_kind == kind
    labelled = dataset.label >= 0
    assert ((dataset.unit >= 0) == labelled).all()
    assert set(dataset.unit[labelled]) == set(range(dataset.unit.max() + 1))
    for unit in range(dataset.unit.max() + 1):
        rows = np.flatnonzero(dataset.unit == unit)
        assert len(set(dataset.scene[rows])) == 1
        if kind == "block":
            assert len({tuple(place) for place in (dataset.pixel[rows] // 12).tolist()}) == 1
        if kind == "patch":
            assert len(set(dataset.label[rows])) == 1
        if settings["split"] in ("blocks", "polygons"):
            assert len(set(dataset.part[rows]) - {Part.TRAIN}) <= 1
    if settings["split"] == "polygons":  # no rare class here: a patch is in one part
        split = [set(dataset.part[dataset.unit == u].tolist()) for u in set(dataset.unit[labelled])]
        assert all(len(parts) == 1 for parts in split)
        assert dataset.meta["split"]["kind"] == "polygons"


@pytest.mark.slow
def test_pictures_are_units_of_their_own_and_have_no_polygons(
    real_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HSI_SSL_DATA", str(real_data("mnist").parent))
    with pytest.raises(LabelError, match="pictures"):
        prepare(PrepareSettings(sources=("mnist",), output=tmp_path / "d.h5", split="polygons"))
    dataset = prepare(
        PrepareSettings(sources=("mnist",), output=tmp_path / "d.h5", cap=20, unlabelled=100)
    )
    labelled = dataset.label >= 0
    assert dataset.unit_kind == "pixel"
    assert len(set(dataset.unit[labelled])) == labelled.sum()
    assert (dataset.unit[~labelled] == -1).all()


def test_the_report_on_a_dataset_that_is_replaced_goes_with_it(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 1)
    asked = {"sources": (str(paths[0]),), "split": "pixels", "unlabelled": 20}
    settings = PrepareSettings(output=tmp_path / "d.h5", **asked)
    dataset, report = prepare(settings), tmp_path / "d_balance"
    page = report_dataset(dataset, report)[1]
    with pytest.raises(OutputError, match="exists already"):
        prepare(settings)
    (report / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"d_balance, .* also holds notes.txt, .* move it away"):
        prepare(settings, overwrite=True)
    assert page.exists()
    (report / "notes.txt").unlink()
    prepare(settings.model_copy(update={"seed": 1}), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.h5", "scenes"]
    report.mkdir()
    (tmp_path / "d.h5").unlink()
    with pytest.raises(OutputError, match="d_balance exists already"):
        prepare(settings)
