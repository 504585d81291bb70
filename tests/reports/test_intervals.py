from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.reports.intervals import Intervals, Tallies, intervals, tallied
from hsi_ssl.reports.metrics import score

CLASSES = 4
ACCURACY = np.array([0.95, 0.85, 0.9, 0.7])


def field(rng: np.random.Generator, units: int) -> list[np.ndarray]:
    """Truth, prediction and unit of pixels; those of a unit are right or wrong together.

    Units hold 5 to 200 pixels, mostly of one class.
    """
    sizes = rng.integers(5, 200, units)
    unit = np.repeat(np.arange(units), sizes)
    main, other = rng.integers(0, CLASSES, (2, units))
    truth = np.where(rng.random(len(unit)) < 0.85, main[unit], other[unit])
    luck = rng.beta(1.5, 0.5, (units, CLASSES)) - 0.75
    right = rng.random(len(unit)) < np.clip(ACCURACY[truth] + luck[unit, truth], 0, 1)
    confused = rng.integers(1, CLASSES, units)[unit]
    return [truth, np.where(right, truth, (truth + confused) % CLASSES), unit]


@pytest.mark.slow
@pytest.mark.parametrize("units", [12, 40])
def test_nineteen_of_twenty_intervals_hold_the_truth(units: int) -> None:
    rng = np.random.default_rng(5)
    truth, predicted, unit = field(rng, 20_000)
    whole = score(truth, predicted, CLASSES)
    true = {"oa": whole.oa, "aa": whole.aa, "macro_f1": whole.macro_f1, "kappa": whole.kappa}
    everything = tallied(truth, predicted, unit, CLASSES)
    held = dict.fromkeys(true, 0)
    for _ in range(100):
        some = rng.choice(len(everything), units, replace=False)
        drawn = Tallies(*(getattr(everything, n)[some] for n in ("right", "true", "taken")))
        found = intervals(drawn, "polygon").found
        for name, value in true.items():
            held[name] += int(found[name][0] <= value <= found[name][1])
    assert all(90 <= n <= 99 for n in held.values()), held


def test_tallies_count_pixels_by_unit() -> None:
    truth = np.array([0, 0, 1, 1, 2])
    predicted = np.array([0, 3, 1, 0, 3])  # 3: in no class
    found = tallied(truth, predicted, np.array([7, 7, 7, 2, 2]), 3)
    np.testing.assert_array_equal(found.right, [[0, 0, 0], [1, 1, 0]])
    np.testing.assert_array_equal(found.true, [[0, 1, 1], [2, 1, 0]])
    np.testing.assert_array_equal(found.taken, [[1, 0, 0], [1, 1, 0]])


def of_coin(units: int, size: int, rng: np.random.Generator) -> Intervals:
    """Units whose pixels are all right, or all wrong."""
    right = rng.random(units) < 0.8
    truth = np.repeat(np.arange(units) % 2, size)
    predicted = np.where(np.repeat(right, size), truth, 1 - truth)
    unit = np.repeat(np.arange(units), size)
    return intervals(tallied(truth, predicted, unit, 2), "patch")


def test_copies_of_a_pixel_tell_nothing_more() -> None:
    one, many = (of_coin(50, size, np.random.default_rng(1)) for size in (1, 100))
    np.testing.assert_allclose(one.found["oa"], many.found["oa"], rtol=1e-6)
    assert 0.15 < np.ptp(many.found["oa"]) < 0.3  # 2 * 1.96 * sqrt(0.8 * 0.2 / 50) = 0.22
    assert many.effective == pytest.approx(50)


def test_perfect_scores_are_not_certain() -> None:
    truth = np.arange(12) % 2
    found = intervals(tallied(truth, truth, np.arange(12) // 2, 2), "block").found
    low, high = found["oa"]
    assert high == 1
    # Six units without a mistake: Clopper and Pearson's limit, 0.025 ** (1 / 6).
    assert low == pytest.approx(0.025 ** (1 / 6), abs=1e-6)


def test_what_cannot_be_told_is_said() -> None:
    truth = np.array([0, 0, 0, 1])
    found = intervals(tallied(truth, truth, np.array([0, 1, 2, 2]), 2), "block")
    assert np.isnan(found.found["recall"][1]).all()
    assert not np.isnan(found.found["recall"][0]).any()
    said = list(found.words(("a", "b"), by_scene=True, pictures=False))
    assert "3 blocks" in said[0]
    assert "other scenes may lie outside" in said[1]
    assert "one of the blocks holds all pixels of b" in said[2]
    single = intervals(tallied(truth, truth, np.zeros(4, int), 2), "patch")
    assert single.to_json()["oa"] is None
    assert "no intervals" in next(single.words(("a", "b"), by_scene=False, pictures=False))
    lone = intervals(tallied(truth, truth, np.arange(4), 2), "pixel")
    assert "prepare" in next(lone.words(("a", "b"), by_scene=False, pictures=False))
    assert "prepare" not in next(lone.words(("a", "b"), by_scene=False, pictures=True))
