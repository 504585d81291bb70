"""A part of tests/benchmarks/mutated.py for every change: what is mutated is read or refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "mutated.py"
TRAINED = ("run lvq: card", "run lvq: card sealed", "run pca: card sealed", "run pca: weights")
PARTS = {
    "scenes": (120, "scenes"),
    "others": (
        120, "products", "labels", "libraries", "datasets", "settings", "class map", "mask",
        "reference", *TRAINED,
    ),
}  # fmt: skip
"""How many inputs, of which cases: none whose models take long to train."""


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_mutated_inputs_are_read_or_refused(part: str) -> None:
    """And files as they were written are accepted: a corpus that is refused tests nothing."""
    inputs, *names = PARTS[part]
    chosen = [word for name in names for word in ("--only", str(name))]
    ran = subprocess.run(
        [sys.executable, BENCHMARK, "--inputs", str(inputs), "--first", "-1", *chosen],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "| all |" in ran.stdout
