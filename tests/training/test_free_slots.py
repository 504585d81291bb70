"""train-m2 with free slots: what nobody has labelled is found, told and kept apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hearing import Hears
from small_models import pixels, preset

from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import SettingsError
from hsi_ssl.inference.checkpoint import model_name
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask

pytestmark = pytest.mark.slow


HIDDEN_CLASS = 1


@pytest.fixture(scope="module")
def semi(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The tiny dataset without a training label of kaolinite (code 7)."""
    part = tiny_dataset.part.copy()
    part[(part == Part.TRAIN) & (tiny_dataset.label == HIDDEN_CLASS)] = Part.POOL
    names = ("label", "scene", "pixel", "neighbours")
    return write_dataset(
        tmp_path_factory.mktemp("semi") / "dataset.h5",
        spectra=tiny_dataset.spectra(),
        part=part,
        meta=tiny_dataset.meta,
        **{name: getattr(tiny_dataset, name) for name in names},
    )


def settings(dataset: Dataset, run: Path, **more: object) -> M2Settings:
    small = {"m1": None, "latent": 3, "hidden": (32,), "epochs": 12, "free_slots": 2}
    batches = {"batch_labelled": 30, "batch_unlabelled": 100, "supervised_epochs": 8}
    return M2Settings(dataset=dataset.path, output=run, **{**small, **batches, **more})


@pytest.mark.parametrize("model", ["m2", "gm-dgm"])
def test_a_class_without_labels_is_found(semi: Dataset, tmp_path: Path, model: str) -> None:
    heard = Hears()
    card = train_m2(settings(semi, tmp_path / "run", model=model), watcher=heard)
    assert card["model"] == model
    (own,) = card["label_sets"]
    assert card["architecture"]["free"] == (2,)
    assert [c["code"] for c in own["classes"]["classes"]] == [2, 32]
    assert model_name(card) == {"m2": "M2", "gm-dgm": "GM-DGM"}[model]
    classifier = load_classifier(tmp_path / "run", "cpu")
    assert classifier.free_slots == 2
    assert len(classifier.label_set) == 2
    rows = semi.rows(Part.TEST)
    posterior = classifier.posterior(semi.spectra(rows))
    assert posterior.shape == (len(rows), 4)
    best, truth = posterior.argmax(1), semi.label[rows]
    assert np.mean(best[truth == HIDDEN_CLASS] >= 2) > 0.8
    assert np.mean(best[truth == 0] == 0) > 0.8
    assert np.mean(best[truth == 2] == 1) > 0.8
    assert sum(own["metrics"]["slots"]["pixels"][2:]) > 100
    assert "against groups of pixels, for free slots" in card["objective"]
    assert "2 classes and 2 free slots" in heard.said[0]
    score = classifier.novelty_score(semi.spectra(rows), "likelihood", 1)
    assert np.isfinite(score).all()


def test_both_rules_give_every_slot(semi: Dataset, tmp_path: Path) -> None:
    train_m2(settings(semi, tmp_path / "run", model="gm-dgm", epochs=2))
    for rule in ("classifier", "bayes"):
        posterior = load_classifier(tmp_path / "run", "cpu", rule).posterior(semi.spectra())
        assert posterior.shape[1] == 4
        np.testing.assert_allclose(posterior.sum(1), 1, atol=1e-5)


def test_prior_weighs_free_slots_less(semi: Dataset, tmp_path: Path) -> None:
    asked = {"epochs": 1, "free_slots": 4, "slot_start": False}
    train_m2(settings(semi, tmp_path / "run", **asked))
    log_p_y = load_classifier(tmp_path / "run", "cpu").generative.whole.log_p_y(0)
    np.testing.assert_allclose(log_p_y.exp().numpy(), [0.25] * 2 + [0.125] * 4, rtol=1e-5)
    with pytest.raises(SettingsError, match="2 positive numbers"):
        train_m2(settings(semi, tmp_path / "b", class_prior=(1.0, 1.0, 1.0)))


def test_empty_free_slots_are_told(semi: Dataset, tmp_path: Path) -> None:
    heard = Hears()
    # By Bayes' rule with such a prior nothing is left for them.
    asked = {"free_weight": 1e-37, "predict": "bayes", "slot_start": False, "sd_floor": 5.0}
    asked |= {"epochs": 2}
    train_m2(settings(semi, tmp_path / "run", **asked), watcher=heard)
    assert any("all 2 free slots are empty" in w for w in heard.warned)


@pytest.mark.parametrize("stopped", [0.0, 1.0])
def test_groups_teach_until_the_bound_or_neighbours_do(stopped: float) -> None:
    module = preset("m2", torch.full((3,), 1 / 3), width=2, latent=2, hidden=(3,), free=1)
    x = torch.arange(6).float()[:, None].expand(-1, 2)
    asked = M2Settings(free_slots=1, stop_gradient=stopped, epochs=4, em_rounds=2)
    data = pixels(Inputs(x[:2]), torch.tensor([0, 1]), x[2:], asked)
    start = torch.softmax(torch.arange(18.0).reshape(6, 3), 1)
    task = SemiSupervisedTask(module, data, asked, EStep(start=start))
    task.begin_epoch(0)
    assert torch.equal(task.state()["pseudo_labels_0"], start)
    task.begin_epoch(1)
    assert torch.equal(task.state()["pseudo_labels_0"], start)
    task.begin_epoch(2)
    assert ("pseudo_labels_0" in task.state()) == (stopped == 1)


def test_a_resumed_run_is_the_unbroken_one(semi: Dataset, tmp_path: Path) -> None:
    long = {"epochs": 6, "em_rounds": 2, "supervised_epochs": 3, "model": "gm-dgm"}
    train_m2(settings(semi, tmp_path / "whole", **long))

    class Cut(Hears):
        def say(self, sentence: str) -> None:
            if sentence.startswith("neighbours tell"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_m2(settings(semi, tmp_path / "cut", **long), watcher=Cut())
    train_m2(settings(semi, tmp_path / "cut", **long), resume=True)
    whole, cut = (tmp_path / name / "model.safetensors" for name in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()


def test_without_free_slots_a_class_without_labels_keeps_its_place(
    semi: Dataset, tmp_path: Path
) -> None:
    card = train_m2(settings(semi, tmp_path / "run", free_slots=0, epochs=1))
    assert [c["code"] for c in card["label_sets"][0]["classes"]["classes"]] == [2, 7, 32]
