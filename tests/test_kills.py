"""A few kills at random moments; `benchmarks/kills.py` makes hundreds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "benchmarks" / "kills.py"


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_what_was_killed_is_completed_by_the_same_command(signal: str) -> None:
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), "--kills", "4", "--signal", signal, "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    every = ran.stdout.split("| all |")[1].splitlines()[0].split("|")
    kills, _, _, _, *good = [int(cell) for cell in every if cell.strip()]
    assert [kills, *good] == [4, 4, 4, 4]
