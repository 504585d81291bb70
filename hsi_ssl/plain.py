"""Plain dataclasses as schemas of JSON, checked by hand: training does without pydantic.

A field without default must be there; keys that no field names may be there and are not looked at.
`__post_init__` of a dataclass checks what its fields say together, and raises ValueError.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from functools import cache
from typing import Any, Literal, TypeVar

T = TypeVar("T")
SHOWN = 40
"""Characters of a wrong value that are shown."""


def checked(kind: type[T], value: Any, place: str = "") -> T:
    """`value`, as JSON gives it, as an instance of the dataclass `kind`.

    Raises
    ------
    ValueError
        Naming the place, what was expected and what was found.
    """
    found: T = _dataclass(kind, value, place)
    return found


def refused(place: str, expected: str, value: Any) -> ValueError:
    """The error of a value that is not as expected."""
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    return ValueError(f"{place or 'it'} should be {expected}, found {shown}")


@cache
def _fields(kind: type[Any]) -> tuple[tuple[str, Any, bool], ...]:
    """Name, type and whether it must be there, of each field."""
    types_of = typing.get_type_hints(kind)
    return tuple(
        (
            f.name,
            types_of[f.name],
            f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
        )
        for f in dataclasses.fields(kind)
    )


def _dataclass(kind: Any, value: Any, place: str) -> Any:
    if not isinstance(value, dict):
        raise refused(place, "an object", value)
    found = {}
    for name, wanted, needed in _fields(kind):
        where = f"{place}.{name}" if place else name
        if name in value:
            found[name] = _checked(wanted, value[name], where)
        elif needed:
            raise ValueError(f"{where} is missing")
    try:
        return kind(**found)
    except ValueError as error:
        raise ValueError(f"{place}: {error}" if place else str(error)) from None


def _checked(wanted: Any, value: Any, place: str) -> Any:
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return _one_of(inner, value, place)
    if origin is Literal:
        if value not in inner or isinstance(value, bool):
            raise refused(place, f"one of {', '.join(map(str, inner))}", value)
        return value
    if origin is list:
        if not isinstance(value, list):
            raise refused(place, "a list", value)
        return [_checked(inner[0], one, f"{place}[{i}]") for i, one in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise refused(place, "an object", value)
        return {key: _checked(inner[1], one, f"{place}.{key}") for key, one in value.items()}
    if dataclasses.is_dataclass(wanted):
        return _dataclass(wanted, value, place)
    return _scalar(wanted, value, place)


def _one_of(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    """A value of one of some types; None is told first, so that the other's mistake is named."""
    if value is None and type(None) in kinds:
        return None
    mistakes = []
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _checked(kind, value, place)
        except ValueError as error:
            mistakes.append(error)
    raise mistakes[-1]


def _scalar(wanted: Any, value: Any, place: str) -> Any:
    expected = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
    right = isinstance(value, (int, float) if wanted is float else wanted)
    if not right or (isinstance(value, bool) and wanted is not bool):
        raise refused(place, expected[wanted], value)
    if wanted is float and not math.isfinite(value):
        raise refused(place, "a finite number", value)
    return value
