"""The benchmark of GPUs says what it measures, and where there is none says so."""

from __future__ import annotations

from pathlib import Path

import gpu
import pytest
from second_device import other
from small_runs import one_thread


@pytest.mark.slow
def test_small_it_runs_on_any_device_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with one_thread(), other():
        gpu.main(["--device", "other", "--small", "--report", str(tmp_path / "gpu.md")])
    said = capsys.readouterr().out
    for what in ("M1, batch", "M2, 4 classes", "mean field", "classify"):
        assert f"| {what}" in said
    lines = [line for line in said.splitlines() if line.startswith("M")]
    pairs = [
        line.removesuffix(" here.").split("bound ")[1].split(" on the CPU, ") for line in lines
    ]
    assert len(pairs) == 2
    assert all(here == there for here, there in pairs)
    assert not list(tmp_path.iterdir())


def test_without_a_gpu_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--device", "cuda:99", "--report", str(tmp_path / "gpu.md")])
    assert capsys.readouterr().out.startswith("nothing is measured: device cuda:99 was asked for")
    assert not list(tmp_path.iterdir())
