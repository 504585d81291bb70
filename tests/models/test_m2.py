"""M2: the sum over classes, alpha's gradient, both ways to predict."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hsi_ssl.models.bounds import cost_l, kl_per_unit
from hsi_ssl.models.m2 import M2, M2Architecture
from hsi_ssl.models.networks import ClassPerceptron, gaussian_head

D, K, J = 5, 3, 2


def model(hidden: tuple[int, ...] = (7, 6)) -> M2:
    architecture = M2Architecture(D, K, J, hidden, hidden, "silu", "gaussian", 0.1)
    prior = torch.tensor([0.5, 0.3, 0.2])
    m2 = M2(architecture, prior, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        m2.likelihood.get_parameter("log_excess").zero_()  # a likelihood about as wide as the data
    return m2


def spectra(n: int = 4, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_class_perceptron_is_a_perceptron_of_x_and_one_hot_y() -> None:
    network = ClassPerceptron(D, K, (7,), 4, "tanh", torch.Generator().manual_seed(0)).double()
    x, y = spectra(6), torch.tensor([0, 2, 1, 1, 0, 2])
    one_hot = F.one_hot(y, K).double()
    both = torch.cat([x, one_hot], 1)
    weight = torch.cat([network.from_x.weight, network.get_parameter("from_y").T], 1)
    hidden = torch.tanh(both @ weight.T + network.from_x.bias)
    weight, bias = network.rest.get_parameter("1.weight"), network.rest.get_parameter("1.bias")
    expected = hidden @ weight.T + bias
    torch.testing.assert_close(network(x, y), expected)
    torch.testing.assert_close(network.every_class(x)[y, torch.arange(6)], expected)


def test_u_equals_the_sum_over_classes_of_labelled_costs() -> None:
    m2, x = model(), spectra()
    # The same noise for both: eps of shape (K, N, J) as drawn inside.
    eps = torch.randn(K, 4, J, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    log_q = torch.log_softmax(m2.classifier(x), -1)
    by_hand = torch.zeros(4, dtype=torch.float64)
    for y in range(K):
        labels = torch.full((4,), y)
        mean, logvar = gaussian_head(m2.encoder(x, labels))
        z = mean + torch.exp(0.5 * logvar) * eps[y]
        log_p_x = m2.likelihood.log_density(x, m2.decoder(z, labels))
        cost = cost_l(log_p_x, m2.log_p_y[labels], kl_per_unit(mean, logvar).sum(-1))
        by_hand += log_q[:, y].exp() * (cost + log_q[:, y])
    found = m2.unlabelled_cost(x, torch.Generator().manual_seed(9))
    torch.testing.assert_close(found, by_hand)


def test_labelled_cost_is_that_classs_row_of_every_cost() -> None:
    m2, x = model(), spectra()
    # Without spread in q(z|x, y) the sample is the mean, so both draws agree.
    with torch.no_grad():
        m2.encoder.rest.get_parameter("3.weight")[J:] = 0
        m2.encoder.rest.get_parameter("3.bias")[J:] = -1e9
    y = torch.tensor([2, 0, 1, 1])
    every = m2.every_labelled_cost(x, torch.Generator())
    found = m2.labelled_cost(x, y, torch.Generator())
    torch.testing.assert_close(found, every[y, torch.arange(4)], atol=1e-2, rtol=1e-3)


def test_alphas_gradient_touches_the_classifier_only() -> None:
    m2, x = model(), spectra()
    F.nll_loss(m2.log_q_y(x), torch.tensor([0, 1, 2, 0])).backward()
    touched = {name.split(".")[0] for name, p in m2.named_parameters() if p.grad is not None}
    assert touched == {"classifier"}


def test_labelled_bound_does_not_touch_the_classifier() -> None:
    m2, x = model(), spectra()
    m2.labelled_cost(x, torch.tensor([0, 1, 2, 0]), torch.Generator()).sum().backward()
    touched = {name.split(".")[0] for name, p in m2.named_parameters() if p.grad is not None}
    assert touched == {"encoder", "decoder", "likelihood"}


def test_log_joint_tightens_with_samples_and_stays_below_log_p() -> None:
    """Against log p(x, y) by brute force: an average over 200,000 draws of the prior."""
    m2, x = model(), spectra(2)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(4)
        z = torch.randn(200_000, J, generator=generator, dtype=torch.float64)
        exact = torch.stack(
            [
                torch.stack(
                    [
                        torch.logsumexp(
                            m2.likelihood.log_density(
                                x[n], m2.decoder(z, torch.full((len(z),), y))
                            ),
                            0,
                        )
                        - torch.log(torch.tensor(float(len(z))))
                        + m2.log_p_y[y]
                        for n in range(2)
                    ]
                )
                for y in range(K)
            ]
        )
        one = torch.stack(
            [
                m2.log_joint(x, torch.randn(1, J, generator=generator, dtype=torch.float64))
                for _ in range(500)
            ]
        ).mean(0)
        many = m2.log_joint(x, torch.randn(5000, J, generator=generator, dtype=torch.float64))
    assert bool((one < exact + 1e-3).all())
    torch.testing.assert_close(many, exact, atol=0.05, rtol=0)


def test_bayes_posterior_normalises_the_joint_and_ignores_the_company() -> None:
    m2, x = model(), spectra(6)
    eps = torch.randn(3, J, dtype=torch.float64)
    whole = m2.log_posterior_bayes(x, eps)
    torch.testing.assert_close(whole.exp().sum(-1), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(whole[2:3], m2.log_posterior_bayes(x[2:3], eps))


def test_no_hidden_layer_works() -> None:
    assert model(()).unlabelled_cost(spectra(), torch.Generator()).shape == (4,)
