from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.datasets.few_labels import (
    few_labels,
    fewer_than,
    training_counts,
    with_labels_of,
)
from hsi_ssl.datasets.store import Dataset, Part


def test_each_class_has_as_many_as_asked_for(tiny_dataset: Dataset) -> None:
    rows = few_labels(tiny_dataset, 7, seed=0)
    assert (np.diff(rows) > 0).all()
    assert (tiny_dataset.part[rows] == Part.TRAIN).all()
    assert np.bincount(tiny_dataset.label[rows]).tolist() == [7, 7, 7]


def test_draws_of_a_seed_are_nested(tiny_dataset: Dataset) -> None:
    draws = [set(few_labels(tiny_dataset, n, seed=3)) for n in (2, 5, 10, 1000)]
    assert draws[0] < draws[1] < draws[2] < draws[3]
    assert draws[3] == set(tiny_dataset.rows(Part.TRAIN))


def test_draws_of_seeds_are_independent_and_uniform(tiny_dataset: Dataset) -> None:
    """Each pixel is drawn as often as chance has it, and two seeds share what chance has them."""
    n, seeds = 5, 400
    counts = training_counts(tiny_dataset)
    drawn = np.array([few_labels(tiny_dataset, n, seed) for seed in range(seeds)])
    again = few_labels(tiny_dataset, n, 7)
    np.testing.assert_array_equal(again, drawn[7])
    for k, of_class in enumerate(counts):
        rows = np.flatnonzero((tiny_dataset.label == k) & (tiny_dataset.part == Part.TRAIN))
        times = np.array([(drawn == row).sum() for row in rows])
        expected = seeds * n / of_class
        chi_squared = ((times - expected) ** 2 / expected).sum() / (1 - n / of_class)
        assert chi_squared < of_class + 4 * np.sqrt(2 * of_class)
    shared = [len(set(a) & set(b)) for a, b in pairwise(drawn)]
    assert np.mean(shared) == pytest.approx((n**2 / counts).sum(), rel=0.15)


def test_a_class_with_fewer_is_taken_whole_and_named(tiny_dataset: Dataset) -> None:
    part = tiny_dataset.part.copy()
    of_quartz = np.flatnonzero((part == Part.TRAIN) & (tiny_dataset.label == 0))
    part[of_quartz[3:]] = Part.POOL
    short = replace(tiny_dataset, part=part)
    assert np.bincount(short.label[few_labels(short, 5, seed=0)]).tolist() == [3, 5, 5]
    assert fewer_than(short, 5) == [("quartz", 3)]
    assert fewer_than(short, 3) == []


def test_the_others_become_unlabelled_and_tests_stay(tiny_dataset: Dataset, tmp_path: Path) -> None:
    rows = few_labels(tiny_dataset, 4, seed=1)
    found = with_labels_of(tiny_dataset, rows, tmp_path / "few.h5")
    np.testing.assert_array_equal(found.rows(Part.TRAIN), rows)
    np.testing.assert_array_equal(found.label[rows], tiny_dataset.label[rows])
    test = tiny_dataset.rows(Part.TEST)
    np.testing.assert_array_equal(found.rows(Part.TEST), test)
    np.testing.assert_array_equal(found.label[test], tiny_dataset.label[test])
    others = np.setdiff1d(tiny_dataset.rows(Part.TRAIN, Part.POOL), rows)
    np.testing.assert_array_equal(found.rows(Part.POOL), others)
    assert not len(found.rows(Part.VALIDATION))
    silent = np.setdiff1d(np.arange(len(found)), np.concatenate([rows, test]))
    assert (found.label[silent] == -1).all()
    assert (found.unit[silent] == -1).all()
    np.testing.assert_array_equal(found.spectra(), tiny_dataset.spectra())
    np.testing.assert_array_equal(found.spectra(test[::-1]), tiny_dataset.spectra(test[::-1]))
    np.testing.assert_array_equal(found.scaled(rows), tiny_dataset.scaled(rows))
    assert found.path.stat().st_size < tiny_dataset.path.stat().st_size + 50_000
