"""Ctrl-C, SIGTERM and a closed terminal: cleared up and answered in a sentence, in two seconds.

A signal raises `Stopped` in the main thread, once, so that every `finally` clears up. A thread of
its own hears of it, too, while the main thread sits in a long call of C or waits for others: once
the time is over it says the sentence and ends the process. What that leaves hidden, the next run
removes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

import click

from hsi_ssl.stopping import Stopped, interruptible

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

HEARD = ("SIGINT", "SIGTERM", "SIGHUP")
DEADLINE = 1.5
"""Seconds after a signal within which the process has ended."""
AGAIN = 0.02
"""Seconds until a stop is tried again that could not be raised where it came."""
LAST_WORDS = 0.2
"""Seconds that saying the sentence may take then."""
PLAIN = "nothing is half-written; the same command begins again"
SHOW_CURSOR = "\r\x1b[K\x1b[?25h"
"""For terminals, whose cursor what ran may have hidden."""


class Stop:
    """A stop that may come while a command runs, and what is to be said then."""

    def __init__(self) -> None:
        self.number = 0
        """Of the signal, once `Stopped` has been raised."""
        self.ends = False
        """Whether a signal has come."""
        self.waits = False
        """Whether it is still to be raised."""
        self.over = threading.Event()
        """The command has ended by itself."""
        self.advice = PLAIN
        self.fixed = False
        self._said = threading.Lock()

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Raise the stop, where that may be; later signals change nothing.

        Raises
        ------
        Stopped
            Always, for the first signal.
        """
        if self.number or self.over.is_set():
            return
        self.waits = not interruptible(frame)
        if not self.waits:
            self.ends, self.number = True, number
            raise Stopped(number)

    def hear_lost(self, lost: UnraisableHookArgs) -> None:
        """Try again where Python could not pass the stop on, as in what C calls back."""
        if isinstance(lost.exc_value, Stopped):
            self.number, self.waits = 0, True
        else:
            sys.__unraisablehook__(lost)

    def hear_thread(self, failed: threading.ExceptHookArgs) -> None:
        """Leave unsaid what goes wrong in other threads once all is to end."""
        if not self.ends:
            threading.__excepthook__(failed)

    def say(self, number: int) -> None:
        """Say how to go on, once; nothing where another process says it."""
        if not self._said.acquire(blocking=False) or not self.advice:
            return
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
            if sys.stderr.isatty():
                sys.stderr.write(SHOW_CURSOR)
            click.echo(f"{click.style('Stopped', fg='yellow')} ({name}): {self.advice}", err=True)

    def guard(self, signals: int, main: int) -> None:
        """Wait for a signal; end the process where the main thread does not in time.

        `signals`: what Python writes numbers of signals to; `main`: ident of the main thread.
        """
        with contextlib.closing(os.fdopen(signals, "rb", buffering=0)) as file:
            number = 0
            while number not in _numbers():
                told = file.read(1)
                if not told:
                    return
                number = told[0]
            self.ends, until = True, time.monotonic() + DEADLINE
            while time.monotonic() < until:
                if self.over.wait(AGAIN):
                    return
                if self.waits:
                    signal.pthread_kill(main, number)
        # Whoever reads what is said may be what holds the main thread up.
        says = threading.Thread(target=self.say, args=(number,), daemon=True)
        says.start()
        says.join(LAST_WORDS)
        _end_processes()
        os._exit(exit_code(number))


_stop = Stop()


def exit_code(number: int) -> int:
    """Exit code after a signal: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + number


def advise(sentence: str, *, fixed: bool = False) -> None:
    """Keep how the work goes on if it is stopped from now on; `fixed`: whatever else comes."""
    if fixed or not _stop.fixed:
        _stop.advice, _stop.fixed = sentence, fixed


def _end_processes() -> None:
    """End processes that work for this one, which would end by themselves once they have begun."""
    working = sys.modules.get("multiprocessing.process")
    if working is not None:
        for process in working.active_children():
            process.kill()


@contextlib.contextmanager
def stops_heard() -> Iterator[Stop]:
    """Within it, signals stop what runs; those that the process was started to ignore do not.

    After a stop they stay heard until the process has ended: it may have threads to wait for.
    """
    global _stop  # noqa: PLW0603
    stop = _stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    told, tells = os.pipe()
    os.set_blocking(tells, False)
    before_fd = signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    before_hook, sys.unraisablehook = sys.unraisablehook, stop.hear_lost
    before_thread, threading.excepthook = threading.excepthook, stop.hear_thread
    before = {number: signal.getsignal(number) for number in _numbers()}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop.hear)
    main = threading.get_ident()
    threading.Thread(target=stop.guard, args=(told, main), name="stop", daemon=True).start()
    try:
        yield stop
    finally:
        if not stop.number:
            stop.over.set()
            for number, handler in before.items():
                signal.signal(number, handler)
            sys.unraisablehook, threading.excepthook = before_hook, before_thread
            signal.set_wakeup_fd(before_fd)
            os.close(tells)


def _numbers() -> list[int]:
    """Of the signals that are heard; not every system has them all."""
    return [getattr(signal, name) for name in HEARD if hasattr(signal, name)]
