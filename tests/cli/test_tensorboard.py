"""`--tensorboard`: event files that hold what the log of a training holds."""

from __future__ import annotations

import csv
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.reports.event_files import EventFiles

pytestmark = pytest.mark.slow

ARGUMENTS = ("--no-m1", "-o", "m2", "--hidden", "16", "--latent", "3", "--supervised-epochs", "2")


def events(folder: Path) -> Iterator[Any]:
    """The events of the files in a folder, oldest file first, by the format of TFRecord."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.out.tfevents.*"), key=lambda p: p.stat().st_mtime_ns):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def curves(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: value by step, since the last beginning."""
    found: dict[str, dict[int, float]] = {}
    for event in events(folder):
        if event.HasField("session_log"):
            found = {}
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def logged(path: Path) -> dict[str, dict[int, float]]:
    """The same of a run's log."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: {int(row["epoch"]): float(row[name]) for row in rows}
        for name in rows[0]
        if name not in ("epoch", "step", "seconds")
    }


def test_event_files_hold_what_the_log_holds(
    hsi_ssl: Callable[..., Any],
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    call = ("train-m2", tiny_dataset.path, *ARGUMENTS, "--tensorboard", "tb")
    ran = hsi_ssl(*call, "--epochs", 2)
    assert ran.code == 0, ran.err
    assert "curves for TensorBoard: tb/m2" in ran.out
    ran = hsi_ssl(*call, "--epochs", 3, "--overwrite")  # of the one before nothing is shown
    assert ran.code == 0, ran.err
    again = EventFiles(Path("tb"), Path("m2"))  # as of a training that goes on
    again.update()
    again.close()
    whole, before = (
        logged(Path("m2/last/metrics.csv")),
        logged(Path("m2/last/supervised/last/metrics.csv")),
    )
    assert len(whole["score"]) == 3
    for folder, wanted in (("tb/m2", whole), ("tb/m2/supervised", before)):
        found = curves(Path(folder))
        assert found.keys() == wanted.keys()
        for name, values in wanted.items():
            assert found[name] == pytest.approx(values, rel=1e-6)


def test_without_the_package_it_is_said_what_to_install(
    hsi_ssl: Callable[..., Any],
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    for stage in ("train-m1", "train-m2"):
        ran = hsi_ssl(stage, tiny_dataset.path, "-o", "run", "--tensorboard", "tb")
        assert ran.code == 2
        assert "pip install 'hsi-ssl[tensorboard]'" in ran.err
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_is_refused(
    hsi_ssl: Callable[..., Any],
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tb").touch()
    ran = hsi_ssl("train-m2", tiny_dataset.path, *ARGUMENTS, "--tensorboard", "tb")
    assert ran.code == 2
    assert not Path("m2").exists()
