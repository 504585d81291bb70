"""Classifiers that are no declared model: one command, one kind of run folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hearing import Hears

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import ModelError, SettingsError
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.inference.generation import Generator
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.teacher import least_seconds


def settings(dataset: Dataset, run: Path, **more: Any) -> M2Settings:
    small = {"m1": None, "hidden": (16,), "latent": 4, "epochs": 3, "device": "cpu"}
    batches = {"batch_labelled": 30, "batch_unlabelled": 100, "model": "perceptron"}
    return M2Settings(dataset=dataset.path, output=run, **{**small, **batches, **more})


@pytest.fixture(scope="module")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("perceptron") / "run"

    train_m2(settings(tiny_dataset, folder, epochs=20))
    return folder


def test_a_loaded_run_tells_classes_and_novelty(run: Path, tiny_dataset: Dataset) -> None:
    classifier = load_classifier(run, "cpu")
    rows = tiny_dataset.rows(Part.TEST)
    p = classifier.posterior(tiny_dataset.spectra(rows))
    assert np.mean(p.argmax(1) == tiny_dataset.label[rows]) > 0.9
    strange = np.full((1, 12), 9000.0)
    known = classifier.novelty_score(tiny_dataset.spectra(rows), "classes", 1)
    assert classifier.novelty_score(strange, "classes", 1)[0] > known.max()


def test_confidence_is_tempered_on_validation_pixels(run: Path, tiny_dataset: Dataset) -> None:
    classifier = load_classifier(run, "cpu")
    assert classifier.temperature != 1.0
    raw = tiny_dataset.spectra(tiny_dataset.rows(Part.TEST))
    warm, cold = classifier.posterior(raw), classifier.uncalibrated.posterior(raw)
    again = torch.log_softmax(torch.from_numpy(cold).log() / classifier.temperature, -1).exp()
    np.testing.assert_allclose(warm, again, atol=1e-5)


def test_what_needs_a_generative_part_is_refused(run: Path, tiny_dataset: Dataset) -> None:
    raw = tiny_dataset.spectra(tiny_dataset.rows(Part.TEST)[:2])
    with pytest.raises(ModelError, match=r"perceptron knows q\(y\|x\) alone"):
        load_classifier(run, "cpu", rule="bayes").posterior(raw)
    classifier = load_classifier(run, "cpu")
    with pytest.raises(ModelError, match="alone"):
        classifier.log_density(raw, 2)
    with pytest.raises(ModelError, match="alone"):
        Generator(classifier).sampled(0, 2)
    assert classifier.measures == ("classes",)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"free_slots": 2}, "free_slots: for declared models alone"),
        ({"predict": "bayes"}, "predict = bayes: for declared models alone"),
        ({"generation": ("y", "z", "x | y, z")}, "generation: for declared models alone"),
        ({"options": {"colour": 1}}, "has no option colour"),
        ({"model": "m2", "options": {"colour": 1}}, "model m2 has no options of its own"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(
    tiny_dataset: Dataset, tmp_path: Path, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises((SettingsError, ModelError), match=said):
        train_m2(settings(tiny_dataset, tmp_path / "run", **asked))
    assert not (tmp_path / "run").exists()


def test_several_label_sets_need_a_name(two_label_sets: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="learns one label set, the dataset has 2"):
        train_m2(settings(two_label_sets, tmp_path / "run"))


def test_settings_of_declared_models_are_left_aside_and_said(
    tiny_dataset: Dataset, tmp_path: Path, hears: Hears
) -> None:
    train_m2(settings(tiny_dataset, tmp_path / "run", epochs=1, alpha=3.0), watcher=hears)
    assert any("no use for alpha, latent: left aside" in line for line in hears.said)


@pytest.mark.slow
def test_resumed_it_is_what_an_unbroken_run_is(tiny_dataset: Dataset, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"decay": "constant"}
    train_m2(settings(tiny_dataset, tmp_path / "a", epochs=4, **asked))
    train_m2(settings(tiny_dataset, tmp_path / "b", epochs=2, **asked))
    train_m2(settings(tiny_dataset, tmp_path / "b", epochs=4, **asked), resume=True)
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in "ab"]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_it_stands_on_features_alone(tiny_dataset: Dataset, m1_run: Path, tmp_path: Path) -> None:
    card = train_m2(settings(tiny_dataset, tmp_path / "run", m1=m1_run))
    assert card["architecture"]["width"] == sum(card["kept_units"])
    classifier = load_classifier(tmp_path / "run", "cpu")
    assert classifier.pipeline.side_inputs == 0
    assert np.isfinite(classifier.posterior(tiny_dataset.spectra(np.arange(3)))).all()


def test_speed_is_that_of_a_pass_that_nothing_held_up() -> None:
    class HeldUpOnce:
        waits = 0.2

        def posterior(self, spectra: Any) -> None:
            time.sleep(self.waits)
            self.waits = 0.0

    assert least_seconds(cast(Classifier, HeldUpOnce()), np.zeros((1, 1))) < 0.1
