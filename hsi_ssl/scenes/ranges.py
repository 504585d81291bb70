"""Ranges of wavelengths as users write them: `1350-1450`, `1350-1450nm`, `1.35-1.45um`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from hsi_ssl.scenes.scene import Bools
from hsi_ssl.scenes.wavelengths import MICROMETRES_BELOW, NANOMETRES, singular

NUMBER = r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµμ]*)"
RANGE = re.compile(rf"\s*{NUMBER}\s*[-–]\s*{NUMBER}\s*")  # noqa: RUF001  # people write the dash
EXPECTED = "ranges such as 1350-1450,1800-1950 (nm) or 1.35-1.45um"


@dataclass(frozen=True)
class WavelengthRange:
    """From `low` to `high` in nanometres, the ends included.

    `guessed`: there was no unit, and the numbers are so small that they are micrometres.
    """

    low: float
    high: float
    guessed: bool = False

    def __str__(self) -> str:
        return f"{self.low:g}-{self.high:g} nm"

    def holds(self, wavelengths_nm: npt.NDArray[Any]) -> Bools:
        """Which wavelengths, of any shape, lie in it."""
        within: Bools = (wavelengths_nm >= self.low) & (wavelengths_nm <= self.high)
        return within


def parsed_range(text: str) -> WavelengthRange:
    """The range that a text stands for.

    A unit after the second number holds for both, unless the first has its own.

    Raises
    ------
    ValueError
        It is none, or its ends are in the wrong order.
    """
    found = RANGE.fullmatch(text.lower())
    if found is None:
        raise ValueError(f"{text.strip()!r} is no range of wavelengths; expected {EXPECTED}")
    low, low_unit, high, high_unit = found.groups()
    units = (low_unit or high_unit, high_unit or low_unit)
    for unit in filter(None, units):
        if singular(unit) not in NANOMETRES:
            raise ValueError(f"{text.strip()!r} is in {unit}, which is no length; expected nm, um")
    guessed = not any(units) and float(high) < MICROMETRES_BELOW
    first, last = (
        round(float(end) * (NANOMETRES[singular(unit)] if unit else 1000 if guessed else 1), 4)
        for end, unit in zip((low, high), units, strict=True)
    )
    if first > last:
        raise ValueError(
            f"the range {text.strip()} ends before it begins; write the shorter wavelength first"
        )
    return WavelengthRange(first, last, guessed)


def range_texts(value: Any) -> tuple[str, ...]:
    """Texts, one a range, of a text with commas or of a list of texts and of pairs of numbers.

    Raises
    ------
    ValueError
        One of them is no range; see `parsed_range`.
    """
    if isinstance(value, str):
        texts = [] if not value.strip() else [text.strip() for text in value.split(",")]
    elif isinstance(value, Iterable):
        texts = [text for one in value for text in _texts_of(one)]
    else:
        raise ValueError(f"expected {EXPECTED}, or pairs such as [[1350, 1450]]")
    for text in texts:
        parsed_range(text)
    return tuple(texts)


def _texts_of(one: Any) -> tuple[str, ...]:
    """Of one in a list: a text, which may hold several, or a pair of numbers."""
    if isinstance(one, str):
        return range_texts(one)
    if isinstance(one, list | tuple):
        numbers = [end for end in one if isinstance(end, int | float) and not isinstance(end, bool)]
        if len(one) == len(numbers) == 2:  # noqa: PLR2004  # a pair
            return (f"{numbers[0]}-{numbers[1]}",)
    raise ValueError(f"{one!r} is no range; expected {EXPECTED}, or pairs such as [[1350, 1450]]")
