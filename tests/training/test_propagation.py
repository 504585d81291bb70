"""Labels spread along what belongs together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import batch, pixels, preset

from hsi_ssl.settings import M2Settings
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.propagation import FeatureGraph, nearest
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask


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
    found = FeatureGraph(x).of_labels(y, 3)
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
    found = FeatureGraph(heaps).of_labels(y, 2)
    assert float((found[100:] - 0.5).abs().max()) == 0
    assert float((found[:100] - 0.5).abs().max()) > 0.1


def test_smoothing_mends_lone_mistakes_and_leaves_the_border() -> None:
    x, truth = two_rings(np.random.default_rng(2))
    q = torch.nn.functional.one_hot(torch.from_numpy(truth), 2).float()
    wrong = torch.from_numpy(np.random.default_rng(3).random(len(x)) < 0.1)
    q[wrong] = q[wrong].flip(1)
    found = FeatureGraph(x).of_posteriors(q)
    np.testing.assert_allclose(found.sum(1).numpy(), 1, atol=1e-5)
    assert np.mean(q.argmax(1).numpy() != truth) > 0.05
    assert np.mean(found.argmax(1).numpy() != truth) < 0.01


class TestM2:
    """M2 whose unlabelled pixels take p(y) from their neighbours."""

    def task(self, propagation: float) -> SemiSupervisedTask:
        module = preset("m2", torch.full((2,), 0.5), width=2, latent=2, hidden=(8,))
        x, truth = two_rings(np.random.default_rng(0))
        settings = M2Settings(
            alpha=0, stop_gradient=0, epochs=8, em_rounds=2, propagation=propagation
        )
        data = pixels(Inputs(x[:9]), torch.from_numpy(truth[:9]), x[9:], settings)
        self.truth = truth[9:]
        e_step = EStep(graph=FeatureGraph(x), propagation=propagation)
        return SemiSupervisedTask(module, data, settings, e_step)

    def bound(self, task: SemiSupervisedTask) -> float:
        some = batch(task, torch.arange(9), torch.zeros(9, dtype=torch.long), task.lacking)
        return float(task.cost(some, 1.0, torch.Generator().manual_seed(2)).bound.detach())

    def test_u_takes_each_pixels_own_prior(self) -> None:
        """The bound moves by the mean of q(y|x) (log p_n(y) - log p(y)) over unlabelled pixels."""
        task = self.task(propagation=4)
        plain = self.bound(task)
        task.begin_epoch(0)
        prior = task.state()["log_prior_0"][9:]
        assert np.mean(prior.argmax(1).numpy() == self.truth) > 0.99
        with torch.no_grad():
            q = task.module.log_q(task.inputs.some(len(task.inputs)).mean[9:]).exp()
            moved = (q * (prior - task.module.log_p_y(0))).sum(1).mean()
        share = len(prior) / (len(prior) + 9)
        assert self.bound(task) == pytest.approx(plain + share * float(moved), rel=1e-4)

    def test_later_rounds_ask_the_model(self) -> None:
        task = self.task(propagation=4)
        task.begin_epoch(0)
        first = task.state()["log_prior_0"]
        task.begin_epoch(1)
        assert task.state()["log_prior_0"] is first
        task.begin_epoch(4)
        again = task.state()["log_prior_0"]
        assert not torch.equal(again, first)
        other = self.task(propagation=4)
        other.restore({"log_prior_0": again})
        assert self.bound(other) == pytest.approx(self.bound(task))
