"""Whether numbers can be in the unit of those that were learnt from."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.datasets.learnt_numbers import LearntNumbers, difference
from hsi_ssl.scenes.units import Units

BANDS = 30
Floats = npt.NDArray[np.float64]


def spectra(seed: int, materials: tuple[int, ...] = (0, 1, 2, 3)) -> Floats:
    """Reflectance `(n, bands)` of some materials, each of its own shape, in changing light."""
    ends = 0.1 + 0.5 * np.random.default_rng(7).random((4, BANDS)).cumsum(1) / BANDS * 2
    rng = np.random.default_rng(seed)
    which = rng.choice(materials, 500)
    light = rng.uniform(0.4, 1.0, (500, 1))
    found: Floats = ends[which] * light * rng.normal(1, 0.02, (500, BANDS))
    return found


LEARNT = LearntNumbers.of(spectra(0), None)


@pytest.mark.parametrize("light", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("materials", [(0, 1, 2, 3), (0,), (3,)])
def test_other_light_and_other_materials_are_the_same_unit(
    light: float, materials: tuple[int, ...]
) -> None:
    found = difference(LEARNT, light * spectra(1, materials))
    assert found is None or found.slight


def test_an_offset_is_worth_a_word() -> None:
    learnt = LearntNumbers.of(10_000 * spectra(0) + 5000, None)
    found = difference(learnt, 10_000 * spectra(0))
    assert found is not None
    assert found.slight


@pytest.mark.parametrize("light", [0.6, 1.0, 1.6])
@pytest.mark.parametrize("power", [-4, -3, -1, 1, 2, 4])
def test_a_power_of_ten_is_named(power: int, light: float) -> None:
    found = difference(LEARNT, 10.0**power * light * spectra(1))
    assert found is not None
    assert found.factor == pytest.approx(10.0**power)


@pytest.mark.parametrize("factor", [2.75e-5, 1 / 255, 255.0])
def test_a_product_s_factor_is_named(factor: float) -> None:
    found = difference(LEARNT, factor * spectra(0))
    assert found is not None
    assert found.factor == pytest.approx(factor)


def test_what_no_factor_explains_is_told_by_numbers() -> None:
    gains = np.geomspace(1e2, 1e5, BANDS)
    found = difference(LEARNT, gains * spectra(1))
    assert found is not None
    assert found.factor is None
    assert "medians of band 1, " in found.numbers
    assert " against " in found.numbers


def test_a_part_of_what_was_learnt_from_is_dark_but_known() -> None:
    water = np.geomspace(0.05, 0.002, BANDS) * np.random.default_rng(3).uniform(0.8, 1.2, (500, 1))
    learnt = LearntNumbers.of(np.concatenate([spectra(0), water]), None)
    assert difference(learnt, water) is None
    assert difference(LEARNT, water) is not None


def test_negative_and_zero_medians_are_no_reason_to_divide() -> None:
    centred = spectra(0) - np.median(spectra(0), axis=0)
    learnt = LearntNumbers.of(centred, None)
    assert difference(learnt, centred[::2]) is None
    assert difference(LearntNumbers.of(np.zeros((10, 3)), None), np.full((20, 3), 5.0)) is not None


def test_through_a_card_and_back() -> None:
    units = Units(np.linspace(1, 2, BANDS), np.linspace(-1, 0, BANDS), "radiance", "scale_factor")
    learnt = LearntNumbers.of(spectra(0), units)
    back = LearntNumbers.from_card(json.loads(json.dumps(learnt.to_card())))
    np.testing.assert_array_equal(back.quantiles, learnt.quantiles)
    np.testing.assert_array_equal(back.units.scale, units.scale)
    assert (back.units.kind, back.units.source) == ("radiance", "scale_factor")
    np.testing.assert_allclose(
        learnt.physical.quantiles, learnt.quantiles * units.scale + units.offset
    )
