"""Compactness and stability against known answers and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from hsi_ssl.discovery.coherence import adjusted_rand, agreement, compactness


def test_strewn_pixels_are_not_compact_and_halves_are() -> None:
    rng = np.random.default_rng(0)
    strewn = rng.integers(0, 2, (200, 200))
    assert compactness([strewn], 2) == pytest.approx([0, 0], abs=0.02)
    halves = np.zeros((200, 200), np.int64)
    halves[:, 100:] = 1
    # 200 of the pairs of each half's pixels lead across.
    inside = 1 - 200 / (4 * 100 * 200 - 100 - 100 - 200)
    assert compactness([halves], 2) == pytest.approx([(inside - 0.5) / 0.5] * 2)
    chessboard = np.indices((50, 50)).sum(0) % 2
    assert compactness([chessboard], 2) == pytest.approx([-1, -1], abs=0.01)


def test_compactness_leaves_out_what_is_not_classified() -> None:
    plane = np.full((20, 20), -1)
    plane[3:6, 3:6] = 1
    plane[10:14, 2:18] = 0
    assert compactness([plane, plane.T], 3)[:2] == pytest.approx([1, 1])
    assert np.isnan(compactness([plane], 3)[2])


def test_adjusted_rand_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 5, 500), rng.integers(0, 4, 500)
    other[one == 2] = 3
    table = np.zeros((5, 4), np.int64)
    np.add.at(table, (one, other), 1)
    assert adjusted_rand(table) == pytest.approx(adjusted_rand_score(one, other))
    assert adjusted_rand(np.diag([5, 7, 3])) == 1
    assert adjusted_rand(np.zeros((3, 3), np.int64)) == 1


def test_slots_that_come_back_under_another_number_are_found() -> None:
    # Two classes, three free slots; the other run has them turned round, and one split in two.
    shared = np.zeros((5, 6), np.int64)
    shared[0, 0], shared[1, 1] = 1000, 800
    shared[2, 4] = 90
    shared[0, 4] = 10
    shared[3, 2] = 200
    shared[4, 3], shared[4, 5] = 60, 40
    found = agreement(shared, 2)
    assert found.overlap == pytest.approx([0.9, 1.0, 0.6])
    assert 0.9 < found.adjusted_rand < 1


def test_a_slot_without_partner_has_no_overlap() -> None:
    shared = np.zeros((3, 2), np.int64)
    shared[0, 0], shared[1, 1], shared[2, 0] = 50, 30, 20
    assert agreement(shared, 1).overlap == pytest.approx([1.0, 0.0])
