"""How experts see spectra, how held-out pixels weigh them."""

from __future__ import annotations

import pytest
import torch

from hsi_ssl.training.experts import (
    AGREEMENT,
    gains,
    in_words,
    weights,
    weights_of_label_sets,
)

POWERS = (0.0, 0.5, 1.0)


def test_spread_is_in_units_of_the_noise_at_power_0_and_equal_at_1() -> None:
    spread, noise = torch.tensor([4.0, 1.0, 0.5]), torch.tensor([0.1, 0.05, 0.1])
    seen = gains(POWERS, spread, noise) * spread
    ratio = spread / noise
    torch.testing.assert_close(seen[0], 4 * ratio / ratio.max())
    torch.testing.assert_close(seen[1], 4 * (ratio / ratio.max()) ** 0.5)
    torch.testing.assert_close(seen[2], torch.full((3,), 4.0))


def test_how_inputs_came_makes_no_difference_to_what_is_seen() -> None:
    """Inputs that are whitened already have spread and noise multiplied by the same numbers."""
    spread, noise = torch.tensor([4.0, 1.0, 0.5]), torch.tensor([0.1, 0.05, 0.1])
    already = torch.tensor([1.0, 3.0, 9.0])
    plain = gains(POWERS, spread, noise) * spread
    torch.testing.assert_close(
        gains(POWERS, spread * already, noise * already) * spread * already, plain
    )


def test_columns_without_noise_or_spread_are_left_alone() -> None:
    found = gains((0.0, 1.0), torch.tensor([1.0, 4.0, 0.0, 2.0]), torch.tensor([0.0, 0.1, 0.1, 1]))
    assert (found[:, [0, 2]] == 1).all()
    assert found[0, 3] < 1  # little signal beside its noise
    assert (gains((0.0,), torch.ones(2), torch.zeros(2)) == 1).all()


def test_the_expert_that_is_right_counts_most_and_a_tie_is_one() -> None:
    y = torch.arange(3).repeat(20)
    right = torch.log_softmax(5 * torch.eye(3)[y], -1)
    blind = torch.full_like(right, -1.0986)
    found = weights(torch.stack([right, blind, right]), y, torch.zeros(3))
    assert found.sum() == pytest.approx(1)
    assert found[0] == pytest.approx(float(found[2]))
    assert found[1] < 0.01


def test_being_too_sure_costs_no_weight() -> None:
    """Half of the pixels right, all of them surely: as good as being as sure as right."""
    y = torch.zeros(40, dtype=torch.long)
    says = torch.eye(2)[torch.arange(40) % 4 // 3]
    sure, calibrated = (torch.log_softmax(s * says, -1) for s in (1.5, 1.1))
    found = weights(torch.stack([sure, calibrated]), y, torch.zeros(2))
    assert found[0] == pytest.approx(0.5, abs=0.02)


def test_who_would_count_for_little_is_left_out() -> None:
    y = torch.zeros(20, dtype=torch.long)
    alike = torch.log_softmax(torch.tensor([5.0, 0.0]), -1).expand(3, 20, 2)
    found = weights(alike, y, torch.tensor([0.0, -1.0, -1.6]))
    torch.testing.assert_close(found[:2], torch.softmax(torch.tensor([0.0, -2.0]), 0))
    assert found[2] == 0
    many = torch.log_softmax(torch.tensor([5.0, 0.0]), -1).expand(30, 20, 2)
    assert (weights(many, y, torch.zeros(30)) > 0).all()


def test_m1_that_does_not_count_is_said() -> None:
    assert "without M1" in in_words((0.25, 0.75), torch.tensor([0.4, 0.6, 0.0]))
    assert "without M1" not in in_words((0.25, 0.75), torch.tensor([0.4, 0.0, 0.6]))
    assert "without M1" not in in_words((0.25, 0.75), torch.tensor([1.0, 0.0]))


def test_nothing_held_out_makes_all_equal() -> None:
    nobody = torch.zeros(4, 0, 3), torch.zeros(0, dtype=torch.long)
    assert weights(*nobody, torch.zeros(4)).tolist() == [0.25] * 4


def test_where_labels_cannot_tell_neighbours_decide() -> None:
    y = torch.zeros(5, dtype=torch.long)
    alike = torch.log_softmax(torch.tensor([5.0, 0.0]), -1).expand(2, 5, 2)
    found = weights(alike, y, torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(found[0] / found[1], torch.exp(torch.tensor(0.5 * AGREEMENT)))


def test_of_several_label_sets_each_weighs_experts_by_the_pixels_that_it_knows() -> None:
    y = torch.stack([torch.arange(60) % 2, torch.arange(60) // 2 % 2], dim=1)
    says = [torch.log_softmax(5 * torch.eye(2)[column], -1) for column in y.T]
    log_q = [torch.stack([says[0], says[1]])] * 2  # the first expert sees the first set's classes
    y[:20, 0] = -1
    found = weights_of_label_sets(log_q, y, torch.zeros(2, 2))
    assert found[0, 0] > 0.8
    assert found[1, 1] > 0.8
