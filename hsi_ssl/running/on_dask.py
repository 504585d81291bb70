"""A Dask cluster: as many tasks at once as its workers have threads, each in a process of its own.

A task does not run in Dask's worker but in a helper beside it, which the worker keeps for the next
one. So what a task does to its process costs no other, threads are those that it should have, and
memory goes back. Where a whole worker dies, its helpers go with it, and Dask gives their tasks to
others. Only what is pickled by the client travels, and whatever the tasks return.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import queue
import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsi_ssl import __version__
from hsi_ssl.errors import SettingsError, WorkerError
from hsi_ssl.running.helper import Helper, end_all
from hsi_ssl.running.places import Slots
from hsi_ssl.running.task import Done, Heard, Lost, Task, Told
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from distributed import Client, Future

TIMEOUT = 10.0
"""Seconds in which a scheduler answers."""
A_LOOK = 0.5
"""Seconds between two looks at whether a task is still wanted, and whether there are workers."""
PACKAGES = ("distributed", "dask")
"""Whose versions must be the same everywhere."""

Outcome = tuple[list[Told], Done | Lost | bytes]
"""What was told of a task and what came of it, the latter pickled where a helper says it."""


class OnDask(Slots):
    """The cluster of the scheduler at an address such as `tcp://10.0.0.1:8786`."""

    def __init__(self, address: str, watcher: Watcher) -> None:
        """Connect.

        Raises
        ------
        SettingsError
            Dask is not installed here.
        WorkerError
            There is no scheduler, or it or a worker of it has another version.
        """
        self._address, self._watcher = address, watcher
        self._client = _connected(address)
        try:
            _refuse_other_versions(self._client, address)
        except BaseException:
            self._leave()
            raise
        self._run = uuid.uuid4().hex
        self._done: queue.SimpleQueue[tuple[int, Future[Outcome]]] = queue.SimpleQueue()
        self._told: list[tuple[int, Heard]] = []
        self._futures: dict[int, Future[Outcome]] = {}
        self._tries = 0
        self._said = False

    @property
    def slots(self) -> int:
        """One a thread of its workers; one task waits where there is no worker yet."""
        threads = self._client.nthreads() if self._is_there() else {}  # type: ignore[no-untyped-call]
        slots = int(sum(threads.values()))
        if not slots and not self._said:
            self._said = True
            self._watcher.say(f"the scheduler at {self._address} has no worker yet: waiting")
        return max(1, slots)

    def begin(self, number: int, task: Task) -> None:
        """Hand out a task."""
        self._tries += 1
        future = self._client.submit(
            perform, pickle.dumps(task), task.name, __version__, str(Path.cwd()),
            key=f"hsi-ssl-{self._run}-{self._tries}", pure=False,
        )  # fmt: skip
        self._futures[number] = future
        future.add_done_callback(  # type: ignore[no-untyped-call]
            lambda found: self._done.put((number, found))
        )

    def heard(self) -> tuple[int, Heard] | None:
        """Wait for what is next heard of any task; None after a while."""
        if self._told:
            return self._told.pop(0)
        try:
            number, future = self._done.get(timeout=A_LOOK)
        except queue.Empty:
            if not self._is_there():
                raise WorkerError(
                    f"the scheduler at {self._address} is gone; what is done is kept: give the "
                    "same command with another one"
                ) from None
            return None
        if self._futures.get(number) is not future:
            return None  # it was dropped
        del self._futures[number]
        told, done = self._outcome(future)
        if isinstance(done, bytes):
            done = pickle.loads(done)
        self._told += [(number, one) for one in (*told, done)]
        return self._told.pop(0)

    def _outcome(self, future: Future[Outcome]) -> Outcome:
        try:
            found: Outcome = future.result(timeout=TIMEOUT)
        except Exception as error:  # of Dask's: the task itself hands its own back as a value
            return [], _of_dask(error, self._address)
        return found

    def _is_there(self) -> bool:
        return bool(self._client.status == "running")

    def drop(self) -> None:
        """Have what is at work stopped."""
        with contextlib.suppress(Exception):
            self._client.cancel(  # type: ignore[no-untyped-call]
                list(self._futures.values()), force=True
            )
        self._futures, self._told = {}, []

    def close(self) -> None:
        """Have what is at work stopped, and leave the cluster."""
        self.drop()
        self._leave()

    def _leave(self) -> None:
        with contextlib.suppress(Exception):
            self._client.close(timeout=1)  # type: ignore[no-untyped-call]


def _connected(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise SettingsError(
            "a Dask cluster needs Dask: pip install 'hsi-ssl[dask]'; or take --workers"
        ) from None
    for name in ("distributed.client", "distributed.core", "distributed.utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # ours say what matters
    try:
        with ThreadPoolExecutor(1) as apart:  # a notebook has a loop of its own at work here
            answers = apart.submit(asyncio.run, asyncio.wait_for(_who(address), TIMEOUT)).result()
        if answers != "Scheduler":
            raise ValueError(f"a {answers} does")
        return Client(address, timeout=TIMEOUT, set_as_default=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever answers at an address
        raise WorkerError(
            f"no Dask scheduler of this version ({_own()['distributed']}) answers at "
            f"{address or 'no address'} ({_in_short(error)}); expected the address that "
            "`dask scheduler` shows, such as tcp://10.0.0.1:8786"
        ) from error


async def _who(address: str) -> Any:
    """What answers at an address: a `Scheduler`, if it is right."""
    from distributed.comm.core import connect
    from distributed.security import Security

    keys = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    comm = await connect(address, timeout=TIMEOUT, **keys)  # type: ignore[no-untyped-call]
    try:
        await comm.write({"op": "identity", "reply": True})
        return (await comm.read())["type"]
    finally:
        comm.abort()


def _refuse_other_versions(client: Client, address: str) -> None:
    own = _own()
    try:
        found: Any = client.get_versions()
    except Exception as error:
        raise WorkerError(
            f"the scheduler at {address} does not tell its version ({_in_short(error)}): install "
            f"distributed {own['distributed']} there"
        ) from error
    machines = {f"the scheduler at {address}": found["scheduler"]}
    machines |= {f"the worker {name}": one for name, one in found["workers"].items()}
    for who, versions in machines.items():
        there = (versions or {}).get("packages", {})
        for package in PACKAGES:
            if there.get(package) != own[package]:
                raise WorkerError(
                    f"{who} has {package} {there.get(package)}, and here it is {own[package]}: "
                    "install the same version on both"
                )


def _own() -> dict[str, str]:
    return {package: version(package) for package in PACKAGES}


def _of_dask(error: Exception, address: str) -> Done | Lost:
    """What an error of Dask's is to us."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return Lost(f"was lost with its worker {error.last_worker.address} again and again")
    short = _in_short(error)
    cause = error.__cause__ or error
    if isinstance(cause, ImportError) or "hsi_ssl" in short:
        short = f"hsi-ssl {__version__} is not installed there ({short})"
    return Done(error=WorkerError(f"the cluster at {address} cannot do it: {short}"))


def _in_short(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words[:200] or type(error).__name__


# What follows runs in Dask's workers.

_IDLE: list[Helper] = []
_LOCK = threading.Lock()


def perform(task: bytes, name: str, asked: str, folder: str) -> Outcome:
    """Do a pickled task in a helper of this worker; what was told of it, and what came of it."""
    if asked != __version__:
        return [], Done(
            error=WorkerError(
                f"{name}: the worker on {socket.gethostname()} has hsi-ssl {__version__}, and the "
                f"command is of {asked}: install the same version on all machines"
            )
        )
    with _LOCK:
        helper = _IDLE.pop() if _IDLE else None
    helper = helper or Helper()
    wanted = _wanted()
    try:
        helper.begin(task, folder)
        told: list[Told] = []
        while True:
            while not helper.connection.poll(A_LOOK):
                if not wanted():
                    end_all([helper])
                    return [], Lost("was told to stop")
            found = helper.hear_pickled()
            if isinstance(found, Told):
                if found.how != "progress":
                    told.append(found)
                continue
            if isinstance(found, bytes):
                with _LOCK:
                    _IDLE.append(helper)
            return told, found
    except BaseException:
        end_all([helper])
        raise


def _wanted() -> Any:
    """A function that tells whether anybody still waits for the task of this thread."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    return wanted
