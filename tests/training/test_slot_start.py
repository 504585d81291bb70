"""Where free slots start: groups without labels, found on the graph, labelled pixels held."""

from __future__ import annotations

import numpy as np
import torch

from hsi_ssl.training.propagation import FeatureGraph
from hsi_ssl.training.slot_start import given_back, held_mixture, start_of_slots


def test_copies_of_one_pixel_start_like_any_others() -> None:
    """Whole numbers repeat, and so do pixels of a resampled scene."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(0, 4, (1500, 3))).float()
    known = torch.full((1500,), -1)
    known[:2] = torch.tensor([0, 1])
    found = start_of_slots(FeatureGraph(x), known, torch.full((5,), 0.2).log(), 2, seed=0)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def blobs(counts: list[int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Groups on a ring of radius 5, of unit spread, that hardly overlap."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(counts)), counts)
    angle = 2 * np.pi * truth / len(counts)
    x = 5 * np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(size=(len(truth), 2))
    return torch.from_numpy(x).float(), torch.from_numpy(truth)


def test_groups_without_labels_get_free_slots() -> None:
    x, truth = blobs([300, 300, 300, 300])
    known = torch.full((1200,), -1)
    for k in (0, 2):  # groups 1 and 3 have no label
        known[torch.nonzero(truth == k).flatten()[:5]] = k // 2
    log_prior = torch.log(torch.tensor([0.25, 0.25, 0.125, 0.125, 0.125, 0.125]))
    q = start_of_slots(FeatureGraph(x), known, log_prior, 2, seed=0)
    torch.testing.assert_close(q.sum(1), torch.ones(1200), atol=1e-5, rtol=0)
    best = q.argmax(1)
    assert torch.equal(best[known >= 0], known[known >= 0])
    for group, slot in ((0, 0), (2, 1)):
        assert (best[truth == group] == slot).float().mean() > 0.6
    for group in (1, 3):
        found = best[truth == group]
        assert (found >= 2).float().mean() > 0.9
        # No slot mixes the two groups.
        most = int(torch.bincount(found).argmax())
        assert (truth[best == most] == group).float().mean() > 0.9
    again = start_of_slots(FeatureGraph(x), known, log_prior, 2, seed=0)
    assert torch.equal(q, again)


def test_a_class_without_labelled_pixel_starts_empty() -> None:
    x, truth = blobs([200, 200])
    known = torch.full((400,), -1)
    known[torch.nonzero(truth == 0).flatten()[:5]] = 0
    q = start_of_slots(FeatureGraph(x), known, torch.log(torch.full((3,), 1 / 3)), 2, seed=0)
    assert q[:, 1].max() == 0
    assert (q.argmax(1)[truth == 1] == 2).float().mean() > 0.9


def test_held_mixture_finds_the_gaussians_that_made_the_pixels() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 4000)
    x = np.where(truth[:, None], 1.0, -1.0) + rng.normal(size=(4000, 2)) * [1.0, 0.5]
    labels = np.full(4000, -1)
    labels[:50] = truth[:50]
    first = np.full((4000, 2), 0.5)
    first[:50] = np.eye(2)[truth[:50]]
    q = held_mixture(x, first, labels, np.log([0.5, 0.5]))
    # By Bayes' rule with the true densities: log odds = 2 (x_0 / 1 + x_1 / 0.25).
    odds = 2 * (x[:, 0] + x[:, 1] / 0.25)
    expected = 1 / (1 + np.exp(-odds))
    assert np.abs(q[50:, 1] - expected[50:]).mean() < 0.02


def test_a_free_slot_that_labelled_classes_explain_goes_to_them() -> None:
    # Class 0 is slots 0 and 2, a third of it in the latter; slot 3 is nobody's, but for a stray.
    slot = np.repeat([0, 1, 2, 3], [1000, 1000, 500, 2000])
    labels = np.full(4500, -1)
    labels[[*range(0, 200, 10), *range(2000, 2100, 10)]] = 0
    labels[[*range(1000, 1300, 10), 3000]] = 1
    found = given_back(np.eye(4)[slot], labels, 2)
    assert np.bincount(found.argmax(1), minlength=4).tolist() == [1500, 1000, 0, 2000]
    np.testing.assert_allclose(found.sum(1), 1)


def test_embedding_is_of_groups_and_not_of_a_handful_of_outliers() -> None:
    rng = np.random.default_rng(0)
    groups = [rng.normal(centre, 1, (2000, 2)) for centre in (0.0, 5.0)]
    outliers = rng.normal(50, 0.1, (15, 2))
    x = torch.from_numpy(np.concatenate([*groups, outliers])).float()
    found = FeatureGraph(x).embedding(3, seed=0)
    assert len(found) == 4015
    np.testing.assert_allclose(found.std(0), 1, rtol=1e-6)
    first = found[:4000, 0]
    assert abs(np.mean(np.sign(first[:2000]) == np.sign(first[-1])) - 0.5) > 0.45
    assert np.abs(found[4000:]).max() < 10  # their own direction would have sqrt(4000 / 15) = 16
