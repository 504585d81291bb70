from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.reports.areas import Z, estimated_areas

MAPPED = np.array([200_000, 150_000, 3_200_000, 6_450_000])
SAMPLE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Rows are mapped classes: deforestation, forest gain, stable forest, stable non-forest."""
HECTARES = 0.09


def test_the_worked_example_of_the_paper() -> None:
    found = estimated_areas(MAPPED, SAMPLE.T)
    # By hand, deforestation: 0.02 * 66/75 + 0.32 * 1/165 + 0.645 * 2/325 of 10 million pixels.
    assert found.estimated[0] == pytest.approx(235_086, abs=1)
    by_hand = 0.02**2 * 0.88 * 0.12 / 74
    by_hand += 0.32**2 * (1 / 165) * (164 / 165) / 164 + 0.645**2 * (2 / 325) * (323 / 325) / 324
    assert found.error[0] == pytest.approx(1e7 * by_hand**0.5)
    # As published: 21,158 ± 6158 ha, and accuracies with two digits.
    assert found.estimated[0] * HECTARES == pytest.approx(21_158, abs=1)
    assert Z * found.error[0] * HECTARES == pytest.approx(6158, abs=2)
    np.testing.assert_allclose(found.users, [0.88, 0.73, 0.93, 0.96], atol=0.005)
    np.testing.assert_allclose(found.producers, [0.75, 0.85, 0.93, 0.96], atol=0.006)
    assert found.oa == pytest.approx(0.95, abs=0.005)
    assert Z * found.oa_error == pytest.approx(0.02, abs=0.005)
    assert found.estimated.sum() == pytest.approx(MAPPED.sum())
    answer = found.to_json([1, 2, 3, 4], HECTARES)
    assert answer["unit"] == "ha"
    assert answer["classes"][0]["mapped"] == pytest.approx(18_000)


def test_errors_of_producers_accuracies_are_those_of_samples_drawn_anew() -> None:
    found = estimated_areas(MAPPED, SAMPLE.T)
    weight, rng = MAPPED / MAPPED.sum(), np.random.default_rng(0)
    drawn = np.stack([rng.multinomial(row.sum(), row / row.sum(), size=4000) for row in SAMPLE], 1)
    p = weight[:, None] * drawn / drawn.sum(2, keepdims=True)
    producers = np.diagonal(p, axis1=1, axis2=2) / p.sum(1)
    np.testing.assert_allclose(found.producers_error, producers.std(0), rtol=0.1)


def test_areas_are_near_the_truth_where_pixels_are_drawn_at_random() -> None:
    rng = np.random.default_rng(2)
    truth = rng.choice(3, 200_000, p=[0.1, 0.3, 0.6])
    mapped = np.where(rng.random(len(truth)) < 0.8, truth, rng.choice(3, len(truth)))
    counts = np.bincount(mapped)
    held = 0
    for _ in range(100):
        drawn = rng.choice(len(truth), 400, replace=False)
        confusion = np.zeros((3, 3), int)
        np.add.at(confusion, (truth[drawn], mapped[drawn]), 1)
        found = estimated_areas(counts, confusion)
        held += int(abs(found.estimated[0] - np.sum(truth == 0)) <= Z * found.error[0])
    assert 90 <= held <= 99
    assert abs(counts[0] - np.sum(truth == 0)) > 1000  # counting the map is far off


def test_mapped_classes_without_test_pixel_are_said() -> None:
    confusion = np.array([[8, 0, 0], [2, 10, 0], [1, 0, 0]])
    found = estimated_areas(np.array([100, 300, 50]), confusion)
    assert found.left_out.tolist() == [False, False, True]
    assert "c, 11.1 %" in next(found.words(("a", "b", "c")))
    assert np.nansum(found.estimated) == pytest.approx(100 * 8 / 11 + 300 * 1.0 + 100 * 2 / 11)
    assert np.isnan(found.estimated[2])
    assert list(estimated_areas(np.array([100, 300, 0]), confusion).words(("a", "b", "c"))) == []
    single = estimated_areas(np.array([5, 5]), np.array([[1, 0], [0, 3]]))
    assert np.isnan(single.error[0])
    (told,) = single.words(("a", "b"))
    assert told.startswith("a single test pixel was taken for a,")
    assert "half-widths" in told
    assert single.to_json([1, 2], None)["classes"][0]["standard_error"] is None


def test_strata_that_are_no_true_class_are_wrong_everywhere() -> None:
    # 600 and 300 pixels mapped as a and b, 100 as rejected: half of these are truly a, half b.
    confusion = np.array([[9, 2, 5], [1, 8, 5]])
    found = estimated_areas(np.array([600, 300, 100]), confusion)
    assert found.oa == pytest.approx(0.6 * 0.9 + 0.3 * 0.8)
    assert found.estimated == pytest.approx([540 + 60 + 50, 60 + 240 + 50])
    assert found.producers == pytest.approx([540 / 650, 240 / 350])
    assert found.users == pytest.approx([0.9, 0.8])
    by_hand = 0.6**2 * 0.9 * 0.1 / 9 + 0.3**2 * 0.8 * 0.2 / 9
    assert found.oa_error == pytest.approx(by_hand**0.5)
    assert found.error[0] == pytest.approx(1000 * (by_hand + 0.1**2 * 0.25 / 9) ** 0.5)
    unknown = estimated_areas(np.array([600, 300, 100]), confusion * [[1, 1, 0]])
    said = next(unknown.words(("a", "b", "rejected")))
    assert "no test pixel was taken for rejected, 10.0 %" in said
    assert unknown.oa == pytest.approx((0.6 * 0.9 + 0.3 * 0.8) / 0.9)
