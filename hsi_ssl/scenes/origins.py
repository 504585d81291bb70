"""Where the facts of a scene come from: which field, attribute, array or file says so, or nothing.

Readers note an origin where they learn a fact, so that `info` can tell it and nobody has to guess
it afterwards. The origin of a scale is `Units.source`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """What a fact is taken from, as words that follow `from`.

    `said` is how it is put there, where that is another form: a unit, the order of axes. `guessed`:
    nothing says so, or not all of it.
    """

    where: str
    said: str = ""
    guessed: bool = False

    def __str__(self) -> str:
        said = f" ({self.said})" if self.said else ""
        return f"from {self.where}{said}{', guessed' if self.guessed else ''}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {"from": self.where, "said": self.said or None, "guessed": self.guessed}


@dataclass(frozen=True)
class Origins:
    """The origin of each fact of a scene that its file, or what lies beside it, tells.

    `mask` is what hides pixels beside values that stand for nothing measured.
    """

    axes: Origin | None = None
    wavelengths: Origin | None = None
    bad_bands: Origin | None = None
    nodata: Origin | None = None
    mask: Origin | None = None
    crs: Origin | None = None
    transform: Origin | None = None
    acquired: Origin | None = None


def listed_origin(parts: tuple[str, ...], said: str = "") -> Origin | None:
    """The origin of what several things say together; None where there are none."""
    each = list(dict.fromkeys(parts))
    if not each:
        return None
    *first, last = each
    return Origin(f"{', '.join(first)} and {last}" if first else last, said)
