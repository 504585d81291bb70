"""Kohonen's layer: batches against the online rule, k-means' condition, dead prototypes."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.cluster import KMeans

from hsi_ssl.models.quantisers.kohonen import (
    NARROWEST,
    WIDEST,
    Kohonen,
    KohonenCard,
    spread,
    winner_takes_most,
)
from hsi_ssl.models.quantisers.steps import drawn


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs() -> torch.Tensor:
    """Four groups of 60 spectra, far apart."""
    g = generator()
    centres = torch.tensor([[0.0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 8]])
    return (centres[:, None] + torch.randn(4, 60, 3, generator=g)).flatten(0, 1)


def written_out(x: torch.Tensor, card: KohonenCard, g: torch.Generator) -> torch.Tensor:
    """The online rule as its docstring has it, spectrum by spectrum."""
    w = drawn(x, card.units, g)
    h, steps, t = WIDEST * spread(x, w), card.epochs * len(x), 0
    for _ in range(card.epochs):
        for k in torch.randperm(len(x), generator=g):
            eta, width = card.learning_rate * (1 - t / steps), h * NARROWEST ** (t / steps)
            squares = (w - x[k]).square().sum(1)
            share = (squares == squares.min()).float()
            if card.takes == "most":
                share = torch.exp(-(squares - squares.min()) / (2 * width**2))
            w = w + (eta * share)[:, None] * (x[k] - w)
            t += 1
    return w


@pytest.mark.parametrize("takes", ["all", "most"])
def test_batches_of_one_are_the_online_rule(takes: str) -> None:
    x = blobs()[::4]
    card = KohonenCard(3, 4, takes, epochs=3)
    layer = Kohonen(card)
    layer.fit(x, generator(1), batch=1)
    torch.testing.assert_close(
        layer.weights, written_out(x, card, generator(1)), rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("takes", ["all", "most"])
def test_batches_end_as_near_to_the_spectra_as_the_online_rule(takes: str) -> None:
    x = blobs()
    card = KohonenCard(3, 8, takes, epochs=10)
    layer = Kohonen(card)
    layer.fit(x, generator(1))
    exact = Kohonen(card)
    exact.fit(x, generator(1), batch=1)
    assert spread(x, layer.weights) == pytest.approx(spread(x, exact.weights), rel=0.05)


def test_the_winner_takes_all_is_the_most_of_a_narrow_kernel() -> None:
    w = torch.tensor([[0.0], [1.0], [3.0]])
    x = torch.tensor([[0.25]])
    # Squared distances 1/16, 9/16, 121/16.
    wide = winner_takes_most(x, w, 1.0)
    torch.testing.assert_close(wide, torch.exp(-torch.tensor([[0, 0.25, 3.75]])))
    assert winner_takes_most(x, w, 0.01).tolist() == [[1, 0, 0]]
    assert winner_takes_most(x, w, 0.0).tolist() == [[1, 0, 0]]


@pytest.mark.slow
def test_prototypes_do_not_fall_onto_each_other() -> None:
    """Where spectra form no groups: as near to them as k-means, and every prototype is used."""
    x = torch.randn(1500, 20, generator=generator())
    layer = Kohonen(KohonenCard(20, 20, epochs=10))
    layer.fit(x, generator())
    best = KMeans(20, n_init=3, random_state=0).fit(x.numpy())
    assert spread(x, layer.weights) < 1.03 * math.sqrt(best.inertia_ / len(x))
    assert layer.hits.min() > 20


def test_every_group_gets_a_prototype_at_its_mean() -> None:
    x = blobs()
    layer = Kohonen(KohonenCard(3, 4))
    layer.fit(x, generator())
    assert layer.hits.tolist() == [60] * 4
    means = x.reshape(4, 60, 3).mean(1)
    order = torch.cdist(means, layer.weights).argmin(1)
    torch.testing.assert_close(layer.weights[order], means, atol=0.15, rtol=0)


def test_a_prototype_that_wins_nothing_is_dead() -> None:
    x = torch.ones(50, 2)
    layer = Kohonen(KohonenCard(2, 3, "all", epochs=2))
    layer.fit(x, generator())
    assert sorted(layer.hits.tolist()) == [0, 0, 50]
