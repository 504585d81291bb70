"""The page on which a training's curves grow, for `--watch`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .output import Terminal


@contextlib.contextmanager
def watched(run: Path, terminal: Terminal, *, wanted: bool) -> Iterator[None]:
    """Within it, a training into `run` has its page drawn anew as epochs end."""
    if not wanted or terminal.silent:
        yield
        return
    page = _Page(run, terminal)
    terminal.each_epoch = page.draw
    try:
        yield
    finally:
        terminal.each_epoch = None
        page.draw(ended=True)


class _Page:
    """Drawn now and then, opened once."""

    def __init__(self, run: Path, terminal: Terminal) -> None:
        self._run, self._terminal = run, terminal
        self._drawn = 0.0
        self._opened = False

    def draw(self, *, ended: bool = False) -> None:
        """Draw it, not too often; what goes wrong with it ends no training."""
        from hsi_ssl.errors import HsiSslError
        from hsi_ssl.reports.training_curve import EVERY, write_curve

        now = time.monotonic()
        if not ended and now - self._drawn < EVERY:
            return
        self._drawn = now
        try:
            path = write_curve(self._run, ended=ended)
        except (HsiSslError, OSError) as error:
            self._terminal.warn(f"the page of the training is left out: {error}")
            self._terminal.each_epoch = None
            return
        if path is not None and not self._opened:
            self._opened = True
            self._terminal.say(f"watch it: {os.fspath(path)}")
            if self._terminal.live:
                import webbrowser

                webbrowser.open(path.resolve().as_uri())
