"""The fast way to the means of L and U: the plain way's values and gradients; fewer classes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hsi_ssl.models import fused
from hsi_ssl.models.bounds import cost_u, cost_u_of_some, some_classes
from hsi_ssl.models.gm_dgm import MODELS
from hsi_ssl.models.m2 import M2, M2Architecture

D, K, J, N = 13, 5, 4, 70


def model(
    hidden: tuple[int, ...] = (32,),
    activation: str = "relu",
    likelihood: str = "gaussian",
    classes: int = K,
    kind: str = "m2",
) -> M2:
    architecture = M2Architecture(D, classes, J, hidden, hidden, activation, likelihood, 0.1)
    prior = torch.softmax(torch.randn(classes, generator=torch.Generator().manual_seed(3)), 0)
    m2 = MODELS[kind](architecture, prior, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for p in m2.parameters():  # biases and variances start equal; nothing shall cancel
            noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
            p.add_(noise, alpha=0.1)
        if likelihood == "gaussian":
            m2.likelihood.get_parameter("log_excess").add_(2)
    return m2


def spectra(n: int = N) -> Tensor:
    return torch.rand(n, D, generator=torch.Generator().manual_seed(1))


def value_and_gradients(m2: M2, cost: Callable[[M2], Tensor]) -> tuple[Tensor, list[Tensor]]:
    value = cost(m2)
    parameters = list(m2.parameters())
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    return value.detach(), [torch.zeros_like(p) if g is None else g for g, p in pairs]


def assert_equal(m2: M2, fast: Callable[[M2], Tensor], plain: Callable[[M2], Tensor]) -> None:
    (value, gradients), (expected, wanted) = (value_and_gradients(m2, f) for f in (fast, plain))
    assert value.dtype == expected.dtype == torch.float32
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0)
    for (name, _), g, w in zip(m2.named_parameters(), gradients, wanted, strict=True):
        assert float((g - w).norm()) <= 1e-5 * float(w.norm()), name
        assert float(w.norm()) > 0 or name.startswith("classifier"), name


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "continuous-bernoulli"])
@pytest.mark.parametrize("activation", ["relu", "softplus", "tanh"])
@pytest.mark.parametrize("hidden", [(32,), (24, 32)])
def test_fast_equals_plain(
    likelihood: str, activation: str, hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "ROWS", 32)  # blocks of 32, 32 and 6 pixels
    m2, x = model(hidden, activation, likelihood), spectra()
    assert fused.can_fuse(m2, x)
    assert_equal(
        m2,
        lambda m: m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5), 0.3),
        lambda m: m.unlabelled_cost(x, torch.Generator().manual_seed(5), 0.3).mean(),
    )
    y = torch.arange(N) % K
    assert_equal(
        m2,
        lambda m: m.mean_labelled_cost(x, y, torch.Generator().manual_seed(5), 0.3),
        lambda m: m.labelled_cost(x, y, torch.Generator().manual_seed(5), 0.3).mean(),
    )


@pytest.mark.parametrize(("hidden", "activation"), [((), "relu"), ((8,), "silu"), ((8,), "gelu")])
def test_other_networks_go_the_plain_way(hidden: tuple[int, ...], activation: str) -> None:
    m2, x = model(hidden, activation), spectra()
    assert not fused.can_fuse(m2, x)
    assert_equal(
        m2,
        lambda m: m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5)),
        lambda m: m.unlabelled_cost(x, torch.Generator().manual_seed(5)).mean(),
    )


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("hidden", [(32,), (24, 32)])
def test_fast_equals_plain_where_each_class_has_its_own_prior(
    likelihood: str, hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "ROWS", 32)
    model_, x = model(hidden, "relu", likelihood, kind="gm-dgm"), spectra()
    assert fused.can_fuse(model_, x)
    assert_equal(
        model_,
        lambda m: m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5), 0.3),
        lambda m: m.unlabelled_cost(x, torch.Generator().manual_seed(5), 0.3).mean(),
    )
    y = torch.arange(N) % K
    assert_equal(
        model_,
        lambda m: m.mean_labelled_cost(x, y, torch.Generator().manual_seed(5), 0.3),
        lambda m: m.labelled_cost(x, y, torch.Generator().manual_seed(5), 0.3).mean(),
    )


@pytest.mark.parametrize("exact", [None, 2])
def test_another_distribution_over_classes_is_taken_as_it_is(exact: int | None) -> None:
    m2, x = model(), spectra()
    given = torch.log_softmax(torch.randn(N, K, generator=torch.Generator().manual_seed(6)), -1)
    if exact is not None:  # what is drawn then is the one class left
        given[:, 2:4] = -200.0

    def fast(m: M2) -> Tensor:
        return m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5), 1.0, exact, given)

    value, gradients = value_and_gradients(m2, fast)
    names = [name for name, _ in m2.named_parameters()]
    for name, g in zip(names, gradients, strict=True):
        assert bool((g != 0).any()) != name.startswith("classifier"), name
    if exact is None:
        expected = m2.unlabelled_cost(x, torch.Generator().manual_seed(5), log_q=given).mean()
        torch.testing.assert_close(value, expected.detach(), rtol=1e-5, atol=0)


def test_log_variances_beyond_their_bounds_have_no_gradient() -> None:
    m2, x = model(), spectra()
    with torch.no_grad():
        m2.encoder.rest.get_parameter("1.bias")[J] = 50
        m2.encoder.rest.get_parameter("1.bias")[J + 1] = -50
    assert_equal(
        m2,
        lambda m: m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5)),
        lambda m: m.unlabelled_cost(x, torch.Generator().manual_seed(5)).mean(),
    )


def test_a_multiple_of_the_cost_has_that_multiple_of_the_gradient() -> None:
    m2, x = model(), spectra()
    _, one = value_and_gradients(
        m2, lambda m: m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5))
    )
    _, three = value_and_gradients(
        m2, lambda m: 3 * m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5))
    )
    for a, b in zip(one, three, strict=True):
        torch.testing.assert_close(3 * a, b)


def test_input_that_wants_a_gradient_gets_it() -> None:
    m2, x = model(), spectra().requires_grad_()
    m2.mean_unlabelled_cost(x, torch.Generator()).backward()
    assert x.grad is not None
    assert bool((x.grad != 0).all())


def test_bfloat16_is_near() -> None:
    m2, x = model((64,)), spectra()

    def cost(m: M2) -> Tensor:
        return m.mean_unlabelled_cost(x, torch.Generator().manual_seed(5))

    def rounded(m: M2) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return cost(m)

    (value, gradients), (expected, wanted) = (value_and_gradients(m2, f) for f in (rounded, cost))
    assert value.dtype == torch.float32
    assert 0 < float((value - expected).abs()) < 0.01 * float(expected.abs())
    for g, w in zip(gradients, wanted, strict=True):
        assert float((g - w).norm()) < 0.03 * float(w.norm())


def test_as_many_exact_classes_as_there_are_is_the_sum() -> None:
    m2, x = model(), spectra()
    sums = [
        m2.mean_unlabelled_cost(x, torch.Generator().manual_seed(5), 1.0, exact)
        for exact in (None, K - 1, K, K + 7)
    ]
    assert all(torch.equal(sums[0], s) for s in sums[1:])


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


def test_the_mean_cost_of_some_classes_is_unbiased_through_the_whole_model() -> None:
    m2 = model(classes=8)
    pixels = spectra(3)
    x = pixels.repeat(400, 1)
    generator = torch.Generator().manual_seed(8)

    def draws(exact: int | None, times: int) -> Tensor:
        found = []
        for _ in range(times):
            value, gradients = value_and_gradients(
                m2, lambda m: m.mean_unlabelled_cost(x, generator, 1.0, exact)
            )
            found.append(torch.cat([value[None], *(g.flatten() for g in gradients)]))
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
