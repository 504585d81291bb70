"""Labels spread along what belongs together."""

from __future__ import annotations

import numpy as np
import torch

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
