from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from small_datasets import plain_meta

from hsi_ssl.datasets.balance import (
    balance_of_dataset,
    balance_of_planes,
    guess,
    unique_names,
)
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.labels.label_set import LabelClass, LabelSet

MINERALS = LabelSet(
    "mineralogy",
    (
        LabelClass(2, "gypsum", "#aa0000"),
        LabelClass(32, "quartz", "#00aa00"),
        LabelClass(7, "halite", "#0000aa"),
    ),
)


def planes() -> list[np.ndarray]:
    first = np.zeros((10, 20), np.int64)
    first[:5] = 32  # 100 of quartz
    first[5, :10] = 2
    second = np.zeros((10, 10), np.int64)
    second[0] = 32
    second[1, :5] = 101  # not in the label set
    return [first, second]


def test_counts_of_label_planes() -> None:
    balance = balance_of_planes(planes(), ["box", "box"], MINERALS)
    assert balance.scenes == ("box", "box (2)")
    assert [(c.label.code, c.count, c.by_scene) for c in balance.classes] == [
        (2, 10, {0: 10}),
        (32, 110, {0: 100, 1: 10}),
        (101, 5, {1: 5}),
    ]
    assert balance.label_set.classes[0].name == "gypsum"
    assert (balance.pixels, balance.total, balance.unlabelled) == (300, 125, 175)
    assert balance.imbalance_ratio == 22
    assert balance.unlabelled_share == pytest.approx(175 / 300)
    assert not balance.prepared
    assert balance.to_json()["classes"][0] == {
        "code": 2,
        "name": "gypsum",
        "count": 10,
        "kept": None,
        "train": None,
        "validation": None,
        "test": None,
        "scenes": 1,
        "by_scene": {"box": 10},
    }


def test_warnings_name_the_classes() -> None:
    dominant, few, alone = balance_of_planes(planes(), ["a", "b"], MINERALS).warnings
    assert dominant.startswith("quartz holds 88 % of the labelled pixels")
    assert "gypsum (10), class 101 (5)" in few
    assert "gypsum (a), class 101 (b)" in alone


def test_even_classes_in_one_scene_give_no_warning() -> None:
    plane = np.repeat([2, 32], 100).reshape(10, 20)
    assert balance_of_planes([plane], ["a"], MINERALS).warnings == ()


@pytest.mark.parametrize("counts", [(10, 110, 5), (4, 4, 4), (0, 9, 3)])
def test_the_guesser_scores_as_a_constant_answer_does(counts: tuple[int, ...]) -> None:
    truth = np.repeat(np.arange(3), counts)
    always = np.full(len(truth), np.argmax(counts))
    present = [k for k in range(3) if counts[k]]
    guesser = guess(counts, MINERALS)
    assert guesser.label == MINERALS.classes[int(np.argmax(counts))]
    assert guesser.oa == pytest.approx(sk.accuracy_score(truth, always))
    assert guesser.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(truth, always))
    expected = sk.f1_score(truth, always, labels=present, average="macro", zero_division=0)
    assert guesser.macro_f1 == pytest.approx(expected)


def prepared(path: Path, *, guard: int = 0) -> Dataset:
    """40 + 60 labelled pixels in two scenes, of the second class none for testing."""
    label = np.r_[np.zeros(40), np.ones(60), np.full(20, -1)].astype(np.int16)
    part = np.full(120, Part.TRAIN, np.uint8)
    part[30:35], part[35:40], part[80:100], part[100:] = (
        Part.VALIDATION,
        Part.TEST,
        Part.VALIDATION,
        Part.POOL,
    )
    spectra = np.random.default_rng(0).normal(100, 10, (120, 6)).astype(np.float32)
    label_set = LabelSet("mineralogy", MINERALS.classes[:2])
    counts: dict[str, Any] = {
        "classes": [
            {"code": 2, "name": "gypsum", "count": 40, "by_scene": {"0": 40, "1": 0}},
            {"code": 32, "name": "quartz", "count": 900, "by_scene": {"0": 450, "1": 450}},
        ],
        "total": 940,
        "pixels": 2000,
        "unlabelled": 1060,
        "pool": 20,
        "guard": guard,
    }
    return write_dataset(
        path,
        spectra=spectra,
        label=label,
        part=part,
        scene=np.zeros(120, np.int16),
        pixel=np.zeros((120, 2), np.int32),
        neighbours=np.full((120, 8), -1, np.int32),
        meta={
            **plain_meta(6, scenes=2),
            "label_set": label_set.to_card(),
            "scaling": fit_scaler("standard", spectra, components=6).to_card(),
            "counts": counts,
        },
    )


def test_balance_of_a_dataset_counts_its_rows(tmp_path: Path) -> None:
    balance = balance_of_dataset(prepared(tmp_path / "d.h5"))
    first, second = balance.classes
    assert (first.count, first.kept, first.train, first.validation, first.test) == (
        40,
        40,
        30,
        5,
        5,
    )
    assert (second.count, second.kept, second.train, second.validation, second.test) == (
        900,
        60,
        40,
        20,
        0,
    )
    assert first.by_scene == {0: 40}
    assert balance.scenes == ("box 1", "box 2")
    assert balance.prepared
    assert balance.test_guesser is not None
    assert balance.test_guesser.oa == 1
    assert "no test pixels: quartz; these cannot be scored" in balance.warnings


def test_a_costly_guard_border_is_said(tmp_path: Path) -> None:
    balance = balance_of_dataset(prepared(tmp_path / "d.h5", guard=200))
    assert any("guard border" in w and "200 labelled pixels (21 %)" in w for w in balance.warnings)
    assert not any("guard" in w for w in replace(balance, guard=50).warnings)


def test_unique_names() -> None:
    assert unique_names(["a", "b", "a", "a"]) == ("a", "b", "a (2)", "a (3)")
