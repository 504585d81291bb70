"""How many threads share the work: as many as other processes leave cores idle.

Threads of OpenMP wait for each other without letting go of their core. Beside a process that keeps
one of two cores busy, two of them take two to six times as long as one.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from hsi_ssl.watcher import Watcher

ASKED = "OMP_NUM_THREADS"
"""Variable by which whoever starts us says how many; `--threads` sets it."""
STAT = Path("/proc/stat")
GLANCE, APART = 0.1, 0.5
"""Seconds of the first look, and at least between two later ones."""
SPARE = 0.3
"""Of a core, which others may use without its being theirs."""
IDLE = (3, 4)
"""Of the columns of a core in /proc/stat: idle, and waiting for a disk (proc(5))."""


class Use(NamedTuple):
    """Seconds since the machine started, of the cores that we may use."""

    clock: float
    all: float
    """In which they were busy."""
    own: float
    """In which we were."""


class Threads:
    """Looks now and then at what else runs, and takes as many threads of torch as suits that.

    Call it from the thread that computes: OpenMP keeps the number for each. Where a number was
    asked for, or where nothing tells what else runs, it stays as it is. Results are the same up to
    the rounding of sums.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher, self._most, self._said = watcher, most_threads(), False
        self._last = None if ASKED in os.environ or self._most == 1 else use()
        if self._last is not None:
            time.sleep(GLANCE)
            self._take()

    def look(self) -> None:
        """Look again, if the last look is a while ago."""
        if self._last is not None and time.monotonic() - self._last.clock > APART:
            self._take()

    def _take(self) -> None:
        before, now = self._last, use()
        if before is None or now is None:
            return
        self._last = now
        others = (now.all - before.all) - (now.own - before.own)
        idle = len(cores()) - others / (now.clock - before.clock)
        found = max(1, min(self._most, int(idle + SPARE)))
        if found == torch.get_num_threads():
            return
        torch.set_num_threads(found)
        if not self._said and found < self._most:
            self._said = True
            self._watcher.say(
                f"other processes are busy: {found} of {self._most} threads while they are "
                "(--threads sets a number)"
            )


@cache
def most_threads() -> int:
    """How many torch takes by itself."""
    return torch.get_num_threads()


def cores() -> list[int]:
    """Numbers of the cores that we may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def use() -> Use | None:
    """Of now; None where the system does not tell, which Linux alone does like this."""
    try:
        lines = STAT.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    ours, busy = {f"cpu{n}" for n in cores()}, 0.0
    for name, *ticks in map(str.split, lines):
        if name in ours:
            spent = enumerate(ticks[:8])  # those after them are counted within them
            busy += sum(int(count) for place, count in spent if place not in IDLE)
    own = time.process_time()
    return Use(time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), own)
