from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as sk

from hsi_ssl.inference.scores import confusion_matrix
from hsi_ssl.reports.metrics import (
    calibrate,
    listed,
    score,
    score_posterior,
    words,
)


def random_case(seed: int, n: int = 500, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(classes, n, p=rng.dirichlet(np.ones(classes)))
    logits = rng.normal(0, 1.5, (n, classes))
    logits[np.arange(n), truth] += 1.5
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, posterior.astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    truth, posterior = random_case(seed)
    predicted = posterior.argmax(axis=1)
    ours = score_posterior(truth, posterior)
    np.testing.assert_array_equal(ours.confusion, sk.confusion_matrix(truth, predicted))
    assert ours.oa == pytest.approx(sk.accuracy_score(truth, predicted))
    assert ours.aa == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
    assert ours.kappa == pytest.approx(sk.cohen_kappa_score(truth, predicted))
    assert ours.macro_f1 == pytest.approx(sk.f1_score(truth, predicted, average="macro"))
    assert ours.nll == pytest.approx(sk.log_loss(truth, posterior, labels=range(5)), rel=1e-5)
    precision, recall, f1, _ = sk.precision_recall_fscore_support(truth, predicted)
    np.testing.assert_allclose(ours.precision, precision)
    np.testing.assert_allclose(ours.recall, recall)
    np.testing.assert_allclose(ours.f1, f1)
    assert ours.headline() == {
        **score(truth, predicted, 5).headline(),
        "ece": ours.ece,
        "nll": ours.nll,
    }


def test_absent_and_never_predicted_classes() -> None:
    truth = [0, 0, 0, 2, 2]
    predicted = [0, 0, 1, 0, 0]  # class 1 is absent, class 2 never predicted
    ours = score(truth, predicted, 3)
    np.testing.assert_allclose(ours.recall, [2 / 3, np.nan, 0])
    np.testing.assert_allclose(ours.precision, [0.5, 0, np.nan])
    np.testing.assert_allclose(ours.f1, [4 / 7, np.nan, 0])
    assert ours.aa == pytest.approx(1 / 3)
    expected = sk.f1_score(truth, predicted, labels=[0, 2], average="macro", zero_division=0)
    assert ours.macro_f1 == pytest.approx(expected)
    said = words(ours, ["a", "b", "c"])
    assert "no test pixels of b" in said[0]
    assert said[1] == "never predicts c"
    assert "no better than always guessing" in said[2]


def test_one_class_for_everything_is_said() -> None:
    said = words(score([0, 0, 1, 2], [1, 1, 1, 1], 3), ["a", "b", "c"], part="validation")
    assert said[0] == "predicts b for every validation pixel"
    assert words(score([0, 1, 2], [0, 1, 2], 3), ["a", "b", "c"]) == []
    assert words(score([1, 1], [1, 1], 2), ["a", "b"]) == [
        "no test pixels of a: no score for these, and the means leave them out"
    ]


def test_undefined_scores_are_none_in_json() -> None:
    nothing = score([], [], 3)
    assert set(nothing.headline().values()) == {None}
    assert score_posterior([], np.empty((0, 3), np.float32)).headline() == nothing.headline()
    one_class = score([1, 1], [1, 1], 2)
    assert math.isnan(one_class.kappa)
    assert one_class.headline()["oa"] == 1


def test_calibration_error_by_hand() -> None:
    posterior = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [1.0, 0.0]])
    bins = calibrate(np.array([0, 1, 0, 0]), posterior, bins=10)
    assert bins.count.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 2, 1]
    # gaps: |0.6 - 1| once, |0.9 - 0.5| twice, |1 - 1| once
    assert bins.ece == pytest.approx((0.4 + 2 * 0.4 + 0) / 4)


def test_calibration_error_against_a_loop() -> None:
    truth, posterior = random_case(7)
    confidence, right = posterior.max(axis=1), posterior.argmax(axis=1) == truth
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            gap = abs(confidence[inside].mean(dtype=float) - right[inside].mean())
            expected += inside.mean() * gap
    assert score_posterior(truth, posterior).ece == pytest.approx(expected, abs=1e-6)


def test_impossible_truth_costs_finitely() -> None:
    ours = score_posterior([1], np.array([[1.0, 0.0]], np.float32))
    assert ours.nll == pytest.approx(-math.log(np.finfo(np.float32).tiny))


def test_confusion_has_true_classes_as_rows() -> None:
    assert confusion_matrix([0, 0], [1, 1], 2).tolist() == [[0, 2], [0, 0]]


def test_names_listed_as_in_a_sentence() -> None:
    assert [listed(["a", "b", "c"][:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_pixels_taken_for_no_class_are_wrong() -> None:
    posterior = np.array([[0.7, 0.2, 0.1], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    found = score_posterior([0, 0, 1, 1], posterior, free=1)
    assert found.in_none is not None
    assert found.in_none.tolist() == [1, 1]
    assert found.n == 4
    assert found.oa == 0.5
    assert found.recall.tolist() == [0.5, 0.5]
    assert found.precision.tolist() == [1, 1]
    # As if free slots were a class of their own that no pixel truly has.
    truth, predicted = [0, 0, 1, 1], [0, 2, 1, 2]
    np.testing.assert_allclose(
        found.f1, sk.f1_score(truth, predicted, labels=[0, 1], average=None, zero_division=0)
    )
    assert found.kappa == pytest.approx(sk.cohen_kappa_score(truth, predicted))
    assert any("50.0 % of the test pixels" in w for w in words(found, ("a", "b")))
