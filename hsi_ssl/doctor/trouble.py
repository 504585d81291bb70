"""What would go wrong, or is worth knowing, each with what to do about it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Level = Literal["wrong", "slow", "note"]
"""Something will fail; will take longer than it need; is merely good to know."""


class Trouble(NamedTuple):
    """One thing: what it is about, what is so, what to do."""

    level: Level
    about: str
    said: str
    do: str

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return self._asdict()
