"""Labelled pixels left out in turns."""

from __future__ import annotations

import torch

from hsi_ssl.training.folds import FEW, FOLDS, REPEATS, folds_of, repeated_folds, repeats_of


def test_each_pixel_is_left_out_once_and_its_class_is_learnt_then() -> None:
    y = torch.tensor([0] * 7 + [1] * 2 + [2])
    times = torch.zeros(len(y))
    for left_out in folds_of(y, seed=3):
        learnt = [i for i in range(len(y)) if i not in left_out.tolist()]
        assert set(y[left_out].tolist()) <= set(y[learnt].tolist())
        times[left_out] += 1
    assert times.tolist() == [1] * 9 + [0]


def test_classes_share_the_folds() -> None:
    y = torch.arange(4).repeat_interleave(10)
    assert [torch.bincount(y[rows]).tolist() for rows in folds_of(y, 0)] == [[2] * 4] * FOLDS


def test_few_pixels_are_left_out_several_times_in_other_company() -> None:
    y = torch.arange(2).repeat(10)
    found = repeated_folds(y, 0)
    assert len(found) == REPEATS * FOLDS
    assert torch.bincount(torch.cat(found)).tolist() == [REPEATS] * 20
    assert len({tuple(rows.tolist()) for rows in found}) > FOLDS
    assert repeats_of(torch.zeros(FEW + 1)) == 1


def test_classes_of_one_pixel_have_no_folds() -> None:
    assert not folds_of(torch.arange(4), seed=0)
