"""The one live line of a terminal: what is going on, how far it is, how long it will still take.

It fits the width, is drawn anew several times a second, and is gone when all is over.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hsi_ssl.durations import clock

CLEAR = "\r\x1b[K"
"""What takes the line away."""
EVERY = 0.25
"""Seconds between two drawings."""
FITTING = ((20, True), (12, True), (6, True), (6, False), (0, False))
"""Columns of the bar, and whether the percentage is shown: the first that fits."""
SURE = 0.5
"""Seconds of work from which on it is told how long the rest will take."""


@dataclass
class Step:
    """Something that takes time, and how far it is."""

    what: str
    done: float
    total: float
    began: float
    """When its first part was told, and how far it was then: what went before is not its speed."""
    first: float
    told: float
    """When the last part was told."""

    def left(self, now: float) -> float | None:
        """Seconds that the rest takes if it goes on as it went; None while nobody can tell."""
        through, spent = self.done - self.first, self.told - self.began
        if through <= 0 or spent < SURE or self.done >= self.total:
            return None
        whole = spent * (self.total - self.first) / through
        return max(0.0, whole - (now - self.began))


class LiveLine:
    """Draws the line on standard error, by a thread of its own, so that time is seen to pass."""

    def __init__(self) -> None:
        self._steps: dict[str, Step] = {}
        """Those under way; one that began after another may be a part of it."""
        self._stands = ""
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._shown = False
        self._thread: threading.Thread | None = None
        encoding = (getattr(sys.stderr, "encoding", None) or "ascii").lower()
        self._full, self._empty = ("━", "─") if encoding.startswith("utf") else ("#", "-")

    def progress(self, what: str, done: float, total: float) -> None:
        """So much of something is done."""
        now = time.monotonic()
        with self._lock:
            step = self._steps.get(what)
            if step is None or step.total != total or done < step.done:
                self._steps[what] = step = Step(what, done, total, now, done, now)
            else:
                if done >= int(step.done) + 1:  # what it consists of goes on anew
                    self._steps = {w: s for w, s in self._steps.items() if s.began <= step.began}
                step.done, step.told = done, now
            if done >= total:
                self._steps.pop(what, None)
                self._stands = ""
                self._clear()
            elif self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live line", daemon=True)
                self._thread.start()

    def stands(self, sentence: str) -> None:
        """What else the line says."""
        with self._lock:
            self._stands = sentence

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within it others write; the line comes back below."""
        with self._lock:
            self._clear()
            yield

    def stop(self) -> None:
        """Take the line away for good."""
        self._over.set()
        with self._lock:
            self._clear()

    def line(self, now: float, columns: int) -> str:
        """The line as it stands, of fewer letters than the terminal has columns."""
        if not self._steps:
            return ""
        names = list(self._steps)
        step = self._steps[names[0]]
        share = min(1.0, step.done / step.total) if step.total else 0.0
        left = step.left(now)
        tail = "" if left is None else f"  {clock(left)} left"
        what = self._stands or ": ".join(names[:2])
        for bar, percent in FITTING:
            full = round(share * bar)
            drawn = f" {self._full * full}{self._empty * (bar - full)}" if bar else ""
            tail_here = (f" {share:4.0%}" if percent else "") + tail
            if width(what) + width(drawn) + width(tail_here) < columns:
                break
        return cut(what, columns - 1 - width(drawn) - width(tail_here)) + drawn + tail_here

    def _run(self) -> None:
        while not self._over.is_set():
            with self._lock:
                if not self._over.is_set():
                    self._draw()
            self._over.wait(EVERY)

    def _draw(self) -> None:
        line = self.line(time.monotonic(), columns_of_terminal())
        if line:
            self._write(CLEAR + line)
            self._shown = True

    def _clear(self) -> None:
        if self._shown:
            self._write(CLEAR)
            self._shown = False

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # the terminal may be gone
            return


def columns_of_terminal() -> int:
    """Columns of standard error's terminal."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def width(text: str) -> int:
    """Columns that a text takes."""
    return sum(
        0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def cut(text: str, columns: int) -> str:
    """A text in so many columns at most; what is left out shows as dots."""
    if width(text) <= columns:
        return text
    while text and width(text) > max(0, columns - 3):
        text = text[:-1]
    return (text + "...")[: max(0, columns)]
