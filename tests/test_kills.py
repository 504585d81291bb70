"""A few kills at random moments; `benchmarks/kills.py` makes hundreds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "benchmarks" / "kills.py"


@pytest.mark.slow
def test_what_was_killed_is_completed_by_the_same_command() -> None:
    """Each of four stages once by either signal, beside the same unbroken runs."""
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), "--kills", "8", "--signal", "KILL,TERM", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    every = ran.stdout.split("| all |")[1].splitlines()[0].split("|")
    kills, _, _, _, *good = [int(cell) for cell in every if cell.strip()]
    assert [kills, *good] == [8, 8, 8, 8]
