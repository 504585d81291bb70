"""Bounds against torch.distributions, Monte Carlo and sums written by hand."""

from __future__ import annotations

import math

import pytest
import torch
from closeness import assert_close
from torch.distributions import Normal, kl_divergence

from hsi_ssl.models.bounds import (
    cost_j,
    cost_l,
    cost_l_sup,
    cost_u,
    kl_between,
    kl_per_unit,
    log_mean_exp,
    mean_j,
    objective,
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_kl_equals_that_of_torch_distributions() -> None:
    mean, logvar = draw(40, 7), draw(40, 7, seed=1)
    expected = kl_divergence(Normal(mean, torch.exp(0.5 * logvar)), Normal(0.0, 1.0))
    assert_close(kl_per_unit(mean, logvar), expected)


def test_kl_equals_its_monte_carlo_estimate() -> None:
    mean, logvar = torch.tensor([0.7, -1.2]), torch.tensor([-0.5, 0.3])
    q = Normal(mean.double(), torch.exp(0.5 * logvar).double())
    z = q.mean + q.stddev * draw(400_000, 2)
    estimate = (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).mean(0)
    assert_close(estimate, kl_per_unit(mean, logvar).double(), atol=0.01, rtol=0)


def test_costs_have_the_papers_terms_and_signs() -> None:
    log_p_x, kl = torch.tensor([-3.0, 2.0]), torch.tensor([0.5, 1.5])
    log_p_y = torch.tensor([math.log(0.2), math.log(0.8)])
    assert_close(cost_j(log_p_x, kl), torch.tensor([3.5, -0.5]))
    assert_close(cost_j(log_p_x, kl, 0.5), torch.tensor([3.25, -1.25]))
    expected = torch.tensor([3.5 - math.log(0.2), -0.5 - math.log(0.8)])
    assert_close(cost_l(log_p_x, log_p_y, kl), expected)


def test_u_is_the_sum_over_three_classes_written_by_hand() -> None:
    costs, logits = draw(3, 5), draw(5, 3, seed=2)
    q = torch.softmax(logits, -1)
    by_hand = []
    for n in range(5):
        total = 0.0
        for y in range(3):
            total += float(q[n, y]) * float(costs[y, n])
        entropy = -sum(float(q[n, y]) * math.log(float(q[n, y])) for y in range(3))
        by_hand.append(total - entropy)
    found = cost_u(costs, torch.log_softmax(logits, -1).T)
    assert_close(found, torch.tensor(by_hand, dtype=torch.float64))


def test_u_is_least_at_the_posterior_and_then_equals_minus_log_p() -> None:
    costs = draw(4, 6)
    log_posterior = torch.log_softmax(-costs, 0)
    least = -torch.logsumexp(-costs, 0)
    assert_close(cost_u(costs, log_posterior), least)
    other = torch.log_softmax(draw(4, 6, seed=3), 0)
    assert bool((cost_u(costs, other) > least).all())


@pytest.mark.parametrize("batch", [(100, 400), (25, 50), (1, 1), (7, 399)])
def test_objective_does_not_depend_on_batch_sizes(batch: tuple[int, int]) -> None:
    """Averaged over all batches, J_alpha / N from means equals that from sums (eqs. 8, 9)."""
    n_l, n_u, alpha = 100, 400, 0.1
    labelled, cross_entropy, unlabelled = draw(n_l), draw(n_l, seed=1), draw(n_u, seed=2)
    n = n_l + n_u
    # alpha' = alpha N stands before a mean over the labelled pixels.
    whole = (labelled.sum() + unlabelled.sum() + alpha * n * cross_entropy.mean()) / n
    generator = torch.Generator().manual_seed(5)
    draws = 4000 if batch != (100, 400) else 1

    def batches(of: int, size: int) -> torch.Tensor:
        """Pixels of each batch `(draws, size)`, drawn without replacement."""
        return torch.rand(draws, of, generator=generator).argsort(-1)[:, :size]

    rows, rows_u = batches(n_l, batch[0]), batches(n_u, batch[1])
    mean_l, mean_u = labelled[rows].mean(-1), unlabelled[rows_u].mean(-1)
    mean_ce = cross_entropy[rows].mean(-1)
    j = mean_j(mean_l, mean_u, share_unlabelled=n_u / n)
    found = [objective(terms, [1, alpha]) for terms in zip(j, mean_ce, strict=True)]
    estimates = torch.stack(found)
    error = 4 * float(estimates.std(unbiased=False)) / math.sqrt(len(estimates)) + 1e-12
    assert abs(float(estimates.mean() - whole)) < error


def test_log_mean_exp_of_equal_weights_is_the_weight() -> None:
    assert_close(log_mean_exp(torch.full((7, 3), -500.0)), torch.full((3,), -500.0))


def test_kl_between_two_gaussians_is_the_closed_form() -> None:
    mean, logvar, p_mean, p_logvar = (draw(5, 3, seed=s) for s in range(4))
    expected = kl_divergence(
        Normal(mean, torch.exp(0.5 * logvar)), Normal(p_mean, torch.exp(0.5 * p_logvar))
    ).sum(-1)
    assert_close(kl_between(mean, logvar, p_mean, p_logvar), expected)


def test_l_sup_is_the_bound_under_the_posterior_of_what_is_known() -> None:
    """With every state of z a sample in its share: sums instead of samples (Siddharth 2017)."""
    log_p, log_q_z = draw(6, 1), torch.log_softmax(draw(6, 1, seed=1), 0)
    log_known = -draw(6, 1, seed=2).abs()  # log q(known | x, z) of each state
    log_q_known = torch.logsumexp(log_q_z + log_known, 0)
    posterior = (log_q_z + log_known - log_q_known).exp()
    inside = log_p - log_q_z - log_known + log_q_known
    expected = (posterior * inside).sum(0)
    found = cost_l_sup(log_q_z + log_known - log_p, log_known + log_q_z, samples=1)
    assert_close(-found, expected)
