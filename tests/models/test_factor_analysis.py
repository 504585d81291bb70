"""Factor analysis in closed form against the Gaussian that it is, and M1 that begins with it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from hsi_ssl.models.factor_analysis import factors, moments
from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.models.networks import Affine

WIDTH = 8


def spectra(units: int, noise: Tensor, pixels: int = 20_000) -> Tensor:
    """Draws `(pixels, WIDTH)` of a linear model with that noise `(WIDTH,)`."""
    generator = torch.Generator().manual_seed(3)
    loadings = torch.randn(WIDTH, units, generator=generator) * torch.linspace(9, 2, units)
    z = torch.randn(pixels, units, generator=generator)
    x = 5 + z @ loadings.T + noise * torch.randn(pixels, WIDTH, generator=generator)
    return x.double()


def test_moments_of_blocks_are_those_of_the_whole() -> None:
    x = spectra(3, torch.full((WIDTH,), 0.1)) + 1e4
    mean, covariance = moments(iter(x.float().split(777)))
    torch.testing.assert_close(mean, x.float().double().mean(0))
    torch.testing.assert_close(
        covariance, x.float().double().T.cov(correction=0), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("units", [3, WIDTH, WIDTH + 2])
def test_what_the_loadings_leave_is_the_noise(units: int) -> None:
    noise = torch.linspace(0.5, 1.5, WIDTH)
    x = spectra(3, noise)
    mean, covariance = moments([x])
    floor = noise if units > 3 else torch.full((WIDTH,), 0.01)
    found = factors(mean, covariance, floor, units)
    assert found.loadings.shape == (WIDTH, units)
    assert found.precision.shape == (units,)
    assert (found.noise_sd >= floor - 1e-12).all()
    torch.testing.assert_close(found.noise_sd.float(), noise, rtol=0.1, atol=0)
    model = found.loadings @ found.loadings.T + torch.diag(found.noise_sd**2)
    assert (model - covariance).abs().max() < 0.02 * covariance.abs().max()
    spare = found.precision[WIDTH:]
    assert (spare == 1).all()
    assert (found.loadings[:, WIDTH:] == 0).all()


def test_no_other_loadings_are_likelier() -> None:
    x = spectra(4, torch.full((WIDTH,), 0.7))
    mean, covariance = moments([x])
    found = factors(mean, covariance, torch.full((WIDTH,), 0.01), 2)

    def likelihood(loadings: Tensor, noise_sd: Tensor) -> float:
        model = loadings @ loadings.T + torch.diag(noise_sd**2)
        return float(MultivariateNormal(mean, model).log_prob(x).mean())

    best = likelihood(found.loadings, found.noise_sd) + 1e-3  # rounds end before the last digit
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        step = 0.05 * torch.randn(WIDTH, 2, generator=generator).double()
        assert likelihood(found.loadings * (1 + step), found.noise_sd) < best
        assert likelihood(found.loadings, found.noise_sd * (1 + step[:, 0])) < best


@pytest.mark.parametrize("units", [3, WIDTH + 2])
def test_m1_begins_at_the_log_likelihood_of_the_gaussian(units: int) -> None:
    noise = torch.full((WIDTH,), 0.8)
    x = spectra(3, noise)
    architecture = M1Architecture(WIDTH, units, (16,), "relu", "gaussian", sd_floor=0.8)
    model = M1(architecture, torch.Generator().manual_seed(1)).double()
    model.begin(x.split(999))
    mean, covariance = moments([x])
    found = factors(mean, covariance, noise, units)
    gaussian = MultivariateNormal(
        mean, found.loadings @ found.loadings.T + torch.diag(found.noise_sd**2)
    )
    with torch.no_grad():
        bound = -model.cost(x, torch.Generator().manual_seed(0)).mean()
    # The floor is exceeded by a thousandth of the noise's variance, so that it can be learnt.
    assert float(bound) == pytest.approx(float(gaussian.log_prob(x).mean()), abs=0.05)


def test_networks_learn_beyond_the_best_linear_model() -> None:
    generator = torch.Generator().manual_seed(0)
    angle = 6 * torch.rand(4000, 1, generator=generator)
    bent = torch.cat([angle.cos(), angle.sin(), angle, angle**2 / 6], 1)
    x = bent + 0.05 * torch.randn(4000, 4, generator=generator)
    architecture = M1Architecture(4, 2, (32, 32), "relu", "gaussian", sd_floor=0.05)
    model = M1(architecture, torch.Generator().manual_seed(1))
    model.begin([x])
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    costs = []
    for _ in range(150):
        cost = model.cost(x[torch.randperm(4000, generator=generator)[:500]], generator).mean()
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
        costs.append(float(cost.detach()))
    assert max(costs) < costs[0] + 1  # the first steps do not spoil what it begins with
    assert sum(costs[-10:]) / 10 < costs[0] - 1


def test_layers_that_give_means_alone_are_both_parts_of_the_encoder() -> None:
    architecture = M1Architecture(WIDTH, 5, (16, 16), "relu", "gaussian", sd_floor=0.3)
    model = M1(architecture, torch.Generator().manual_seed(1)).double()
    x = spectra(3, torch.full((WIDTH,), 0.3), 50)
    model.begin([x])
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.1)
        kept = torch.tensor([0, 2, 4])
        (both,) = model.mean_layers(kept)
        torch.testing.assert_close(both(x), model.encode(x)[0][:, kept])


def test_a_map_that_is_worked_out_is_not_rounded_to_bfloat16() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(3, 4, generator=generator), torch.randn(5, 4, generator=generator)
    affine = Affine.of(weight, torch.ones(3))
    with torch.autocast("cpu", torch.bfloat16):
        found = affine(x)
    torch.testing.assert_close(found, x @ weight.T + 1)
    assert not list(affine.parameters())
