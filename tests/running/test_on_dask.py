"""Tasks on a Dask cluster of two worker processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import some_tasks
from hearing import Hears

from hsi_ssl.errors import SettingsError, WorkerError
from hsi_ssl.running import on_dask
from hsi_ssl.running.on_dask import OnDask
from hsi_ssl.running.starting import place_of
from hsi_ssl.running.task import Task

pytestmark = pytest.mark.slow


@pytest.fixture
def place(dask_cluster: Any, hears: Hears) -> Iterator[OnDask]:
    with OnDask(dask_cluster.scheduler_address, hears) as found:
        yield found


def squares(n: int) -> list[Task]:
    return [Task(f"square {i}", some_tasks.square, (i,)) for i in range(n)]


def helpers() -> list[int]:
    """Processes that do tasks, of this user."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"hsi_ssl.running.helper" in place.read_bytes():
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def test_a_task_that_kills_its_process_costs_itself_alone(place: OnDask, hears: Hears) -> None:
    """Not the others, whatever worker they are on, nor Dask's own worker."""
    workers = set(place._client.nthreads())  # type: ignore[no-untyped-call]
    tasks = [Task("deadly", some_tasks.die), *squares(5), Task("bug", some_tasks.bug)]
    found = dict(place.results(tasks, lambda _: hears, in_order=True))
    assert "deadly: the process at work on it was killed (SIGKILL)" in str(found[0].error)
    assert [found[i + 1].value for i in range(5)] == [i * i for i in range(5)]
    assert isinstance(found[6].error, ZeroDivisionError)
    assert "some_tasks.py" in found[6].trace
    assert set(place._client.nthreads()) == workers  # type: ignore[no-untyped-call]


def test_what_is_told_comes_with_the_result(place: OnDask, hears: Hears) -> None:
    ((_, found),) = place.results([Task("tells", some_tasks.tell)], lambda _: hears)
    assert (found.value, hears.said, hears.warned) == ("1", ["something"], ["look out"])


def test_a_worker_that_dies_is_replaced(place: OnDask, dask_cluster: Any) -> None:
    """Also where it has died in the midst of a task, which another does."""
    workers = [worker.pid for worker in dask_cluster.workers.values()]

    def kill() -> None:
        time.sleep(1.0)
        os.kill(workers[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    tasks = [Task(f"sleeps {i}", some_tasks.sleep, (2.0,)) for i in range(3)]
    found = dict(place.results(tasks, lambda _: Hears()))
    thread.join()
    assert [found[i].error for i in range(3)] == [None] * 3


def test_what_is_stopped_leaves_nobody_at_work(dask_cluster: Any, hears: Hears) -> None:
    before = set(helpers())
    with OnDask(dask_cluster.scheduler_address, hears) as place:
        place.begin(0, Task("sleeps", some_tasks.sleep, (60,)))
        until = time.monotonic() + 20
        while not (at_work := place._client.processing()) and time.monotonic() < until:  # type: ignore[no-untyped-call]
            time.sleep(0.05)
        assert at_work
        time.sleep(1.0)
    until = time.monotonic() + 20
    while time.monotonic() < until and len(set(helpers())) > len(before):
        time.sleep(0.1)
    assert len(helpers()) <= len(before)


def test_other_versions_are_refused(
    dask_cluster: Any, hears: Hears, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = dask_cluster.scheduler_address
    with monkeypatch.context() as patched:
        patched.setattr(on_dask, "__version__", "0.0.9")
        with OnDask(address, hears) as place:
            ((_, found),) = place.results(squares(1), lambda _: hears)
        assert isinstance(found.error, WorkerError)
        assert "and the command is of 0.0.9: install the same version" in str(found.error)
    with monkeypatch.context() as patched:
        patched.setattr(on_dask, "_own", lambda: {"distributed": "2020.1", "dask": "2020.1"})
        with pytest.raises(WorkerError, match=r"the scheduler at .* has distributed .* it is 2020"):
            OnDask(address, hears)


def test_a_scheduler_that_is_gone_ends_the_work(hears: Hears) -> None:
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        place = OnDask(cluster.scheduler_address, hears)
        place.begin(0, Task("sleeps", some_tasks.sleep, (60,)))
    place._client._timeout = 1
    with place, pytest.raises(WorkerError, match="is gone; what is done is kept"):
        list(place.results(squares(1), lambda _: hears))


def test_what_answers_there_must_be_a_scheduler(
    monkeypatch: pytest.MonkeyPatch, hears: Hears
) -> None:
    import http.server

    monkeypatch.setattr(on_dask, "TIMEOUT", 1.0)
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for address in (f"tcp://127.0.0.1:{server.server_port}", "127.0.0.1:9", "so://here", ""):
            with pytest.raises(WorkerError, match="no Dask scheduler of this version"):
                OnDask(address, hears)
    finally:
        server.shutdown()
        server.server_close()


def test_without_dask_it_is_said_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"pip install 'hsi-ssl\[dask\]'"):
        place_of(1, "tcp://127.0.0.1:9")
