"""JSON from files that anybody may have written: read, or refused as a ValueError."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

LARGEST = 2**63 - 1
"""Whole numbers beyond it are none of ours, and no array holds them."""


def parsed(text: str | bytes) -> Any:
    """The values of a JSON text.

    Raises
    ------
    ValueError
        It is no JSON; it is nested too deeply; a key stands twice; a number is NaN, infinite or
        beyond 64 bits; a text has halves of characters, which could not be written again.
    """
    return _read(text, _number, _whole)


def as_written(text: str) -> Any:
    """The same with each number as the text that it was written as, to tell any other."""
    return _read(text, _same, _same)


def finite(values: Any) -> Any:
    """Values for JSON, which knows no NaN and no infinity: null in their place."""
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if isinstance(values, dict):
        return {key: finite(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [finite(value) for value in values]
    return values


def _read(text: str | bytes, number: Callable[[str], Any], whole: Callable[[str], Any]) -> Any:
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        found = json.loads(
            text,
            parse_float=number,
            parse_int=whole,
            parse_constant=_no_number,
            object_pairs_hook=_once,
        )
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("a text holds half a character") from None
    return found


def _number(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"the number {text[:20]} is too large")
    return found


def _whole(text: str) -> int:
    if len(text) > len(str(LARGEST)) + 1 or abs(int(text)) > LARGEST:
        raise ValueError(f"the number {text[:20]}... is too large")
    return int(text)


def _same(text: str) -> dict[str, str]:
    return {"number": text}


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found
