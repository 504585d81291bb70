"""How experts see spectra, how held-out pixels weigh them, what is held out."""

from __future__ import annotations

import pytest
import torch
from small_models import preset

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.experts import (
    AGREEMENT,
    FOLDS,
    MOST_FOLDED,
    folds,
    gains,
    held_out,
    weights,
    weights_of_label_sets,
)
from hsi_ssl.training.inputs import Inputs, Labelled, log_q_of_experts
from hsi_ssl.training.validation import Validation

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


def test_nothing_held_out_makes_all_equal() -> None:
    nobody = torch.zeros(4, 0, 3), torch.zeros(0, dtype=torch.long)
    assert weights(*nobody, torch.zeros(4)).tolist() == [0.25] * 4


def test_where_labels_cannot_tell_neighbours_decide() -> None:
    y = torch.zeros(5, dtype=torch.long)
    alike = torch.log_softmax(torch.tensor([5.0, 0.0]), -1).expand(2, 5, 2)
    found = weights(alike, y, torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(found[0] / found[1], torch.exp(torch.tensor(0.5 * AGREEMENT)))


def test_each_pixel_is_left_out_once_and_its_class_is_learnt_then() -> None:
    y = torch.tensor([0] * 7 + [1] * 2 + [2])
    times = torch.zeros(len(y))
    for learnt, left_out in folds(y, seed=3):
        assert set(learnt.tolist()) | set(left_out.tolist()) == set(range(len(y)))
        assert set(y[left_out].tolist()) <= set(y[learnt].tolist())
        times[left_out] += 1
    assert times.tolist() == [1] * 9 + [0]


def test_of_many_pixels_one_fold_is_left_out() -> None:
    y = torch.arange(2).repeat(MOST_FOLDED)
    ((learnt, left_out),) = folds(y, seed=0)
    assert len(left_out) == len(y) // FOLDS
    assert len(learnt) + len(left_out) == len(y)


def test_classes_of_one_pixel_have_no_folds() -> None:
    assert not list(folds(torch.arange(4), seed=0))


def small_model(experts: int, labels: tuple[str, ...] = ("y",)) -> DeclaredVAE:
    model = preset(
        "m2", torch.full((2,), 0.5), width=2, latent=1, hidden=(2,), hidden_classifier=(16,),
        experts=experts, labels=labels,
    )  # fmt: skip
    model.classifier.gain.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    return model


def pixels(count: int, seed: int) -> tuple[Inputs, torch.Tensor]:
    """The class is in the second column, the first is noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 2
    x = torch.randn(count, 2, generator=generator)
    x[:, 1] = 2.0 * y - 1 + 0.3 * x[:, 1]
    return Inputs(x, noise_sd=torch.full((2,), 0.1)), y[:, None]


NOBODY = Validation(Inputs(torch.empty(0, 2)), torch.empty(0, 1, dtype=torch.long))


@pytest.mark.slow
def test_cross_validation_finds_the_expert_that_sees_the_class() -> None:
    settings = M2Settings(supervised_epochs=3, learning_rate=1e-2)
    labelled = Labelled(*pixels(40, 0), settings)
    (log_q,), y = held_out(small_model(2), small_model(2), labelled, NOBODY, settings, 40)
    assert log_q.shape == (2, 40, 2)
    assert torch.bincount(y[:, 0]).tolist() == [20, 20]
    assert weights(log_q, y[:, 0], torch.zeros(2))[1] > 0.8


@pytest.mark.slow
def test_of_several_label_sets_each_weighs_experts_by_the_pixels_that_it_knows() -> None:
    settings = M2Settings(supervised_epochs=3, learning_rate=1e-2)
    x, y = pixels(60, 0)
    both = torch.cat([y, (x.mean[:, :1] > 0).long()], dim=1)  # the second lies in the first column
    both[:20, 0] = -1
    labelled = Labelled(x, both, settings)
    model, fresh = (small_model(2, ("a", "b")) for _ in range(2))
    found, classes = held_out(model, fresh, labelled, NOBODY, settings, 60)
    weight = weights_of_label_sets(found, classes, torch.zeros(2, 2))
    assert weight[0, 1] > 0.8
    assert weight[1, 0] > 0.8


def test_validation_pixels_are_what_is_held_out_where_there_are_any() -> None:
    settings = M2Settings(supervised_epochs=3)
    model = small_model(2)
    x, y = pixels(10, 1)
    (log_q,), classes = held_out(
        model, small_model(2), Labelled(*pixels(40, 0), settings), Validation(x, y), settings, 40
    )
    assert torch.equal(log_q, log_q_of_experts(model, x)[0])
    assert torch.equal(classes, y)
