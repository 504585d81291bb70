"""How the library tells whoever called it what goes on; it never prints by itself."""

from __future__ import annotations


class Watcher:
    """Hears of progress, notes and warnings. This one keeps silent; the command line's speaks."""

    def progress(self, what: str, done: float, total: float) -> None:
        """`done` of `total` steps of `what` are through; a part of one may be, too."""

    def stands(self, sentence: str) -> None:
        """Hear where something long stands, until the next such sentence takes its place."""

    def say(self, sentence: str) -> None:
        """Hear something worth knowing."""

    def detail(self, sentence: str) -> None:
        """Hear something that only who asks for more wants to know."""

    def warn(self, sentence: str) -> None:
        """Hear something that the user should look at."""

    def if_stopped(self, sentence: str) -> None:
        """Hear how the work goes on if it is stopped from now on."""


SILENT = Watcher()
