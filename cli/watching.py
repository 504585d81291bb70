"""What shows a training's curves as they grow: its page, and event files for TensorBoard."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .output import Terminal


@contextlib.contextmanager
def watched(
    run: Path, terminal: Terminal, *, page: bool, tensorboard: Path | None
) -> Iterator[None]:
    """Within it, a training into `run` is shown anew as epochs end."""
    with contextlib.ExitStack() as shown:
        if not terminal.silent:
            if page:
                drawn = _Page(run, terminal)
                what = "the page of the training is"
                shown.enter_context(_each_epoch(terminal, what, drawn.draw, drawn.end))
            if tensorboard is not None:
                from hsi_ssl.reports.event_files import EventFiles

                files = EventFiles(tensorboard, run)
                terminal.say(f"curves for TensorBoard: {files.folder}")
                shown.callback(files.close)
                what = "curves for TensorBoard are"
                shown.enter_context(_each_epoch(terminal, what, files.update, files.update))
        yield


@contextlib.contextmanager
def _each_epoch(
    terminal: Terminal, what: str, do: Callable[[], None], end: Callable[[], None]
) -> Iterator[None]:
    """Within it, something is done when an epoch ends, and something else in the end.

    What goes wrong with it is said, and ends no training, but what is done each epoch.
    """
    from hsi_ssl.errors import HsiSslError

    def leave_out() -> None:
        if each in terminal.each_epoch:
            terminal.each_epoch.remove(each)

    def attempt(act: Callable[[], None]) -> None:
        try:
            act()
        except (HsiSslError, OSError) as error:
            terminal.warn(f"{what} left out: {error}")
            leave_out()

    def each() -> None:
        attempt(do)

    terminal.each_epoch.append(each)
    try:
        yield
    finally:
        leave_out()
        attempt(end)


class _Page:
    """Drawn now and then, opened once."""

    def __init__(self, run: Path, terminal: Terminal) -> None:
        self._run, self._terminal = run, terminal
        self._drawn = 0.0
        self._opened = False

    def end(self) -> None:
        """Draw it for the last time."""
        self.draw(ended=True)

    def draw(self, *, ended: bool = False) -> None:
        """Draw it, not too often."""
        from hsi_ssl.reports.training_curve import EVERY, write_curve

        now = time.monotonic()
        if not ended and now - self._drawn < EVERY:
            return
        self._drawn = now
        path = write_curve(self._run, ended=ended)
        if path is not None and not self._opened:
            self._opened = True
            self._terminal.say(f"watch it: {os.fspath(path)}")
            if self._terminal.live:
                import webbrowser

                webbrowser.open(path.resolve().as_uri())
