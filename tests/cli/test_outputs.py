"""Outputs of every command: made by one run alone; whole, or absent, whatever the disk says."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from holding import held

from hsi_ssl.claims import claimed
from hsi_ssl.datasets.balance import balance_folder
from hsi_ssl.datasets.store import Dataset

Run = Callable[..., Any]


def left_in(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


COMMANDS = [
    ("d.h5", "prepare nothing -o d.h5 --overwrite"),
    ("d_balance", "prepare nothing -o d.h5 --overwrite"),
    ("runs/balance", "balance nothing"),
    ("runs/m1", "train-m1 nothing.h5"),
    ("runs/m1", "train-m1 nothing.h5 --resume"),
    ("runs/m1", "train-m1 --import-anglepy nothing"),
    ("runs/m2", "train-m2 nothing.h5 --no-m1 --overwrite"),
    ("runs/m2", "train-m2 nothing.h5 --no-m1 --model perceptron"),
    ("runs/m2/report", "evaluate runs/m2 nothing.h5"),
    ("found", "evaluate --map scene.tif --reference points.gpkg --report found"),
    ("f.tif", "features nothing.tif -o f.tif"),
    ("discovered", "discover runs/m2 nothing -o discovered"),
    ("runs/m2", "discover runs/m2 nothing -o discovered"),
    ("runs/som", "quantise nothing.h5"),
    ("g", "generate runs/m2 -o g"),
    ("s.gpkg", "suggest runs/m2 nothing.tif -o s.gpkg"),
    ("m.csv", "match nothing.csv --library nothing.sli -o m.csv"),
    ("c", "compare nothing.h5 -o c"),
    ("sim/drillcore-sim-02.h5", "simulate -o sim --scenes 2 --rows 20 --cols 24"),
    ("hsi-ssl.toml", "init indian-pines"),
]


@pytest.mark.parametrize(("output", "command"), COMMANDS)
def test_what_another_run_writes_is_refused_before_anything_is_read(
    output: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hsi_ssl: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scene.tif").touch()
    with held(tmp_path / output):
        before = left_in(tmp_path)
        ran = hsi_ssl(*command.split())
        assert ran.code == 2
        assert f"{output} is being written by another run (process {os.getpid()} on " in ran.err
        assert left_in(tmp_path) == before


@pytest.mark.parametrize(
    "command",
    [
        "prepare nothing -o deep/d.h5",
        "train-m1 nothing.h5 -o deep/m1",
        "train-m2 nothing.h5 --no-m1 -o deep/m2",
        "evaluate runs/m2 nothing.h5",
        "features nothing.tif -o deep/f.tif",
        "discover runs/m2 nothing -o deep/d",
        "quantise nothing.h5 -o deep/som",
        "compare nothing.h5 -o deep/c",
        "match nothing.csv --library nothing.sli -o deep/m.csv",
    ],
)
def test_a_stage_that_cannot_begin_leaves_no_folder(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hsi_ssl: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hsi_ssl(*command.split()).code == 2
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("place", ["file/out", "n" * 300, "/proc/nothing/out"])
@pytest.mark.parametrize(
    "command",
    [
        "prepare nothing -o {}.h5",
        "train-m1 nothing.h5 -o {}",
        "train-m2 nothing.h5 --no-m1 -o {}",
        "features nothing.tif -o {}.tif",
        "quantise nothing.h5 -o {}",
        "simulate -o {} --scenes 1 --rows 20 --cols 24",
    ],
)
def test_an_output_that_cannot_be_is_refused_in_a_sentence(
    place: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hsi_ssl: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    ran = hsi_ssl(*command.format(place).split())
    assert ran.code == 2
    assert "Error: cannot write " in ran.err
    assert ran.err.count("\n") == 1
    assert left_in(tmp_path) == ["file"]


PREPARE_AND_DIE = """
import os, signal, sys

left = int(sys.argv[1])

def hook(event, args):
    global left
    if event == "os.rename" and ".done" in str(args[0]) and ".part" not in str(args[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
sys.argv = ["hsi-ssl", *sys.argv[2:]]
from hsi_ssl.cli.main import main
main()
"""


@pytest.mark.slow
def test_a_dataset_and_its_report_come_at_once(tmp_path: Path, hsi_ssl: Run) -> None:
    assert hsi_ssl("simulate", "-o", tmp_path / "s", "--scenes", 1, "--rows", 40).code == 0
    scene, dataset = tmp_path / "s" / "drillcore-sim-01.h5", tmp_path / "d.h5"
    asked = ("prepare", scene, "--label-set", "mineralogy", "-o", dataset, "--split", "pixels")
    assert hsi_ssl(*asked, "--unlabelled", 50).code == 0
    report = balance_folder(dataset) / "index.html"
    old = dataset.read_bytes(), report.read_bytes()
    command = [sys.executable, "-c", PREPARE_AND_DIE, "2", *map(str, asked), "--overwrite"]
    ended = subprocess.run(command, check=False, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert any(name.endswith(".done") for name in os.listdir(tmp_path))
    with claimed(dataset, report.parent):
        pass
    assert left_in(tmp_path)[:3] == ["d.h5", "d_balance", "d_balance/balance.csv"]
    new = dataset.read_bytes(), report.read_bytes()
    assert new[0] != old[0]
    assert new[1] != old[1]
    assert hsi_ssl(*asked, "--overwrite").code == 0
    assert (dataset.read_bytes(), report.read_bytes()) == new


def test_weights_have_the_mode_of_any_file(m2_run: Path) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in m2_run.glob("model.*")}
    assert modes["model.safetensors"] == modes["model.json"]


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A disk of its own at `place`, with so much room; only the superuser may have one."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.name == "nt" or shutil.which("mount") is None:
        pytest.skip("no disk can be mounted here")
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["4k", "24k", "64k"])
@pytest.mark.parametrize(
    "command",
    [
        "train-m1 {dataset} -o {disk}/runs/m1 --epochs 3 --hidden 300 --latent 4",
        "train-m2 {dataset} --no-m1 -o {disk}/m2 --epochs 3 --hidden 300 --latent 4",
        "features {dataset} --m1 {m1} -o {disk}/f.h5",
        "simulate -o {disk}/sim --scenes 1 --rows 20 --cols 24",
    ],
)
def test_a_full_disk_is_said_in_a_sentence_and_holds_nothing_half(
    command: str, size: str, tmp_path: Path, tiny_dataset: Dataset, m1_run: Path, hsi_ssl: Run
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, size):
        ran = hsi_ssl(*command.format(dataset=tiny_dataset.path, disk=disk, m1=m1_run).split())
        assert ran.code == 2, ran
        assert "Traceback" not in ran.err
        error = ran.err.splitlines()[-1]
        assert error.startswith("Error: ")
        assert "space" in error or "are free" in error
        assert ".part" not in ran.err
        assert not [name for name in left_in(disk) if "/." in f"/{name}"]
        whole = ("f.h5", "model.json", "model.safetensors", "drillcore-sim-01.h5")
        assert not [name for name in left_in(disk) if name.endswith(whole)]
