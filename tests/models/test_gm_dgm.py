"""GM-DGM: its bounds by a plain loop, against log p by brute force, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from hsi_ssl.models.bounds import kl_per_unit
from hsi_ssl.models.gm_dgm import GMDGM
from hsi_ssl.models.likelihoods import Gaussian
from hsi_ssl.models.m2 import M2Architecture
from hsi_ssl.models.networks import gaussian_head

D, K, J, N = 5, 4, 2, 6


def model(hidden: tuple[int, ...] = (7, 6), activation: str = "silu") -> GMDGM:
    architecture = M2Architecture(D, K, J, hidden, hidden, activation, "gaussian", 0.1)
    prior = torch.tensor([0.3, 0.3, 0.2, 0.2])
    found = GMDGM(architecture, prior, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        found.likelihood.get_parameter("log_excess").zero_()  # about as wide as the data
        spread = torch.randn(K, J, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        found.prior.get_parameter("log_spread").copy_(0.5 * spread)
    return found


def spectra(n: int = N, seed: int = 1) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def p_z(m: GMDGM, y: int) -> MultivariateNormal:
    mean, log_spread = m.prior.get_parameter("mean")[y], m.prior.get_parameter("log_spread")[y]
    return MultivariateNormal(mean, torch.diag(torch.exp(log_spread)))


def labelled_cost_by_hand(m: GMDGM, x: Tensor, y: int, eps: Tensor) -> Tensor:
    """-(E log p(x|z) - KL(q(z|x, y) || p(z|y)) + log p(y)), one pixel at a time."""
    costs = []
    for pixel, e in zip(x, eps, strict=True):
        mean, logvar = gaussian_head(m.encoder(pixel[None], torch.tensor([y])))
        q_z = MultivariateNormal(mean[0], torch.diag(torch.exp(logvar[0])))
        z = mean[0] + torch.exp(0.5 * logvar[0]) * e
        out = m.decoder(z[None], torch.tensor([0]))[0]
        assert isinstance(m.likelihood, Gaussian)
        log_p_x = Normal(out, torch.exp(0.5 * m.likelihood.logvar)).log_prob(pixel).sum()
        costs.append(kl_divergence(q_z, p_z(m, y)) - log_p_x - m.log_p_y[y])
    return torch.stack(costs)


def noise(*shape: int, seed: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_labelled_bound_is_the_papers() -> None:
    m, x = model(), spectra()
    for y in range(K):
        expected = labelled_cost_by_hand(m, x, y, noise(N, J))
        found = m.labelled_cost(x, torch.full((N,), y), torch.Generator().manual_seed(9))
        torch.testing.assert_close(found, expected)


def test_unlabelled_bound_is_the_papers() -> None:
    """sum_y q(y|x) [labelled bound without log p(y)] - KL(q(y|x) || p(y))."""
    m, x = model(), spectra()
    eps, q = noise(K, N, J), m.log_q_y(x).exp()
    bound = torch.zeros(N, dtype=torch.float64)
    for y in range(K):
        bound -= q[:, y] * (labelled_cost_by_hand(m, x, y, eps[y]) + m.log_p_y[y])
    bound -= (q * (q.log() - m.log_p_y)).sum(1)
    found = m.unlabelled_cost(x, torch.Generator().manual_seed(9))
    torch.testing.assert_close(found, -bound)


def test_bounds_lie_below_log_p_and_importance_sampling_reaches_it() -> None:
    """Against log p(x, y) and log p(x) by brute force: 200,000 draws of p(z|y)."""
    m, x, many = model(), spectra(2), 200_000
    with torch.no_grad():
        m.encoder.rest.get_parameter("3.bias")[J:] += 1.5  # a wide q(z|x, y): few large weights
        exact = []
        for y in range(K):
            z = m.prior.from_standard(noise(many, J, seed=4), torch.full((many,), y))
            log_p = m.likelihood.log_density(x[:, None], m.decoder(z, torch.zeros(1).long()))
            exact.append(torch.logsumexp(log_p, 1) - torch.tensor(many).log() + m.log_p_y[y])
        joint = torch.stack(exact)
        weighted = m.log_joint(x, noise(5000, J))
        one = torch.stack([m.log_joint(x, noise(1, J, seed=s)) for s in range(500)]).mean(0)
        u = [m.unlabelled_cost(x, torch.Generator().manual_seed(s)) for s in range(500)]
    torch.testing.assert_close(weighted, joint, atol=0.05, rtol=0)
    assert bool((one < joint + 1e-3).all())
    assert bool((-torch.stack(u).mean(0) < torch.logsumexp(joint, 0)).all())


def test_kl_of_whitened_units_is_that_of_the_two_gaussians() -> None:
    m = model()
    mean, logvar, y = noise(N, J), noise(N, J, seed=3), torch.tensor([0, 3, 1, 1, 2, 0])
    white = m.prior.whitened(mean, logvar, y)
    expected = [
        kl_divergence(MultivariateNormal(a, torch.diag(torch.exp(b))), p_z(m, int(k)))
        for a, b, k in zip(mean, logvar, y, strict=True)
    ]
    torch.testing.assert_close(kl_per_unit(*white).sum(-1), torch.stack(expected))


def test_samples_of_the_prior_have_its_mean_and_spread() -> None:
    m = model()
    z = m.prior.from_standard(noise(50_000, J), torch.full((50_000,), 2)).detach()
    torch.testing.assert_close(z.mean(0), p_z(m, 2).mean.detach(), atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), p_z(m, 2).stddev.detach(), rtol=0.03, atol=0)


def test_x_does_not_see_y_given_z() -> None:
    m, z = model(), noise(3, J)
    zeros, twos = torch.zeros(3).long(), torch.full((3,), 2)
    assert torch.equal(m.decode(zeros, z), m.decode(twos, z))


def test_every_parameter_but_the_classifiers_learns_from_labelled_pixels() -> None:
    m = model()
    m.labelled_cost(spectra(), torch.tensor([0, 1, 2, 3, 0, 1]), torch.Generator()).sum().backward()
    untouched = {n for n, p in m.named_parameters() if p.grad is None or not p.grad.any()}
    assert all(name.startswith("classifier") for name in untouched)
    assert m.prior.get_parameter("mean").grad is not None


def test_gradient_at_the_prior_is_that_of_finite_differences() -> None:
    m, x = model(), spectra()
    m.unlabelled_cost(x, torch.Generator().manual_seed(9)).sum().backward()
    for name in ("mean", "log_spread"):
        parameter = m.prior.get_parameter(name)
        assert parameter.grad is not None
        with torch.no_grad():
            for place in ((0, 0), (3, 1)):
                costs = []
                for step in (1e-5, -1e-5):
                    parameter[place] += step
                    costs.append(m.unlabelled_cost(x, torch.Generator().manual_seed(9)).sum())
                    parameter[place] -= step
                slope = (costs[0] - costs[1]) / 2e-5
                torch.testing.assert_close(parameter.grad[place], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_shapes_of_small_networks(hidden: tuple[int, ...]) -> None:
    assert model(hidden).unlabelled_cost(spectra(), torch.Generator()).shape == (N,)
