"""What a run scores more than another: the difference, its interval, the page."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import LabelError, ModelError
from hsi_ssl.inference.checkpoint import read_card
from hsi_ssl.reports.against import difference, with_runs
from hsi_ssl.reports.evaluation import evaluate
from hsi_ssl.reports.intervals import Tallies, differences, tallied


def of_coins(rng: np.random.Generator, better: float) -> tuple[Tallies, Tallies, float]:
    """Two classifiers of 60 units, equally hard for both; one is right `better` more often."""
    unit = np.repeat(np.arange(60), 40)
    truth = rng.integers(0, 3, len(unit))
    hard = rng.uniform(0.3, 0.7, 60)[unit]
    luck = rng.random(len(unit))
    first, second = (np.where(luck < hard + more, truth, (truth + 1) % 3) for more in (better, 0.0))
    ours, theirs = (tallied(truth, found, unit, 3) for found in (first, second))
    return ours, theirs, better


def test_differences_hold_the_truth_and_are_narrower_than_unpaired_ones() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(20):
        ours, theirs, better = of_coins(rng, 0.1)
        found = differences(ours, theirs)["oa"]
        assert found is not None
        held += int(found[0] <= better <= found[1])
        assert 0 < found[1] - found[0] < 0.06  # of each alone the interval is some 0.06 wide
    assert held >= 17


def test_alike_differ_by_nothing_and_one_unit_tells_nothing() -> None:
    ours, _, _ = of_coins(np.random.default_rng(2), 0.1)
    for found in differences(ours, ours).values():
        assert found is not None
        np.testing.assert_array_equal(found, 0)
    one = Tallies(*(getattr(ours, n)[:1] for n in ("right", "true", "taken")))
    assert set(differences(one, one).values()) == {None}


@pytest.mark.slow
def test_runs_are_compared_on_the_same_pixels(
    run: Path, m1m2_run: Path, tiny_dataset: Dataset
) -> None:
    ours = evaluate(m1m2_run, tiny_dataset, device="cpu")
    (found,) = with_runs([ours], [run], tiny_dataset, device="cpu")
    (other,) = found.against
    theirs = evaluate(run, tiny_dataset, device="cpu")
    assert other.away["oa"] == pytest.approx(ours.scores.oa - theirs.scores.oa)
    told = found.to_json()["against"][0]
    assert told["macro_f1"] == theirs.scores.macro_f1
    low, high = told["intervals"]["macro_f1"]
    assert low <= told["difference"]["macro_f1"] <= high
    assert "points" in other.in_words("macro_f1")
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    ours = evaluate(run, tiny_dataset, device="cpu")
    with pytest.raises(ModelError, match="with itself"):
        with_runs([ours], [run], tiny_dataset)
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    card = read_card(run)
    elsewhere = {**card, "dataset": {**card["dataset"], "draw": "0" * 64}}
    with pytest.raises(ModelError, match="another draw"):
        with_runs([replace(ours, card=elsewhere)], [copy], tiny_dataset)
    fewer = replace(ours.balance, label_set=ours.label_set.occurring(ours.label_set.codes[:2]))
    with pytest.raises(LabelError, match="knows the classes"):
        difference(ours, replace(ours, balance=fewer))
