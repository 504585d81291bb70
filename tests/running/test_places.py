"""Tasks in processes: values, order, what is told, and what dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import some_tasks
from hearing import Hears

from hsi_ssl.errors import HsiSslWarning, SettingsError, WorkerError
from hsi_ssl.running.helper import Helper
from hsi_ssl.running.places import Here, Slots, values_of
from hsi_ssl.running.processes import Processes
from hsi_ssl.running.starting import place_of
from hsi_ssl.running.task import Done, Lost, Task
from hsi_ssl.running.telling import Once


@pytest.fixture(scope="module")
def two() -> Iterator[Processes]:
    with Processes(2) as place:
        yield place


def squares(n: int) -> list[Task]:
    return [Task(f"square {i}", some_tasks.square, (i,)) for i in range(n)]


@pytest.mark.parametrize("in_order", [True, False])
def test_values_come_once_each(two: Processes, in_order: bool) -> None:
    found = list(values_of(two, squares(9), in_order=in_order))
    assert sorted(found) == [(i, i * i) for i in range(9)]
    assert not in_order or found == sorted(found)
    assert list(values_of(Here(), squares(3))) == [(0, 0), (1, 1), (2, 4)]
    assert list(values_of(two, [])) == []


def test_few_tasks_are_begun_before_the_one_that_is_due(two: Processes) -> None:
    """Results that wait for the first take memory: there are no more than some a slot."""
    begun: list[int] = []

    def tasks() -> Iterator[Task]:
        for i in range(50):
            begun.append(i)
            yield Task(str(i), some_tasks.sleep, (0.4 if i == 0 else 0.0,))

    results = two.results(tasks(), lambda _: Hears(), in_order=True)
    assert next(results)[0] == 0
    assert len(begun) <= 5
    assert len(list(results)) == 49


def test_what_is_told_in_a_process_is_heard_here(two: Processes, hears: Hears) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ((_, found),) = values_of(two, [Task("tells", some_tasks.tell)], hears)
    assert hears.said == ["something"]
    assert hears.warned == ["look out"]
    assert hears.steps == [("steps", 2, 2)]
    assert [(str(one.message), one.category) for one in caught] == [("odd", HsiSslWarning)]
    assert found == "1"  # threads


def test_errors_come_with_where_they_were_made(two: Processes) -> None:
    tasks = [Task("bug", some_tasks.bug), Task("odd", some_tasks.odd), *squares(2)]
    found = dict(two.results(tasks, lambda _: Hears(), in_order=True))
    assert isinstance(found[0].error, ZeroDivisionError)
    assert "some_tasks.py" in found[0].trace
    assert "Odd: cannot travel" in str(found[1].error)
    assert [found[2].value, found[3].value] == [0, 1]
    with pytest.raises(ZeroDivisionError) as caught:
        list(values_of(two, tasks, in_order=True))
    assert "some_tasks.py" in caught.value.__notes__[0]
    ((_, refused),) = two.results([Task("no", some_tasks.refuse)], lambda _: Hears())
    assert (type(refused.error), str(refused.error)) == (SettingsError, "not so")
    assert not refused.trace


def test_a_task_that_kills_its_process_costs_itself_alone(two: Processes, hears: Hears) -> None:
    tasks = [Task("deadly", some_tasks.die), *squares(6)]
    found = dict(two.results(tasks, lambda _: hears))
    assert isinstance(found[0].error, WorkerError)
    assert "deadly: the process at work on it was killed (SIGKILL), 2 times" in str(found[0].error)
    assert [found[i + 1].value for i in range(6)] == [i * i for i in range(6)]
    assert hears.warned == ["deadly: the process at work was killed (SIGKILL); it begins again"]


def test_a_process_that_dies_of_something_else_is_replaced(two: Processes, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    found = dict(two.results([Task("once", some_tasks.die_once, (mark,))], lambda _: Hears()))
    assert found == {0: Done("whole")}


def test_a_path_that_is_not_there_where_work_is_done_is_named(
    two: Processes, tmp_path: Path
) -> None:
    task = Task("a.tif", some_tasks.square, (2,), needs=(tmp_path / "a.tif",))
    ((_, found),) = two.results([task], lambda _: Hears())
    assert isinstance(found.error, WorkerError)
    assert f"sees no {tmp_path / 'a.tif'}, which is there where the command" in str(found.error)


@pytest.mark.parametrize("how", ["close", "terminate"])
def test_a_helper_clears_up_before_it_ends(tmp_path: Path, how: str) -> None:
    import pickle

    helper, mark = Helper(), tmp_path / "mark"
    helper.begin(pickle.dumps(Task("works", some_tasks.hold, (mark,))))
    until = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert mark.read_text() == "held"
    if how == "terminate":
        helper.process.terminate()
        assert isinstance(helper.hear(), Lost)
    else:
        helper.connection.close()  # as where whoever started it is killed
    assert helper.process.wait(10) in (0, 1)
    assert mark.read_text() == "cleared"


def test_helpers_end_with_whoever_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, os, time; sys.path.insert(0, sys.argv[1]);"
        "import some_tasks; from hsi_ssl.running.processes import Processes;"
        "from hsi_ssl.running.task import Task; p = Processes(1);"
        "p.begin(0, Task('s', some_tasks.tell_process)); print(p.heard()[1].value, flush=True);"
        "p.begin(0, Task('s', some_tasks.sleep, (60,))); time.sleep(60)"
    )
    helpers = Path(some_tasks.__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", code, str(helpers)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())
        process.kill()
    until = time.monotonic() + 20
    while time.monotonic() < until:
        stat = Path(f"/proc/{worker}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        os.kill(worker, signal.SIGKILL)
        pytest.fail("it works on")


def test_places_are_chosen() -> None:
    assert isinstance(place_of(1, None), Here)
    with place_of(3, None) as place:
        assert isinstance(place, Slots)
        assert place.slots == 3


def test_what_is_told_alike_is_told_once(hears: Hears) -> None:
    said: set[str] = set()
    for name in ("core", "cores"):
        names = (f"in/{name}.tif", f"{name}.tif", name)
        one = Once(hears, said, names, steps=name == "core")
        one.say(f"{name}.tif tells no unit; scores are kept")
        one.warn(f"in/{name}.tif is odd")
        one.progress("work", 1, 1)
    assert hears.said == ["core.tif tells no unit; scores are kept"]
    assert hears.warned == ["in/core.tif is odd"]
    assert hears.steps == [("work", 1, 1)]
