"""Several label sets in one dataset: caps and splits of each, and one of them at a time."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from hsi_ssl.checking import checked
from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.balance import balance_of_dataset
from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import DatasetError, SettingsError
from hsi_ssl.labels.label_set import codes_to_indices
from hsi_ssl.settings import PrepareSettings

ROWS, COLS, BANDS = 60, 48, 8
CODES = {"mineralogy": (2, 5, 32), "lithology": (101, 104)}
SETS = tuple(CODES)
Planes = dict[str, npt.NDArray[np.uint16]]


def planes(seed: int) -> Planes:
    """Patches of minerals, and patches of rocks of their own: some pixels lie in both."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, codes in CODES.items():
        plane = np.zeros((ROWS, COLS), np.uint16)
        for i in range(36):
            r, c = rng.integers(ROWS), rng.integers(COLS)
            plane[r : r + rng.integers(2, 8), c : c + rng.integers(2, 8)] = codes[i % len(codes)]
        found[name] = plane
    return found


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cores")
    for i in range(6):
        rng = np.random.default_rng(100 + i)
        with h5py.File(folder / f"core-{i}.h5", "w") as file:
            file["hsimage/data"] = rng.integers(1000, 9000, (ROWS, COLS, BANDS), dtype=np.uint16)
            file["hsimage/labels"] = planes(i)["mineralogy"]
            file["hsimage/lithology"] = planes(i)["lithology"]
    return folder


def prepared(cores: Path, output: Path, **settings: object) -> Dataset:
    values = {"label_set": ",".join(SETS), "cap": 60, "unlabelled": 400, "components": 4}
    return prepare(
        PrepareSettings(sources=(str(cores),), output=output, **{**values, **settings}),
        overwrite=True,
    )


@pytest.fixture(scope="module")
def dataset(cores: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepared(cores, tmp_path_factory.mktemp("d") / "d.h5", split="blocks")


def truth(dataset: Dataset) -> npt.NDArray[np.int16]:
    """What people drew at each row of the dataset, `(n, sets)`."""
    row, col = dataset.pixel.T
    columns = []
    for label_set in dataset.label_sets:
        drawn = np.array([planes(i)[label_set.name] for i in range(6)])
        columns.append(codes_to_indices(drawn[dataset.scene, row, col], label_set))
    return np.stack(columns, axis=1)


def test_labels_are_those_drawn_or_held_back(dataset: Dataset) -> None:
    assert [s.name for s in dataset.label_sets] == list(SETS)
    assert [tuple(s.codes.tolist()) for s in dataset.label_sets] == list(CODES.values())
    drawn, told = truth(dataset), dataset.y
    np.testing.assert_array_equal(told[told >= 0], drawn[told >= 0])
    for part in (Part.TRAIN, Part.VALIDATION, Part.TEST):
        patterns = {tuple(p) for p in (told[dataset.rows(part)] >= 0).tolist()}
        assert patterns == {(True, False), (False, True), (True, True)}
    assert (told[dataset.rows(Part.POOL)] == -1).all()
    test = dataset.rows(Part.TEST)
    np.testing.assert_array_equal(told[test], drawn[test])
    assert len(np.unique(np.column_stack([dataset.scene, dataset.pixel]), axis=0)) == len(dataset)


@pytest.mark.parametrize("split", ["blocks", "scenes", "pixels"])
@pytest.mark.parametrize("limit", [{"cap": 25}, {"per_class": 7}])
def test_caps_hold_in_every_set(
    cores: Path, tmp_path: Path, split: str, limit: dict[str, int]
) -> None:
    dataset = prepared(cores, tmp_path / "d.h5", split=split, **limit)
    train = limit.get("cap", 6)  # of 7, one validates
    for one in map(dataset.one, SETS):
        count = {
            part: np.bincount(one.label[one.rows(part)], minlength=len(one.label_set)).tolist()
            for part in (Part.TRAIN, Part.VALIDATION)
        }
        assert count[Part.TRAIN] == [train] * len(one.label_set)
        assert max(count[Part.VALIDATION]) <= limit.get("cap", 1)
        assert min(count[Part.VALIDATION]) >= 1


def test_both_sets_draw_the_same_pixels_where_they_can(dataset: Dataset) -> None:
    """Of the pixels with both labels, many more than by independent draws keep both."""
    train = dataset.rows(Part.TRAIN)
    both = (truth(dataset)[train] >= 0).all(axis=1)
    kept = (dataset.y[train] >= 0).all(axis=1).sum() / both.sum()
    assert kept > 0.5


def test_no_set_trains_on_what_another_tests_on(cores: Path, dataset: Dataset) -> None:
    """Nor next to it; and the test pixels are all labelled pixels of their blocks."""
    held_out = dataset.rows(Part.TEST, Part.VALIDATION)
    learnt = dataset.rows(Part.TRAIN, Part.POOL)
    for scene in range(6):
        near = np.zeros((ROWS + 2, COLS + 2), bool)
        for row, col in dataset.pixel[held_out[dataset.scene[held_out] == scene]]:
            near[row : row + 3, col : col + 3] = True
        row, col = dataset.pixel[learnt[dataset.scene[learnt] == scene]].T
        assert not near[row + 1, col + 1].any()
    for name in SETS:
        one = dataset.one(name)
        assert set(one.rows(Part.TRAIN)) <= set(dataset.rows(Part.TRAIN))
        assert set(one.unlabelled_rows) <= set(learnt)
        assert set(one.rows(Part.TEST)) <= set(dataset.rows(Part.TEST))


def test_whole_scenes_go_to_one_part_with_all_their_labels(cores: Path, tmp_path: Path) -> None:
    dataset = prepared(cores, tmp_path / "d.h5")
    assert dataset.meta["split"]["kind"] == "scenes"
    labelled = dataset.part != Part.POOL
    for scene in range(6):
        assert len(np.unique(dataset.part[labelled & (dataset.scene == scene)])) == 1


def test_one_set_is_a_dataset_like_any_other(dataset: Dataset, tmp_path: Path) -> None:
    for i, name in enumerate(SETS):
        one = open_dataset(dataset.path, name)
        assert one.label_set == dataset.label_sets[i]
        told = dataset.y[:, i]
        learnt = one.rows(Part.TRAIN)
        np.testing.assert_array_equal(one.label, told)
        np.testing.assert_array_equal(learnt, np.flatnonzero((dataset.part == 0) & (told >= 0)))
        assert (one.label[one.rows(Part.TRAIN, Part.VALIDATION, Part.TEST)] >= 0).all()
        np.testing.assert_array_equal(
            one.unlabelled_rows,
            np.flatnonzero((dataset.part == 3) | ((dataset.part == 0) & (told < 0))),
        )
        balance = balance_of_dataset(one)
        assert balance.pool == len(one.unlabelled_rows)
        assert sum(c.train or 0 for c in balance.classes) == len(learnt)
        assert balance.total == sum(np.count_nonzero(planes(s)[name]) for s in range(6))
        assert one.one(name) is one


def test_spectra_of_all_that_is_held_out_may_be_seen_if_asked(cores: Path, tmp_path: Path) -> None:
    dataset = prepared(cores, tmp_path / "d.h5", transductive=True)
    for one in map(dataset.one, SETS):
        seen = np.union1d(one.unlabelled_rows, one.rows(Part.TRAIN))
        np.testing.assert_array_equal(seen, np.arange(len(dataset)))


def test_a_reader_of_one_set_is_told_that_there_are_two(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match=r"mineralogy, lithology.*--label-set"):
        _ = dataset.label_set
    with pytest.raises(DatasetError, match="no label set colour; it has mineralogy, lithology"):
        dataset.one("colour")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_set": "a,b", "labels": ["x.tif"]}, "one label set"),
        ({"label_set": "a,a"}, "once"),
        ({"label_set": "a,"}, "once"),
    ],
)
def test_unfit_names_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        checked(PrepareSettings, settings, where="options")


@pytest.mark.slow
def test_commands_tell_of_each_set(cores: Path, tmp_path: Path) -> None:
    output = tmp_path / "d.h5"
    asked = ["--label-set", "mineralogy,lithology", "--cap", "30", "--components", "4", "--json"]
    made = CliRunner().invoke(cli, ["prepare", str(cores), "-o", str(output), *asked])
    assert made.exit_code == 0, made.output
    each = json.loads(made.stdout)["label_sets"]
    assert [one["label_set"] for one in each] == list(SETS)
    for one in each:
        assert Path(one["report"]).parent == tmp_path / "d_balance" / one["label_set"]
        assert all(c["train"] <= 30 for c in one["classes"])
    told = CliRunner().invoke(cli, ["info", str(output), "--json"])
    assert [s["label_set"] for s in json.loads(told.stdout)["label_sets"]] == list(SETS)
    balance = CliRunner().invoke(
        cli, ["balance", str(output), "--label-set", "lithology", "--report", str(tmp_path / "b"),
               "--json"],
    )  # fmt: skip
    assert [c["code"] for c in json.loads(balance.stdout)["classes"]] == [101, 104]
    which = CliRunner().invoke(cli, ["balance", str(output)])
    assert isinstance(which.exception, DatasetError)
