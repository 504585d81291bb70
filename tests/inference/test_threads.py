"""Threads give way to what else keeps cores busy."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hearing import Hears

from hsi_ssl.inference import threads
from hsi_ssl.inference.threads import ASKED, Threads, cores, most_threads, use

TICKS = 100


class Stat:
    """A file as /proc/stat of four cores, of which so many have been busy since the last look."""

    def __init__(self, path: Path) -> None:
        self.path, self.ticks = path, 0
        self.write(0)

    def write(self, busy: int) -> None:
        self.ticks += busy
        rows = [f"cpu{n} 0 0 {self.ticks} 5000 70 0 0 0 0 0" for n in range(4)]
        self.path.write_text("\n".join(["cpu  1 2 3 4", *rows, "intr 12 0", ""]))


@pytest.fixture
def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stat]:
    """Four cores and threads, whose use a file tells in hundredths of seconds."""
    before = torch.get_num_threads()
    most_threads.cache_clear()
    torch.set_num_threads(4)
    found = Stat(tmp_path / "stat")
    monkeypatch.setattr(threads, "STAT", found.path)
    monkeypatch.setattr(threads, "cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(threads, "APART", 0.0)
    monkeypatch.delenv(ASKED, raising=False)
    yield found
    torch.set_num_threads(before)
    most_threads.cache_clear()


def after(seconds: float, stat: Stat, busy_cores: float) -> None:
    """Sleep, in which all four cores together were busy as so many."""
    started = time.monotonic()
    time.sleep(seconds)
    stat.write(round((time.monotonic() - started) * busy_cores / 4 * TICKS))


@pytest.mark.parametrize(("busy", "taken"), [(0.2, 4), (1.0, 3), (2.1, 2), (4.0, 1)])
def test_as_many_as_cores_are_left(stat: Stat, busy: float, taken: int) -> None:
    heard = Hears()
    found = Threads(heard)
    assert torch.get_num_threads() == 4
    after(0.4, stat, busy)
    found.look()
    assert torch.get_num_threads() == taken
    said = [line for line in heard.said if "--threads" in line]
    assert len(said) == (taken < 4)
    after(0.4, stat, 0.0)
    found.look()
    assert torch.get_num_threads() == 4
    after(0.4, stat, 4.0)
    found.look()
    assert torch.get_num_threads() == 1
    assert len([line for line in heard.said if "--threads" in line]) == 1


def test_what_was_asked_for_stays(stat: Stat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASKED, "4")
    found = Threads(Hears())
    after(0.2, stat, 4.0)
    found.look()
    assert torch.get_num_threads() == 4


def test_where_nobody_tells_all_stays(stat: Stat) -> None:
    stat.path.unlink()
    found = Threads(Hears())
    found.look()
    assert torch.get_num_threads() == 4


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_a_process_that_is_busy_is_seen() -> None:
    before = use()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        time.sleep(1.0)
        process.kill()
    after = use()
    assert before is not None
    assert after is not None
    others = (after.all - before.all) - (after.own - before.own)
    assert 0.4 < others / (after.clock - before.clock) <= len(cores()) + 0.1
