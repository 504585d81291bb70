"""Who writes an output has it alone; what a killed run left of it is cleared."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hsi_ssl.claims import claimed
from hsi_ssl.errors import OutputError
from hsi_ssl.files import written_beside
from hsi_ssl.hidden import LOCK, lock_of


def left_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def other(code: str, *args: Path) -> subprocess.Popen[str]:
    """Another process that runs some Python; it says a line when it has come so far."""
    whole = (
        "import sys, time\nfrom pathlib import Path\n"
        "from hsi_ssl.claims import claimed\nfrom hsi_ssl.files import written_beside\n"
        f"path = Path(sys.argv[1])\n{code}"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", whole, *map(str, args)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


HOLD = "with claimed(path):\n    print('here', flush=True)\n    time.sleep(60)\n"


def test_another_process_is_refused_and_told_who_has_it_until_that_is_killed(
    tmp_path: Path,
) -> None:
    run = tmp_path / "runs" / "m1"
    holder = other(HOLD, run)
    with pytest.raises(OutputError, match=f"process {holder.pid} on .*, since 2") as refused:
        with claimed(run):
            pass
    assert f"{run} is being written by another run" in str(refused.value)
    with claimed(run.with_name("m2")):  # another output in the same folder
        pass
    killed(holder)
    assert left_in(tmp_path) == ["runs", f"runs/.m1{LOCK}"]
    with claimed(run):
        pass
    assert left_in(tmp_path) == ["runs"]


def test_of_many_at_once_one_has_it_at_a_time(tmp_path: Path) -> None:
    """Lock files are made and removed all the time: nobody locks one that is gone."""
    code = (
        "from hsi_ssl.errors import OutputError\nprint('here', flush=True)\ngot = 0\n"
        "while got < 60:\n"
        "    try:\n"
        "        with claimed(path):\n"
        "            open(sys.argv[2], 'x').close()\n"
        "            Path(sys.argv[2]).unlink()\n"
        "            got += 1\n"
        "    except OutputError:\n"
        "        pass\n"
    )
    both = [other(code, tmp_path / "sub" / "out", tmp_path / "alone") for _ in range(3)]
    assert [process.wait(60) for process in both] == [0, 0, 0]
    for process in both:
        process.communicate()


def test_another_thread_is_refused_the_same_context_is_not(tmp_path: Path) -> None:
    answers: list[str] = []

    def ask() -> None:
        try:
            with claimed(tmp_path / "out"):
                answers.append("mine")
        except OutputError as error:
            answers.append(str(error))

    with claimed(tmp_path / "out"), claimed(tmp_path / "out", tmp_path / "more"):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    ask()
    assert f"process {os.getpid()}" in answers[0]
    assert answers[1] == "mine"


def test_names_of_one_place_are_one_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    holder = other(HOLD, tmp_path / "link" / "run")
    monkeypatch.chdir(tmp_path / "real")
    with pytest.raises(OutputError, match="being written"), claimed(Path("run")):
        pass
    killed(holder)


class _FailedError(Exception):
    """What a stage may raise."""


def failing(out: Path, make: str | None = None) -> None:
    """A stage that makes an empty folder, or a file, in its output, and fails."""
    with claimed(out):
        if make is not None:
            (out / "last").mkdir(parents=True)
            if make:
                (out / make).write_text("worth keeping")
        raise _FailedError


def test_parents_stay_where_something_was_made_and_go_where_it_failed(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b" / "run"
    with pytest.raises(_FailedError):
        failing(out, make="")
    assert left_in(tmp_path) == []
    with pytest.raises(_FailedError):
        failing(out, make="state")
    assert left_in(tmp_path) == ["a", "a/b", "a/b/run", "a/b/run/last", "a/b/run/state"]
    (out / "state").unlink()
    with pytest.raises(_FailedError):
        failing(out)
    assert out.is_dir()  # it was there before
    with claimed(tmp_path / "c" / "run"):
        pass
    assert (tmp_path / "c").is_dir()


WRITE = (
    "with written_beside(path, overwrite=True) as beside:\n"
    "    beside.write_text('half')\n"
    "    print('here', flush=True)\n"
    "    time.sleep(60)\n"
)


def test_what_killed_runs_left_of_an_output_is_cleared_and_nothing_of_others(
    tmp_path: Path,
) -> None:
    killed(other(WRITE, tmp_path / "m1"))
    killed(other(WRITE, tmp_path / "m1" / "figures" / "generated.png"))
    busy = other(WRITE, tmp_path / "m1" / "report")
    strange = [".m1-settings", ".m1-abcdefgh", f".m2{LOCK}", ".m10-abcdefgh.part"]
    for name in strange:
        (tmp_path / name).mkdir()
    hidden = [name for name in left_in(tmp_path) if ".part" in name and "m10" not in name]
    assert len(hidden) == 6  # three folders with a file each
    with claimed(tmp_path / "m1"):
        pass
    there = left_in(tmp_path)
    kept = [name for name in there if name.startswith("m1/.report")]
    assert len(kept) == 3  # the lock, the folder, the file
    assert sorted({*there} - {*kept}) == sorted([*strange, "m1", "m1/figures"])
    killed(busy)
    with claimed(tmp_path / "m1"):
        pass
    assert left_in(tmp_path / "m1") == ["figures"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("file/out", "a part of the path is a file"),
        ("n" * 300, "the name is too long"),
        ("sub/" + "n" * 245, "the name is too long"),
        ("a\0b", "zero byte"),
        ("loop/out", "link that leads to itself"),
    ],
)
def test_a_path_that_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, path: str, why: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match=why), claimed(tmp_path / path):
        pass
    with pytest.raises(OutputError, match=why), written_beside(tmp_path / path):
        pass
    assert left_in(tmp_path) == ["file", "loop"]


def test_more_outputs_than_files_that_may_be_open_at_first(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 120), hard))
    try:
        with claimed(*(tmp_path / str(i) for i in range(150))):
            assert len(list(tmp_path.iterdir())) == 150
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert left_in(tmp_path) == []


def test_a_folder_that_nothing_may_lie_beside_holds_its_lock(tmp_path: Path) -> None:
    assert lock_of(Path("/")) == Path(f"/{LOCK}")
    with claimed(tmp_path / "out"):
        assert (tmp_path / f".out{LOCK}").exists()
