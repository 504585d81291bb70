"""Times in words."""

from __future__ import annotations

MINUTE, HOUR = 60.0, 3600.0


def duration(seconds: float) -> str:
    """A time in words: 0.4 s, 40 s, 12 min, 3.5 h."""
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.1f} s" if round(seconds, 1) < 1 else f"{seconds:.0f} s"
    return f"{seconds / MINUTE:.0f} min" if seconds < 1.5 * HOUR else f"{seconds / HOUR:.1f} h"


def clock(seconds: float) -> str:
    """A time as a clock shows it: 0:07, 12:30, 3:05:00."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
