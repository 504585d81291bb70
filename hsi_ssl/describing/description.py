"""What `info` tells of anything: once as values, once in words."""

from __future__ import annotations

from typing import Any, NamedTuple


class Description(NamedTuple):
    """The same twice: `values` are JSON without NaN, `lines` are for people."""

    values: dict[str, Any]
    lines: list[str]


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and what it counts, in the singular or the plural."""
    return f"{n} {one if n == 1 else many or one + 's'}"
