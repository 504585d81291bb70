"""Classes as mixtures of factor analysers: densities, z, and fitting them."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import preset
from torch import Tensor
from torch.distributions import MultivariateNormal

from hsi_ssl.models.factor_analysis import leading
from hsi_ssl.models.factor_fitting import fit_factor_mixtures, turned
from hsi_ssl.models.factor_m2 import FactorM2
from hsi_ssl.models.factor_mixtures import FactorMixtures
from hsi_ssl.models.likelihoods import Gaussian

K, C, D, J = 3, 4, 5, 2


@pytest.fixture
def mixtures() -> FactorMixtures:
    generator = torch.Generator().manual_seed(3)
    found = FactorMixtures(K, C, D, J)
    found.log_share = torch.randn(K, C, generator=generator).log_softmax(-1)
    found.mean = 3 * torch.randn(K, C, D, generator=generator)
    found.factors = torch.randn(K, C, D, J, generator=generator)
    return found


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_density_is_that_of_the_gaussians(mixtures: FactorMixtures) -> None:
    x, logvar = 3 * drawn(7, D), drawn(D, seed=1)
    found = mixtures.log_density(x, logvar)
    w = mixtures.factors.double()
    covariance = w @ w.mT + torch.diag(logvar.double().exp())
    of = MultivariateNormal(mixtures.mean.double(), covariance)
    each = of.log_prob(x.double()[:, None, None]) + mixtures.log_share
    torch.testing.assert_close(found, each.logsumexp(-1).T.float(), rtol=1e-4, atol=1e-4)


def test_what_is_decoded_from_the_prior_has_the_mixture_s_moments(mixtures: FactorMixtures) -> None:
    """So p(x|y, z) with z of N(0, I) is the mixture, and q(z|x, y) may stand beside it."""
    many = 200_000
    x = mixtures.decoded(drawn(many, 1 + J), torch.ones(many, dtype=torch.long))
    share, mean = mixtures.log_share[1].exp(), mixtures.mean[1]
    middle = share @ mean
    within = torch.einsum("c,cdj,cej->de", share, mixtures.factors[1], mixtures.factors[1])
    between = (share[:, None] * (mean - middle)).T @ (mean - middle)
    torch.testing.assert_close(x.mean(0), middle, atol=0.03, rtol=0.02)
    torch.testing.assert_close(x.T.cov(), within + between, atol=0.15, rtol=0.03)


def test_z_of_a_spectrum_decodes_to_it(mixtures: FactorMixtures) -> None:
    y = torch.arange(60) % K
    z = drawn(60, 1 + J, seed=4)
    x = mixtures.decoded(z, y)
    quiet = torch.full((D,), -12.0)
    mean, logvar = mixtures.q_z(x, y, quiet)
    torch.testing.assert_close(mixtures.decoded(mean, y), x, atol=2e-2, rtol=1e-2)
    assert bool((logvar < 0).all())
    every, _ = mixtures.q_z(x, torch.arange(K)[:, None], quiet)
    torch.testing.assert_close(every[y, torch.arange(60)], mean)


def test_factors_bring_the_noise_to_the_covariance() -> None:
    root = drawn(2, 6, 6)
    covariance = root @ root.mT + torch.eye(6)
    noise_sd = torch.full((6,), 0.7)
    w, _ = leading(covariance, noise_sd, 6)
    torch.testing.assert_close(w @ w.mT + torch.diag(noise_sd**2), covariance, atol=1e-4, rtol=1e-4)
    again = turned(w, torch.eye(6), noise_sd)
    torch.testing.assert_close(again @ again.mT, w @ w.mT, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again, again.mT, atol=1e-4, rtol=1e-4)
    thin, _ = leading(0.1 * torch.eye(6), noise_sd, 6)
    assert not thin.any(), "what varies less than the noise is the noise"


def fitted(x: Tensor, q: Tensor, components: int, directions: int = 2) -> FactorMixtures:
    found = FactorMixtures(q.shape[1], components, x.shape[1], directions)
    fit_factor_mixtures(found, Gaussian(torch.full((x.shape[1],), 0.05)), x, q, 0)
    return found


def in_turns(count: int = 800) -> tuple[Tensor, Tensor]:
    """Two classes of two groups each, which take turns along a line."""
    place = torch.arange(count) % 4
    x = 0.2 * drawn(count, 2)
    x[:, 0] += 2.0 * place
    return x, place % 2


def test_groups_within_classes_are_found() -> None:
    x, y = in_turns()
    q = torch.nn.functional.one_hot(y, 2).float()
    logvar = torch.full((2,), 0.05).log() * 2
    several, one = (fitted(x, q, count).log_density(x, logvar) for count in (4, 1))
    right, by_one = ((found.argmax(0) == y).float().mean() for found in (several, one))
    assert right > 0.99
    assert by_one < 0.8
    assert float(several.gather(0, y[None]).mean() - one.gather(0, y[None]).mean()) > 1


def test_a_class_of_nobody_and_one_of_few_have_densities() -> None:
    x, _ = in_turns(60)
    q = torch.zeros(60, 3)
    q[:, 0] = 1
    q[:5] = torch.tensor([0.0, 1.0, 0.0])
    found = fitted(x, q, 4)
    log_p = found.log_density(x, torch.zeros(2))
    assert bool(log_p.isfinite().all())
    assert found.log_share[1].exp().tolist() == [1, 0, 0, 0]


def test_a_little_of_many_pixels_does_not_make_a_small_class_look_like_a_large_one() -> None:
    x = drawn(2100, 2)
    x[2000:, 0] += 6
    q = torch.tensor([0.96, 0.04]).repeat(2100, 1)
    q[2000:] = torch.tensor([0.0, 1.0])
    found = fitted(x, q, 4).log_density(x, torch.full((2,), 2 * math.log(0.05)))
    assert (found[0] - found[1])[:2000].mean() > 5
    assert (found[1] - found[0])[2000:].mean() > 5


@pytest.mark.parametrize("spread", [0.0, 1e-3, 500.0])
def test_numbers_far_from_zero_have_densities(spread: float) -> None:
    """Of 100 columns and 80 pixels, some of which are alike."""
    y = torch.arange(80) % 4
    x = 20_000 * (1 + drawn(4, 100)[y].abs()) + spread * drawn(80, 100, seed=1)
    likelihood = Gaussian(torch.full((100,), 0.01))
    found = FactorMixtures(4, 4, 100, 32)
    fit_factor_mixtures(found, likelihood, x, torch.nn.functional.one_hot(y, 4).float(), 0)
    log_p = found.log_density(x, likelihood.logvar.detach())
    assert bool(log_p.isfinite().all())
    assert log_p.argmax(0).tolist() == y.tolist()


def test_what_few_directions_leave_is_noise() -> None:
    x = drawn(500, 4) * torch.tensor([3.0, 1.0, 0.5, 0.5])
    likelihood = Gaussian(torch.full((4,), 0.1))
    found = FactorMixtures(1, 1, 4, 1)
    fit_factor_mixtures(found, likelihood, x, torch.ones(500, 1), 0)
    total = found.factors[0, 0] @ found.factors[0, 0].T + torch.diag(likelihood.logvar.exp())
    torch.testing.assert_close(total.diagonal(), x.T.cov().diagonal(), rtol=0.05, atol=0.05)


def test_of_m2_the_bound_is_the_density() -> None:
    x, y = in_turns(400)
    prior = torch.tensor([0.3, 0.7])
    m = preset("m2", prior, width=2, latent=3, hidden=(4,), components=4)
    assert isinstance(m, FactorM2)
    m.fit(x, torch.nn.functional.one_hot(y, 2).float(), 0)
    generator = torch.Generator()
    log_p = m.log_joint(x, m.draws)
    known = m.cost(x, y[:, None], generator)
    torch.testing.assert_close(-known, log_p.gather(0, y[None])[0])
    unknown = m.cost(x, torch.full_like(y, -1)[:, None], generator)
    assert bool((unknown >= -log_p.logsumexp(0) - 1e-4).all())
    posterior = [log_p.log_softmax(0).T]
    tight = m.cost(x, torch.full_like(y, -1)[:, None], generator, log_q=posterior)
    torch.testing.assert_close(-tight, log_p.logsumexp(0), atol=1e-3, rtol=1e-3)
    assert m.generate(generator).shape == (2, 2)
