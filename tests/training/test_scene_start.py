"""Where free slots start in scenes: scatter of labelled classes, neighbours, directions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.training.scene_start import by_direction, by_scatter, smoothed, start_in_scenes

SIDE = 60


def test_by_scatter_makes_the_scatter_within_classes_the_unit() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, -1], [3000, 3000, 10])
    mixing = np.array([[3.0, 0.0], [1.0, 2.0]])
    x = rng.normal(size=(6010, 2)) @ mixing.T + np.where(labels[:, None] == 1, 20.0, 0.0)
    found = by_scatter(x, labels)
    for k in (0, 1):
        within = np.cov(found[labels == k].T)
        np.testing.assert_allclose(np.diag(within), 1, atol=0.25)


def test_smoothed_is_the_mean_over_the_neighbours_there_are() -> None:
    x = np.array([[1.0], [3.0], [8.0]])
    neighbours = np.full((3, 8), -1)
    neighbours[0, 2], neighbours[1, 6] = 1, 0
    assert smoothed(x, neighbours, 1).ravel().tolist() == [2.0, 2.0, 8.0]
    assert smoothed(x, neighbours, 0) is x


def test_parts_of_one_direction_become_one_group() -> None:
    # Slots 1 to 3 lie on a ray, slot 4 across it, slot 5 is a handful.
    centres = np.array([[0, 0], [2, 0.1], [5, 0], [9, -0.2], [0.1, 4], [-9, 0]], float)
    slot = np.repeat(np.arange(6), [50, 100, 50, 60, 70, 3])
    found = by_direction(centres[slot], np.eye(6)[slot], 1)
    assert [sorted(group) for group in found] == [[1, 2, 3], [4]]


def scene(seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Four quarters: two labelled materials and two others, in varying strength, with light."""
    rng = np.random.default_rng(seed)
    rows, cols = np.divmod(np.arange(SIDE * SIDE), SIDE)
    truth = 2 * (rows >= SIDE // 2) + (cols >= SIDE // 2)
    strength = rng.uniform(0.5, 1.5, len(truth))
    x = np.zeros((len(truth), 6))
    x[np.arange(len(truth)), truth] = 6 * strength
    x[:, 4] = rng.normal(0, 40, len(truth))  # light: the largest spread, and of no use
    return x + rng.normal(size=x.shape), truth


@pytest.mark.slow
def test_groups_that_light_hides_get_slots_of_their_own() -> None:
    x, truth = scene(0)
    rows, cols = np.divmod(np.arange(len(x)), SIDE)
    neighbours = neighbour_table(np.zeros(len(x), int), np.stack([rows, cols], 1))
    labels = np.full(len(x), -1)
    for k in (0, 1):
        labels[np.flatnonzero(truth == k)[::30]] = k
    log_prior = np.log(np.array([2, 2, 1, 1, 1, 1]) / 8)
    q = start_in_scenes(x, neighbours.astype(np.int64), labels, log_prior, 2, seed=0)
    np.testing.assert_allclose(q.sum(1), 1)
    best = q.argmax(1)
    known = labels >= 0
    assert np.array_equal(best[known], labels[known])
    main = []
    for group in (2, 3):
        here = best[truth == group]
        slot = int(np.bincount(here).argmax())
        assert slot >= 2
        assert np.mean(here == slot) > 0.8
        assert np.mean(truth[best == slot] == group) > 0.8
        main.append(slot)
    assert main[0] != main[1]
    assert np.array_equal(
        q, start_in_scenes(x, neighbours.astype(np.int64), labels, log_prior, 2, seed=0)
    )
