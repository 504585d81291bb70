"""Several label sets: M2's gradients on M2's structure, sums by brute force, any order."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.models.joint import JointArchitecture, JointM2, OneLabelSet
from hsi_ssl.models.labels import Conditional, combinations, marginals
from hsi_ssl.models.likelihoods import Gaussian
from hsi_ssl.models.m2 import M2, M2Architecture
from hsi_ssl.models.networks import ClassPerceptron

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


def joint(
    inference: tuple[str, ...] = CHAIN,
    generation: tuple[str, ...] = P_CHAIN,
    counts: tuple[int, ...] = COUNTS,
    seed: int = 0,
    experts: int = 1,
) -> JointM2:
    labels = LABELS[: len(counts)]
    architecture = JointArchitecture(
        D, labels, counts, generation, inference, J, (7, 6), (7, 6), "silu", "gaussian", 0.1,
        experts=experts,
    )  # fmt: skip
    priors = [torch.arange(1.0, k + 1) / sum(range(1, k + 1)) for k in counts]
    model = JointM2(architecture, priors, torch.Generator().manual_seed(seed)).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        model.likelihood.get_parameter("log_excess").zero_()
        for parameter in model.prior.parameters():  # nowhere at its uniform start
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def spectra(n: int = 4, seed: int = 1) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def as_m2(model: JointM2) -> M2:
    """The M2 with the weights of a joint model of one label set."""
    a = M2Architecture(D, A, J, (7, 6), (7, 6), "silu", "gaussian", 0.1)
    m2 = M2(a, model.get_buffer("log_p_0").exp(), torch.Generator()).double()
    with torch.no_grad():
        for theirs, ours in zip(weights_of_m2(m2), weights_of_joint(model), strict=True):
            theirs.copy_(ours)
    return m2


def of_class_perceptron(network: ClassPerceptron) -> list[nn.Parameter]:
    assert network.from_y is not None
    return [*network.from_x.parameters(), network.from_y, *network.rest.parameters()]


def of_conditional(network: Conditional) -> list[nn.Parameter]:
    assert network.from_x is not None
    return [*network.from_x.parameters(), *network.tables, *network.rest.parameters()]


def weights_of_m2(model: M2) -> list[nn.Parameter]:
    return [
        *model.classifier.parameters(),
        *of_class_perceptron(model.encoder),
        *of_class_perceptron(model.decoder),
        *model.likelihood.parameters(),
    ]


def weights_of_joint(model: JointM2) -> list[nn.Parameter]:
    return [
        *model.classifier.parameters(),
        *of_conditional(model.encoder),
        *of_conditional(model.decoder),
        *model.likelihood.parameters(),
    ]


@pytest.mark.parametrize("pull", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("known", [True, False])
def test_one_label_set_before_z_gives_the_gradients_of_m2(known: bool, pull: float) -> None:
    """With one sample: L and alpha's term of labelled pixels, U of unlabelled ones."""
    model = joint(("a", "z | a"), ("a", "z", "x | a, z"), (A,))
    m2, x = as_m2(model), spectra()
    y = torch.tensor([2, 0, 1, 1]) if known else torch.full((4,), -1)
    ours = model.cost(x, y[:, None], torch.Generator().manual_seed(5), pull=pull).sum()
    if known:
        theirs = m2.labelled_cost(x, y, torch.Generator().manual_seed(5)).sum()
        ours = ours + 0.7 * F.nll_loss(marginals(model.log_q(x), (A,))[0], y)
        theirs = theirs + 0.7 * F.nll_loss(m2.log_q_y(x), y)
    else:
        log_q = m2.log_q_y(x)
        log_q = log_q.detach() + pull * (log_q - log_q.detach())
        theirs = m2.unlabelled_cost(x, torch.Generator().manual_seed(5), log_q=log_q).sum()
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    ours.backward()
    theirs.backward()
    for mine, other in zip(weights_of_joint(model), weights_of_m2(m2), strict=True):
        expected = torch.zeros_like(mine) if other.grad is None else other.grad
        found = torch.zeros_like(mine) if mine.grad is None else mine.grad
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def grid() -> tuple[Tensor, float]:
    """Values of a latent of one unit, and their spacing."""
    z = torch.linspace(-14, 14, 14_001, dtype=torch.float64)
    return z, float(z[1] - z[0])


def normal_log_prob(value: Tensor, mean: Tensor, sd: Tensor) -> Tensor:
    found: Tensor = torch.distributions.Normal(mean, sd).log_prob(value).sum(-1)
    return found


def densities(model: JointM2, x: Tensor) -> tuple[Tensor, Tensor]:
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
            logits = model.prior[i](numbers, *known) if parents else model.get_buffer(f"log_p_{i}")
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


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("y", PATTERNS)
def test_the_bound_is_the_mean_under_q_given_what_is_known(name: str, y: tuple[int, int]) -> None:
    """Against quadrature over z and a sum over all combinations."""
    model, x = joint(*ORDERS[name]), spectra(1)
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
    model, x = joint(), spectra(1)
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


def test_more_samples_tighten_what_is_weighted() -> None:
    """One sample of z cannot be weighted: the estimate of log q(y|x) is then biased downwards."""
    model, x = joint(*ORDERS["z first"]), spectra(1).expand(3000, -1)
    y = torch.tensor([[2, 0]]).expand(3000, -1)
    with torch.no_grad():
        by_samples = [
            float(model.cost(x, y, torch.Generator().manual_seed(3), samples=s).mean())
            for s in (1, 4, 64)
        ]
    assert by_samples[0] != pytest.approx(by_samples[2], abs=1e-3)
    assert abs(by_samples[1] - by_samples[2]) < abs(by_samples[0] - by_samples[2])


@pytest.mark.parametrize("name", ORDERS)
def test_pull_0_keeps_the_bound_off_the_networks_of_the_labels_only(name: str) -> None:
    model, x = joint(*ORDERS[name]), spectra()
    y = torch.tensor([[-1, -1], [1, -1], [-1, 0], [2, 1]])
    model.cost(x, y, torch.Generator().manual_seed(0), pull=0).sum().backward()
    assert all(p.grad is None for p in model.classifier.parameters())
    assert all(p.grad is not None for p in model.encoder.parameters())
    whole = {}
    for pull in (0.0, 1.0):
        model.zero_grad(set_to_none=True)
        cost = model.cost(x, y, torch.Generator().manual_seed(0), pull=pull)
        cost.sum().backward()
        grads = [p.grad.clone() for p in model.encoder.parameters() if p.grad is not None]
        whole[pull] = [cost.detach(), *grads]
    for still, moving in zip(whole[0.0], whole[1.0], strict=True):
        torch.testing.assert_close(still, moving)


@pytest.mark.parametrize("name", ORDERS)
def test_tables_are_distributions_in_the_order_of_the_label_sets(name: str) -> None:
    model, x = joint(*ORDERS[name]), spectra()
    with torch.no_grad():
        table = model.log_q(x).exp()
        torch.testing.assert_close(table.sum(1), torch.ones(4, dtype=table.dtype))
        of_a, of_b = (t.exp() for t in marginals(model.log_q(x), COUNTS))
        torch.testing.assert_close(of_a, table.view(4, A, B).sum(2))
        torch.testing.assert_close(of_b, table.view(4, A, B).sum(1))
        for found, expected in zip(model.each_marginal(x, model.draws), (of_a, of_b), strict=True):
            torch.testing.assert_close(found[0].exp(), expected)
        for i, name_of in enumerate(LABELS):
            torch.testing.assert_close(
                OneLabelSet(model, name_of).log_q_y(x).exp(), (of_a, of_b)[i]
            )


def test_a_label_sets_cross_entropy_leaves_those_that_it_depends_on_alone() -> None:
    model = joint()
    of_b = model.each_marginal(spectra(), model.draws)[1]
    (-of_b[0, :, 0].sum()).backward()
    network = next(model.classifier.each())
    assert all(p.grad is not None for p in network.heads[1].parameters())
    touched = [*network.heads[0].parameters(), *network.layers[0].parameters()]
    assert all(p.grad is None for p in touched)


def test_experts_vote_on_combinations() -> None:
    model, x = joint(experts=2), spectra()
    with torch.no_grad():
        model.classifier.gain[1] = 3.0
        model.classifier.weight.copy_(torch.tensor([[0.25, 0.75], [0.6, 0.4]]))
        each = model.each_marginal(x, model.draws)
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


@pytest.mark.parametrize("name", ORDERS)
def test_log_joint_bounds_log_p_of_every_combination(name: str) -> None:
    model, x = joint(*ORDERS[name]), spectra(1)
    _, step = grid()
    with torch.no_grad():
        exact = torch.logsumexp(densities(model, x)[0] + math.log(step), 1)
        eps = torch.randn(400, J, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
        found = model.log_joint(x, eps)[:, 0]
        one = OneLabelSet(model, "b")
        torch.testing.assert_close(found, exact, atol=0.3, rtol=0.05)
        of_b = torch.logsumexp(found.view(A, B), 0)
        torch.testing.assert_close(one.log_joint(x, eps)[:, 0], of_b)
        assert one.architecture.classes == B


@pytest.mark.parametrize("name", ORDERS)
def test_generates_a_spectrum_for_each_class_of_the_first_set(name: str) -> None:
    model = joint(*ORDERS[name])
    found = model.generate(torch.Generator().manual_seed(0))
    assert found.shape == (A, D)
    torch.testing.assert_close(found, model.generate(torch.Generator().manual_seed(0)))
