"""Being told to stop: what is raised then, and what must not be cut in half."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_WHOLE: set[CodeType] = set()


class Stopped(BaseException):
    """Whoever runs this process tells it to end: no error, so that nobody takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


INTERRUPTS = (KeyboardInterrupt, Stopped)
"""What ends work that could go on another time: in a notebook, and on the command line."""


def uninterrupted(function: F) -> F:
    """A function in which no stop is raised, nor in what it calls: it comes once that is over.

    Of a generator that is its own code alone, not what runs while it is suspended. For what a C
    library calls back, which cannot pass an exception on, and for steps that belong together.
    """
    _WHOLE.add(function.__code__)
    return function


def interruptible(frame: FrameType | None) -> bool:
    """Whether a stop may be raised in `frame`: no function that is `uninterrupted` runs there."""
    while frame is not None:
        if frame.f_code in _WHOLE:
            return False
        frame = frame.f_back
    return True
