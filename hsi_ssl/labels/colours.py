"""Colours as files write them."""

from __future__ import annotations

import re

from hsi_ssl.cells import whole_number

CHANNELS, LEVELS = 3, 256


def hex_of(text: str) -> str | None:
    """`#rrggbb` of `#rgb`, `#rrggbb`, `#rrggbbaa` or three numbers up to 255; else None."""
    text = text.strip().lower()
    if match := re.fullmatch("#?([0-9a-f]{6})([0-9a-f]{2})?", text):
        return f"#{match[1]}"
    if match := re.fullmatch("#([0-9a-f])([0-9a-f])([0-9a-f])", text):
        return "#" + "".join(2 * part for part in match.groups())
    found = [whole_number(number) for number in re.findall(r"\d+", text)[:CHANNELS]]
    numbers = [number for number in found if number is not None and number < LEVELS]
    if len(numbers) == CHANNELS:
        return "#" + "".join(f"{number:02x}" for number in numbers)
    return None
