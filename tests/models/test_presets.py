"""M2 and GM-DGM: their papers' bounds by a plain loop, and against log p by brute force."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from small_models import preset
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.likelihoods import Gaussian
from hsi_ssl.models.networks import Conditional, gaussian_head
from hsi_ssl.models.one_label_set import OneLabelSet
from hsi_ssl.models.presets import PRESETS, declared

D, K, J, N = 5, 4, 2, 6
PRIOR = torch.tensor([0.3, 0.3, 0.2, 0.2])


def model(name: str, hidden: tuple[int, ...] = (7, 6), experts: int = 1) -> DeclaredVAE:
    found = preset(
        name, PRIOR, width=D, latent=J, hidden=hidden, activation="silu", experts=experts
    ).double()
    with torch.no_grad():
        found.likelihood.get_parameter("log_excess").zero_()  # about as wide as the data
        for table in (t for n, t in found.named_parameters() if n.startswith("prior.")):
            noise = torch.randn(table.shape, generator=torch.Generator().manual_seed(2))
            table.add_(noise, alpha=0.2)
    return found


def spectra(n: int = N, seed: int = 1) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noise(*shape: int, seed: int = 9) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def p_z(m: DeclaredVAE, y: int) -> MultivariateNormal:
    mean, spread = torch.zeros(J, dtype=torch.float64), torch.eye(J, dtype=torch.float64)
    if isinstance(network := m.prior[-1], Conditional):
        mean, logvar = (network.tables[0][y] + network.get_parameter("bias")).chunk(2)
        spread = torch.diag(torch.exp(logvar))
    return MultivariateNormal(mean, spread)


def labelled_cost_by_hand(m: DeclaredVAE, x: Tensor, y: int, eps: Tensor) -> Tensor:
    """-(E log p(x|y, z) - KL(q(z|x, y) || p(z|y)) + log p(y)), one pixel at a time."""
    costs, sees_class = [], len(m.decoder.tables)
    for pixel, e in zip(x, eps, strict=True):
        mean, logvar = gaussian_head(m.encoder(pixel[None], torch.tensor([y])))
        q_z = MultivariateNormal(mean[0], torch.diag(torch.exp(logvar[0])))
        z = mean[0] + torch.exp(0.5 * logvar[0]) * e
        out = m.decoder(z[None], *([torch.tensor([y])] * sees_class))[0]
        assert isinstance(m.likelihood, Gaussian)
        log_p_x = Normal(out, torch.exp(0.5 * m.likelihood.logvar)).log_prob(pixel).sum()
        costs.append(kl_divergence(q_z, p_z(m, y)) - log_p_x - m.log_p_y(0)[y])
    return torch.stack(costs)


def unknown(n: int = N) -> Tensor:
    return torch.full((n, 1), -1)


def test_presets_are_the_papers_factors() -> None:
    lines = {name: [tuple(map(str, d.factors)) for d in declared(name, ["y"])] for name in PRESETS}
    assert lines == {
        "m2": [("y", "z", "x | y, z"), ("y", "z | y")],
        "gm-dgm": [("y", "z | y", "x | z"), ("y", "z | y")],
    }
    p, q = declared("m2", ["a", "b"])
    assert [str(f) for f in p.factors] == ["a", "b | a", "z", "x | a, b, z"]
    assert [str(f) for f in q.factors] == ["a", "b | a", "z | a, b"]


def test_a_conditional_perceptron_is_a_perceptron_of_x_and_one_hot_y() -> None:
    network = Conditional(D, [K], (7,), 4, "tanh", torch.Generator().manual_seed(0)).double()
    assert network.from_x is not None
    x, y = spectra(), torch.tensor([0, 2, 1, 1, 0, 3])
    both = torch.cat([x, F.one_hot(y, K).double()], 1)
    weight = torch.cat([network.from_x.weight, network.get_parameter("tables.0").T], 1)
    hidden = torch.tanh(both @ weight.T + network.from_x.bias)
    weight, bias = network.rest.get_parameter("1.weight"), network.rest.get_parameter("1.bias")
    expected = hidden @ weight.T + bias
    torch.testing.assert_close(network(x, y), expected)
    every = network(x, torch.arange(K)[:, None])
    torch.testing.assert_close(every[y, torch.arange(N)], expected)


@pytest.mark.parametrize("name", list(PRESETS))
def test_labelled_bound_is_the_papers(name: str) -> None:
    m, x = model(name), spectra()
    for y in range(K):
        expected = labelled_cost_by_hand(m, x, y, noise(N, J))
        found = m.cost(x, torch.full((N, 1), y), torch.Generator().manual_seed(9))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", list(PRESETS))
@pytest.mark.parametrize("experts", [1, 3])
def test_unlabelled_bound_is_the_papers(name: str, experts: int) -> None:
    """sum_y q(y|x) [labelled bound without log p(y)] - KL(q(y|x) || p(y))."""
    m, x = model(name, experts=experts), spectra()
    eps, q = noise(K, N, J), m.log_q(x).exp()
    log_p_y = m.log_p_y(0)
    bound = torch.zeros(N, dtype=torch.float64)
    for y in range(K):
        bound -= q[:, y] * (labelled_cost_by_hand(m, x, y, eps[y]) + log_p_y[y])
    bound -= (q * (q.log() - log_p_y)).sum(1)
    found = m.cost(x, unknown(), torch.Generator().manual_seed(9))
    torch.testing.assert_close(found, -bound)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PRESETS))
def test_bounds_lie_below_log_p_and_importance_sampling_reaches_it(name: str) -> None:
    """Against log p(x, y) and log p(x) by brute force: 200,000 draws of p(z|y)."""
    m, x, many = model(name), spectra(2), 200_000
    with torch.no_grad():
        m.encoder.rest.get_parameter("3.bias")[J:] += 2.0  # a wide q(z|x, y): few large weights
        exact = []
        for y in range(K):
            prior = p_z(m, y)
            z = prior.mean + noise(many, J, seed=4) * prior.stddev
            log_p = m.likelihood.log_density(
                x[:, None], m.decoded(z, {"y": torch.full((many,), y)})
            )
            exact.append(torch.logsumexp(log_p, 1) - torch.tensor(many).log() + m.log_p_y(0)[y])
        joint = torch.stack(exact)
        weighted = m.log_joint(x, noise(5000, J))
        one = torch.stack([m.log_joint(x, noise(1, J, seed=s)) for s in range(500)]).mean(0)
        u = [m.cost(x, unknown(2), torch.Generator().manual_seed(s)) for s in range(500)]
    torch.testing.assert_close(weighted, joint, atol=0.05, rtol=0)
    assert bool((one < joint + 1e-3).all())
    assert bool((-torch.stack(u).mean(0) < torch.logsumexp(joint, 0)).all())


@pytest.mark.slow
@pytest.mark.parametrize("name", list(PRESETS))
def test_with_one_sample_the_importance_weighted_bound_is_l(name: str) -> None:
    """On average over many draws of the noise: it has the KL divergence by sampling."""
    m, x = model(name), spectra(2)
    y, many = torch.tensor([[2], [0]]), 3000
    with torch.no_grad():
        weighted = torch.stack([m.log_joint(x, e[None]) for e in noise(many, J)]).mean(0)
        copies = x.repeat(many, 1), y.repeat(many, 1)
        l_ = m.cost(*copies, torch.Generator().manual_seed(1)).view(many, 2).mean(0)
    torch.testing.assert_close(weighted[y[:, 0], torch.arange(2)], -l_, atol=0.12, rtol=0)


def test_x_does_not_see_y_given_z_in_gm_dgm() -> None:
    m, z = model("gm-dgm"), noise(3, J)
    zeros, twos = ({"y": torch.full((3,), k)} for k in (0, 2))
    assert torch.equal(m.decoded(z, zeros), m.decoded(z, twos))


def test_no_two_classes_of_gm_dgm_start_the_same() -> None:
    network = preset("gm-dgm", PRIOR, width=D, latent=J, hidden=(7,)).prior[-1]
    assert isinstance(network, Conditional)
    mean, logvar = network.tables[0].chunk(2, dim=1)
    assert not logvar.any()
    assert len(torch.unique(mean, dim=0)) == K


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_label_teaches_the_generative_part_and_alphas_term_the_classifier(name: str) -> None:
    m, x = model(name), spectra()
    y = torch.tensor([0, 1, 2, 3, 0, 1])
    m.cost(x, y[:, None], torch.Generator()).sum().backward()
    parts = {n.split(".")[0] for n, p in m.named_parameters() if p.grad is not None}
    learnt = {"encoder", "decoder", "likelihood"} | ({"prior"} if name == "gm-dgm" else set())
    assert parts == learnt
    m.zero_grad(set_to_none=True)
    F.nll_loss(m.log_q(x), y).backward()
    parts = {n.split(".")[0] for n, p in m.named_parameters() if p.grad is not None}
    assert parts == {"classifier"}


def test_gradient_at_the_prior_is_that_of_finite_differences() -> None:
    m, x = model("gm-dgm"), spectra()
    network = m.prior[-1]
    assert isinstance(network, Conditional)
    table = network.tables[0]

    def cost() -> Tensor:
        return m.cost(x, unknown(), torch.Generator().manual_seed(9)).sum()

    cost().backward()
    assert table.grad is not None
    with torch.no_grad():
        for place in ((0, 0), (3, 1), (2, J), (1, J + 1)):
            costs = []
            for step in (1e-5, -1e-5):
                table[place] += step
                costs.append(cost())
                table[place] -= step
            slope = (costs[0] - costs[1]) / 2e-5
            torch.testing.assert_close(table.grad[place], slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", list(PRESETS))
def test_u_is_z_in_units_of_its_prior(name: str) -> None:
    m, x = model(name), spectra()
    one, y = OneLabelSet(m), torch.tensor([0, 3, 1, 1, 2, 0])
    mean, logvar = one.encode(x, y)
    for n in range(N):
        prior = p_z(m, int(y[n]))
        z_mean, z_logvar = gaussian_head(m.encoder(x[n : n + 1], y[n : n + 1]))
        q_z = MultivariateNormal(z_mean[0], torch.diag(torch.exp(z_logvar[0])))
        q_u = MultivariateNormal(mean[n], torch.diag(torch.exp(logvar[n])))
        standard = MultivariateNormal(torch.zeros(J).double(), torch.eye(J).double())
        torch.testing.assert_close(kl_divergence(q_u, standard), kl_divergence(q_z, prior))
    u = noise(N, J)
    priors = [p_z(m, int(k)) for k in y]
    z = torch.stack([p.mean + p.stddev * e for p, e in zip(priors, u, strict=True)])
    expected = m.likelihood.mean(m.decoded(z, {"y": y}))
    torch.testing.assert_close(one.decode(y, u), expected)


@pytest.mark.parametrize("name", list(PRESETS))
def test_bayes_posterior_normalises_the_joint_and_ignores_the_company(name: str) -> None:
    one, x = OneLabelSet(model(name)), spectra()
    eps = noise(3, J)
    whole = one.log_posterior_bayes(x, eps)
    torch.testing.assert_close(whole.exp().sum(-1), torch.ones(N, dtype=torch.float64))
    torch.testing.assert_close(whole[2:3], one.log_posterior_bayes(x[2:3], eps))


def test_free_slots_are_left_out_among_labelled_classes() -> None:
    m = preset("m2", PRIOR, width=D, latent=J, hidden=(7,), free=2).double()
    log_q = m.log_q(spectra())
    found = m.among_labelled(log_q, 0).exp()
    q = log_q.exp()[:, :2]
    torch.testing.assert_close(found, q / q.sum(1, keepdim=True))


@pytest.mark.parametrize("name", list(PRESETS))
@pytest.mark.parametrize("hidden", [(), (8,)])
def test_shapes_of_small_networks(name: str, hidden: tuple[int, ...]) -> None:
    assert model(name, hidden).cost(spectra(), unknown(), torch.Generator()).shape == (N,)
