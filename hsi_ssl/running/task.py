"""A task that any process can do, and what is heard of it while it is done."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hsi_ssl.errors import HsiSslError
from hsi_ssl.watcher import Watcher

Function = Callable[..., Any]
"""Of a module, not within another function: it is looked up by its name where the task is done."""


@dataclass(frozen=True)
class Task:
    """A call of `function(*arguments, watcher=...)`; arguments are plain, so that they travel.

    `name` is for people. `needs` are paths that must be there where it is done.
    """

    name: str
    function: Function
    arguments: tuple[Any, ...] = ()
    needs: tuple[Path, ...] = ()


class Told(NamedTuple):
    """A call of a watcher's method `how`, or a warning of a class that `how` is."""

    how: str | type[Warning]
    arguments: tuple[Any, ...]


class Done(NamedTuple):
    """A task's value, or why it has none; `trace` says where, if that is a fault of ours."""

    value: Any = None
    error: Exception | None = None
    trace: str = ""


class Lost(NamedTuple):
    """The process that did a task is gone: killed by a signal, say."""

    how: str


Heard = Told | Done | Lost


def performed(task: Task, watcher: Watcher) -> Done:
    """Do a task in this process."""
    try:
        return Done(task.function(*task.arguments, watcher=watcher))
    except Exception as error:
        trace = "" if isinstance(error, HsiSslError) else traceback.format_exc()
        return Done(error=error, trace=trace)


def travelling(done: Done) -> Done:
    """The same with an error that can be sent to another process, whatever it holds."""
    try:
        pickle.loads(pickle.dumps(done))
    except Exception:
        words = f"{type(done.error).__name__}: {done.error}" if done.error else "no value to send"
        return Done(error=RuntimeError(words), trace=done.trace)
    return done
