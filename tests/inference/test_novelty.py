"""Gaussians of classes, and ranks among validation pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import ModelError
from hsi_ssl.inference import classifier as applied
from hsi_ssl.inference.class_gaussians import ClassGaussians
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.inference.novelty import MEASURES, PREFIX, Novelty
from hsi_ssl.inference.ranks import Ranks
from hsi_ssl.inference.surroundings import medians_among
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2


@pytest.fixture(scope="module")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_briefly(tiny_dataset.path, tmp_path_factory.mktemp("runs") / "m2")


@pytest.fixture
def classifier(run: Path) -> Classifier:
    return load_classifier(run, "cpu")


def train_briefly(dataset: Path, output: Path) -> Path:
    train_m2(
        M2Settings(
            dataset=dataset, output=output, m1=None, latent=2, hidden=(16,), epochs=2,
            hidden_classifier=(16,), supervised_epochs=2, novelty_samples=3, device="cpu",
        )
    )  # fmt: skip
    return output


def draws(n: int, mean: list[float], factor: torch.Tensor, seed: int) -> torch.Tensor:
    eps = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(mean) + eps @ factor


@pytest.mark.slow
def test_with_many_pixels_the_gaussians_are_those_that_the_classes_were_drawn_from() -> None:
    means = [[0.0, 0.0, 0.0], [3.0, -1.0, 2.0]]
    factors = [torch.diag(torch.tensor([1.0, 0.3, 2.0])), torch.eye(3) + 0.5 * torch.ones(3, 3)]
    x = torch.cat(
        [draws(20_000, m, f, i) for i, (m, f) in enumerate(zip(means, factors, strict=True))]
    )
    found = ClassGaussians.fit(x, torch.arange(2).repeat_interleave(20_000))
    some = x[::1999]
    densities = [
        MultivariateNormal(torch.tensor(m), f.T @ f).log_prob(some)
        for m, f in zip(means, factors, strict=True)
    ]
    expected = torch.logsumexp(torch.stack(densities), 0) - np.log(2)
    torch.testing.assert_close(found.log_density(some), expected, atol=0.05, rtol=0.02)


@pytest.mark.parametrize("pixels", [1, 2, 5])
def test_few_pixels_of_many_bands_still_give_a_density(pixels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(4, 100, generator=generator)
    y = torch.arange(4).repeat_interleave(pixels)
    x = centres[y] + 0.1 * torch.randn(len(y), 100, generator=generator)
    x[:, 7] = 1.0  # a band that never varies
    found = ClassGaussians.fit(x, y)
    own, far = found.log_density(x), found.log_density(x + 5)
    assert torch.isfinite(own).all()
    assert (own > far).all()


def test_one_band_is_enough_for_a_density() -> None:
    x = torch.tensor([[0.0], [0.2], [3.0], [3.1]])
    found = ClassGaussians.fit(x, torch.tensor([0, 0, 1, 1]))
    own, far = found.log_density(x), found.log_density(x + 20)
    assert (own > far).all()


@pytest.mark.slow
def test_novelty_of_a_large_window_is_told_some_pixels_at_a_time(
    classifier: Classifier, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gaussians hold a number a pixel, class and component: gigabytes for a window."""
    at_once: list[int] = []
    whole = ClassGaussians.log_density

    def counted(self: ClassGaussians, x: torch.Tensor, loudness: torch.Tensor) -> torch.Tensor:
        at_once.append(len(x))
        return whole(self, x, loudness)

    raw = tiny_dataset.spectra()
    expected = classifier.novelty_score(raw, "classes", 1)
    monkeypatch.setattr(ClassGaussians, "log_density", counted)
    monkeypatch.setattr(applied, "pixels_at_once", lambda device: 3 * 100)
    np.testing.assert_allclose(classifier.novelty_score(raw, "classes", 1), expected, rtol=1e-4)
    assert max(at_once) == 100


def test_p_values_are_ranks_among_the_validation_pixels(classifier: Classifier) -> None:
    reference = np.array([1, 2, 2, 4], np.float32)
    ranks = Ranks(reference, np.full_like(reference, np.nan))
    kept = replace(classifier.novelty_kept, reference=dict.fromkeys(MEASURES, ranks))
    scores = np.array([0, 1, 2, 3, 4, 5], np.float32)
    expected = [5 / 5, 5 / 5, 4 / 5, 2 / 5, 2 / 5, 1 / 5]
    np.testing.assert_allclose(ranks.p_alone(scores), expected, rtol=1e-6)
    np.testing.assert_allclose(kept.p_values(scores, scores, "classes"), expected, rtol=1e-6)


def test_a_run_keeps_the_scores_of_its_validation_pixels(
    classifier: Classifier, tiny_dataset: Dataset
) -> None:
    kept = classifier.novelty_kept
    rows = tiny_dataset.rows(Part.VALIDATION)
    raw = tiny_dataset.spectra(rows)
    for measure in MEASURES:
        score = classifier.novelty_score(raw, measure, kept.samples)
        around = medians_among(tiny_dataset.scene[rows], tiny_dataset.pixel[rows], score)
        assert np.isfinite(around).mean() > 0.5
        ranks, order = kept.reference[measure], np.argsort(score)
        np.testing.assert_allclose(ranks.alone, score[order], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(np.sort(ranks.around), np.sort(around), rtol=1e-4, atol=1e-3)
        p = kept.p_values(ranks.alone, ranks.around, measure)
        assert np.mean(p <= 0.1) <= 0.1
        turned = classifier.novelty_score(raw[:, ::-1].copy(), measure, 3)
        alone = np.full_like(turned, np.nan)
        assert np.median(kept.p_values(turned, alone, measure)) < 0.15
    tensors = kept.to_tensors(0)
    again = Novelty.from_tensors(tensors, torch.device("cpu"), 0)
    assert again is not None
    assert {n: t.tolist() for n, t in again.to_tensors(0).items()} == {
        n: t.tolist() for n, t in tensors.items()
    }


def test_a_run_from_before_brightness_counted_is_still_told(
    classifier: Classifier, tiny_dataset: Dataset
) -> None:
    """Its Gaussians were over scaled spectra, its factors triangular."""
    rows = tiny_dataset.rows(Part.TRAIN)
    x = torch.from_numpy(classifier.scaler.transform(tiny_dataset.spectra(rows)))
    found = ClassGaussians.fit(x, torch.from_numpy(tiny_dataset.label[rows].astype(np.int64)))
    covariance = torch.linalg.inv(found.whiten @ found.whiten.mT)
    old = {
        "centre": found.centre, "axes": found.axes, "mean": found.mean,
        "whiten": torch.linalg.cholesky(torch.linalg.inv(covariance)),
    }  # fmt: skip
    kept = classifier.novelty_kept
    tensors = {n: t for n, t in kept.to_tensors(0).items() if "reference" in n or "samples" in n}
    tensors |= {f"{PREFIX}0.gaussians.{name}": tensor for name, tensor in old.items()}
    again = replace(classifier, novelty=Novelty.from_tensors(tensors, torch.device("cpu"), 0))
    assert again.novelty is not None
    p = again.novelty.p_values(score := kept.reference["classes"].alone, score, "classes")
    assert np.mean(p <= 0.1) <= 0.1  # without surroundings, for which each pixel stands then
    told = again.novelty_score(tiny_dataset.spectra(rows), "classes", 1)
    np.testing.assert_allclose(told, -found.log_density(x).numpy(), rtol=1e-2, atol=0.05)


def test_what_cannot_be_told_is_refused(classifier: Classifier) -> None:
    kept = classifier.novelty_kept
    with pytest.raises(ModelError, match=r"240 validation pixels is never below 0\.0041"):
        kept.check("classes", 3, 0.001)
    with pytest.raises(ModelError, match="made with 3 samples, 5"):
        kept.check("likelihood", 5, 0.1)
    kept.check("classes", 5, 0.1)
    with pytest.raises(ModelError, match="train again"):
        _ = replace(classifier, novelty=None).novelty_kept


@pytest.mark.slow
def test_what_nobody_labelled_for_training_is_no_reference(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    d = tiny_dataset
    unknown = (d.part == Part.TRAIN) & (d.label == 2)
    write_dataset(
        tmp_path / "d.h5", spectra=d.spectra(), label=np.where(unknown, -1, d.label).astype("i2"),
        part=np.where(unknown, Part.POOL, d.part).astype(np.uint8), scene=d.scene, pixel=d.pixel,
        neighbours=d.neighbours, meta=d.meta,
    )  # fmt: skip
    classifier = load_classifier(train_briefly(tmp_path / "d.h5", tmp_path / "m2"), "cpu")
    known = (d.part == Part.VALIDATION) & (d.label != 2)
    for ranks in classifier.novelty_kept.reference.values():
        assert len(ranks) == np.count_nonzero(known)
    p = classifier.novelty_kept.reference["classes"].p_alone(
        classifier.novelty_score(d.spectra()[unknown], "classes", 1)
    )
    assert np.median(p) < 0.05


@pytest.mark.slow
def test_without_validation_pixels_there_is_a_score_and_no_p_value(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    part = np.where(tiny_dataset.part == Part.VALIDATION, Part.TEST, tiny_dataset.part)
    d = tiny_dataset
    write_dataset(
        tmp_path / "d.h5", spectra=d.spectra(), label=d.label, part=part.astype(np.uint8),
        scene=d.scene, pixel=d.pixel, neighbours=d.neighbours, meta=d.meta,
    )  # fmt: skip
    classifier = load_classifier(train_briefly(tmp_path / "d.h5", tmp_path / "m2"), "cpu")
    assert np.isfinite(classifier.novelty_score(d.spectra()[:9], "classes", 1)).all()
    with pytest.raises(ModelError, match="trained without"):
        classifier.novelty_kept.check("classes", 1)
