"""A watcher that keeps what it is told, for tests of what is said."""

from __future__ import annotations

from hsi_ssl.watcher import Watcher


class Hears(Watcher):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def warn(self, sentence: str) -> None:
        self.warned.append(sentence)

    @property
    def all(self) -> str:
        """Everything, in one text."""
        return " | ".join([*self.said, *self.warned])
