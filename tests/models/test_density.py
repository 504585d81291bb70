"""log p(x) by importance sampling against linear Gaussian models, whose densities are known."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import preset
from torch import Tensor
from torch.distributions import MultivariateNormal

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.density import log_density, stacked_log_density
from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.models.networks import Conditional
from hsi_ssl.models.one_label_set import OneLabelSet

N, D, J, K = 40, 6, 3, 2
PRIOR = torch.tensor([0.3, 0.7])


def noise(samples: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(samples, width, generator=generator, dtype=torch.float64)


def of_class(network: Conditional) -> Tensor:
    """A row a class of the first layer."""
    return network.get_parameter("tables.0")


def from_x(network: Conditional) -> torch.nn.Linear:
    assert network.from_x is not None
    return network.from_x


def linear_m2(width: int) -> DeclaredVAE:
    """x = W z + a_y + b + noise, and q(z|x, y) roughly the posterior."""
    m2 = preset("m2", PRIOR, width=width, latent=2, hidden=(), sd_floor=0.4, seed=1).double()
    with torch.no_grad():
        decoder, encoder = m2.decoder, m2.encoder
        weight = from_x(decoder).weight
        variance = m2.likelihood.get_parameter("log_excess").exp() + 0.4**2
        inverse = torch.linalg.inv(torch.eye(2) + (weight.T / variance) @ weight)
        shift = of_class(decoder) + from_x(decoder).bias
        from_x(encoder).weight.zero_()
        from_x(encoder).weight[:2] = 0.8 * inverse @ weight.T / variance
        from_x(encoder).bias.zero_()
        from_x(encoder).bias[2:] = inverse.diagonal().log() + 0.3
        of_class(encoder).zero_()
        of_class(encoder)[:, :2] = -shift @ from_x(encoder).weight[:2].T
    return m2


def exact_m2(m2: DeclaredVAE, z: Tensor) -> tuple[Tensor, list[MultivariateNormal]]:
    """log p(z) `(N,)` and each class's normal density."""
    weight = from_x(m2.decoder).weight
    variance = m2.likelihood.get_parameter("log_excess").exp() + 0.4**2
    covariance = weight @ weight.T + torch.diag(variance)
    means = of_class(m2.decoder) + from_x(m2.decoder).bias
    densities = [MultivariateNormal(mean, covariance) for mean in means]
    log_p = torch.stack([d.log_prob(z) for d in densities]) + PRIOR.log()[:, None]
    return torch.logsumexp(log_p, 0), densities


def linear_m1() -> M1:
    """x = W z1 + noise, and q(z1|x) roughly the posterior under a wide prior."""
    architecture = M1Architecture(D, J, (), "relu", "gaussian", 0.3)
    m1 = M1(architecture, torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        variance = m1.likelihood.get_parameter("log_excess").exp() + 0.3**2
        last = m1.decoder[0]
        assert isinstance(last, torch.nn.Linear)
        first = m1.encoder[0]
        assert isinstance(first, torch.nn.Linear)
        inverse = torch.linalg.inv(torch.eye(J) + (last.weight.T / variance) @ last.weight)
        first.weight.zero_()
        first.weight[:J] = inverse @ last.weight.T / variance
        first.bias[J:] = inverse.diagonal().log() + 0.3
    return m1


@torch.no_grad()
def test_m2s_density_rises_to_the_exact_one() -> None:
    m2 = linear_m2(D)
    x = 1.5 * noise(N, D, seed=3)
    exact = exact_m2(m2, x)[0]
    errors = [log_density(OneLabelSet(m2), x, noise(s, 2, seed=4)) - exact for s in (1, 30, 1000)]
    one, few, many = (error.abs().mean() for error in errors)
    assert one > 2 * few > 4 * many
    assert errors[0].mean() < 0
    torch.testing.assert_close(errors[2], torch.zeros(N, dtype=torch.float64), atol=0.05, rtol=0)


@torch.no_grad()
def test_with_the_exact_posterior_one_sample_is_enough() -> None:
    m2 = linear_m2(D)
    with torch.no_grad():
        # Directions that do not correlate given x: then the diagonal posterior is the true one.
        q, _ = torch.linalg.qr(from_x(m2.decoder).weight)
        from_x(m2.decoder).weight.copy_(q)
        variance = float(2 * 0.4**2)
        from_x(m2.encoder).weight[:2] = q.T / (1 + variance)
        from_x(m2.encoder).bias[2:] = math.log(variance / (1 + variance))
        shift = -(of_class(m2.decoder) @ from_x(m2.encoder).weight[:2].T)
        of_class(m2.encoder)[:, :2] = shift
    x = noise(N, D, seed=3)
    found = log_density(OneLabelSet(m2), x, noise(1, 2))
    torch.testing.assert_close(found, exact_m2(m2, x)[0])


@pytest.mark.slow
@pytest.mark.parametrize("kept", [[True, True, True], [True, False, True]])
@torch.no_grad()
def test_the_stacked_density_is_that_of_the_whole_model(kept: list[bool]) -> None:
    m1, unit = linear_m1(), torch.tensor(kept)
    m2 = linear_m2(int(unit.sum()))
    x = 0.7 * noise(N, D, seed=5)
    last = m1.decoder[0]
    assert isinstance(last, torch.nn.Linear)
    variance = m1.likelihood.get_parameter("log_excess").exp() + 0.3**2
    log_p = []
    for density, prior in zip(exact_m2(m2, noise(1, int(unit.sum())))[1], PRIOR, strict=True):
        mean = torch.zeros(J, dtype=torch.float64)
        covariance = torch.eye(J, dtype=torch.float64)
        mean[unit] = density.mean
        covariance[unit[:, None] & unit] = density.covariance_matrix.flatten()
        whole = MultivariateNormal(
            mean @ last.weight.T + last.bias,
            last.weight @ covariance @ last.weight.T + torch.diag(variance),
        )
        log_p.append(whole.log_prob(x) + prior.log())
    exact = torch.logsumexp(torch.stack(log_p), 0)

    def found(samples: int) -> Tensor:
        eps = noise(samples, J, seed=6), noise(samples, 2, seed=7)
        return stacked_log_density(m1, OneLabelSet(m2), unit, x, *eps)

    few, many = found(4) - exact, found(1500) - exact
    assert few.abs().mean() > 3 * many.abs().mean()
    assert many.abs().mean() < 0.1
