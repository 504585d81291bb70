"""Files that are not what they should be: JSON changed by structure, bytes changed one by one."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]
DEEP = 60
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 10**6, 2**31, 2**63 - 1, -(2**40), 0.5, -1e300, 1e300, "", "x",
    "1", "²", "\x00", "../../x", "a" * 5000, [], [[]], [None], ["x"], [1, 2], [1e9] * 40, {},
    {"kind": "standard"}, {"": None},
)  # fmt: skip
"""What may stand where something else should."""


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where each value of a JSON document is; of long lists the first, the second and the last."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for i in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from places(value[i], (*path, i))


def mutated(document: Any, seed: int) -> tuple[str, Any]:
    """A copy with one thing changed, and what that is."""
    rng = random.Random(seed)
    found = copy.deepcopy(document)
    path = rng.choice([p for p in places(found) if p])
    holder = found
    for step in path[:-1]:
        holder = holder[step]
    last, old = path[-1], holder[path[-1]]
    kind = rng.choice(["gone", "other", "other", "other", "short", "long", "deep", "number"])
    if kind == "gone":
        del holder[last]
    elif kind == "short" and isinstance(old, list | str | dict) and old:
        holder[last] = dict(list(old.items())[1:]) if isinstance(old, dict) else old[:-1]
    elif kind == "long" and isinstance(old, list):
        holder[last] = [*old, *old[-1:]]
    elif kind == "deep":
        for _ in range(DEEP):
            old = [old]
        holder[last] = old
    elif kind == "number" and isinstance(old, int | float) and not isinstance(old, bool):
        holder[last] = rng.choice([-old, old + 1, old * 1000, old / 3, -old - 1])
    else:
        holder[last] = rng.choice(ODD)
    return f"{kind} at {'.'.join(map(str, path))}: {str(holder)[:80]}", found


def flipped(content: bytes, seed: int, first: int = 0, stop: int | None = None) -> bytes:
    """A copy with one bit of one byte of a stretch changed."""
    rng = random.Random(seed)
    found = bytearray(content)
    found[rng.randrange(first, len(content) if stop is None else stop)] ^= 1 << rng.randrange(8)
    return bytes(found)
