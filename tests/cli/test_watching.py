"""`--watch`: the page of a training under way; epochs of the supervised part."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.reports.training_curve import write_curve


@pytest.mark.slow
def test_curves_of_both_parts_are_drawn_as_epochs_end(
    hsi_ssl: Callable[..., Any],
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = hsi_ssl(
        "train-m2", tiny_dataset.path, "--no-m1", "-o", "m2", "--watch", "--epochs", "2",
        "--supervised-epochs", "3", "--hidden", "16", "--latent", "3",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "watch it: m2/figures/training.html" in ran.out
    now = f"now: hsi-ssl evaluate m2 {tiny_dataset.path}, hsi-ssl classify --model m2"
    assert f"wrote m2; {now}" in ran.out
    with Path("m2/last/supervised/last/metrics.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    page = Path("m2/figures/training.html").read_text()
    assert "Ended." in page
    assert 'http-equiv="refresh"' not in page
    assert [title.strip() for title in re.findall("<h2>(.+)</h2>", page)] == [
        "The whole", "Before it: supervised part",
    ]  # fmt: skip
    assert "3 epochs in " in page
    lines = [points.split() for points in re.findall('points="([^"]+)"', page)]
    assert sorted(len(points) for points in lines) == [2, 2, 2, 3, 3, 3]


def test_while_it_goes_on_the_page_is_read_again(tmp_path: Path) -> None:
    log = tmp_path / "last/metrics.csv"
    log.parent.mkdir()
    log.write_text("epoch,seconds,bound_batch,bound_validation,score\n")
    assert write_curve(tmp_path, ended=False) is None
    with log.open("a") as file:
        for epoch, bound in enumerate((-900, 3, nan := "nan", 5, 4), 1):
            file.write(f"{epoch},{epoch}.5,{bound},{bound},{bound if bound != nan else '-inf'}\n")
        file.write("6,7.")  # a line that is being written
    path = write_curve(tmp_path, ended=False)
    assert path == tmp_path / "figures/training.html"
    page = path.read_text()
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "5 epochs in 6 s; the best state so far is that of epoch 4, 1 epoch ago" in page
    first = re.search('points="([^"]+)"', page)
    assert first is not None
    assert len(first[1].split()) == 4


def test_what_raises_as_ctrl_c_does_is_a_stop(
    hsi_ssl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries that hear of Ctrl-C themselves raise this."""
    from hsi_ssl.cli import info

    def interrupted(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(info.command, "callback", interrupted)
    ran = hsi_ssl("info", ".")
    assert ran.code == 130
    assert "Stopped (Ctrl-C): nothing is half-written" in ran.err
    assert "Aborted" not in ran.err
