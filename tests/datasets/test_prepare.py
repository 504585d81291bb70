from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import tensorly.datasets
from scipy.ndimage import binary_dilation

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import BandsError, LabelError, OutputError, SceneError
from hsi_ssl.labels.label_set import codes_to_indices
from hsi_ssl.settings import PrepareSettings
from hsi_ssl.watcher import SILENT, Watcher

ROWS, COLS, BANDS = 48, 40, 12
CODES = (2, 5, 32)
Cube = npt.NDArray[Any]


class Listener(Watcher):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


def label_plane(seed: int, rows: int = ROWS, cols: int = COLS) -> npt.NDArray[np.uint16]:
    """Patches of the three classes, most of the plane unlabelled."""
    rng = np.random.default_rng(seed)
    plane = np.zeros((rows, cols), np.uint16)
    for i in range(30):
        r, c = rng.integers(rows), rng.integers(cols)
        plane[r : r + rng.integers(2, 7), c : c + rng.integers(2, 7)] = CODES[i % 3]
    return plane


def cube(number: int, rows: int = ROWS, cols: int = COLS) -> npt.NDArray[np.uint16]:
    """Every spectrum tells where it comes from: row, column, scene, then mixtures with noise."""
    rng = np.random.default_rng(1000 + number)
    found = np.empty((rows, cols, BANDS), np.uint16)
    found[..., 0], found[..., 1] = np.mgrid[1 : rows + 1, 1 : cols + 1]
    found[..., 2] = number + 1
    mixed = rng.normal(size=(rows, cols, 2)) @ rng.normal(size=(2, BANDS - 3)) * 300
    found[..., 3:] = (mixed + 5000 + rng.normal(size=mixed.shape) * 20).astype(np.uint16)
    return found


def write_scene(path: Path, data: Cube, labels: Cube) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = data
        file["hsimage/labels"] = labels
    return path


def write_scenes(folder: Path, n: int) -> list[Path]:
    return [write_scene(folder / f"core-{i:02}.h5", cube(i), label_plane(i)) for i in range(n)]


def prepared(
    folder: Path, paths: list[Path], *, watcher: Watcher = SILENT, **settings: Any
) -> Dataset:
    settings = {"cap": 40, "unlabelled": 500, "components": 4, "output": folder / "d.h5"} | settings
    return prepare(
        PrepareSettings(sources=tuple(map(str, paths)), **settings),
        overwrite=True,
        watcher=watcher,
    )


def places(dataset: Dataset, rows: npt.NDArray[Any] | None = None) -> set[tuple[int, int, int]]:
    """Scene, row, column of the dataset's rows; none may be there twice."""
    found = np.column_stack([dataset.scene, dataset.pixel])
    found = found if rows is None else found[rows]
    pixels = set(map(tuple, found.tolist()))
    assert len(pixels) == len(found)
    return pixels


def class_counts(dataset: Dataset, part: Part) -> list[int]:
    label = dataset.label[dataset.rows(part)]
    return [int(n) for n in np.bincount(label, minlength=len(dataset.label_set))]


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


def test_published_maps_without_validation(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.h5", cube(0), label_plane(9))
    labels = label_plane(0)
    out = np.random.default_rng(0).random(labels.shape) < 0.6
    train, test = np.where(out, 0, labels), np.where(out, labels, 0)
    dataset = published(tmp_path, scene, train, test, validation=0)
    assert places(dataset, dataset.rows(Part.TRAIN)) == {
        (0, r, c) for r, c in np.argwhere(train).tolist()
    }
    assert not len(dataset.rows(Part.VALIDATION))
    one = published(tmp_path, scene, train, test, per_class=1)
    assert class_counts(one, Part.TRAIN) == [1, 1, 1]  # the last label of a class trains


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


def test_rare_class_is_kept_in_training_and_told(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    labels = label_plane(0)
    labels[20:26, 20:26] = 5
    labels[23, 23] = 77
    write_scene(paths[0], cube(0), labels)
    listener = Listener()
    dataset = prepared(tmp_path, paths, watcher=listener)
    k = dataset.label_set.codes.tolist().index(77)
    assert class_counts(dataset, Part.TRAIN)[k] == 1
    assert class_counts(dataset, Part.TEST)[k] == 0
    assert dataset.meta["split"]["rare"] == [77]
    assert any("kept in training" in w and "77 (1)" in w for w in listener.warnings)


def test_split_by_pixels_warns_of_neighbours(tmp_path: Path) -> None:
    listener = Listener()
    prepared(tmp_path, write_scenes(tmp_path / "scenes", 1), split="pixels", watcher=listener)
    assert any("neighbours" in warning for warning in listener.warnings)


def test_class_without_a_valid_pixel_is_left_out(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    data, labels = cube(0), label_plane(0)
    labels[:3, :9], data[:3, :9] = 7, 0
    write_scene(paths[0], data, labels)
    listener = Listener()
    dataset = prepared(tmp_path, paths, watcher=listener)
    assert dataset.label_set.codes.tolist() == list(CODES)
    assert [c["code"] for c in dataset.meta["counts"]["classes"]] == list(CODES)
    planes = np.array([label_plane(i) for i in range(2)])
    labelled = dataset.label >= 0
    row, col = dataset.pixel[labelled].T
    codes = dataset.label_set.codes[dataset.label[labelled]]
    np.testing.assert_array_equal(codes, planes[dataset.scene[labelled], row, col])
    assert any("left out" in warning for warning in listener.warnings)


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


def test_no_torch_is_imported() -> None:
    code = "import sys, hsi_ssl.datasets.prepare; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"


def refused(
    tmp_path: Path, paths: list[Path], error: type[Exception], match: str, **settings: Any
) -> None:
    """It says so and leaves nothing behind."""
    folder = tmp_path / "out"
    with pytest.raises(error, match=match):
        prepared(folder, paths, **settings)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_unlabelled_scenes_are_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.h5", cube(0), np.zeros((ROWS, COLS), np.uint16))
    refused(tmp_path, [path], LabelError, "labelled")


def test_one_class_is_refused_by_name(tmp_path: Path) -> None:
    labels = np.where(label_plane(0) == 5, 5, 0).astype(np.uint16)
    refused(tmp_path, [write_scene(tmp_path / "a.h5", cube(0), labels)], LabelError, r"one.*\(5\)")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cube_without_a_measurement_is_refused(tmp_path: Path, value: float) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    write_scene(paths[1], np.full((ROWS, COLS, BANDS), value, np.float32), label_plane(1))
    refused(tmp_path, paths, SceneError, "core-01.h5 holds no measurement")


def test_black_cube_is_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.h5", np.zeros((ROWS, COLS, BANDS), np.int16), label_plane(1))
    refused(tmp_path, [path], SceneError, "holds no measurement")


def test_scenes_of_other_bands_are_refused_with_both_names(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    write_scene(paths[1], cube(1)[..., :9], label_plane(1))
    refused(tmp_path, paths, BandsError, "core-00.h5 has 12 bands and .*core-01.h5 has 9")


def test_other_wavelengths_are_refused_with_both_names(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    for path, first in zip(paths, (400.0, 402.0), strict=True):
        with h5py.File(path, "r+") as file:
            file["hsimage/wavelengths"] = np.linspace(first, 2500, BANDS)
    refused(tmp_path, paths, BandsError, "400.0 nm in .*core-00.h5 and at 402.0 nm in .*core-01")


def test_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "d.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        prepare(PrepareSettings(sources=("nowhere",), output=tmp_path / "d.h5"))
    assert (tmp_path / "d.h5").read_text() == "mine"


def published(folder: Path, scene: Path, train: Cube, test: Cube, **settings: Any) -> Dataset:
    for name, plane in (("train", train), ("test", test)):
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            width=plane.shape[1],
            height=plane.shape[0],
            count=1,
            dtype="uint8",
        ) as file:
            file.write(plane.astype(np.uint8), 1)
    return prepared(
        folder,
        [scene],
        train_labels=(folder / "train.tif",),
        test_labels=(folder / "test.tif",),
        **settings,
    )


def test_published_maps_are_taken_as_they_are(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.h5", cube(0), label_plane(9))
    labels = label_plane(0)
    out = np.random.default_rng(0).random(labels.shape) < 0.6
    train, test = np.where(out, 0, labels), np.where(out, labels, 0)
    dataset = published(tmp_path, scene, train, test, cap=5, unlabelled=10**6)
    rows = dataset.rows(Part.TRAIN, Part.VALIDATION)
    assert places(dataset, rows) == {(0, r, c) for r, c in np.argwhere(train).tolist()}
    assert places(dataset, dataset.rows(Part.TEST)) == {
        (0, r, c) for r, c in np.argwhere(test).tolist()
    }
    assert len(dataset) == ROWS * COLS
    few = published(tmp_path, scene, train, test, per_class=4)
    assert class_counts(few, Part.TRAIN) == [3, 3, 3]
    assert class_counts(few, Part.VALIDATION) == [1, 1, 1]
    assert class_counts(few, Part.TEST) == class_counts(dataset, Part.TEST)


def test_maps_that_overlap_are_refused(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "a.h5", cube(0), label_plane(9))
    with pytest.raises(LabelError, match="are in the training map and in the test map"):
        published(tmp_path, scene, label_plane(0), label_plane(1))


def test_the_published_split_of_indian_pines(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    maps = real_data("indian-pines-split")
    (train,), (test,) = maps.glob("IndianTR*"), maps.glob("IndianTE*")
    cube_file = Path(tensorly.datasets.__file__).parent / "data" / "Indian_pines_corrected.npy"
    dataset = prepared(tmp_path, [cube_file], train_labels=(train,), test_labels=(test,), cap=5000)
    assert len(dataset.rows(Part.TRAIN, Part.VALIDATION)) == 695
    assert len(dataset.rows(Part.TEST)) == 9671
    assert len(dataset.label_set) == 16
    assert min(class_counts(dataset, Part.TRAIN)) >= 12
    assert min(class_counts(dataset, Part.VALIDATION)) >= 3
    assert open_dataset(dataset.path).meta["split"]["kind"] == "maps"


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
