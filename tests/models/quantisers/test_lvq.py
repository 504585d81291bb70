"""LVQ: batches against the rules written out, the window, what it gives as a classifier."""

from __future__ import annotations

import pytest
import torch

from hsi_ssl.errors import ModelError
from hsi_ssl.models.quantisers.base import tell_nobody
from hsi_ssl.models.quantisers.lvq import LVQ, RULES, LVQCard, signed_steps
from hsi_ssl.models.quantisers.steps import online_in_batches


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def online(
    weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor, labels: torch.Tensor, card: LVQCard
) -> torch.Tensor:
    """One pass of the rule as in the paper, spectrum by spectrum, eta as at the start."""
    w, eta = weights.clone(), card.learning_rate
    lowest = (1 - card.window) / (1 + card.window)
    for spectrum, k in zip(x, y.tolist(), strict=True):
        d = (w - spectrum).norm(dim=1)
        i, j = (int(best) for best in d.argsort()[:2])
        of_i, of_j = int(labels[i]) == k, int(labels[j]) == k
        if card.rule == "lvq1":
            w[i] += (eta if of_i else -eta) * (spectrum - w[i])
        elif of_i != of_j:
            if min(d[i] / d[j], d[j] / d[i]) > lowest:
                right, wrong = (i, j) if of_i else (j, i)
                w[right] += eta * (spectrum - w[right])
                w[wrong] -= eta * (spectrum - w[wrong])
        elif of_i and card.rule == "lvq3":
            for m in (i, j):
                w[m] += card.epsilon * eta * (spectrum - w[m])
    return w


def two_moons(n: int = 300) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes that no straight line divides."""
    g = generator()
    t = torch.rand(n, generator=g) * torch.pi
    y = torch.randint(2, (n,), generator=g)
    x = torch.stack([torch.cos(t) + y, torch.sin(t) * (1 - 2 * y) + 0.4 * y], dim=1)
    return x + 0.12 * torch.randn(n, 2, generator=g), y


@pytest.mark.parametrize("rule", RULES)
def test_batches_of_one_are_the_online_rule(rule: str) -> None:
    x, y = two_moons(200)
    card = LVQCard(2, 2, 3, rule, learning_rate=0.04)
    weights, labels = x[:6].clone(), torch.tensor([0, 0, 0, 1, 1, 1])
    order = torch.randperm(len(x), generator=generator(5))
    expected = online(weights, x[order], y[order], labels, card)

    def rates(w: torch.Tensor, rows: torch.Tensor, done: float) -> torch.Tensor:
        return card.learning_rate * signed_steps(x[rows], y[rows], w, labels, card)

    found = online_in_batches(weights, x, rates, 1, generator(5), tell_nobody, batch=1)
    assert (found - weights).norm() > 0.05
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_batches_end_at_as_good_a_classifier(rule: str) -> None:
    x, y = two_moons()
    card = LVQCard(2, 2, 6, rule, epochs=6)
    right = []
    for batch in (None, 1):
        lvq = LVQ(card)
        lvq.fit(x, generator(), y, batch=batch)
        right.append(float((lvq.log_q_y(x).argmax(1) == y).float().mean()))
    assert min(right) > 0.94
    assert right[0] > right[1] - 0.02


def one_step(x: float, y: int, rule: str, window: float = 0.3) -> list[float]:
    """Steps of prototypes at 0 (class 0), 1 (class 1) and 4 (class 0) for a spectrum at `x`."""
    w, labels = torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([0, 1, 0])
    card = LVQCard(1, 2, 1, rule, window, epsilon=0.25)
    return signed_steps(torch.tensor([[x]]), torch.tensor([y]), w, labels, card)[0].tolist()


def test_lvq1_moves_the_winner_alone() -> None:
    assert one_step(0.4, 0, "lvq1") == [1, 0, 0]
    assert one_step(0.6, 0, "lvq1") == [0, -1, 0]


def test_lvq2_1_moves_two_within_the_window() -> None:
    """(1 - u) / (1 + u) = 7/13 at u = 0.3; at x the ratio of distances is x / (1 - x)."""
    inside, outside = 7 / 20 + 1e-3, 7 / 20 - 1e-3
    assert one_step(inside, 0, "lvq2.1") == [1, -1, 0]
    assert one_step(inside, 1, "lvq2.1") == [-1, 1, 0]
    assert one_step(1 - inside, 0, "lvq2.1") == [1, -1, 0]  # whichever of the two is nearer
    assert one_step(outside, 0, "lvq2.1") == [0, 0, 0]
    assert one_step(outside, 0, "lvq2.1", window=0.31) == [1, -1, 0]
    assert one_step(0.5, 7, "lvq2.1") == [0, 0, 0]  # both wrong


def test_lvq3_also_draws_two_of_the_right_class_nearer() -> None:
    w, labels = torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([0, 0, 1])
    card = LVQCard(1, 2, 1, "lvq3", epsilon=0.25)
    found = signed_steps(torch.tensor([[0.1], [0.1]]), torch.tensor([0, 1]), w, labels, card)
    assert found.tolist() == [[0.25, 0.25, 0], [0, 0, 0]]
    assert one_step(0.5, 0, "lvq3") == [1, -1, 0]


def test_confidence_follows_distances() -> None:
    lvq = LVQ(LVQCard(1, 2, 2))
    lvq.weights = torch.tensor([[0.0], [1.0], [4.0], [9.0]])
    x = torch.tensor([[2.5], [0.9], [8.0]])
    torch.testing.assert_close(
        lvq.class_distances(x), torch.tensor([[1.5, 1.5], [0.1, 3.1], [7.0, 1.0]])
    )
    q = lvq.log_q_y(x).exp()
    torch.testing.assert_close(q[0], torch.tensor([0.5, 0.5]))
    assert q[1, 0] > 0.99
    assert q[2, 1] > 0.99


def test_a_class_of_few_spectra_has_prototypes_at_them() -> None:
    x, y = two_moons(60)
    few = torch.cat([torch.nonzero(y == 0).flatten()[:2], torch.nonzero(y == 1).flatten()])
    lvq = LVQ(LVQCard(2, 2, 5))
    start = lvq.start(x[few], y[few], generator())
    own = x[few][:2]
    torch.testing.assert_close(start[:5], own[[0, 1, 0, 1, 0]])
    with pytest.raises(ModelError, match="class 1 has no spectrum"):
        lvq.start(x[y == 0], y[y == 0], generator())
    with pytest.raises(ModelError, match="classes"):
        lvq.fit(x, generator())


def test_prototypes_that_run_off_are_refused() -> None:
    x, y = two_moons(100)
    lvq = LVQ(LVQCard(2, 2, 2, learning_rate=1e6))
    with pytest.raises(ModelError, match="ran off"):
        lvq.fit(x, generator(), 1 - y.roll(1))
