"""Generation: what moves what, by models whose decoders are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.generation import Generator
from hsi_ssl.models.likelihoods import Gaussian
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2


@pytest.fixture(scope="module", params=["m2", "gm-dgm"])
def generator(
    request: pytest.FixtureRequest,
    tiny_dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator:
    output: Path = tmp_path_factory.mktemp("run") / "m2"
    train_m2(
        M2Settings(
            dataset=tiny_dataset.path, output=output, m1=None, model=request.param, latent=3,
            hidden=(16,), hidden_classifier=(16,), epochs=2, supervised_epochs=2, device="cpu",
        )
    )  # fmt: skip
    return Generator(load_classifier(output, "cpu"))


@pytest.mark.slow
def test_a_style_at_the_priors_middle_is_the_decoded_mean(generator: Generator) -> None:
    model, scaler = generator.model, generator.classifier.scaler
    y = torch.tensor([1])
    with torch.no_grad():
        z, _ = model.whole.p_z({"y": y})  # the mean of p(z|y); 0 in M2
        out = model.whole.decoded(z.expand(1, 3), {"y": y})
        expected = scaler.inverse(model.whole.likelihood.mean(out).numpy())
    found = generator.styles(1, np.zeros(3), {0: np.array([-1.0, 0.0, 1.0])})
    np.testing.assert_allclose(found[1], expected[0], rtol=1e-5)
    assert not np.allclose(found[0], found[2])


def test_an_analogy_in_the_own_class_and_the_ends_of_a_way_are_reconstructions(
    generator: Generator, tiny_dataset: Dataset
) -> None:
    raw = tiny_dataset.spectra(tiny_dataset.rows(Part.VALIDATION)[[0, 25]])
    y, u = generator.encode(raw)
    own = generator.decode(y, u)
    analogies = generator.analogies(raw)
    assert analogies.shape == (2, 3, 12)
    np.testing.assert_allclose(analogies[np.arange(2), y], own, rtol=1e-4)
    np.testing.assert_allclose(generator.interpolation(raw, 5)[[0, -1]], own, rtol=1e-4)


def test_most_measurements_lie_in_the_band(generator: Generator, tiny_dataset: Dataset) -> None:
    raw = tiny_dataset.spectra(tiny_dataset.rows(Part.VALIDATION))[:40]
    low, middle, high = generator.reconstruction(raw, 100)
    assert (low < middle).all()
    assert (middle < high).all()
    again = generator.reconstruction(raw, 100)
    np.testing.assert_array_equal(again[1], middle)


def test_what_might_be_measured_of_a_class_is_the_prior_decoded_with_noise(
    generator: Generator,
) -> None:
    found = generator.sampled(1, 4000)
    u = torch.randn(4000, generator.latent, generator=torch.Generator().manual_seed(0)).numpy()
    noise = found - generator.decode(np.ones(4000, np.int64), u)
    spread = noise.std(0)
    assert (np.abs(noise.mean(0)) < 4 * spread / 4000**0.5).all()
    likelihood = generator.likelihood
    assert isinstance(likelihood, Gaussian)
    sd = torch.exp(0.5 * likelihood.logvar).detach().numpy()
    ends = generator.classifier.scaler.inverse(np.stack([np.zeros_like(sd), sd]))
    np.testing.assert_allclose(spread, ends[1] - ends[0], rtol=0.06)
    np.testing.assert_array_equal(generator.sampled(1, 4000), found)


def test_where_spectra_lie_without_m1_is_the_mean_of_z(
    generator: Generator, tiny_dataset: Dataset
) -> None:
    raw = tiny_dataset.spectra(tiny_dataset.rows(Part.VALIDATION)[:9])
    np.testing.assert_allclose(generator.latent_means(raw), generator.encode(raw)[1])
