"""Labels spread along what belongs together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hsi_ssl.models.m2 import M2, M2Architecture
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.inputs import Inputs, Labelled, Validation
from hsi_ssl.training.m2_task import M2Task
from hsi_ssl.training.propagation import nearest, propagated


def two_rings(generator: np.random.Generator, count: int = 600) -> tuple[torch.Tensor, np.ndarray]:
    """Points on two circles, one inside the other, that no straight line tells apart."""
    y = generator.integers(0, 2, count)
    angle, radius = generator.uniform(0, 2 * np.pi, count), 1 + 1.5 * y
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return torch.from_numpy(x + 0.05 * generator.standard_normal(x.shape)).float(), y


def test_nearest_finds_what_every_distance_finds() -> None:
    x = torch.randn(700, 5, generator=torch.Generator().manual_seed(0))
    distances, rows = nearest(x, 4)
    every = torch.cdist(x.double(), x.double()).square()
    every.fill_diagonal_(torch.inf)
    expected = every.topk(4, dim=1, largest=False)
    assert (rows == expected.indices).float().mean() > 0.999
    torch.testing.assert_close(distances.double(), expected.values, rtol=1e-3, atol=1e-4)


def test_one_label_a_ring_is_enough() -> None:
    x, truth = two_rings(np.random.default_rng(0))
    y = torch.full((len(x),), -1)
    for k in (0, 1):
        y[int(np.flatnonzero(truth == k)[0])] = k
    found = propagated(x, y, 3)
    np.testing.assert_allclose(found.sum(1).numpy(), 1, atol=1e-5)
    assert np.mean(found.argmax(1).numpy() == truth) > 0.99
    assert float(found[:, 2].max()) == 0


def test_what_no_label_reaches_stays_open() -> None:
    """Two heaps so far apart that no edge joins them; labels in one only."""
    generator = torch.Generator().manual_seed(1)
    heaps = torch.randn(200, 2, generator=generator)
    heaps[100:] += 1000
    y = torch.full((200,), -1)
    y[0], y[1] = 0, 1
    found = propagated(heaps, y, 2)
    assert float((found[100:] - 0.5).abs().max()) == 0
    assert float((found[:100] - 0.5).abs().max()) > 0.1


def test_u_takes_each_pixels_own_prior() -> None:
    """With the model's own p(y) for every pixel nothing changes; else U moves by q log p."""
    architecture = M2Architecture(5, 3, 2, (8,), (8,), "relu", "gaussian", 0.1)
    module = M2(architecture, torch.full((3,), 1 / 3), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(9, 5, generator=generator), torch.arange(9) % 3
    pool = Inputs(torch.randn(40, 5, generator=generator))
    settings = M2Settings(alpha=0, pull=1)
    labelled, validation = Labelled(Inputs(x), y, settings), Validation(Inputs(x), y)

    def bound(log_prior: torch.Tensor | None) -> float:
        task = M2Task(module, labelled, pool, validation, settings, log_prior=log_prior)
        rows = (torch.arange(9), torch.arange(40))
        return float(task.cost(rows, 1.0, torch.Generator().manual_seed(2)).bound.detach())

    prior = torch.softmax(torch.randn(40, 3, generator=generator), 1)
    with torch.no_grad():
        moved = (module.log_q_y(pool.mean).exp() * (prior.log() - module.log_p_y)).sum(1).mean()
    plain = bound(None)
    assert bound(module.log_p_y.expand(40, 3)) == pytest.approx(plain)
    assert bound(prior.log()) == pytest.approx(plain + 40 / 49 * float(moved), rel=1e-5)
