"""M1 against the model it contains: with linear networks it is probabilistic PCA."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from hsi_ssl.models.extractors.base import LatentUse
from hsi_ssl.models.likelihoods import Gaussian
from hsi_ssl.models.m1 import M1, M1Architecture

D, J = 6, 2


def only(network: nn.Sequential) -> nn.Linear:
    """The layer of a network that has no hidden one."""
    (layer,) = network
    assert isinstance(layer, nn.Linear)
    return layer


def logvar(model: M1) -> torch.Tensor:
    assert isinstance(model.likelihood, Gaussian)
    return model.likelihood.logvar


def linear_gaussian(sd: float) -> M1:
    """M1 with p(x|z) = N(W z + b, s^2 I), s^2 = sd^2, and an encoder that can be set."""
    architecture = M1Architecture(D, J, (), "relu", "gaussian", sd_floor=1e-6)
    model = M1(architecture, torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        model.likelihood.get_parameter("log_excess").fill_(2 * torch.tensor(sd).log())
        only(model.decoder).bias.copy_(torch.linspace(-1, 1, D))
    return model


def exact(model: M1, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """log p(x), posterior mean and posterior covariance of probabilistic PCA (Bishop 12.2)."""
    weight, bias = only(model.decoder).weight, only(model.decoder).bias
    variance = torch.exp(logvar(model)[0])
    covariance = weight @ weight.T + variance * torch.eye(D, dtype=torch.float64)
    log_p = MultivariateNormal(bias, covariance).log_prob(x)
    precision = weight.T @ weight / variance + torch.eye(J, dtype=torch.float64)
    posterior = torch.linalg.inv(precision)
    return log_p, (x - bias) @ weight @ posterior.T / variance, posterior


def orthogonal_columns(model: M1) -> None:
    """Give W orthogonal columns, so that the exact posterior has a diagonal covariance."""
    with torch.no_grad():
        q, _ = torch.linalg.qr(only(model.decoder).weight)
        only(model.decoder).weight.copy_(q * torch.tensor([1.5, 0.7]))


def test_bound_lies_below_the_exact_log_p_and_meets_it_at_the_exact_posterior() -> None:
    model = linear_gaussian(0.4)
    orthogonal_columns(model)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(5, D, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        log_p, mean, posterior = exact(model, x)
        many = x.repeat_interleave(20_000, 0)
        below = -model.cost(many, generator).reshape(5, -1).mean(1)
        assert bool((below < log_p - 0.05).all())
        # The encoder that gives the exact posterior: linear in x, constant log-variance.
        weight, bias = only(model.decoder).weight, only(model.decoder).bias
        to_mean = posterior @ weight.T / torch.exp(logvar(model)[0])
        only(model.encoder).weight.copy_(torch.cat([to_mean, torch.zeros(J, D)]))
        only(model.encoder).bias.copy_(torch.cat([-to_mean @ bias, posterior.diagonal().log()]))
        torch.testing.assert_close(model.encode(x)[0], mean)
        # At the exact posterior the KL is analytic and the rest is averaged over 20,000 samples.
        meets = -model.cost(many, generator).reshape(5, -1).mean(1)
    torch.testing.assert_close(meets, log_p, atol=0.03, rtol=0)


@pytest.mark.slow
def test_training_a_linear_m1_reaches_the_likelihood_of_probabilistic_pca() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(D, J, generator=generator, dtype=torch.float64)
    z = torch.randn(4000, J, generator=generator, dtype=torch.float64)
    noise = 0.3 * torch.randn(4000, D, generator=generator, dtype=torch.float64)
    x = z @ truth.T + noise
    model = linear_gaussian(1.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(1500):
        optimiser.zero_grad()
        rows = torch.randint(len(x), (500,), generator=generator)
        model.cost(x[rows], generator).mean().backward()
        optimiser.step()
    covariance = torch.cov(x.T, correction=0)
    values = torch.linalg.eigvalsh(covariance).flip(0)
    # Maximum likelihood in closed form (Tipping and Bishop 1999): s^2 = mean of the rest.
    rest = values[J:].mean()
    best = -0.5 * (
        D * torch.log(torch.tensor(2 * torch.pi))
        + values[:J].log().sum()
        + (D - J) * rest.log()
        + D
    )
    with torch.no_grad():
        bound = -model.cost(x, generator).mean()
    assert float(bound) < float(best) + 0.02
    assert float(bound) > float(best) - 0.1


def test_last_batch_may_be_smaller_and_one_pixel_is_enough() -> None:
    model = M1(M1Architecture(D, J, (8,), "silu", "gaussian", 0.1), torch.Generator())
    assert model.cost(torch.randn(1, D), torch.Generator()).shape == (1,)


def test_latent_use_counts_the_units_that_move() -> None:
    model = M1(M1Architecture(D, 4, (), "relu", "gaussian", 0.1), torch.Generator())
    with torch.no_grad():
        only(model.encoder).weight.zero_()
        only(model.encoder).weight[1, 0] = 1.0
        only(model.encoder).weight[3, 1] = 0.05  # variance 0.0025: below 0.01
        only(model.encoder).bias[2] = 3.0  # far from the prior, but the same for every pixel
    use = model.use(torch.randn(5000, D, generator=torch.Generator().manual_seed(2)))
    assert [v > 0.01 for v in use.variance] == [False, True, False, False]
    assert use.active == 1
    assert use.collapsed
    assert use.kl is not None
    assert use.kl[2] > 4
    assert use.in_words().startswith("1 of 4 latent units are active")


def test_a_model_in_full_use_has_not_collapsed() -> None:
    assert not LatentUse(variance=(0.9,) * 10, active=10).collapsed
    assert not LatentUse(variance=(0.9,) * 2, active=2).collapsed
    assert LatentUse(variance=(0.9, 0.0), active=1).collapsed


def test_no_more_units_need_be_active_than_spectra_have_columns() -> None:
    """Of 300 units for two columns two are all that can be of use."""
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(5))
    model = M1(M1Architecture(2, 300, (), "relu", "gaussian", 0.1), torch.Generator())
    model.begin([x])
    assert model.use(x).active == 2
    assert not model.use(x).collapsed
    with torch.no_grad():
        model.to_z.weight.zero_()
    assert model.use(x).collapsed
