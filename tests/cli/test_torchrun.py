"""Commands started by `torchrun`, as docs/large.md shows them: one speaks, and runs are whole."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.inference.checkpoint import load_run

PAGE = Path(__file__).parents[2] / "docs/large.md"
SMALL = """
[m1]
epochs = 2
hidden = [8]
latent = 3
device = "cpu"
[m2]
epochs = 2
supervised_epochs = 1
hidden = [8]
latent = 3
device = "cpu"
"""


def shown() -> list[list[str]]:
    """The commands of the page that this machine can run, in their order."""
    lines = re.findall(r"^    ((?:torchrun|hsi-ssl) [^#\n]+)", PAGE.read_text(), re.M)
    return [shlex.split(line) for line in lines]


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command by this interpreter, each process of one thread."""
    programs = {"torchrun": ["torch.distributed.run"], "hsi-ssl": ["hsi_ssl.cli"]}
    program, *rest = words
    if program == "torchrun":
        rest = ["--standalone", *rest]  # at a free port
    return subprocess.run(
        [sys.executable, "-m", *programs[program], *rest],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
def test_the_commands_of_the_page_do_as_it_says(tiny_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "hsi-ssl.toml").write_text(SMALL)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/dataset.h5").write_bytes(tiny_dataset.path.read_bytes())
    commands = shown()
    assert [words[0] for words in commands] == ["torchrun"] * 3 + ["hsi-ssl"]
    for words in commands:
        done = run(words, tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("now: hsi-ssl") == 1  # one process speaks
        assert "Traceback" not in done.stderr
    for name, kind in (("m1", "m1"), ("m2", "m2"), ("m2-long", "m2"), ("m1-streamed", "m1")):
        load_run(tmp_path / "runs" / name, kind)


@pytest.mark.parametrize(
    "words", [("prepare", "."), ("evaluate",), ("train-m1", "--import-anglepy", "old")]
)
def test_other_commands_say_that_they_work_in_one_process(
    hsi_ssl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    ran = hsi_ssl(*words)
    assert ran.code == 2
    assert f"hsi-ssl {words[0]}" in ran.err
    assert "works in one process, and 2 were started" in ran.err


@pytest.mark.parametrize("rank", ["1", "3"])
def test_a_rank_alone_silences_nobody(
    hsi_ssl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    """Other systems set it too, without any further process of ours."""
    expected = hsi_ssl("catalog", "list").out
    monkeypatch.setenv("RANK", rank)
    assert hsi_ssl("catalog", "list").out == expected != ""
