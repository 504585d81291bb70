"""Whether the other processes of a training are alive: each says so once a second."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store

EVERY = 1.0
"""Seconds between looks."""
SILENT_LOOKS = 15
"""Looks in which a process says nothing new until it is given up. Looks, not seconds: whoever was
suspended himself has not looked meanwhile."""


class Lost(NamedTuple):
    """Another process with which a training cannot go on."""

    rank: int
    why: str
    spoke: bool = False
    """Whether it has said so by itself."""


def key(rank: int) -> str:
    """Under which a process tells how it is."""
    return f"alive/{rank}"


class Heartbeat(threading.Thread):
    """Tells the others that this process is alive, and finds out whether they are.

    `store`: a connection of its own, since one that waits for something answers nobody else.
    """

    def __init__(self, store: Store, rank: int, size: int) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.store, self.rank, self.size = store, rank, size
        self.lost: Lost | None = None
        """Who is gone, or has given up; None while all is well."""
        self._beats, self._over = 0, threading.Event()
        self._last: dict[int, tuple[str, int]] = {}
        self._speaks = threading.Lock()
        self.tell(beats=0)

    def tell(self, **what: Any) -> None:
        """Let the others know: `beats`, or as the last word `left` or `failed`."""
        with self._speaks:
            if not self._over.is_set():
                self.store.set(key(self.rank), json.dumps(what))
                if "beats" not in what:
                    self._over.set()

    def run(self) -> None:
        """Tell and look until the last word is said."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        while not self._over.wait(EVERY):
            self._beats += 1
            try:
                self.tell(beats=self._beats)
                said = self.store.multi_get([key(rank) for rank in others])
            except RuntimeError:  # whoever keeps the store is gone
                self.lost = self.lost or Lost(0, "cannot be reached any more")
                return
            for rank, words in zip(others, said, strict=True):
                self._hear(rank, words.decode())

    def _hear(self, rank: int, words: str) -> None:
        known = json.loads(words)
        if "failed" in known:
            self.lost = self.lost or Lost(rank, f"has stopped: {known['failed']}", spoke=True)
        before, looks = self._last.get(rank, ("", 0))
        looks = looks + 1 if before == words else 0
        self._last[rank] = words, looks
        if looks >= SILENT_LOOKS and "beats" in known:
            why = f"has not been heard of for {SILENT_LOOKS * EVERY:.0f} s"
            self.lost = self.lost or Lost(rank, why)
