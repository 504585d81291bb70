"""Ctrl-C and SIGTERM: a sentence, an exit code, nothing half-written, no process left, at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.cli.stopping import Stop, advise, stops_heard
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.stopping import Stopped, uninterrupted

SOON = 20.0
"""Seconds within which a process has ended on a machine with much else to do; alone, it is 2."""


def stopped(
    arguments: list[str], number: signal.Signals, when: Callable[[], bool], *, group: bool = False
) -> tuple[int, str]:
    """Run a command in a session of its own, send the signal; its exit code, and what it said."""
    program = [sys.executable, "-m", "hsi_ssl.cli", *arguments]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        while not when():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        os.killpg(process.pid, number) if group else process.send_signal(number)
        said = process.communicate(timeout=SOON)[0]
    assert "Traceback" not in said
    assert ends_soon(lambda: not others(process.pid)), "processes work on"
    return process.returncode, said


def others(session: int) -> list[int]:
    """Processes of a session that are still there, for as long as they work."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[3] == str(session) and fields[0] != "Z":
            found.append(int(place.parent.name))
    return found


def ends_soon(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + SOON
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_training_saves_its_last_epoch_and_says_how_to_go_on(
    tiny_dataset: Dataset, tmp_path: Path, number: signal.Signals
) -> None:
    run = tmp_path / "m1"
    log = run / "last" / "metrics.csv"
    code, said = stopped(
        ["train-m1", str(tiny_dataset.path), "-o", str(run), "--epochs", "100000"],
        number,
        lambda: log.exists() and len(log.read_text().splitlines()) > 2,
    )
    assert code == 128 + number
    name = "Ctrl-C" if number == signal.SIGINT else number.name
    assert f"Stopped ({name}): epoch " in said
    assert "is saved; --resume goes on from there" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m1"]
    assert not [p for p in run.rglob("*") if p.name.startswith(".")]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_comparison_takes_its_processes_along(
    tiny_dataset: Dataset, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "compared"
    code, said = stopped(
        [
            "compare", str(tiny_dataset.path), "-o", str(out), "--extractors", "none",
            "--classifiers", "logistic,m2", "--labels", "3,6,9", "--seeds", "20", "--jobs", "2",
        ],
        number,
        lambda: bool(list(out.glob("cells/*.json"))),
        group=number == signal.SIGINT,  # as a terminal does
    )  # fmt: skip
    assert code == 128 + number
    done = len(list(out.glob("cells/*.json")))
    assert f"{done} of 120 cells are done and kept in {out}; the same command goes on" in said


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_many_scenes_take_their_workers_along(
    tiny_dataset: Dataset, m2_run: Path, tmp_path: Path, number: signal.Signals
) -> None:
    scenes, maps = tmp_path / "scenes", tmp_path / "maps"
    scenes.mkdir()
    cube = np.tile(tiny_dataset.spectra().reshape(40, 30, 12), (10, 10, 1))
    for i in range(40):
        np.save(scenes / f"s{i}.npy", cube)
    code, said = stopped(
        [
            "classify", str(scenes), "--model", str(m2_run), "-o", str(maps), "--workers", "2",
            "--axes", "rows,cols,bands",
        ],
        number,
        lambda: bool(list(maps.glob("*.tif"))),
        group=number == signal.SIGINT,  # as a terminal does
    )  # fmt: skip
    assert code == 128 + number
    assert "of 40 scenes are done; the same command leaves their maps and makes the" in said
    assert not [path for path in maps.iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_where_a_process_is_killed_the_comparison_begins_its_cell_again(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "compared"
    program = [
        sys.executable, "-m", "hsi_ssl.cli", "compare", str(tiny_dataset.path), "-o", str(out),
        "--extractors", "none", "--classifiers", "logistic", "--labels", "3,6", "--seeds", "6",
        "--jobs", "2",
    ]  # fmt: skip
    with subprocess.Popen(
        program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        while not list(out.glob("cells/*.json")):
            assert process.poll() is None
            time.sleep(0.02)
        working = [p for p in others(process.pid) if p != process.pid and _is_worker(p)]
        os.kill(working[0], signal.SIGKILL)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "the process at work was killed (SIGKILL); it begins again" in said
    assert len(list(out.glob("cells/*.json"))) == 12
    assert ends_soon(lambda: not others(process.pid))


def _is_worker(process: int) -> bool:
    return b"hsi_ssl.running.helper" in Path(f"/proc/{process}/cmdline").read_bytes()


IN_C = """
import ctypes, sys
from hsi_ssl.cli import info, main

def wait(**_):
    print("begun", flush=True)
    lock, library = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)  # for ever, whatever signals come

info.command.callback = wait
sys.argv = ["hsi-ssl", "info", "."]
main.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_long_call_of_c_holds_nothing_up(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", IN_C], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        said = process.communicate(timeout=SOON)[0]
    assert process.returncode == 128 + number
    assert "the same command begins again" in said


def heard(work: Callable[[], None]) -> Stop:
    """Work that is stopped; gives the stop."""
    try:
        with stops_heard() as stop:
            try:
                work()
            finally:
                stop.over.set()  # or the process ends
    finally:
        sys.unraisablehook, threading.excepthook = sys.__unraisablehook__, threading.__excepthook__
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
    return stop


def test_it_is_raised_once_and_where_it_may_be() -> None:
    happened = []

    @uninterrupted
    def both() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        happened.append("whole")

    def work() -> None:
        try:
            both()
            time.sleep(5)
            happened.append("too late")
        finally:
            os.kill(os.getpid(), signal.SIGINT)  # changes nothing any more
            happened.append("cleared up")

    with pytest.raises(Stopped, match="SIGTERM"):
        heard(work)
    assert happened == ["whole", "cleared up"]


def test_what_cannot_be_passed_on_is_raised_again() -> None:
    class Loses:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

    def work() -> None:
        Loses()
        time.sleep(5)

    with pytest.raises(Stopped):
        heard(work)


def test_afterwards_signals_do_what_they_did() -> None:
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with stops_heard() as stop:
        advise("as they are", fixed=True)
        advise("otherwise")
        assert stop.advice == "as they are"
        assert signal.getsignal(signal.SIGTERM) == stop.hear
    assert {n: signal.getsignal(n) for n in before} == before
