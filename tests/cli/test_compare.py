from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsi_ssl.datasets.store import Dataset

SMALL = """
[m1]
hidden = [16]
epochs = 2
device = "cpu"
[m2]
hidden = [16]
hidden_classifier = [16]
epochs = 2
supervised_epochs = 2
em_rounds = 1
device = "cpu"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Settings by which networks are trained in a second or two."""
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    return file


@pytest.mark.slow
def test_indian_pines_from_labels_to_the_page(
    hsi_ssl: Callable[..., Any], project: Path, browser: Any, tmp_path: Path
) -> None:
    data, out = tmp_path / "dataset.h5", tmp_path / "compared"
    assert hsi_ssl("prepare", "indian-pines", "-o", data, "--unlabelled", 1500).code == 0
    common = ("compare", data, "-o", out, "--project", project, "--latent", 10)
    ran = hsi_ssl(
        *common, "--extractors", "none,pca,vae", "--classifiers", "lda,knn,m2",
        "--labels", "5,25", "--seeds", 1, "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert len(found["results"]) == 18
    assert not any(r["refused"] for r in found["results"])
    by_cell = {(r["extractor"], r["classifier"], r["labels"]): r for r in found["results"]}
    assert by_cell["none", "lda", 25]["oa"] > 0.4  # sixteen classes
    assert by_cell["pca", "lda", 25]["features"] == 10
    with (out / "compare.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 18

    for width, dark in ((1200, False), (400, True)):
        browser.open(out / "index.html", width=width, dark=dark)
        assert browser.errors() == []
        assert browser.requests() == []
        assert browser.overflow() == 0
    assert browser.evaluate("document.querySelectorAll('svg').length") == 1
    assert browser.evaluate("document.querySelectorAll('table tbody tr').length") == 18
    assert browser.evaluate("document.querySelectorAll('tr.best').length") == 2
    said = browser.evaluate("document.body.innerText")
    assert "One seed: no difference can be judged" in said
    assert "Fewer training pixels, of which all are taken: Oats (20)." in said

    again = hsi_ssl(
        *common, "--extractors", "none,pca", "--classifiers", "lda,knn", "--labels", "5",
        "--seeds", 2,
    )  # fmt: skip
    assert again.code == 0, again.err
    assert "8 cells, 4 of them are there already" in again.out
    assert "pca against scaled spectra" in again.out


@pytest.mark.slow
def test_a_killed_comparison_goes_on(
    tiny_dataset: Dataset, hsi_ssl: Callable[..., Any], project: Path, tmp_path: Path
) -> None:
    def arguments(out: Path, jobs: int = 2) -> list[str]:
        return [
            "compare", str(tiny_dataset.path), "-o", str(out), "--project", str(project),
            "--extractors", "none,pca", "--classifiers", "svm,logistic,knn", "--labels", "3,6",
            "--seeds", "2", "--jobs", str(jobs), "--latent", "4",
        ]  # fmt: skip

    out = tmp_path / "killed"
    program = [sys.executable, "-m", "hsi_ssl.cli", *arguments(out)]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as process:
        while len(list(out.glob("cells/*.json"))) < 4:
            assert process.poll() is None, "done before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    done = settled(out)
    assert 4 <= len(done) < 24
    assert not (out / "index.html").exists()

    ran = hsi_ssl(*arguments(out))
    assert ran.code == 0, ran.err
    assert f"24 cells, {len(done)} of them are there already" in ran.out
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert hsi_ssl(*arguments(tmp_path / "whole", jobs=1)).code == 0
    one, other = (scores(folder) for folder in (out, tmp_path / "whole"))
    assert one == other
    assert len(one) == 24


def settled(out: Path) -> dict[Path, int]:
    """Cells that are there, and when each was written, once no process adds to them."""
    found: dict[Path, int] = {}
    for _ in range(100):
        before, found = found, {f: f.stat().st_mtime_ns for f in out.glob("cells/*.json")}
        if found == before:
            return found
        time.sleep(1)
    raise AssertionError("processes work on though nobody waits for them")


def scores(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "compare.csv").open() as file:
        names = ("extractor", "classifier", "labels", "seed", "oa", "aa", "macro_f1", "kappa")
        return [tuple(row[name] for name in names) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_an_interrupt_says_how_it_goes_on(
    tiny_dataset: Dataset, project: Path, tmp_path: Path
) -> None:
    out = tmp_path / "compared"
    program = [
        sys.executable, "-m", "hsi_ssl.cli", "compare", str(tiny_dataset.path), "-o", str(out),
        "--project", str(project), "--extractors", "none", "--classifiers", "svm,logistic",
        "--labels", "3,6,9", "--seeds", "20", "--jobs", "1",
    ]  # fmt: skip
    with subprocess.Popen(
        program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while len(list(out.glob("cells/*.json"))) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    done = len(list(out.glob("cells/*.json")))
    assert f"{done} of 120 cells are done and kept in {out}" in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_a_run_folder_serves_as_extractor(
    tiny_dataset: Dataset,
    m1_run: Path,
    hsi_ssl: Callable[..., Any],
    project: Path,
    tmp_path: Path,
) -> None:
    ran = hsi_ssl(
        "compare", tiny_dataset.path, "-o", tmp_path / "c", "--project", project, "--extractors",
        f"none,{m1_run}", "--classifiers", "lda", "--labels", 5, "--seeds", 1, "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    none, own = json.loads(ran.out)["results"]
    assert own["extractor"] == str(m1_run)
    assert 1 <= own["features"] <= 6
    assert own["bytes"] > none["bytes"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--extractors", "none,pcs"], "Error: no extractor 'pcs'; did you mean pca?"),
        (["--classifiers", "svm,lad"], "Error: no classifier 'lad'; did you mean lda?"),
        (["--labels", "5,900"], "Error: 900 labels a class are asked for, but no class"),
        (["--latent", "5000"], "Error: 5000 features cannot be learnt from"),
        (["--label-set", "rocks"], "has no label set rocks; it has minerals"),
        (["--labels", "1"], "'1' is no list of numbers from 2 upwards"),
        (["--classifiers", "svm,,lda"], "is no list of names"),
    ],
)
def test_mistakes_are_named(
    tiny_dataset: Dataset,
    hsi_ssl: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    few = [] if "--labels" in arguments else ["--labels", "5"]
    ran = hsi_ssl("compare", tiny_dataset.path, *few, *arguments)
    assert ran.code == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_is_not_there_is_named(hsi_ssl: Callable[..., Any], tmp_path: Path) -> None:
    ran = hsi_ssl("compare", tmp_path / "none.h5", "-o", tmp_path / "c")
    assert ran.code == 2
    assert "no dataset" in ran.err
    assert not (tmp_path / "c").exists()
