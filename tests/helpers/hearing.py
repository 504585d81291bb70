"""A watcher that keeps what it is told, for tests of what is said."""

from __future__ import annotations

from hsi_ssl.watcher import Watcher


class Hears(Watcher):
    """Keeps what is said: notes, warnings, and steps as (what, done, total)."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.steps: list[tuple[str, int, int]] = []

    def progress(self, what: str, done: int, total: int) -> None:
        self.steps.append((what, done, total))

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def warn(self, sentence: str) -> None:
        self.warned.append(sentence)

    @property
    def all(self) -> str:
        """Everything that was said, in one text."""
        return " | ".join([*self.said, *self.warned])
