"""What the terminal shows: results on standard output, progress and warnings on standard error."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import click

from hsi_ssl.json_text import finite
from hsi_ssl.watcher import Watcher

from .live import LiveLine
from .stopping import advise

SECONDS_BETWEEN_LINES = 5.0
"""Of those that tell where something long stands, where no live line does."""
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that move a terminal's cursor, colour it or turn the order of letters."""
SWATCH = re.compile(r"(\x1b\[48;2;\d{1,3};\d{1,3};\d{1,3}m {2}\x1b\[0m)")
"""Two blanks in a colour, as a class is shown by: what steers nothing beyond itself."""
WORD = re.compile(r"\S{1001,}")
SIZE = "WORLD_SIZE"
"""Variable that tells how many processes were started together; others' systems set `RANK` too."""
LONGEST = 2500
"""Letters of a sentence: what is longer quotes a file."""


def several_started() -> bool:
    """Whether this is one of several processes of a command, as `torchrun` starts them."""
    return os.environ.get(SIZE, "1") != "1"


def has_joined() -> bool:
    """Whether it may be in touch with the others."""
    return several_started() and "RANK" in os.environ


def is_further_process() -> bool:
    """Whether another process of this command than the first, which alone speaks."""
    return has_joined() and os.environ["RANK"] != "0"


def readable(text: str) -> str:
    """A text from wherever, as a terminal may show it: nothing in it steers, no word is endless."""
    text = STEERING.sub(lambda found: ascii(found[0])[1:-1], text)
    return WORD.sub(lambda found: f"{found[0][:500]}...{found[0][-100:]}", text)


def _coloured(text: str) -> str:
    """`readable`, but for swatches of colour."""
    pieces = SWATCH.split(text)
    return "".join(p if i % 2 else readable(p) for i, p in enumerate(pieces))


def one_line(sentence: str) -> str:
    """A sentence on one line, and not longer than one is."""
    found = readable(" ".join(sentence.splitlines()))
    return found if len(found) <= LONGEST else f"{found[: LONGEST - 500]} ... {found[-400:]}"


class Terminal(Watcher):
    """The command line's watcher. Use it in a `with`, so that the live line is cleared.

    With `as_json`, standard output carries the one object given to `result` and nothing else. Of
    several processes of one command only one's is not `silent`.
    """

    def __init__(self, *, as_json: bool = False, verbosity: int = 0, silent: bool = False) -> None:
        self.as_json = as_json
        self.verbosity = -1 if silent else verbosity
        self.silent = silent
        if silent:
            advise("")
        self._line: LiveLine | None = None
        self._stood = -math.inf
        self.each_epoch: list[Callable[[], None]] = []
        """What else is done when something long says where it stands."""

    def say(self, sentence: str) -> None:
        """Print a sentence, unless quiet or --json."""
        if self.verbosity >= 0 and not self.as_json:
            self._print(sentence, err=False)

    def detail(self, sentence: str) -> None:
        """Print a sentence with -v."""
        if self.verbosity > 0:
            self.say(sentence)

    def warn(self, sentence: str) -> None:
        """Print a warning on standard error, even when quiet."""
        if self.silent:
            return
        self._print(one_line(sentence), err=True, head=click.style("Warning: ", fg="yellow"))

    def if_stopped(self, sentence: str) -> None:
        """Keep the sentence for Ctrl-C and SIGTERM."""
        advise(sentence)

    def result(self, values: Mapping[str, Any], *lines: str) -> None:
        """Give the command's result: the JSON object, or the lines for people."""
        if self.as_json and not self.silent:
            click.echo(json.dumps(finite(values), allow_nan=False))
        elif self.verbosity >= 0:
            for line in lines:
                self._print(line, err=False)

    def progress(self, what: str, done: float, total: float) -> None:
        """Move the live line; it shows on a terminal only."""
        if self.live:
            if self._line is None:
                self._line = LiveLine()
            self._line.progress(what, done, total)

    def stands(self, sentence: str) -> None:
        """Put it into the live line; with -v, and where there is none, say it now and then."""
        for do in tuple(self.each_epoch):
            do()
        if self.live and self.verbosity == 0:
            if self._line is not None:
                self._line.stands(readable(sentence))
            return
        now = time.monotonic()
        if self.verbosity > 0 or now - self._stood > SECONDS_BETWEEN_LINES:
            self._stood = now
            self.say(sentence)

    @property
    def live(self) -> bool:
        """Whether somebody sees a line change."""
        return self.verbosity >= 0 and sys.stderr.isatty()

    def _print(self, text: str, *, err: bool, head: str = "") -> None:
        # Above the live line, whose terminal standard output may be, too.
        with contextlib.nullcontext() if self._line is None else self._line.away():
            click.echo(head + _coloured(text), err=err)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._line is not None:
            self._line.stop()
            self._line = None


class _Log(logging.Handler):
    """Hands what other libraries log to the terminal, for those who want details."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        """Hear one record."""
        self._terminal.detail(f"{record.name}: {record.getMessage()}")


@contextmanager
def others_heard(terminal: Terminal) -> Iterator[None]:
    """Within it, warnings and logs of other libraries come as details (-v), in one line each.

    So do errors that they could not pass on: of messages of GDAL that are no UTF-8, say.

    Our own warnings are warnings here; that on pictures comes once, however many there are.
    """
    from hsi_ssl.errors import HsiSslWarning, PictureWarning

    told = False

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        nonlocal told
        if issubclass(category, HsiSslWarning):
            terminal.warn(str(message))
        elif not issubclass(category, PictureWarning):
            terminal.detail(f"{category.__name__}: {' '.join(str(message).split())}")
        elif not told:
            told = True
            terminal.warn(str(message))

    log = _Log(terminal)
    root, hooks = logging.getLogger(), (sys.unraisablehook, sys.excepthook)

    def ignored(found: sys.UnraisableHookArgs) -> None:
        if isinstance(found.exc_value, Exception):
            heard(found.exc_type, found.exc_value, None)
        else:  # a stop
            hooks[0](found)

    def heard(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            terminal.detail(f"{kind.__name__}: {' '.join(str(error).split())}")
        else:
            hooks[1](kind, error, trace)

    with warnings.catch_warnings():
        warnings.showwarning = show
        root.addHandler(log)
        # Compiled modules tell of such an error twice: as one that ends all, and as one ignored.
        sys.unraisablehook, sys.excepthook = ignored, heard
        try:
            yield
        finally:
            root.removeHandler(log)
            sys.unraisablehook, sys.excepthook = hooks
