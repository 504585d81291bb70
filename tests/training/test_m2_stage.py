"""train-m2 and the classifier it gives: M2 on spectra, M1+M2, priors, both rules, warnings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hearing import Hears
from pydantic import ValidationError
from small_models import batch as batch_of
from small_models import pixels, preset
from small_runs import small_m2_settings

from hsi_ssl.datasets.scaling import fit_scaler, scaler_from_card
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import ModelError, SettingsError
from hsi_ssl.inference.checkpoint import load_run
from hsi_ssl.inference.classifier import Rule, load_classifier
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.inference.pipeline import SIDE_GAIN
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.presets import declared
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_architecture import FEW_UNITS, UNITS, latent_of
from hsi_ssl.training.m2_choice import keep_the_better
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask
from hsi_ssl.training.validation import Validation
from hsi_ssl.watcher import Watcher


def settings(dataset: Dataset, run: Path, **more: object) -> M2Settings:
    """Of a short training, where it does not matter what is learnt."""
    return small_m2_settings(dataset, run, **{"supervised_epochs": 2, "epochs": 1, **more})


def accuracy_on_test(dataset: Dataset, run: Path, rule: Rule | None = None) -> float:
    rows = dataset.rows(Part.TEST)
    classifier = load_classifier(run, "cpu", rule)
    posterior = classifier.posterior(dataset.spectra(rows))
    np.testing.assert_allclose(posterior.sum(1), 1, atol=1e-5)
    return float(np.mean(posterior.argmax(1) == dataset.label[rows]))


@pytest.mark.slow
def test_m2_on_spectra_learns(tiny_dataset: Dataset, m2_run: Path) -> None:
    card, _ = load_run(m2_run, "m2")
    (own,) = card["label_sets"]
    assert own["metrics"]["validation"]["macro_f1"] > 0.9
    assert own["metrics"]["predicted_classes"] == 3
    assert accuracy_on_test(tiny_dataset, m2_run, "classifier") > 0.9
    assert accuracy_on_test(tiny_dataset, m2_run, "bayes") > 0.9


@pytest.mark.slow
def test_m1_plus_m2_learns_and_brings_m1_along(tiny_dataset: Dataset, m1m2_run: Path) -> None:
    card, _ = load_run(m1m2_run, "m2")
    assert card["m1"]["kind"] == "m1"
    assert sum(card["kept_units"]) == card["architecture"]["width"]
    assert card["architecture"]["side_inputs"] == tiny_dataset.scaler.width
    assert not Path(card["settings"]["m1"]).exists()
    assert accuracy_on_test(tiny_dataset, m1m2_run) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("beside", [True, False])
def test_posterior_of_raw_spectra_is_that_of_the_plain_way(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path, beside: bool
) -> None:
    """Folding the scaling into the first layer and cutting the last changes nothing."""
    asked = {"m1": m1_run, "epochs": 2, "side_input": beside}
    train_m2(settings(tiny_dataset, tmp_path / "m2", **asked))
    classifier = load_classifier(tmp_path / "m2", "cpu", "classifier")
    raw = tiny_dataset.spectra()
    assert classifier.m1 is not None
    mean, _ = classifier.m1.features(raw)
    kept = np.asarray(classifier.card["kept_units"])
    seen = (
        [mean[:, kept], SIDE_GAIN * classifier.m1.scaler.transform(raw)]
        if beside
        else [mean[:, kept]]
    )
    with torch.no_grad():
        x = torch.from_numpy(np.concatenate(seen, 1))
        expected = classifier.model.log_q_y(x).exp().numpy()
    np.testing.assert_allclose(classifier.uncalibrated.posterior(raw), expected, atol=2e-5)
    np.testing.assert_allclose(
        classifier.posterior(raw.astype(np.float64)), classifier.posterior(raw), atol=1e-6
    )


def test_features_are_an_expert_of_their_own_or_all_that_there_is_to_see(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    dataset = rescaled(tiny_dataset, "noise", tmp_path / "d.h5")
    small = {"latent": 4, "hidden": (32,), "batch": 64, "epochs": 10}
    train_m1(M1Settings(dataset=dataset.path, output=tmp_path / "m1", **small))
    m1 = load_m1(tmp_path / "m1", "cpu")
    for beside, experts in ((True, 1 + len(M2Settings().experts)), (False, 1)):
        asked = settings(dataset, tmp_path / "m2", m1=tmp_path / "m1", side_input=beside)
        data = M2Data(dataset, asked, m1, torch.device("cpu"))
        assert data.gains.shape == (experts, data.labelled.inputs.mean.shape[1])
        features = int(data.kept.sum())
        assert (data.gains[-1, :features] == 1).all()
        if beside:
            assert not data.gains[-1, features:].any()
            assert not data.gains[:-1, :features].any()
            assert data.gains[:-1, features:].all()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "standard"])
def test_an_m1_that_does_not_count_is_not_computed(
    tiny_dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    dataset = rescaled(tiny_dataset, kind, tmp_path / "d.h5")
    small = {"latent": 4, "hidden": (32,), "batch": 64, "epochs": 10}
    train_m1(M1Settings(dataset=dataset.path, output=tmp_path / "m1", **small))
    train_m2(settings(dataset, tmp_path / "m2", m1=tmp_path / "m1", epochs=1))
    raw = dataset.spectra()
    for weight in ([0.5, 0.5, 0.0], [0.0, 0.5, 0.5]) if kind == "noise" else ([1.0],):
        classifier = load_classifier(tmp_path / "m2", "cpu", "classifier")
        found = classifier.generative.whole.classifier
        found.weight.copy_(torch.tensor([weight]))
        if kind == "standard":
            found.gain[0, : int(classifier.pipeline.kept.sum())] = 0
        x, _ = classifier.pipeline.encode(raw)
        with torch.no_grad():
            expected = classifier.uncalibrated.model.log_q_y(x).exp().numpy()
        assert classifier.m1 is not None
        asked = [0]
        first, *_ = classifier.m1.model.get_submodule("encoder").children()
        first.register_forward_hook(lambda *_, asked=asked: asked.append(1))
        np.testing.assert_allclose(classifier.uncalibrated.posterior(raw), expected, atol=2e-5)
        assert (len(asked) > 1) == bool(weight[-1] and kind == "noise")


def rescaled(dataset: Dataset, kind: str, path: Path) -> Dataset:
    """The same dataset with another scaling."""
    raw = dataset.spectra()
    scaler = fit_scaler(kind, raw, components=5)
    names = ("label", "part", "scene", "pixel", "neighbours")
    return write_dataset(
        path,
        spectra=raw,
        meta={**dataset.meta, "scaling": scaler.to_card()},
        **{name: getattr(dataset, name) for name in names},
    )


@pytest.mark.slow
def test_whitening_is_part_of_the_scaling_that_the_model_brings_along(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    raw = tiny_dataset.spectra()
    dataset = rescaled(tiny_dataset, "noise", tmp_path / "d.h5")
    train_m2(settings(dataset, tmp_path / "m2", epochs=1, whitening=0.5))
    classifier = load_classifier(tmp_path / "m2", "cpu", "classifier")
    plain, seen = dataset.scaler, scaler_from_card(classifier.card["scaling"])
    rows = tiny_dataset.rows(Part.TRAIN, Part.POOL)
    spread, expected = seen.transform(raw)[rows].std(0), plain.transform(raw)[rows].std(0) ** 0.5
    np.testing.assert_allclose(spread / spread[0], expected / expected[0], rtol=1e-3)
    with torch.no_grad():
        found = classifier.model.log_q_y(torch.from_numpy(seen.transform(raw))).exp().numpy()
    np.testing.assert_allclose(classifier.uncalibrated.posterior(raw), found, atol=1e-4)
    assert plain.noise_sd is not None
    assert seen.noise_sd is not None
    np.testing.assert_allclose(
        seen.noise_sd / plain.noise_sd, spread / plain.transform(raw)[rows].std(0), rtol=1e-3
    )
    np.testing.assert_allclose(
        classifier.card["architecture"]["sd_floor"], seen.noise_sd, rtol=1e-6
    )


@pytest.mark.slow
def test_the_better_of_the_supervised_and_the_whole_model_is_kept_and_told(
    tiny_dataset: Dataset, m2_run: Path, m2_said: list[str], hears: Hears
) -> None:
    card, _ = load_run(m2_run, "m2")
    metrics = card["metrics"]
    assert metrics["kept"] == "semi-supervised"
    assert any(s.startswith("unlabelled pixels gained +") for s in m2_said)
    by_rule = card["label_sets"][0]["metrics"]["validation_by_rule"]["classifier"]
    assert by_rule["macro_f1"] == metrics["semi_supervised"]["macro_f1"]
    # Now as if the supervised part had been better than what came out of the whole.
    good = load_classifier(m2_run, "cpu").generative.whole
    prior = good.log_p_y(0).exp()
    bad = DeclaredVAE(good.architecture, [prior], torch.Generator().manual_seed(5))
    rows = tiny_dataset.rows(Part.VALIDATION)
    validation = Validation(
        Inputs(torch.from_numpy(tiny_dataset.scaled(rows))),
        torch.from_numpy(tiny_dataset.label[rows].astype(np.int64))[:, None],
    )
    before = {f"0.{name}": t for name, t in good.classifier.state_dict().items()}
    metrics = keep_the_better(bad, before, validation, hears)
    assert metrics["kept"] == "supervised"
    assert metrics["gained"] == pytest.approx(
        metrics["semi_supervised"]["macro_f1"] - metrics["supervised"]["macro_f1"]
    )
    assert metrics["gained"] < -0.2
    assert "did not help here: kept the supervised model" in hears.said[-1]
    for name, tensor in good.classifier.state_dict().items():
        assert torch.equal(bad.classifier.state_dict()[name], tensor)


@pytest.mark.slow
def test_a_run_cut_off_in_either_part_goes_on_to_the_same_weights(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    long = {"epochs": 6, "em_rounds": 2, "supervised_epochs": 4, "average": 0.9}
    train_m2(settings(tiny_dataset, tmp_path / "whole", **long))
    for name, sentence in (("supervised", "epoch 1 of"), ("m2", "macro-F1 on the")):
        run = tmp_path / name

        class Cut(Watcher):
            def say(self, said: str, until: str = sentence) -> None:
                if said.startswith(until):
                    raise KeyboardInterrupt

            def stands(self, sentence: str) -> None:
                self.say(sentence)

        with pytest.raises(KeyboardInterrupt):
            train_m2(settings(tiny_dataset, run, **long), watcher=Cut())
        train_m2(settings(tiny_dataset, run, **long), resume=True)
        assert (run / "model.safetensors").read_bytes() == (
            tmp_path / "whole" / "model.safetensors"
        ).read_bytes()


@pytest.mark.slow
def test_a_cut_run_over_an_older_one_goes_on_with_itself(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    class Cut(Watcher):
        def say(self, said: str) -> None:
            if said.startswith("macro-F1 on the"):  # the supervised part is done, the rest is not
                raise KeyboardInterrupt

    short = {"epochs": 2, "supervised_epochs": 1, "hidden_classifier": (8,)}
    train_m2(settings(tiny_dataset, tmp_path / "m2", **short))
    anew = settings(tiny_dataset, tmp_path / "m2", seed=1, **short)
    with pytest.raises(KeyboardInterrupt):
        train_m2(anew, overwrite=True, watcher=Cut())
    assert train_m2(anew, resume=True)["settings"]["seed"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["none", "max", "noise", "snv"])
def test_every_kind_of_scaling_is_applied_to_raw_spectra(
    tiny_dataset: Dataset, tmp_path: Path, kind: str
) -> None:
    raw = tiny_dataset.spectra()
    other = rescaled(tiny_dataset, kind, tmp_path / "d.h5")
    scaler = other.scaler
    train_m2(settings(other, tmp_path / "m2", epochs=1, learning_rate=1e-3, whitening=0.0))
    classifier = load_classifier(tmp_path / "m2", "cpu", "classifier")
    with torch.no_grad():
        x = torch.from_numpy(scaler.transform(raw))
        expected = classifier.model.log_q_y(x).exp().numpy()
    np.testing.assert_allclose(classifier.uncalibrated.posterior(raw), expected, atol=1e-4)


@pytest.mark.slow
def test_a_pixels_result_does_not_depend_on_its_company(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    train_m2(settings(tiny_dataset, tmp_path / "m2", m1=m1_run, epochs=2))
    raw = tiny_dataset.spectra()
    for rule in ("classifier", "bayes"):
        classifier = load_classifier(tmp_path / "m2", "cpu", rule)
        whole = classifier.posterior(raw)
        # By Bayes' rule, probabilities are differences of thousands of nats in float32.
        np.testing.assert_allclose(classifier.posterior(raw[17:23]), whole[17:23], atol=1e-4)
    novelty = classifier.novelty_score(raw, "likelihood", 1)
    assert np.isfinite(novelty).all()
    np.testing.assert_allclose(
        classifier.novelty_score(raw[17:23], "likelihood", 1), novelty[17:23], rtol=1e-4
    )


@pytest.mark.slow
def test_spectra_unlike_any_class_are_novel(
    tiny_dataset: Dataset, m2_run: Path, m1m2_run: Path
) -> None:
    raw = tiny_dataset.spectra()
    strange = raw[:, ::-1].copy()
    for run in (m2_run, m1m2_run):
        classifier = load_classifier(run, "cpu")
        usual = np.quantile(classifier.novelty_score(raw, "likelihood", 1), 0.99)
        assert np.median(classifier.novelty_score(strange, "likelihood", 1)) > usual


@pytest.mark.slow
def test_class_prior_uniform_empirical_and_given(tiny_dataset: Dataset, tmp_path: Path) -> None:
    for prior, expected in (
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),
        ((2.0, 1.0, 1.0), [0.5, 0.25, 0.25]),
    ):
        train_m2(
            settings(tiny_dataset, tmp_path / "m2", class_prior=prior, epochs=1), overwrite=True
        )
        log_p_y = load_classifier(tmp_path / "m2", "cpu").generative.whole.log_p_y(0)
        np.testing.assert_allclose(log_p_y.exp().numpy(), expected, rtol=1e-5)
    train_m2(settings(tiny_dataset, tmp_path / "e", class_prior="empirical", epochs=1))
    counts = np.bincount(tiny_dataset.label[tiny_dataset.rows(Part.TRAIN)])
    found = load_classifier(tmp_path / "e", "cpu").generative.whole.log_p_y(0).exp().numpy()
    np.testing.assert_allclose(found, counts / counts.sum(), rtol=1e-5)
    with pytest.raises(SettingsError, match="3 positive numbers"):
        train_m2(settings(tiny_dataset, tmp_path / "f", class_prior=(1.0, 2.0)))
    assert not (tmp_path / "f").exists()


@pytest.mark.slow
def test_left_out_classes_are_named(tiny_dataset: Dataset, tmp_path: Path, hears: Hears) -> None:
    biased = (1.0, 1e-30, 1e-30)
    train_m2(
        settings(
            tiny_dataset, tmp_path / "m2", class_prior=biased, predict="bayes", epochs=1, sd_floor=5
        ),
        watcher=hears,
    )
    assert any("predicts one class for everything: quartz" in w for w in hears.warned)


@pytest.mark.slow
def test_a_collapsed_m1_is_refused(tiny_dataset: Dataset, tmp_path: Path) -> None:
    train_m1(
        M1Settings(
            dataset=tiny_dataset.path,
            output=tmp_path / "m1",
            hidden=(8,),
            sd_floor=50,
            batch=64,
            epochs=20,
        )
    )
    with pytest.raises(ModelError, match="M1 has collapsed"):
        train_m2(settings(tiny_dataset, tmp_path / "m2", m1=tmp_path / "m1"))
    assert not (tmp_path / "m2").exists()


def test_an_m1_of_other_bands_is_refused(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    names = ("label", "part", "scene", "pixel", "neighbours")
    raw = tiny_dataset.spectra()[:, :9]
    meta = {
        **tiny_dataset.meta,
        "bands": 9,
        "used_bands": list(range(9)),
        "wavelengths_nm": (tiny_dataset.wavelengths_nm or [])[:9],
        "scaling": fit_scaler("standard", raw, components=9).to_card(),
    }
    arrays = {name: getattr(tiny_dataset, name) for name in names}
    other = write_dataset(tmp_path / "d.h5", spectra=raw, meta=meta, **arrays)
    with pytest.raises(ModelError, match=r"12 of 12 bands, .* has 9 of 9"):
        train_m2(settings(other, tmp_path / "m2", m1=m1_run))


def test_an_m1_of_another_draw_from_the_scenes_is_told(
    tiny_dataset: Dataset, m1_run: Path, tmp_path: Path
) -> None:
    part = tiny_dataset.part.copy()
    part[tiny_dataset.rows(Part.TRAIN)[:20]] = Part.TEST
    names = ("label", "scene", "pixel", "neighbours")
    arrays = {name: getattr(tiny_dataset, name) for name in names}
    other = write_dataset(
        tmp_path / "d.h5",
        spectra=tiny_dataset.spectra(),
        part=part,
        meta=tiny_dataset.meta,
        **arrays,
    )
    for dataset, expected in ((tiny_dataset, 0), (other, 1)):
        hears = Hears()
        train_m2(
            settings(dataset, tmp_path / "m2", m1=m1_run, epochs=1),
            overwrite=True,
            watcher=hears,
        )
        assert sum("another draw from the same scenes" in w for w in hears.warned) == expected


def task(
    labels: list[int],
    balanced: bool,
    batch: int = 600,
    e_step: EStep | None = None,
    **more: object,
) -> SemiSupervisedTask:
    module = preset("m2", torch.full((4,), 0.25), width=2, latent=2, hidden=(3,))
    y = torch.tensor(labels)
    x = Inputs(torch.arange(len(y)).float()[:, None].expand(-1, 2))
    wanted = {"balanced": balanced, "batch_labelled": batch, "batch_unlabelled": 200, **more}
    asked = M2Settings.model_validate(wanted)
    pool = torch.zeros(7450, 2)
    return SemiSupervisedTask(module, pixels(x, y, pool, asked), asked, e_step)


def one_set(rows: torch.Tensor) -> torch.Tensor:
    """That rows were drawn for the one label set."""
    return torch.zeros_like(rows)


@pytest.mark.parametrize("balanced", [True, False])
def test_labelled_batches_are_balanced_or_as_they_come(balanced: bool) -> None:
    # Class 2 is absent; class 3 has one pixel.
    labels = [0] * 80 + [1] * 19 + [3]
    some = task(labels, balanced)
    generator = torch.Generator().manual_seed(0)
    rows = torch.cat([batch[0] for _ in range(4) for batch in some.batches(generator)])
    shares = torch.bincount(some.y[rows, 0], minlength=4) / len(rows)
    expected = [1 / 3, 1 / 3, 0, 1 / 3] if balanced else [0.8, 0.19, 0, 0.01]
    np.testing.assert_allclose(shares.numpy(), expected, atol=0.01)
    # Within a class every pixel is as likely as the others.
    first = torch.bincount(rows[rows < 80], minlength=80).double()
    chi2 = float(((first - first.mean()) ** 2 / first.mean()).sum())
    assert chi2 < 79 + 4 * (2 * 79) ** 0.5


def test_every_unlabelled_pixel_comes_once_an_epoch_in_even_batches() -> None:
    some = task([0, 1], balanced=True)
    batches = [rows for *_, rows in some.batches(torch.Generator().manual_seed(0))]
    sizes = [len(rows) for rows in batches]
    assert len(sizes) == 38
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 200
    assert sorted(torch.cat(batches).tolist()) == list(range(2, 7452))


def test_a_class_absent_from_a_batch_and_an_empty_pool_cost_a_finite_number() -> None:
    some = task([0, 1, 1], balanced=True, batch=1)
    rows = torch.tensor([0])
    for pool in (torch.tensor([4, 5]), torch.empty(0, dtype=torch.long)):
        step = some.cost(batch_of(some, rows, one_set(rows), pool), 1.0, torch.Generator())
        assert torch.isfinite(step.cost)
        assert torch.isfinite(step.bound)
        assert step.spectra == 1 + len(pool)


@pytest.mark.parametrize("stopped", [0.0, 0.75, 1.0])
def test_the_share_of_us_gradient_that_is_stopped_is_the_one_asked_for(stopped: float) -> None:
    some = task([0, 1, 1], balanced=True, stop_gradient=stopped, alpha=0.0)
    rows, pool = torch.tensor([0]), 3 + torch.arange(50)
    whole = task([0, 1, 1], balanced=True, stop_gradient=0.0, alpha=0.0)
    found = []
    for each in (some, whole):
        spectra = torch.randn(7450, 2, generator=torch.Generator().manual_seed(1))
        each.inputs.some(7453).mean[3:].copy_(spectra)
        each.module.load_state_dict(some.module.state_dict())
        generator = torch.Generator().manual_seed(2)
        step = each.cost(batch_of(each, rows, one_set(rows), pool), 1.0, generator)
        step.cost.backward()
        gradients = [p.grad for p in each.module.classifier.parameters()]
        found.append((float(step.cost.detach()), [g for g in gradients if g is not None]))
    assert found[0][0] == pytest.approx(found[1][0])
    assert bool(found[0][1]) == (stopped < 1)
    for mine, theirs in zip(found[0][1], found[1][1], strict=stopped < 1):
        torch.testing.assert_close(mine, (1 - stopped) * theirs)
    assert any(bool(g.any()) for g in found[1][1])


def test_the_grid_teaches_in_rounds_and_its_lesson_is_part_of_the_state() -> None:
    n = 3 + 7450
    neighbours = torch.full((n, 8), -1)
    neighbours[3:, 0] = 0  # every unlabelled pixel lies beside labelled pixel 0, of class 1

    def told() -> SemiSupervisedTask:
        e_step = EStep(neighbours=neighbours, strengths=[5.0])
        return task([1, 2, 3], True, e_step=e_step, epochs=10, em_rounds=2)

    some, other, untaught = told(), told(), told()
    seen = []
    for epoch in range(10):
        some.begin_epoch(epoch)
        seen.append(some.state()["pseudo_labels_0"])
    assert (seen[0][3:].argmax(1) == 1).all()
    assert len({id(t) for t in seen}) == 2
    assert seen[4] is seen[0]
    other.restore(some.state())
    rows = torch.tensor([0])
    batch = batch_of(some, rows, one_set(rows), 3 + torch.arange(40))
    costs = [
        float(t.cost(batch, 1.0, torch.Generator().manual_seed(0)).cost.detach())
        for t in (some, other, untaught)
    ]
    assert costs[0] == costs[1] != costs[2]


def test_features_are_sampled_afresh_for_training() -> None:
    inputs = Inputs(torch.zeros(3, 2), torch.zeros(3, 2))
    generator = torch.Generator().manual_seed(0)
    rows = torch.arange(3)
    assert not torch.equal(inputs.sample(rows, generator), inputs.sample(rows, generator))


@pytest.mark.parametrize(
    ("old", "new"),
    [("pull", "stop_gradient"), ("rounds", "em_rounds"), ("spectra_beside", "side_input")],
)
def test_settings_of_earlier_versions_are_refused_by_their_new_names(old: str, new: str) -> None:
    with pytest.raises(ValidationError, match=f"{old} is now called {new}"):
        M2Settings.model_validate({old: 1})


def test_z_is_small_where_it_must_not_say_the_class() -> None:
    """And as large as in the papers where z is what classes are told by, or U teaches q(y|x)."""
    for asked, units in (
        ({}, FEW_UNITS),
        ({"latent": 7}, 7),
        ({"model": "gm-dgm"}, UNITS),
        ({"stop_gradient": 0.0}, UNITS),
        ({"free_slots": 2}, UNITS),
    ):
        of = M2Settings(**asked)
        p, _ = declared(of.model, ("y",))
        assert latent_of(of, p, None) == units
    p, _ = declared("m2", ("y",))
    assert [latent_of(M2Settings(), p, width) for width in (30, 200)] == [31, 33]
