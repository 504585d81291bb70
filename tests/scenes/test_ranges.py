from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hsi_ssl.scenes.ranges import WavelengthRange, parsed_range, range_texts


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1350-1450", 1350, 1450),
        (" 1350 - 1450 ", 1350, 1450),
        ("1350.5–1450", 1350.5, 1450),  # noqa: RUF001  # the dash that word processors make
        ("1350-1450nm", 1350, 1450),
        ("1350nm-1450 NM", 1350, 1450),
        ("1.1-1.45um", 1100, 1450),
        ("1.35µm-1.45µm", 1350, 1450),
        ("1.35 micrometers - 1450 nm", 1350, 1450),
        ("0-400", 0, 400),
        ("50-90nm", 50, 90),
        ("1400-1400", 1400, 1400),
    ],
)
def test_a_text_is_a_range_in_nanometres(text: str, low: float, high: float) -> None:
    assert parsed_range(text) == WavelengthRange(low, high)


def test_small_numbers_without_a_unit_are_micrometres_and_it_shows() -> None:
    assert parsed_range("1.35-1.45") == WavelengthRange(1350, 1450, guessed=True)


def test_the_ends_are_included() -> None:
    wavelengths = np.array([1349.9, 1350.0, 1400.0, 1450.0, 1450.1, np.nan])
    held = parsed_range("1350-1450").holds(wavelengths)
    assert held.tolist() == [False, True, True, True, False, False]
    assert parsed_range("1.1-1.45um").holds(np.array([1100.0]))[0]  # 1.1 * 1000 is a bit more


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("1350-1450,1800-1950", ("1350-1450", "1800-1950")),
        (" 1350 - 1450 , 1.8-1.95um ", ("1350 - 1450", "1.8-1.95um")),
        ([[1350, 1450], (1800.5, 1950)], ("1350-1450", "1800.5-1950")),
        (["1350-1450,1800-1950", [2400, 2500]], ("1350-1450", "1800-1950", "2400-2500")),
        ("", ()),
        ([], ()),
    ],
)
def test_text_and_lists(value: Any, texts: tuple[str, ...]) -> None:
    assert range_texts(value) == texts
    assert range_texts(texts) == texts


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1450-1350", "1450-1350 ends before it begins"),
        ([[1450, 1350]], "1450-1350 ends before it begins"),
        ("water", "'water' is no range"),
        ("1350", "'1350' is no range"),
        ("-1350", "'-1350' is no range"),
        ("1350-1450,,1800-1950", "'' is no range"),
        ("1350:1450", "no range"),
        ("1350-1450cm", "in cm, which is no length"),
        ([1350, 1450], r"1350 is no range.*\[\[1350, 1450\]\]"),
        ([[1350, 1400, 1450]], "is no range"),
        ([[True, 1450]], "is no range"),
        ([[float("nan"), 1450]], "is no range"),
        (1350, "expected ranges such as"),
    ],
)
def test_what_is_no_range_is_refused_in_one_sentence(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        range_texts(value)
    assert "\n" not in str(caught.value)
