"""`--threads` is heard by whoever computes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hsi_ssl.datasets.store import Dataset


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_a_training_takes_as_many_as_asked_for(
    tiny_dataset: Dataset, tmp_path: Path, threads: int
) -> None:
    asked = [
        "train-m1", str(tiny_dataset.path), "-o", "m1", "--epochs", "1", "--hidden", "8",
        "--latent", "2", "--threads", str(threads), "--json",
    ]  # fmt: skip
    program = [sys.executable, "-m", "hsi_ssl.cli", *asked]
    subprocess.run(program, cwd=tmp_path, check=True, capture_output=True)
    card = json.loads((tmp_path / "m1" / "model.json").read_text())
    assert f"({threads} thread" in card["training"]["device"]


def test_none_is_refused(hsi_ssl: object) -> None:
    ran = hsi_ssl("train-m1", "d.h5", "--threads", "0")  # type: ignore[operator]
    assert ran.code == 2
    assert "--threads" in ran.err
