"""What other libraries warn of: nothing on the terminal, one line each with -v."""

from __future__ import annotations

import ctypes
import logging
import struct
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.cli.output import Terminal, others_heard
from hsi_ssl.errors import PictureWarning
from hsi_ssl.stopping import Stopped

ROWS, COLS = 24, 30
NAMES = ("\u77f3\u82f1", "\u0645\u0631\u0645\u0631", "\U0001f332 $oak$")


def noise() -> None:
    warnings.warn("about\n  something", RuntimeWarning, stacklevel=1)
    logging.getLogger("matplotlib.font_manager").warning("findfont: %s", "no font")
    for name in ("a", "b"):
        warnings.warn(f"pictures show {name}", PictureWarning, stacklevel=1)


def test_warnings_of_others_are_details(capsys: pytest.CaptureFixture[str]) -> None:
    before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with Terminal() as terminal, others_heard(terminal):
            noise()
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err == "Warning: pictures show a\n"
        with Terminal(verbosity=1) as terminal, others_heard(terminal):
            noise()
        assert capsys.readouterr().out.splitlines() == [
            "RuntimeWarning: about something",
            "matplotlib.font_manager: findfont: no font",
        ]
    assert warnings.showwarning is before


@pytest.mark.slow
def test_names_in_any_script_leave_the_terminal_clean(tmp_path: Path) -> None:
    """In a process of its own, as users run it."""
    rng = np.random.default_rng(0)
    codes = (np.arange(COLS) * len(NAMES) // COLS)[None].repeat(ROWS, 0)
    ends = rng.uniform(0.2, 0.8, (len(NAMES), 12))
    np.save(tmp_path / "cube.npy", ends[codes] + rng.normal(0, 0.01, (ROWS, COLS, 12)))
    np.save(tmp_path / "names.npy", np.array(NAMES)[codes])
    ran = subprocess.run(
        [sys.executable, "-m", "hsi_ssl.cli", "balance", "cube.npy", "--labels", "names.npy",
         "--report", "balance"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Glyph" not in ran.stderr
    assert "findfont" not in ran.stderr
    assert ".py:" not in ran.stderr
    said = ran.stderr.strip().splitlines()
    assert len(said) <= 1
    assert all(line.startswith("Warning: no installed font") for line in said)
    page = (tmp_path / "balance" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in NAMES)


def lost(error: BaseException) -> None:
    """As a compiled module tells of an error that it cannot pass on."""

    def called_back(*_: object) -> None:
        raise error

    ctypes.CFUNCTYPE(None)(called_back)()


def test_errors_that_others_cannot_pass_on_are_details(capfd: pytest.CaptureFixture[str]) -> None:
    for verbosity, shown in ((0, ""), (1, "ValueError: no text\n")):
        with Terminal(verbosity=verbosity) as terminal, others_heard(terminal):
            lost(ValueError("no\n text"))
            sys.excepthook(ValueError, ValueError("no text"), None)
        assert capfd.readouterr() == (2 * shown, "")


def test_a_stop_that_is_lost_reaches_who_hears_of_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: heard.append(found.exc_value))
    stop = Stopped(2)
    with Terminal() as terminal, others_heard(terminal):
        lost(stop)
    assert heard == [stop]


@pytest.mark.slow
@pytest.mark.parametrize("details", [False, True])
def test_what_a_library_writes_past_its_settings_comes_with_details(
    tmp_path: Path, details: bool
) -> None:
    path = tmp_path / "cube.tif"
    path.write_bytes(b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**62) + bytes(100))
    more = ["-v"] if details else []
    done = subprocess.run(
        [sys.executable, "-m", "hsi_ssl.cli", "info", str(path), *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("Error: ") or details
    assert ("_tiffSeekProc: Invalid argument." in lines) == details
    assert len(lines) == 1 or details
