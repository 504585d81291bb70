"""What is said of slots that are of no use."""

from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.training.collapse import slots_of

NAMES = ("quartz", "kaolinite")
UNIFORM = np.log(np.full(4, 0.25, np.float32))


def posterior(best: list[int], sure: float = 0.97) -> np.ndarray:
    p = np.full((len(best), 4), (1 - sure) / 3, np.float32)
    p[np.arange(len(best)), best] = sure
    return p


def said(best: list[int], labels: list[int], sure: float = 0.97) -> list[str]:
    found = slots_of(posterior(best, sure), np.array(labels), UNIFORM, 2)
    return list(found.warnings(NAMES))


def test_slots_in_good_use_are_no_warning() -> None:
    assert said([0, 0, 1, 1, 2, 3, 3], [0, 0, 1, 1, -1, -1, -1]) == []


def test_numbers() -> None:
    found = slots_of(posterior([0, 2, 1, 3]), np.array([0, 0, -1, -1]), UNIFORM, 2)
    assert found.pixels.tolist() == [1, 1, 1, 1]
    assert found.taken[0] == 0.5
    assert np.isnan(found.taken[1])
    q = np.array([0.97, 0.01, 0.01, 0.01])
    assert found.divergence == pytest.approx(float((q * np.log(q / 0.25)).sum()), rel=1e-5)
    assert found.to_card()["taken_by_free_slots"] == [0.5, None]


@pytest.mark.parametrize(
    ("best", "labels", "sure", "sentence"),
    [
        ([0, 1, 2, 3], [0, 1, -1, -1], 0.27, "has stayed at its prior"),
        ([3, 3, 3], [0, 1, -1], 0.97, "predicts one class for everything: free slot 2"),
        ([1, 1, 1], [0, 1, -1], 0.97, "predicts one class for everything: kaolinite"),
        ([0, 1, 1, 0], [0, 1, -1, -1], 0.97, "all 2 free slots are empty"),
        ([0, 0, 2, 3], [0, -1, -1, -1], 0.97, "never predicts: kaolinite"),
        ([0, 2, 1, 1, 3], [0, 0, 1, 1, -1], 0.97, r"taken labelled pixels of quartz \(50%\)"),
    ],
)
def test_each_way_to_fail_is_told(
    best: list[int], labels: list[int], sure: float, sentence: str
) -> None:
    import re

    found = said(best, labels, sure)
    assert len([s for s in found if re.search(sentence, s)]) == 1, found
