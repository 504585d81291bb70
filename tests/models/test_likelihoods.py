"""Likelihoods against torch.distributions and numerical integrals."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import ContinuousBernoulli as TorchContinuousBernoulli
from torch.distributions import Normal

from hsi_ssl.models.likelihoods import (
    Bernoulli,
    ContinuousBernoulli,
    Gaussian,
    Likelihood,
    make_likelihood,
)

LOGITS = torch.cat([torch.linspace(-12, 12, 97), torch.tensor([1e-6, -1e-4, 0.05, 0.0999, 0.1001])])


def test_gaussian_is_the_normal_density_with_one_variance_a_band() -> None:
    likelihood = Gaussian(torch.full((3,), 0.1))
    with torch.no_grad():
        likelihood.log_excess.copy_(torch.tensor([-1.0, 0.5, -30.0]))
    x, out = torch.randn(5, 3), torch.randn(2, 5, 3)
    sd = torch.exp(0.5 * likelihood.logvar)
    expected = Normal(out, sd).log_prob(x.expand(2, 5, 3)).sum(-1)
    torch.testing.assert_close(likelihood.log_density(x, out), expected)


def test_gaussian_variance_never_falls_below_its_floor_but_can_reach_it() -> None:
    likelihood = Gaussian(torch.full((2,), 0.02))
    with torch.no_grad():
        likelihood.log_excess.fill_(-1e9)
    torch.testing.assert_close(
        torch.exp(0.5 * likelihood.logvar), torch.full((2,), 0.02), rtol=1e-2, atol=0
    )
    assert bool((torch.exp(0.5 * likelihood.logvar) >= 0.02).all())


def test_bernoulli_equals_torchs_on_zeros_and_ones() -> None:
    x = torch.tensor([0.0, 1.0]).repeat(len(LOGITS), 1)
    out = LOGITS[:, None].expand(-1, 2)
    expected = TorchBernoulli(logits=out).log_prob(x).sum(-1)
    torch.testing.assert_close(Bernoulli().log_density(x, out), expected)


def test_continuous_bernoulli_equals_torchs() -> None:
    x = torch.rand(len(LOGITS), 4)
    out = LOGITS[:, None].expand(-1, 4).double()
    expected = TorchContinuousBernoulli(logits=out).log_prob(x.double()).sum(-1)
    found = ContinuousBernoulli().log_density(x.double(), out)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("logit", [-9.0, -0.3, 0.0, 0.0999, 0.1001, 4.0])
def test_continuous_bernoulli_integrates_to_one_and_has_its_mean(logit: float) -> None:
    x = (torch.arange(200_000, dtype=torch.float64) + 0.5)[:, None] / 200_000
    out = torch.full_like(x, logit)
    likelihood = ContinuousBernoulli()
    density = likelihood.log_density(x, out).exp()
    assert float(density.mean()) == pytest.approx(1, abs=1e-6)
    mean = float((density * x[:, 0]).mean())
    assert float(likelihood.mean(out[:1])[0, 0]) == pytest.approx(mean, abs=1e-6)


def test_continuous_bernoulli_has_finite_gradients_at_one_half() -> None:
    out = torch.zeros(4, requires_grad=True)
    likelihood = ContinuousBernoulli()
    (likelihood.log_density(torch.full((4,), 0.3), out) + likelihood.mean(out).sum()).backward()
    assert out.grad is not None
    assert bool(torch.isfinite(out.grad).all())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gaussian", Gaussian),
        ("bernoulli", Bernoulli),
        ("continuous-bernoulli", ContinuousBernoulli),
    ],
)
def test_make_likelihood_knows_every_name(name: str, kind: type[Likelihood]) -> None:
    assert isinstance(make_likelihood(name, 4, 0.1), kind)


@pytest.mark.parametrize("width", [1, 3])
def test_the_floor_lies_in_memory_number_by_number(width: int) -> None:
    """As files of states need it."""
    likelihood = make_likelihood("gaussian", width, 0.1)
    assert isinstance(likelihood, Gaussian)
    assert likelihood.sd_floor.stride() == (1,)
    assert likelihood.log_excess.stride() == (1,)
