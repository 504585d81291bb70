"""The Potts prior: mean field against sums over all configurations, strength against planted."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.models.spatial import information, learnt_strength, mean_field, votes

CLASSES = 3


def grid(rows: int, cols: int) -> torch.Tensor:
    pixel = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), -1)
    scene = np.zeros(rows * cols, np.int16)
    return torch.from_numpy(neighbour_table(scene, pixel.reshape(-1, 2))).long()


def drawn(rows: int, cols: int, beta: float, sweeps: int = 60) -> torch.Tensor:
    """Classes `(rows * cols,)` drawn from the Potts prior by Gibbs sampling."""
    generator = torch.Generator().manual_seed(0)
    neighbours = grid(rows, cols)
    y = torch.randint(CLASSES, (rows * cols,), generator=generator)
    at = torch.arange(rows * cols)
    # Pixels of one colour of a 2 x 2 pattern are no neighbours of each other.
    colour = 2 * (at // cols % 2) + at % cols % 2
    for sweep in range(sweeps * 4):
        q = torch.nn.functional.one_hot(y, CLASSES).float()
        p = torch.softmax(beta * votes(q, neighbours), -1)
        new = torch.multinomial(p, 1, generator=generator).flatten()
        y = torch.where(colour == sweep % 4, new, y)
    return y


def test_votes_are_the_sum_over_the_neighbours_that_are_there() -> None:
    neighbours = grid(2, 2)
    q = torch.rand(4, CLASSES)
    torch.testing.assert_close(votes(q, neighbours), q.sum(0) - q)
    alone = torch.full((4, 8), -1)
    assert not votes(q, alone).any()


def test_mean_field_is_a_fixed_point_that_raises_the_bound_on_the_evidence() -> None:
    """Evidence by summing over all 3^6 configurations: the bound lies below, and near."""
    neighbours, beta = grid(2, 3), 0.3
    log_f = torch.log_softmax(
        torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(1)), -1
    )
    pairs = [(i, int(j)) for i in range(6) for j in neighbours[i] if i < j]

    def log_joint(y: tuple[int, ...]) -> float:
        return float(sum(log_f[i, k] for i, k in enumerate(y))) + beta * sum(
            y[i] == y[j] for i, j in pairs
        )

    evidence = np.logaddexp.reduce([log_joint(y) for y in itertools.product(range(3), repeat=6)])

    def bound(q: torch.Tensor) -> float:
        agreeing = sum(float(q[i] @ q[j]) for i, j in pairs)
        return float((q * (log_f - q.log())).sum()) + beta * agreeing

    q = mean_field(log_f, neighbours, beta, sweeps=200)
    torch.testing.assert_close(q, torch.softmax(log_f + beta * votes(q, neighbours), -1))
    assert bound(log_f.exp()) < bound(q) <= evidence


def test_strength_0_gives_the_pixels_own_word_and_known_pixels_keep_theirs() -> None:
    log_f = torch.log_softmax(torch.randn(6, CLASSES), -1)
    torch.testing.assert_close(mean_field(log_f, grid(2, 3), 0.0), log_f.exp())
    known = torch.tensor([2, -1, -1, -1, -1, 0])
    for strength in (0.0, 0.7):
        q = mean_field(log_f, grid(2, 3), strength, known)
        torch.testing.assert_close(q.sum(1), torch.ones(6))
        assert q[0].tolist() == [0, 0, 1]
        assert q[5].tolist() == [1, 0, 0]


def test_mean_field_mends_pixels_that_their_neighbours_contradict() -> None:
    y = drawn(30, 30, 0.6)
    generator = torch.Generator().manual_seed(3)
    log_f = torch.nn.functional.one_hot(y, CLASSES) + 0.8 * torch.randn(
        900, CLASSES, generator=generator
    )
    before = float((log_f.argmax(1) == y).float().mean())
    after = float((mean_field(log_f, grid(30, 30), 0.6).argmax(1) == y).float().mean())
    assert before < 0.85
    assert after > before + 0.08


@pytest.mark.parametrize("beta", [0.0, 0.2, 0.5])
def test_the_strength_learnt_is_the_one_that_the_classes_were_drawn_with(beta: float) -> None:
    q = torch.nn.functional.one_hot(drawn(60, 60, beta), CLASSES).float()
    prior = torch.full((CLASSES,), 1 / CLASSES).log()
    assert learnt_strength(q, grid(60, 60), prior) == pytest.approx(beta, abs=0.1)


def test_pixels_without_neighbours_teach_no_strength() -> None:
    q = torch.eye(CLASSES)
    prior = torch.full((CLASSES,), 1 / CLASSES).log()
    assert learnt_strength(q, torch.full((CLASSES, 8), -1), prior) == 0


@pytest.mark.slow
def test_neighbours_tell_more_the_stronger_they_agree() -> None:
    generator = torch.Generator().manual_seed(1)
    told = []
    for beta in (0.0, 0.3, 0.6):
        q = torch.nn.functional.one_hot(drawn(40, 40, beta), CLASSES).float()
        told.append(information(q, grid(40, 40)))
    assert told[0] < 0.02 < told[1] < told[2] <= math.log(CLASSES)
    noise = torch.rand(1600, CLASSES, generator=generator).softmax(-1)
    assert information(noise, grid(40, 40)) < 0.01


def test_one_class_for_everything_tells_nothing() -> None:
    q = torch.nn.functional.one_hot(torch.zeros(100, dtype=torch.long), CLASSES).float()
    assert information(q, grid(10, 10)) == pytest.approx(0, abs=1e-6)
    assert information(q, torch.full((100, 8), -1)) == 0
