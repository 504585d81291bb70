"""The declared model: bounds by quadrature and sums by brute force, in any order of dependence."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hsi_ssl.models.declared import DeclaredArchitecture, DeclaredVAE
from hsi_ssl.models.likelihoods import Gaussian
from hsi_ssl.models.one_label_set import OneLabelSet
from hsi_ssl.models.tables import combinations, independent, marginals

D, A, B, J = 5, 3, 2, 1
LABELS, COUNTS = ("a", "b"), (A, B)
CHAIN = ("a", "b | a", "z | a, b")
P_CHAIN = ("a", "b | a", "z", "x | a, b, z")
ORDERS = {
    "chain": (CHAIN, P_CHAIN),
    "apart": (("b", "a", "z | a"), ("a", "b", "z | b", "x | a, z")),
    "z first": (("z", "b | z", "a | b"), ("z", "a | z", "b | a, z", "x | z")),
    "z between": (("a", "z | a", "b | a, z"), ("b", "a | b", "z | a, b", "x | a, b, z")),
}


def model_of(
    inference: tuple[str, ...] = CHAIN,
    generation: tuple[str, ...] = P_CHAIN,
    counts: tuple[int, ...] = COUNTS,
    seed: int = 0,
    experts: int = 1,
) -> DeclaredVAE:
    labels = LABELS[: len(counts)]
    architecture = DeclaredArchitecture(
        D, labels, counts, (0,) * len(counts), generation, inference,
        J, (7, 6), (7, 6), "silu", "gaussian", 0.1, experts=experts,
    )  # fmt: skip
    priors = [torch.arange(1.0, k + 1) / sum(range(1, k + 1)) for k in counts]
    model = DeclaredVAE(architecture, priors, torch.Generator().manual_seed(seed)).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        model.likelihood.get_parameter("log_excess").zero_()
        for parameter in model.prior.parameters():  # nowhere at its uniform start
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def spectra(n: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid() -> tuple[Tensor, float]:
    """Values of a latent of one unit, and their spacing."""
    z = torch.linspace(-14, 14, 14_001, dtype=torch.float64)
    return z, float(z[1] - z[0])


def normal_log_prob(value: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    found: Tensor = torch.distributions.Normal(mean, sd).log_prob(value).sum(-1)
    return found


def densities(model: DeclaredVAE, x: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x, a, b, z) and log q(a, b, z | x) of one spectrum `(1, D)`, `(A B, grid)`.

    Factor by factor from the declared parents, with none of the model's own sums.
    """
    z, _ = grid()
    states = combinations(COUNTS, x.device)
    given = {n: y[:, None].expand(-1, len(z)) for n, y in zip(LABELS, states, strict=True)}
    given["z"] = z[None, :, None].expand(A * B, -1, -1)
    shape = (A * B, len(z))

    def normal(mean: Tensor, logvar: Tensor) -> Tensor:
        sd = torch.exp(0.5 * logvar)
        return normal_log_prob(given["z"], mean, sd).expand(shape)

    def of_class(logits: Tensor, name: str) -> Tensor:
        log_p = torch.log_softmax(logits, -1).expand(*shape, -1)
        return log_p.gather(-1, given[name][..., None])[..., 0]

    log_p = torch.zeros(shape, dtype=torch.float64)
    for factor in model.generation.factors:
        known = [given[p] for p in factor.parents if p != "z"]
        numbers = given["z"] if "z" in factor.parents else None
        if factor.name == "x":
            out = model.decoder(numbers, *known)
            assert isinstance(model.likelihood, Gaussian)
            sd = torch.exp(0.5 * model.likelihood.logvar)
            log_p = log_p + normal_log_prob(x, out, sd)
        elif factor.name == "z":
            both = model.prior[-1](None, *known) if known else torch.zeros(2, dtype=x.dtype)
            log_p = log_p + normal(both[..., :1], both[..., 1:])
        else:
            i = LABELS.index(factor.name)
            parents = known or numbers is not None
            logits = model.prior[i](numbers, *known) if parents else model.log_p_y(i)
            log_p = log_p + of_class(logits, factor.name)
    log_q = torch.zeros(shape, dtype=torch.float64)
    network = next(model.classifier.each())
    hidden = network.hidden(x)
    for factor in model.inference.factors:
        known = [given[p] for p in factor.parents if p != "z"]
        if factor.name == "z":
            both = model.encoder(x.expand(*shape, -1), *known)
            log_q = log_q + normal(both[..., :1], both[..., 1:])
        else:
            place = LABELS.index(factor.name)
            inputs = hidden[place].expand(*shape, -1)
            if "z" in factor.parents:
                inputs = torch.cat([inputs, given["z"]], -1)
            head = network.heads[place]
            log_q = log_q + of_class(head(inputs, *known), factor.name)
    return log_p, log_q


PATTERNS = [(-1, -1), (1, -1), (-1, 1), (2, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("y", PATTERNS)
def test_the_bound_is_the_mean_under_q_given_what_is_known(name: str, y: tuple[int, int]) -> None:
    """Against quadrature over z and a sum over all combinations."""
    model, x = model_of(*ORDERS[name]), spectra(1)
    states = combinations(COUNTS, x.device)
    fits = torch.tensor([all(k in (-1, s) for k, s in zip(y, c, strict=True)) for c in states.T])
    _, step = grid()
    with torch.no_grad():
        log_p, log_q = (t[fits] for t in densities(model, x))
        log_known = torch.logsumexp(log_q + math.log(step), (0, 1))
        given_known = torch.exp(log_q - log_known) * step
        expected = (given_known * (log_p - log_q + log_known)).sum()
        generator = torch.Generator().manual_seed(0)
        known = torch.tensor([y])
        found = -model.cost(x, known, generator, samples=40_000)[0]
        few = -model.cost(x, known, generator, exact=1, samples=40_000)[0]
        table = model.log_q(x, torch.randn(40_000, J, generator=generator, dtype=x.dtype))[0]
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.06)
    if model.before:  # a combination before z is drawn once a pixel, not once a sample
        assert torch.isfinite(few)
    else:
        torch.testing.assert_close(few, expected, rtol=0.02, atol=0.15)
    torch.testing.assert_close(torch.logsumexp(table[fits], 0), log_known, rtol=0.01, atol=0.02)


def test_one_drawn_combination_for_the_rest_is_without_bias() -> None:
    """In value and in every gradient, with one label known and the other not."""
    model, x = model_of(), spectra(1)
    y = torch.tensor([[-1, 1]])
    model.cost(x, y, torch.Generator().manual_seed(1), samples=4000).sum().backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad(set_to_none=True)
    copies = 4000
    many = x.expand(copies, -1), y.expand(copies, -1)
    model.cost(*many, torch.Generator().manual_seed(2), exact=1).mean().backward()
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert found.shape == expected.shape
    assert float((found - expected).norm() / expected.norm()) < 0.1


@pytest.mark.slow
def test_more_samples_tighten_what_is_weighted() -> None:
    """One sample of z cannot be weighted: the estimate of log q(y|x) is then biased downwards."""
    model, x = model_of(*ORDERS["z first"]), spectra(1).expand(3000, -1)
    y = torch.tensor([[2, 0]]).expand(3000, -1)
    with torch.no_grad():
        by_samples = [
            float(model.cost(x, y, torch.Generator().manual_seed(3), samples=s).mean())
            for s in (1, 4, 64)
        ]
    assert by_samples[0] != pytest.approx(by_samples[2], abs=1e-3)
    assert abs(by_samples[1] - by_samples[2]) < abs(by_samples[0] - by_samples[2])


@pytest.mark.parametrize("name", ORDERS)
def test_a_stopped_gradient_keeps_the_bound_off_the_networks_of_the_labels_only(name: str) -> None:
    model, x = model_of(*ORDERS[name]), spectra()
    y = torch.tensor([[-1, -1], [1, -1], [-1, 0], [2, 1]])
    model.cost(x, y, torch.Generator().manual_seed(0), stop_gradient=1).sum().backward()
    assert all(p.grad is None for p in model.classifier.parameters())
    assert all(p.grad is not None for p in model.encoder.parameters())
    whole = {}
    for stopped in (1.0, 0.0):
        model.zero_grad(set_to_none=True)
        cost = model.cost(x, y, torch.Generator().manual_seed(0), stop_gradient=stopped)
        cost.sum().backward()
        grads = [p.grad.clone() for p in model.encoder.parameters() if p.grad is not None]
        whole[stopped] = [cost.detach(), *grads]
    for still, moving in zip(whole[1.0], whole[0.0], strict=True):
        torch.testing.assert_close(still, moving)


@pytest.mark.parametrize("name", ORDERS)
def test_tables_are_distributions_in_the_order_of_the_label_sets(name: str) -> None:
    model, x = model_of(*ORDERS[name]), spectra()
    with torch.no_grad():
        table = model.log_q(x).exp()
        torch.testing.assert_close(table.sum(1), torch.ones(4, dtype=table.dtype))
        of_a, of_b = (t.exp() for t in marginals(model.log_q(x), COUNTS))
        torch.testing.assert_close(of_a, table.view(4, A, B).sum(2))
        torch.testing.assert_close(of_b, table.view(4, A, B).sum(1))
        for found, expected in zip(
            model.log_q_of_experts(x, model.draws), (of_a, of_b), strict=True
        ):
            torch.testing.assert_close(found[0].exp(), expected)
        for i in range(len(LABELS)):
            torch.testing.assert_close(OneLabelSet(model, i).log_q_y(x).exp(), (of_a, of_b)[i])


def test_a_label_sets_cross_entropy_leaves_those_that_it_depends_on_alone() -> None:
    model = model_of()
    of_b = model.log_q_of_experts(spectra(), model.draws)[1]
    (-of_b[0, :, 0].sum()).backward()
    network = next(model.classifier.each())
    assert all(p.grad is not None for p in network.heads[1].parameters())
    touched = [*network.heads[0].parameters(), *network.layers[0].parameters()]
    assert all(p.grad is None for p in touched)


def test_experts_vote_on_combinations() -> None:
    model, x = model_of(experts=2), spectra()
    with torch.no_grad():
        model.classifier.gain[1] = 3.0
        model.classifier.weight.copy_(torch.tensor([[0.25, 0.75], [0.6, 0.4]]))
        each = model.log_q_of_experts(x, model.draws)
        alone = [
            network.factors(LABELS, network.hidden(x * gain), {})
            for network, gain in zip(model.classifier.each(), (1.0, 3.0), strict=True)
        ]
        each_b = [torch.logsumexp(a[..., None] + b, 1) for a, b in alone]
        torch.testing.assert_close(each[0], torch.stack([a for a, _ in alone]))
        torch.testing.assert_close(each[1], torch.stack(each_b))
        (a0, b0), (a1, b1) = alone
        of_a = torch.log_softmax(0.25 * a0 + 0.75 * a1, -1)
        of_b = torch.log_softmax(0.6 * b0 + 0.4 * b1, -1)
        torch.testing.assert_close(model.log_q(x), (of_a[..., None] + of_b).flatten(1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
def test_log_joint_bounds_log_p_of_every_combination(name: str) -> None:
    model, x = model_of(*ORDERS[name]), spectra(1)
    _, step = grid()
    with torch.no_grad():
        exact = torch.logsumexp(densities(model, x)[0] + math.log(step), 1)
        eps = torch.randn(400, J, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
        found = model.log_joint(x, eps)[:, 0]
        one = OneLabelSet(model, 1)
        torch.testing.assert_close(found, exact, atol=0.3, rtol=0.05)
        of_b = torch.logsumexp(found.view(A, B), 0)
        torch.testing.assert_close(one.log_joint(x, eps)[:, 0], of_b)
        assert one.classes == B


@pytest.mark.parametrize("name", ORDERS)
def test_generates_a_spectrum_for_each_class_of_the_first_set(name: str) -> None:
    model = model_of(*ORDERS[name])
    found = model.generate(torch.Generator().manual_seed(0))
    assert found.shape == (A, D)
    torch.testing.assert_close(found, model.generate(torch.Generator().manual_seed(0)))


def test_a_share_of_a_stopped_gradient_is_the_rest_of_it() -> None:
    model, x = model_of(), spectra()
    y = torch.full((4, 2), -1)
    found = {}
    for stopped in (0.0, 0.75):
        model.zero_grad(set_to_none=True)
        model.cost(x, y, torch.Generator().manual_seed(0), stop_gradient=stopped).sum().backward()
        found[stopped] = [
            p.grad.clone() for p in model.classifier.parameters() if p.grad is not None
        ]
    for part, whole in zip(found[0.75], found[0.0], strict=True):
        torch.testing.assert_close(part, 0.25 * whole)


@pytest.mark.parametrize("name", ["chain", "apart"])
@pytest.mark.parametrize("exact", [None, 2])
def test_another_distribution_over_labels_leaves_a_bound(name: str, exact: int | None) -> None:
    """The mean under it of log p - log q, by quadrature; q(y|x) has no part in it."""
    model, x = model_of(*ORDERS[name]), spectra(1)
    generator = torch.Generator().manual_seed(6)
    given = [
        torch.log_softmax(torch.randn(1, k, generator=generator, dtype=x.dtype), -1) for k in COUNTS
    ]
    y, many = torch.tensor([[-1, 1]]), 4000
    states = combinations(COUNTS, x.device)
    _, step = grid()
    with torch.no_grad():
        log_p, log_q = densities(model, x)
        of_z = log_q - torch.logsumexp(log_q + math.log(step), 1, keepdim=True)  # log q(z|x, y)
        log_given = given[0][0][states[0]][:, None]  # b is known to be 1
        q = (log_given + of_z).exp() * step
        expected = (q * (log_p - of_z - log_given))[states[1] == 1].sum()
    copies = [q.expand(many, -1) for q in given]
    cost = model.cost(
        x.expand(many, -1), y.expand(many, -1), torch.Generator().manual_seed(0),
        exact=exact, log_q=copies,
    )  # fmt: skip
    torch.testing.assert_close(-cost.mean(), expected, rtol=0.02, atol=0.1)
    cost.sum().backward()
    assert all(p.grad is None for p in model.classifier.parameters())


def test_a_table_of_label_sets_that_are_independent() -> None:
    each = [torch.log_softmax(torch.randn(4, k), -1) for k in (A, B, 2)]
    table = independent(each)
    assert table.shape == (4, A * B * 2)
    for found, expected in zip(marginals(table, (A, B, 2)), each, strict=True):
        torch.testing.assert_close(found, expected)
