from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.temperature import fitted_temperature, tempered
from hsi_ssl.reports.metrics import calibrate, sharpened
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2


def drawn(n: int, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities that are right at a temperature, and classes drawn from them there."""
    generator = torch.Generator().manual_seed(3)
    log_p = torch.log_softmax(3 * torch.randn(n, 5, generator=generator), -1)
    y = torch.multinomial(tempered(log_p, temperature).exp(), 1, generator=generator)[:, 0]
    return log_p, y


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
def test_the_temperature_that_made_the_classes_is_found(temperature: float) -> None:
    log_p, y = drawn(4000, temperature)
    found = fitted_temperature(log_p, y)
    assert found == pytest.approx(temperature, rel=0.06)
    assert torch.equal(tempered(log_p, found).argmax(1), log_p.argmax(1))
    calibrated = tempered(log_p, found).exp().numpy()
    assert calibrate(y.numpy(), calibrated).ece < 0.02
    back = sharpened(calibrated, found)
    np.testing.assert_allclose(back, log_p.exp().numpy(), atol=1e-5)


def test_no_pixel_and_a_handful() -> None:
    assert fitted_temperature(torch.empty(0, 3), torch.empty(0, dtype=torch.long)) == 1.0
    log_p = torch.log_softmax(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), -1)
    found = fitted_temperature(log_p, torch.tensor([0, 1]))
    assert 0.3 < found < 1  # two pixels, both right: somewhat surer, not infinitely


@pytest.mark.slow
def test_a_run_is_calibrated_on_its_validation_pixels(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "m2"
    train_m2(
        M2Settings(
            dataset=tiny_dataset.path, output=run, m1=None, latent=2, hidden=(16,), epochs=3,
            batch_labelled=30, batch_unlabelled=100, device="cpu",
        )
    )  # fmt: skip
    rows = tiny_dataset.rows(Part.VALIDATION)
    raw, y = tiny_dataset.spectra(rows), tiny_dataset.label[rows].astype(np.int64)
    classifier = load_classifier(run, "cpu", "classifier")
    log_q = torch.from_numpy(classifier.uncalibrated.posterior(raw)).log()
    expected = fitted_temperature(log_q, torch.from_numpy(y))
    assert classifier.temperature == pytest.approx(expected, rel=0.01)
    assert abs(classifier.temperature - 1) > 0.05
    calibrated = tempered(log_q, classifier.temperature).exp()
    np.testing.assert_allclose(classifier.posterior(raw), calibrated, atol=1e-5)
    bayes = load_classifier(run, "cpu", "bayes")
    assert bayes.temperature not in {1, classifier.temperature}
    same = bayes.posterior(raw).argmax(1) == bayes.uncalibrated.posterior(raw).argmax(1)
    assert same.all()
