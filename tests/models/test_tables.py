"""Expectations over some classes instead of all: which are taken, and that nothing is biased."""

from __future__ import annotations

import pytest
import torch
from small_models import preset
from torch import Tensor

from hsi_ssl.models.bounds import cost_u, cost_u_of_some, some_classes
from hsi_ssl.models.tables import choose


@pytest.mark.parametrize("exact", [1, 2, 3])
def test_some_classes_are_the_most_probable_ones_and_another(exact: int) -> None:
    log_q = torch.log_softmax(torch.randn(6, 400, generator=torch.Generator().manual_seed(0)), 0)
    classes, shares = some_classes(log_q, exact, torch.Generator().manual_seed(1))
    assert classes.shape == shares.shape == (exact + 1, 400)
    order = log_q.argsort(0, descending=True)
    assert torch.equal(classes[:exact], order[:exact])
    assert all(len(set(column.tolist())) == exact + 1 for column in classes.T)
    torch.testing.assert_close(shares.sum(0), torch.ones(400))


def test_classes_that_are_all_but_impossible_are_drawn_without_harm() -> None:
    log_q = torch.log_softmax(torch.tensor([[0.0], [-900.0], [-1000.0]]), 0).requires_grad_()
    classes, shares = some_classes(log_q, 1, torch.Generator())
    assert classes.flatten().tolist() == [0, 1]
    costs = torch.tensor([[3.0], [1e6]])
    cost_u_of_some(costs, shares, log_q).sum().backward()
    assert log_q.grad is not None
    assert bool(torch.isfinite(log_q.grad).all())


def within_error(draws: Tensor, expected: Tensor) -> bool:
    """Whether the mean of independent draws `(n, ...)` is `expected`, as far as n can tell."""
    error = draws.std(0) / len(draws) ** 0.5
    return bool(((draws.mean(0) - expected).abs() < 4 * error + 1e-12).all())


@pytest.mark.parametrize("exact", [1, 2, 4])
def test_u_of_some_classes_is_unbiased_in_value_and_gradient(exact: int) -> None:
    """Costs of hundreds of nats, as spectra have; the draws of one pixel are pixels of a batch."""
    k, n = 7, 40_000
    generator = torch.Generator().manual_seed(exact)
    logits = torch.randn(k, 1, generator=generator, dtype=torch.float64)
    costs = 300 + 100 * torch.randn(k, 1, generator=generator, dtype=torch.float64)

    one = logits.clone().requires_grad_()
    log_q = torch.log_softmax(one, 0)
    exact_u = cost_u(costs, log_q)
    exact_u.sum().backward()

    many = logits.expand(k, n).clone().requires_grad_()
    log_q = torch.log_softmax(many, 0)
    classes, shares = some_classes(log_q, exact, generator)
    drawn_costs = costs.expand(k, n).gather(0, classes).requires_grad_()
    u = cost_u_of_some(drawn_costs, shares, log_q)
    u.sum().backward()
    assert many.grad is not None
    assert one.grad is not None
    assert drawn_costs.grad is not None
    assert within_error(u.detach(), exact_u.detach())
    assert within_error(many.grad.T, one.grad.T[0])
    # What reaches a class's cost is, on average, q(y|x).
    reached = torch.zeros(k, n, dtype=torch.float64).scatter(0, classes, drawn_costs.grad)
    assert within_error(reached.T, torch.softmax(logits, 0)[:, 0])


@pytest.mark.slow
def test_the_mean_cost_of_some_classes_is_unbiased_through_the_whole_model() -> None:
    m2 = preset("m2", torch.full((8,), 1 / 8), width=13, latent=4, hidden=(32,))
    with torch.no_grad():
        m2.likelihood.get_parameter("log_excess").add_(2)
    pixels = torch.rand(3, 13, generator=torch.Generator().manual_seed(1))
    x = pixels.repeat(400, 1)
    y = torch.full((len(x), 1), -1)
    generator = torch.Generator().manual_seed(8)

    def draws(exact: int | None, times: int) -> Tensor:
        found = []
        for _ in range(times):
            value = m2.cost(x, y, generator, exact=exact).mean()
            gradients = torch.autograd.grad(value, list(m2.parameters()))
            found.append(torch.cat([value[None].detach(), *(g.flatten() for g in gradients)]))
        return torch.stack(found).double()

    whole, some = draws(None, 60), draws(2, 60)
    error = (whole.var(0) / len(whole) + some.var(0) / len(some)).sqrt() + 1e-12
    off = (whole.mean(0) - some.mean(0)).abs() / error
    assert float((off > 3).double().mean()) < 0.01
    assert float(off.mean()) < 1.1


def test_the_baseline_takes_most_of_the_noise_out_of_the_gradient() -> None:
    n = 2000
    generator = torch.Generator().manual_seed(0)
    logits = torch.zeros(5, n, dtype=torch.float64)
    costs = 300 + torch.randn(5, 1, generator=generator, dtype=torch.float64).expand(5, n)
    noise = []
    for with_baseline in (True, False):
        free = logits.clone().requires_grad_()
        log_q = torch.log_softmax(free, 0)
        classes, shares = some_classes(log_q, 2, torch.Generator().manual_seed(1))
        chosen = costs.gather(0, classes)
        u = cost_u_of_some(chosen, shares, log_q) if with_baseline else (shares * chosen).sum(0)
        u.sum().backward()
        assert free.grad is not None
        noise.append(float(free.grad.std(1).mean()))
    assert noise[0] < 0.05 * noise[1]


@pytest.mark.parametrize("exact", [3, 4, 11])
def test_as_many_exact_classes_as_there_are_is_the_sum(exact: int) -> None:
    table = torch.log_softmax(torch.randn(6, 4), -1)
    chosen = choose(table, False, exact, torch.Generator())
    assert chosen.which.shape == (4, 1)
    torch.testing.assert_close(chosen.shares, table.T.exp())


def test_what_is_known_leaves_nothing_to_choose() -> None:
    table = torch.tensor([[-1e4, 0.0], [0.0, -1e4]])
    chosen = choose(table, True, None, torch.Generator())
    assert chosen.known
    assert chosen.which.tolist() == [[1, 0]]
