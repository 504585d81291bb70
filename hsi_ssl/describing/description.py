"""What `info` tells of anything: once as values, once in words."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Description(NamedTuple):
    """The same twice: `values` are JSON without NaN, `lines` are for people."""

    values: dict[str, Any]
    lines: list[str]


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number and what it counts, in the singular or the plural."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def runs_of(bands: npt.NDArray[np.int64]) -> str:
    """Ascending bands, counted from 0, as runs counted from 1."""
    runs = np.split(bands, np.flatnonzero(np.diff(bands) > 1) + 1)
    return ", ".join(
        f"{run[0] + 1}-{run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs
    )
