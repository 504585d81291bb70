"""Terms of the objective: against worked examples, and their sum."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import batch, pixels, preset

from hsi_ssl.settings import M2Settings
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask
from hsi_ssl.training.share import whole
from hsi_ssl.training.terms import TERMS
from hsi_ssl.training.terms.balance import balance_cost
from hsi_ssl.training.terms.virtual_adversarial import adversarial_costs


def logistic(x: torch.Tensor) -> torch.Tensor:
    """log q(y|x) of two classes that only the first of the inputs tells apart."""
    return torch.log_softmax(torch.stack([x[:, 0], -x[:, 0]], dim=1), dim=1)


def test_the_worst_perturbation_is_along_what_the_classifier_reads() -> None:
    """Only the first input matters, so the worst step is all along it, to one side or the other."""
    x = torch.zeros(200, 6)
    generator = torch.Generator().manual_seed(0)
    found = float(adversarial_costs(logistic, x, logistic(x), 1.5, generator).mean())
    p = torch.full((2,), 0.5)
    expected = float((p * (p.log() - logistic(torch.tensor([[1.5]]))[0])).sum())
    assert found == pytest.approx(expected, rel=1e-4)


def test_it_is_worse_than_a_random_perturbation_and_grows_with_its_length() -> None:
    generator = torch.Generator().manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))
    x = torch.randn(300, 8, generator=generator)

    def log_q(x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(network(x), dim=1)

    costs = [
        float(adversarial_costs(log_q, x, log_q(x), r, generator).mean().detach())
        for r in (0.5, 1.0, 2.0)
    ]
    assert costs[0] < costs[1] < costs[2]
    step = torch.nn.functional.normalize(torch.randn(x.shape, generator=generator), dim=1)
    random = (log_q(x).exp() * (log_q(x) - log_q(x + step))).sum(1).mean()
    assert costs[1] > 2 * float(random.detach())


def test_the_gradient_goes_to_the_perturbed_prediction_only() -> None:
    weight = torch.tensor([[1.0, -1.0]], requires_grad=True)

    def log_q(x: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(x @ weight, dim=1)

    x = torch.tensor([[0.4], [-0.7]])
    clean = log_q(x)
    clean.retain_grad()
    costs = adversarial_costs(log_q, x, clean, 1.0, torch.Generator().manual_seed(0))
    costs.mean().backward()
    assert clean.grad is None
    assert weight.grad is not None
    assert float(weight.grad.abs().sum()) > 0


def test_balance_is_the_divergence_of_the_mean_from_the_prior() -> None:
    q = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    prior = torch.tensor([0.5, 0.5])
    expected = 0.7 * math.log(0.7 / 0.5) + 0.3 * math.log(0.3 / 0.5)
    assert float(balance_cost(q.log(), prior.log(), whole(2))) == pytest.approx(expected, rel=1e-5)
    assert float(balance_cost(q.log(), q.mean(0).log(), whole(2))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("labels", [("y",), ("a", "b")])
def test_the_cost_holds_both_beside_its_bound(labels: tuple[str, ...]) -> None:
    """Whatever their weights, the bound is the same, and the cost grows by the weighted terms."""
    prior = torch.full((3,), 1 / 3)
    module = preset("m2", prior, width=5, latent=2, hidden=(8,), labels=labels)
    generator = torch.Generator().manual_seed(1)
    labelled, pool = (torch.randn(n, 5, generator=generator) for n in (9, 40))
    y = (torch.arange(9) % 3)[:, None].expand(-1, len(labels))
    rows = torch.arange(9), torch.zeros(9, dtype=torch.long), 9 + torch.arange(40)

    def step(**weights: float) -> tuple[float, float]:
        settings = M2Settings(alpha=1, stop_gradient=0, **weights)
        task = SemiSupervisedTask(module, pixels(Inputs(labelled), y, pool, settings), settings)
        found = task.cost(batch(task, *rows), 1.0, torch.Generator().manual_seed(2))
        return float(found.bound.detach()), float(found.cost.detach())

    bound, cost = step()
    with torch.no_grad():
        each = module.log_q_each(pool)
        balance = sum(
            float(balance_cost(q, module.log_p_y(v), whole(len(q)))) for v, q in enumerate(each)
        )
    assert step(balance=2.0) == pytest.approx((bound, cost + 2 * balance))
    steady = step(steadiness=1.0)
    assert steady[0] == bound
    assert steady[1] > cost
    assert step(steadiness=2.0)[1] == pytest.approx(cost + 2 * (steady[1] - cost))


def test_of_a_density_in_closed_form_as_much_gradient_reaches_the_classifier_as_is_asked() -> None:
    """And the bound is that of the model itself, whatever share of it."""
    prior = torch.full((3,), 1 / 3)
    module = preset("m2", prior, width=5, latent=3, hidden=(8,), components=2)
    generator = torch.Generator().manual_seed(1)
    labelled, pool = (torch.randn(n, 5, generator=generator) for n in (9, 40))
    y = (torch.arange(9) % 3)[:, None]
    rows = torch.arange(9), torch.zeros(9, dtype=torch.long), 9 + torch.arange(40)

    def found(stop_gradient: float) -> tuple[float, torch.Tensor]:
        settings = M2Settings(stop_gradient=stop_gradient, alpha=0, perturbation=0)
        task = SemiSupervisedTask(module, pixels(Inputs(labelled), y, pool, settings), settings)
        task.begin_epoch(0)
        step = task.cost(batch(task, *rows), 1.0, torch.Generator().manual_seed(2))
        module.zero_grad()
        step.cost.backward()
        grad = [torch.zeros(()) if p.grad is None else p.grad for p in module.parameters()]
        return float(step.bound.detach()), torch.cat([g.flatten() for g in grad])

    bound, whole_gradient = found(0)
    with torch.no_grad():
        costs = [
            module.cost(x, of_x, generator).sum()
            for x, of_x in ((labelled, y), (pool, torch.full((40, 1), -1)))
        ]
    assert bound == pytest.approx(-float(sum(costs)) / 49, rel=1e-4)
    assert float(whole_gradient.abs().max()) > 1e-3
    for stopped in (0.9, 1.0):
        again, gradient = found(stopped)
        assert again == pytest.approx(bound)
        torch.testing.assert_close(gradient, (1 - stopped) * whole_gradient)


def test_the_log_and_the_card_name_each_term_that_is_asked_for() -> None:
    module = preset("m2", torch.full((3,), 1 / 3), width=5, latent=2, hidden=(8,))
    y, pool = torch.arange(9) % 3, torch.randn(40, 5)
    settings = M2Settings(alpha=2, steadiness=0.5, balance=0.1, propagation=1.0)
    data = pixels(Inputs(torch.randn(9, 5)), y, pool, settings)
    task = SemiSupervisedTask(module, data, settings, EStep())
    lacking = 9 + torch.arange(40)
    sets = torch.zeros(9, dtype=torch.long)
    found = task.cost(
        batch(task, torch.arange(9), sets, lacking), 1.0, torch.Generator().manual_seed(2)
    )
    assert list(found.terms) == list(TERMS)
    weights = {name: kind().weight(settings) for name, kind in TERMS.items()}
    total = sum(weights[name] * float(cost.detach()) for name, cost in found.terms.items())
    assert float(found.cost.detach()) == pytest.approx(total, rel=1e-5)
    said = task.objective_in_words()
    assert said.startswith("J, a bound on the log-likelihood")
    assert (
        "steadiness of q(y|x) on unlabelled pixels (virtual adversarial training), outside" in said
    )
    assert "neighbours" not in said  # nobody tells anything here
