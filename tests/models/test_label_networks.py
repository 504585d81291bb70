"""q(labels|x) as a product of experts: formula, gains and weights, one as a plain network."""

from __future__ import annotations

import pytest
import torch

from hsi_ssl.models.dependence import inference_of
from hsi_ssl.models.label_networks import LabelExperts
from hsi_ssl.models.networks import perceptron


def experts(count: int, inputs: int = 4, classes: int = 3) -> LabelExperts:
    q = inference_of(["y", "z | y"], ["y"])
    generator = torch.Generator().manual_seed(0)
    return LabelExperts(inputs, (6,), {"y": classes}, q, 2, "relu", generator, count)


def log_q(found: LabelExperts, x: torch.Tensor) -> torch.Tensor:
    return found.table(["y"], found.hidden(x), {})


def each(found: LabelExperts, x: torch.Tensor) -> torch.Tensor:
    return found.each_marginal(["y"], found.hidden(x))[0]


def test_one_expert_is_a_plain_network() -> None:
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    plain = perceptron(4, (6,), 3, "relu", torch.Generator().manual_seed(0))
    assert torch.equal(log_q(experts(1), x), torch.log_softmax(plain(x), -1))


def test_the_product_is_that_of_the_formula() -> None:
    found = experts(3)
    found.weight.copy_(torch.tensor([[0.5, 0.2, 0.3]]))
    found.gain.copy_(torch.rand(3, 4) + 0.5)
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    product = torch.ones(7, 3)
    for network, gain, weight in zip(found.each(), found.gain, found.weight[0], strict=True):
        product *= network.factors(["y"], network.hidden(x * gain), {})[0].exp() ** weight
    product /= product.sum(1, keepdim=True)
    torch.testing.assert_close(log_q(found, x).exp(), product)


def test_an_expert_of_no_weight_has_no_say() -> None:
    found = experts(2)
    found.weight.copy_(torch.tensor([[1.0, 0.0]]))
    x = torch.randn(7, 4)
    torch.testing.assert_close(log_q(found, x), each(found, x)[0])


def test_who_is_heard_follows_the_weights() -> None:
    found = experts(3)
    before = log_q(found, torch.ones(1, 4))
    other = experts(3)
    other.weight.copy_(torch.tensor([[0.0, 1.0, 0.0]]))
    found.gain[:, 0] = 0
    found.gain[0] = 1
    assert found.reads.all()
    found.load_state_dict({**found.state_dict(), "weight": other.weight})
    assert found.heard == [1]
    assert len(found) == 1
    assert found.reads.tolist() == [False, True, True, True]
    log_q(found, torch.ones(1, 4)).sum().backward()
    moved = [any(p.grad is not None for p in network.parameters()) for network in found.networks]
    assert moved == [False, True, False]
    found.to(torch.float64)
    assert found.heard == [1]
    with torch.no_grad():
        found.weight.fill_(1 / 3)
    found.float()
    found.gain.fill_(1)
    torch.testing.assert_close(log_q(found, torch.ones(1, 4)), before)


def test_each_may_have_inputs_of_its_own() -> None:
    found = experts(2)
    x = torch.randn(2, 7, 4)
    for e in range(2):
        torch.testing.assert_close(each(found, x)[e], each(found, x[e])[e])


@pytest.mark.parametrize("count", [1, 5])
def test_gains_and_weights_are_kept_with_the_networks(count: int) -> None:
    there, back = experts(count), experts(count)
    there.gain.mul_(3)
    there.weight.copy_(torch.softmax(torch.arange(float(count)), 0)[None])
    back.load_state_dict(there.state_dict())
    x = torch.randn(7, 4)
    assert torch.equal(log_q(there, x), log_q(back, x))
