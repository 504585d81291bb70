"""Tasks for processes to do, in a module that they can import."""

from __future__ import annotations

import os
import signal
import time
import warnings
from pathlib import Path

from hsi_ssl.errors import HsiSslWarning, SettingsError
from hsi_ssl.watcher import Watcher


def square(x: int, *, watcher: Watcher) -> int:
    return x * x


def sleep(seconds: float, *, watcher: Watcher) -> int:
    time.sleep(seconds)
    return os.getpid()


def tell_process(*, watcher: Watcher) -> int:
    return os.getpid()


def tell(*, watcher: Watcher) -> str:
    watcher.say("something")
    watcher.warn("look out")
    watcher.progress("steps", 2, 2)
    warnings.warn("odd", HsiSslWarning, stacklevel=2)
    return os.environ["OMP_NUM_THREADS"]


def bug(*, watcher: Watcher) -> float:
    return 1 / 0


class Odd(Exception):  # noqa: N818
    def __reduce__(self) -> str:
        raise TypeError


def odd(*, watcher: Watcher) -> None:
    raise Odd("cannot travel")


def refuse(*, watcher: Watcher) -> None:
    raise SettingsError("not so")


def die(*, watcher: Watcher) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(mark: Path, *, watcher: Watcher) -> str:
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "whole"


def hold(mark: Path, *, watcher: Watcher) -> None:
    try:
        mark.write_text("held")
        time.sleep(60)
    finally:
        mark.write_text("cleared")
