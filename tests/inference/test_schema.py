"""Runs that version 0.1 wrote (commit 84ac0c4) load, and predict what they predicted then.

`runs_of_0_1` holds one of each kind, trained for three epochs on twelve bands: M2, GM-DGM with free
slots, M1+M2, and two of two label sets. `expected.npz`: raw spectra, and what 0.1 made of them by
each rule.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.inference.checkpoint import CARD, amend_label_sets, load_run, model_name
from hsi_ssl.inference.classifier import Rule, load_classifiers

RUNS = Path(__file__).with_name("runs_of_0_1")
NAMES = {"m2": "M2", "gm-dgm": "GM-DGM", "m1m2": "M1+M2", "two": "M2", "order": "M2"}


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_0_1_predicts_what_it_did(name: str) -> None:
    expected = np.load(RUNS / name / "expected.npz")
    classifiers = load_classifiers(RUNS / name, "cpu")
    assert len(classifiers) == (2 if name in {"two", "order"} else 1)
    rules: dict[Rule, float] = {"classifier": 1e-5, "bayes": 1e-4}  # differences of many nats
    for classifier in classifiers:
        said = classifier.label_set.name
        for rule, tolerance in rules.items():
            found = replace(classifier, rule=rule).posterior(expected["raw"])
            np.testing.assert_allclose(found, expected[f"{said}.{rule}"], atol=tolerance)
        density = classifier.log_density(expected["raw"], 4)
        np.testing.assert_allclose(density, expected[f"{said}.density"], atol=1e-3)
        assert np.isfinite(classifier.novelty_score(expected["raw"], "classes", 1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_its_card_is_as_one_of_today(name: str) -> None:
    card, tensors = load_run(RUNS / name, "m2")
    assert card["schema"] == 5
    assert model_name(card) == NAMES[name]
    for v, one in enumerate(card["label_sets"]):
        assert {"classes", "rule", "temperature", "spatial_strength", "metrics"} <= one.keys()
        assert any(key.startswith(f"novelty.{v}.") for key in tensors)
    assert "classes" not in card
    assert card["metrics"]["kept"] in {"supervised", "semi-supervised"}


@pytest.mark.parametrize("name", ["m2", "two"])
def test_what_is_tuned_later_goes_into_the_card_as_it_is(name: str, tmp_path: Path) -> None:
    """Its weights stay those of 0.1, which the file's layout must fit."""
    run = tmp_path / "run"
    shutil.copytree(RUNS / name, run)
    count = len(load_classifiers(run, "cpu"))
    amend_label_sets(run, [{"spatial_tuned": {"strength": 0.1 * v}} for v in range(count)])
    assert json.loads((run / CARD).read_text())["schema"] == 1
    tuned = [c.card["spatial_tuned"]["strength"] for c in load_classifiers(run, "cpu")]
    assert tuned == [0.1 * v for v in range(count)]
