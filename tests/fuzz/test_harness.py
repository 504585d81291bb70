"""What the harness is to see: commands that do what no command may."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import harness
import numpy as np
import pytest
import watched
from cases import Case
from mutations import mutate, structure_of
from watched import ACCEPTED, REFUSED, Outcome

from hsi_ssl.cli import main
from hsi_ssl.errors import SceneError


def outcome(command: Callable[[], object], monkeypatch: pytest.MonkeyPatch, path: Path) -> Outcome:
    """What is seen of an input that this command reads."""
    monkeypatch.setattr(main, "main", command)
    path.mkdir()

    def write(folder: Path) -> None:
        (folder / "a.txt").write_text("samples = 3\nlines = 4\n")

    case = Case("a", "texts", write, (("info", "@", "--json"),))
    (found,) = harness.run([case], 1, given=path)
    return found


def said(out: str = "", err: str = "", code: int = 0) -> Callable[[], None]:
    def command() -> None:
        sys.stdout.write(out)
        sys.stderr.write(err)
        if code:
            sys.exit(code)

    return command


def traced() -> None:
    raise KeyError("no such key")


def outside() -> None:
    print("{}")
    Path("in/a.txt.aux.xml").write_text("x")


def elsewhere() -> None:
    open(Path(__file__).parent / "nowhere" / "x", "w").close()


def grown() -> None:
    print("{}")
    held = np.ones(60_000_000)
    del held


COMMANDS: dict[str, tuple[str, Callable[[], object]]] = {
    "an answer": (ACCEPTED, said('{"a": 1}\n')),
    "a refusal": (REFUSED, said(err="Error: it is broken\n", code=2)),
    "a warning": (ACCEPTED, said("{}", "Warning: look at it\n")),
    "no JSON": ("no JSON", said('{"a": NaN}\n')),
    "a traceback": ("traceback", traced),
    "a sentence that nobody turns into one": ("traceback", lambda: SceneError("x").__cause__.x),  # type: ignore[union-attr]
    "a raw line of C": ("raw line", lambda: os.write(2, b"HDF5: error #000\n")),
    "a raw line of Python": ("raw line", said("{}", "x.py:3: UserWarning: no\n")),
    "two sentences": ("no sentence", said(err="Error: a\nError: b\n", code=2)),
    "no sentence": ("no sentence", said(code=2)),
    "another code": ("exit code", said(code=1)),
    "a sentence that steers": ("steers a terminal", said(err="Error: \x1b[2J\n", code=2)),
    "a file as a sentence": ("long sentence", said(err=f"Error: {'x ' * 9000}\n", code=2)),
    "a file beside": ("written elsewhere", outside),
    "a file far away": ("traceback", elsewhere),
    "a process": ("done elsewhere", lambda: print({os.system("true"): 1} and "{}")),
    "a network": ("traceback", lambda: socket.create_connection(("127.0.0.1", 1))),
    "a death": ("death", lambda: os.kill(os.getpid(), signal.SIGKILL)),
    "a hang": ("hang", lambda: time.sleep(60)),
    "memory": ("memory", grown),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_what_no_command_may_do_is_seen(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kind, command = COMMANDS[name]
    if kind == "hang":
        monkeypatch.setattr(harness, "ENDED_AT", 2.0)
    if kind == "memory":
        # Of what this process holds the child maps again what lies in files as it needs it.
        text = Path("/proc/self/status").read_text()
        held = int(text.split("RssAnon:")[1].split()[0]) / 2**10
        monkeypatch.setattr(harness, "MOST", held + 300)
    found = outcome(command, monkeypatch, tmp_path / "given")
    assert found.kind == kind, found


def test_the_same_number_is_the_same_input() -> None:
    files = {"a.txt": b"samples = 3\nlines = 4\n", "b.json": b'{"a": [1, 2]}'}
    every = [mutate(files, list(files), seed) for seed in range(50)]
    assert every == [mutate(files, list(files), seed) for seed in range(50)]
    assert len({str(found) for _, found in every}) > 40


def test_files_are_known_by_their_first_bytes() -> None:
    assert structure_of("a.txt", b"a = 1\n") is not None
    assert structure_of("a", b"\x00\x01") is None
    names = {
        structure_of("a", start).__name__  # type: ignore[union-attr]
        for start in (b"\x89HDF\r\n\x1a\n", b"II*\x00", b"PK\x03\x04", b"SQLite format 3\x00",
                      b"<a/>", b'{"a": 1}', b"plain")
    }  # fmt: skip
    assert len(names) == 7


def test_a_listener_hears_only_while_it_is_told_to(tmp_path: Path) -> None:
    guard = watched.Guard(tmp_path)
    os.mkdir(tmp_path.parent / f"{tmp_path.name}-beside")
    assert guard.heard == []
    with guard.listening():
        (tmp_path / "inside").write_text("x")
        (tmp_path.parent / f"{tmp_path.name}-b").write_text("x")
    assert len(guard.heard) == 1
