"""train-m2 on two label sets at once: it learns both, resumes exactly, and can be applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hearing import Hears
from safetensors.torch import load_file

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import ModelError, SettingsError
from hsi_ssl.inference.classifier import load_classifier, load_classifiers
from hsi_ssl.inference.temperature import fitted_temperature
from hsi_ssl.models.declared import DRAWS, WIDE, DeclaredArchitecture, DeclaredVAE
from hsi_ssl.models.tables import marginals
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.inputs import APPLIED_BATCH, Inputs, at_once, evidence
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_choice import keep_the_better, q_of_labels
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.validation import Validation
from hsi_ssl.watcher import Watcher

pytestmark = pytest.mark.slow


def settings(dataset: Dataset, run: Path, **more: object) -> M2Settings:
    small = {"m1": None, "latent": 2, "hidden": (16,), "hidden_classifier": (32,), "epochs": 4}
    fast = {"experts": (0.5,), "batch_labelled": 40, "supervised_epochs": 8}
    return M2Settings(dataset=dataset.path, output=run, **{**small, **fast, **more})


def accuracies(dataset: Dataset, run: Path) -> dict[str, float]:
    found = {}
    for classifier in load_classifiers(run, "cpu"):
        one = dataset.one(classifier.label_set.name)
        rows = one.rows(Part.TEST)
        posterior = classifier.posterior(one.spectra(rows))
        np.testing.assert_allclose(posterior.sum(1), 1, atol=1e-5)
        found[classifier.label_set.name] = float(np.mean(posterior.argmax(1) == one.label[rows]))
    return found


def test_both_label_sets_are_learnt_at_once(
    two_label_sets: Dataset, tmp_path: Path, hears: Hears
) -> None:
    card = train_m2(settings(two_label_sets, tmp_path / "m2"), watcher=hears)
    assert min(accuracies(two_label_sets, tmp_path / "m2").values()) > 0.9
    each = {one["classes"]["name"]: one for one in card["label_sets"]}
    assert list(each) == ["mineralogy", "lithology"]
    for one in each.values():
        assert one["metrics"]["validation"]["macro_f1"] > 0.9
        assert one["metrics"]["predicted_classes"] == len(one["classes"]["classes"])
    known = {c.label_set.name: c for c in load_classifiers(tmp_path / "m2", "cpu")}
    rows = two_label_sets.rows(Part.VALIDATION)
    for i, (name, one) in enumerate(each.items()):
        y = torch.from_numpy(two_label_sets.y[rows, i].astype(np.int64))
        log_q = known[name].uncalibrated.posterior(two_label_sets.spectra(rows)[y >= 0])
        expected = fitted_temperature(torch.from_numpy(log_q).log(), y[y >= 0])
        assert one["temperature"]["classifier"] == pytest.approx(expected, rel=0.01)
        assert known[name].temperature == one["temperature"]["classifier"]
    assert card["architecture"]["inference"][-1] == "z | mineralogy, lithology"
    assert "unlabelled pixels" in hears.all
    with pytest.raises(ModelError, match=r"several label sets \(mineralogy, lithology\)"):
        load_classifier(tmp_path / "m2", "cpu")


ORDERS: dict[str, dict[str, Any]] = {
    "z first": {
        "inference": ("z", "lithology | z", "mineralogy | lithology, z"),
        "generation": ("z", "lithology | z", "mineralogy | lithology", "x | mineralogy, z"),
        "samples": 3,
        "stop_gradient": 0.0,
    },
    "apart": {"inference": ("mineralogy", "lithology", "z | mineralogy")},
}


@pytest.mark.parametrize("name", ORDERS)
def test_other_orders_of_dependence_are_learnt(
    two_label_sets: Dataset, tmp_path: Path, name: str
) -> None:
    asked = {"spatial": False, "supervised_epochs": 12, **ORDERS[name]}
    card = train_m2(settings(two_label_sets, tmp_path / "m2", **asked))
    assert card["architecture"]["inference"] == asked["inference"]
    assert min(accuracies(two_label_sets, tmp_path / "m2").values()) > 0.8


def test_where_labels_follow_z_the_supervised_q_is_kept_as_a_whole(
    two_label_sets: Dataset, tmp_path: Path
) -> None:
    """Its classifier is nothing without the q(z|x) that it was trained with."""
    asked = {**ORDERS["z first"], "spatial": False, "epochs": 1, "supervised_epochs": 1}
    train_m2(settings(two_label_sets, tmp_path / "m2", **asked))
    model = load_classifiers(tmp_path / "m2", "cpu")[0].generative.whole
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, model.architecture.width, generator=generator)
    before = {name: t.clone() for name, t in q_of_labels(model).state_dict().items()}
    with torch.no_grad():
        expected = model.log_q(x)
        y = torch.stack([of.argmax(-1) for of in marginals(expected, (3, 2))], dim=1)
        for tensor in model.parameters():
            tensor.add_(torch.randn(tensor.shape, generator=generator))
    found = keep_the_better(model, before, Validation(Inputs(x), y), Watcher())
    assert found["kept"] == "supervised"
    assert found["supervised"]["oa"] == 1
    torch.testing.assert_close(model.log_q(x), expected)


@pytest.mark.parametrize("z_first", [False, True])
def test_large_tables_of_combinations_go_some_pixels_at_a_time(z_first: bool) -> None:
    counts, last = (40, 40), ("z", "a", "b | a, z") if z_first else ("a", "b | a", "z | a, b")
    architecture = DeclaredArchitecture(
        width=3, labels=("a", "b"), counts=counts, free=(0, 0),
        generation=("a", "b", "z", "x | a, b, z"), inference=last,
        latent=2, hidden=(4,), hidden_classifier=(4,), activation="relu",
        likelihood="gaussian", sd_floor=0.1, experts=1 if z_first else 5,
    )  # fmt: skip
    priors = [torch.full((count,), 1 / count) for count in counts]
    model = DeclaredVAE(architecture, priors, torch.Generator())
    copies = DRAWS if z_first else architecture.experts
    assert at_once(model) * 40 * 40 * copies <= APPLIED_BATCH * WIDE * 1.1
    assert model.rows(every_class=True) == 40 * 40


def test_every_term_takes_several_label_sets(two_label_sets: Dataset, tmp_path: Path) -> None:
    """z given labels, own priors from neighbours in feature space, steadiness, Bayes' rule."""
    asked = {"propagation": 2.0, "steadiness": 0.1, "balance": 0.1, "predict": "bayes"}
    apart = ("mineralogy", "lithology", "z | mineralogy, lithology", "x | z")
    card = train_m2(settings(two_label_sets, tmp_path / "m2", **asked, generation=apart))
    assert card["architecture"]["generation"] == apart
    for term in ("nearest neighbours in feature space", "steadiness", "balance", "Potts"):
        assert term in card["objective"]
    with (tmp_path / "m2/metrics.csv").open() as file:
        header = file.readline()
    terms = ("bound", "cross_entropy", "pseudo_labels", "feature_prior", "steadiness", "balance")
    assert all(f"term_{term}" in header for term in terms)
    for one in card["label_sets"]:
        assert one["rule"] == "bayes"
        by_rule = one["metrics"]["validation_by_rule"]
        assert one["metrics"]["validation"] == by_rule["bayes"]
        assert by_rule["classifier"]["macro_f1"] > 0.8
    of_both = load_classifiers(tmp_path / "m2", "cpu")
    assert [c.rule for c in of_both] == ["bayes", "bayes"]


def test_experts_and_m1(two_label_sets: Dataset, tmp_path: Path) -> None:
    m1 = {"latent": 4, "hidden": (16,), "batch": 64, "epochs": 20}
    train_m1(M1Settings(dataset=two_label_sets.path, output=tmp_path / "m1", **m1))
    asked = {"m1": tmp_path / "m1", "experts": (0.0, 1.0), "epochs": 2}
    card = train_m2(settings(two_label_sets, tmp_path / "m2", **asked))
    assert card["architecture"]["experts"] == 3
    assert card["architecture"]["side_inputs"] == 6
    assert min(accuracies(two_label_sets, tmp_path / "m2").values()) > 0.85


def test_one_label_set_of_the_dataset_is_trained_alone(
    two_label_sets: Dataset, tmp_path: Path
) -> None:
    train_m2(settings(two_label_sets, tmp_path / "m2", label_set="lithology", epochs=2))
    assert set(accuracies(two_label_sets, tmp_path / "m2")) == {"lithology"}
    assert load_classifier(tmp_path / "m2", "cpu").label_set.codes.tolist() == [101, 104]


def test_a_resumed_run_is_the_unbroken_one(two_label_sets: Dataset, tmp_path: Path) -> None:
    """What neighbours have said in the only E-step, before the break, included."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    asked = {"em_rounds": 1, "decay": "constant", "supervised_epochs": 2}
    train_m2(settings(two_label_sets, whole, epochs=3, **asked))
    train_m2(settings(two_label_sets, broken, epochs=1, **asked))
    train_m2(settings(two_label_sets, broken, epochs=3, **asked), resume=True)
    ours, theirs = (load_file(run / "last/state.safetensors") for run in (broken, whole))
    assert {"task.pseudo_labels_0", "task.pseudo_labels_1"} <= ours.keys()
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"generator"}:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0)


def test_test_pixels_touch_nothing(two_label_sets: Dataset, tmp_path: Path) -> None:
    data = M2Data(
        two_label_sets, settings(two_label_sets, tmp_path / "m2"), None, torch.device("cpu")
    )
    learnt = two_label_sets.rows(Part.TRAIN, Part.POOL)
    assert len(data.every) == len(learnt) == data.pixels
    seen = two_label_sets.scaled(two_label_sets.rows(Part.TRAIN), data.scaler)
    np.testing.assert_allclose(data.labelled.inputs.mean, seen, rtol=1e-6)
    assert (data.y[len(data.labelled) :] == -1).all()
    assert (data.labelled.y >= 0).any(dim=1).all()


def test_every_label_set_draws_as_many_pixels_class_by_class(
    two_label_sets: Dataset, tmp_path: Path
) -> None:
    data = M2Data(
        two_label_sets, settings(two_label_sets, tmp_path / "m2"), None, torch.device("cpu")
    )
    generator = torch.Generator().manual_seed(0)
    drawn = [data.labelled.draw(generator) for _ in range(100)]
    rows, sets = (torch.cat(column) for column in zip(*drawn, strict=True))
    for v, count in enumerate((3, 2)):
        y = data.y[rows[sets == v], v]
        shares = torch.bincount(y, minlength=count) / len(y)
        assert len(y) == 40 * 100
        torch.testing.assert_close(shares, torch.full((count,), 1 / count), atol=0.03, rtol=0)


def test_evidence_for_a_label_knows_the_pixels_other_labels(
    two_label_sets: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "m2"
    train_m2(settings(two_label_sets, run, epochs=1, spatial=False))
    data = M2Data(two_label_sets, settings(two_label_sets, run), None, torch.device("cpu"))
    model = load_classifiers(run, "cpu")[0].generative.whole
    found = evidence(model, data.every, data.y)
    with torch.no_grad():
        table = model.log_q(data.seen.mean).exp().view(-1, 3, 2)
    for i in (0, 5, len(data.labelled) + 1):
        a, b = data.y[i].tolist()
        of_a = table[i].sum(1) if b < 0 else table[i, :, b]
        of_b = table[i].sum(0) if a < 0 else table[i, a]
        torch.testing.assert_close(found[0][i].exp(), of_a / of_a.sum(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[1][i].exp(), of_b / of_b.sum(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"free_slots": 2}, "free_slots: only for one label set"),
        ({"class_prior": (0.5, 0.5)}, "class_prior in numbers"),
        ({"propagation": 1.0}, "p of lithology depends on others: leave propagation out"),
        ({"model": "gm-dgm", "generation": ("x",)}, "generation declares p, and so does model"),
        ({"inference": ("mineralogy", "z")}, "no line for lithology"),
    ],
)
def test_what_contradicts_itself_or_one_label_set_alone_can_do_is_refused(
    two_label_sets: Dataset, tmp_path: Path, asked: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        train_m2(settings(two_label_sets, tmp_path / "m2", **asked))
    assert not (tmp_path / "m2").exists()
