"""What shows a training's curves as they grow: its page, and event files for TensorBoard."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .output import Terminal

if TYPE_CHECKING:
    from hsi_ssl.reports.event_files import EventFiles


@contextlib.contextmanager
def watched(
    run: Path, terminal: Terminal, *, page: bool, tensorboard: Path | None
) -> Iterator[None]:
    """Within it, a training into `run` is shown anew as epochs end."""
    with contextlib.ExitStack() as shown:
        if not terminal.silent:
            if page:
                drawn = _Page(run, terminal)
                shown.enter_context(_each_epoch(terminal, drawn.draw, drawn.end))
            if tensorboard is not None:
                from hsi_ssl.reports.event_files import EventFiles

                files = EventFiles(tensorboard, run)
                terminal.say(f"curves for TensorBoard: {files.folder}")
                events = _Events(files, terminal)
                shown.enter_context(_each_epoch(terminal, events.update, events.end))
        yield


@contextlib.contextmanager
def _each_epoch(
    terminal: Terminal, do: Callable[[], None], end: Callable[[], None]
) -> Iterator[None]:
    """Within it, something is done when an epoch ends, and something else in the end."""
    terminal.each_epoch.append(do)
    try:
        yield
    finally:
        if do in terminal.each_epoch:
            terminal.each_epoch.remove(do)
        end()


class _Events:
    """Event files that follow the log; what goes wrong with them ends no training."""

    def __init__(self, files: EventFiles, terminal: Terminal) -> None:
        self._files, self._terminal = files, terminal

    def update(self) -> None:
        """Write what is new."""
        from hsi_ssl.errors import HsiSslError

        try:
            self._files.update()
        except (HsiSslError, OSError) as error:
            self._terminal.warn(f"curves for TensorBoard are left out: {error}")
            if self.update in self._terminal.each_epoch:
                self._terminal.each_epoch.remove(self.update)

    def end(self) -> None:
        """Write the last of it."""
        self.update()
        self._files.close()


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
            if self.draw in self._terminal.each_epoch:
                self._terminal.each_epoch.remove(self.draw)
            return
        if path is not None and not self._opened:
            self._opened = True
            self._terminal.say(f"watch it: {os.fspath(path)}")
            if self._terminal.live:
                import webbrowser

                webbrowser.open(path.resolve().as_uri())
