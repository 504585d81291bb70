"""A process beside this one that does one task after another, and ends with the one it serves.

It is a Python of its own, with as many threads as it is told and no more; what it is told and
tells goes through a socket. Once the other end is closed, by whatever way a process ends, or on
SIGTERM, it clears up and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from hsi_ssl.errors import HsiSslWarning, PictureWarning, WorkerError
from hsi_ssl.running.task import Done, Heard, Lost, Task, Told, performed, travelling
from hsi_ssl.stopping import Stopped, interruptible
from hsi_ssl.watcher import Watcher

THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "GDAL_NUM_THREADS",
)  # fmt: skip
"""Variables by which libraries of numbers are told how many threads to use."""
PATIENCE = 1.0
"""Seconds in which a helper clears up before it is ended."""
AGAIN = 0.02
"""Seconds until a stop is tried again that could not be raised where it came."""
BETWEEN_STEPS = 0.2
"""Seconds between two reports of progress."""
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from hsi_ssl.running.helper import serve; serve(int(sys.argv[2]))"
)


class Helper:
    """One such process, from the outside; started when it is made."""

    def __init__(self, threads: int = 1) -> None:
        mine, its = socket.socketpair()
        with its:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", START, json.dumps(sys.path), str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **dict.fromkeys(THREADS, str(threads))},
                pass_fds=[its.fileno()],
                process_group=0,  # Ctrl-C in a terminal reaches whoever started it, who decides
            )
        self.connection = Connection(mine.detach())

    def begin(self, task: bytes, folder: str | None = None) -> None:
        """Hand it a pickled task, to be done in a folder or where this process is."""
        with contextlib.suppress(OSError):  # it has died: whoever hears is told
            self.connection.send((task, folder or str(Path.cwd())))

    def hear(self) -> Heard:
        """What it tells next; that it is lost where it has died."""
        found = self.hear_pickled()
        return pickle.loads(found) if isinstance(found, bytes) else found

    def hear_pickled(self) -> Told | Lost | bytes:
        """As `hear`, with what came of a task as bytes, for whoever only hands it on."""
        try:
            found: Told | bytes = self.connection.recv()
        except (EOFError, OSError):
            code = self.end()
            how = f"ended with code {code}"
            if code < 0:
                how = f"was killed ({signal.Signals(-code).name})"
            return Lost(how)
        return found

    def end(self, patience: float = PATIENCE) -> int:
        """End it, if it has not; its exit code."""
        end_all([self], patience)
        return int(self.process.returncode)


def end_all(helpers: Sequence[Helper], patience: float = PATIENCE) -> None:
    """End helpers at once: each clears up, and is killed where it takes too long."""
    for helper in helpers:
        helper.connection.close()
        if helper.process.poll() is None:
            helper.process.terminate()
    until = time.monotonic() + patience
    for helper in helpers:
        try:
            helper.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            helper.process.kill()
            helper.process.wait()


def serve(file: int) -> None:
    """Do what is asked for through the socket `file`, until its other end is closed."""
    end = _End()
    signal.signal(signal.SIGTERM, end.hear)
    os.environ.setdefault("CPL_LOG", os.devnull)  # GDAL's own warnings: ours say what matters
    connection = Connection(file)
    asked: queue.SimpleQueue[tuple[bytes, str]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, asked, end), daemon=True).start()
    telling = _Telling(connection)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = telling.show  # type: ignore[assignment]
            while True:
                task, folder = asked.get()
                telling.send(pickle.dumps(travelling(_done(task, folder, telling))))
    except Stopped:
        pass
    os._exit(0)  # threads of libraries may be at work still


def _done(pickled: bytes, folder: str, watcher: Watcher) -> Done:
    try:
        os.chdir(folder)
    except OSError:
        return Done(error=WorkerError(missing(Path(folder))))
    task: Task = pickle.loads(pickled)
    for path in task.needs:
        if not path.exists():
            return Done(error=WorkerError(f"{task.name}: {missing(path)}"))
    return performed(task, watcher)


def missing(path: Path) -> str:
    """A sentence on a path that is here and not where work is done."""
    return (
        f"the worker on {socket.gethostname()} sees no {path.absolute()}, which is there where the "
        "command was given: give all machines the same folders under the same names"
    )


class _End:
    """How a helper ends: by an exception in its main thread, so that every `finally` clears up."""

    def __init__(self) -> None:
        self._raised = False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Raise the stop, once, where that may be."""
        if not self._raised and interruptible(frame):
            self._raised = True
            threading.Thread(target=_give_up, daemon=True).start()
            raise Stopped(number)

    def come(self) -> None:
        """From another thread: have it raised, and end the process where that takes too long."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if not self._raised:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(AGAIN)
        os._exit(1)


def _give_up() -> None:
    time.sleep(PATIENCE)
    os._exit(1)


def _listen(connection: Connection, asked: queue.SimpleQueue[tuple[bytes, str]], end: _End) -> None:
    while True:
        try:
            asked.put(connection.recv())
        except (EOFError, OSError):
            end.come()


class _Telling(Watcher):
    """Passes on what a task tells."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._last = 0.0

    def send(self, heard: Told | bytes) -> None:
        """Send it, unless nobody hears any more."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.send(heard)

    def progress(self, what: str, done: float, total: float) -> None:
        """Pass it on, not too often."""
        now = time.monotonic()
        if done == total or now - self._last > BETWEEN_STEPS:
            self._last = now
            self.send(Told("progress", (what, done, total)))

    def say(self, sentence: str) -> None:
        """Pass it on."""
        self.send(Told("say", (sentence,)))

    def detail(self, sentence: str) -> None:
        """Pass it on."""
        self.send(Told("detail", (sentence,)))

    def warn(self, sentence: str) -> None:
        """Pass it on."""
        self.send(Told("warn", (sentence,)))

    def show(self, message: Warning | str, category: type[Warning], *more: Any) -> None:
        """Pass on a warning of Python's; of other libraries' the text alone."""
        del more
        ours = issubclass(category, (HsiSslWarning, PictureWarning))
        self.send(Told(category if ours else UserWarning, (str(message),)))
