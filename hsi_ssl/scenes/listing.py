"""The names in a folder, listed once as long as it does not change.

Who asks of each file of a folder whether it belongs to a product looks at all names each time.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

SETTLED = 2.0
"""Seconds: what was changed later may be changed again without its time telling."""


def names_in(folder: Path) -> tuple[str, ...]:
    """Names of all that is in a folder, sorted; none where it cannot be listed."""
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return ()
    look = _listed if settled(changed) else _listed.__wrapped__
    return look(str(folder), changed)


def settled(changed: int) -> bool:
    """Whether a file or folder, `changed` at that time in ns, tells by it when it changes again."""
    return time.time() - changed / 1e9 > SETTLED


@lru_cache(maxsize=16)
def _listed(folder: str, changed: int) -> tuple[str, ...]:
    del changed
    try:
        return tuple(sorted(os.listdir(folder)))
    except OSError:
        return ()
