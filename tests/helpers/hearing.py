"""A watcher that keeps what it is told, for tests of what is said."""

from __future__ import annotations

from hsi_ssl.watcher import Watcher


class Hears(Watcher):
    """Keeps what is said: notes, warnings, where things stand, and steps as (what, done, total)."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.stood: list[str] = []
        self.steps: list[tuple[str, float, float]] = []

    def progress(self, what: str, done: float, total: float) -> None:
        self.steps.append((what, done, total))

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def stands(self, sentence: str) -> None:
        self.stood.append(sentence)

    def warn(self, sentence: str) -> None:
        self.warned.append(sentence)

    @property
    def all(self) -> str:
        """Everything that was said, in one text."""
        return " | ".join([*self.said, *self.warned])
