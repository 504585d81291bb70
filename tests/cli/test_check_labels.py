"""`hsi-ssl suggest --check-labels`: wrong labels are found, told and drawn where they lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely
from placed_files import NORTH_UP
from small_projects import WRONG

from hsi_ssl.datasets.store import Part, open_dataset
from hsi_ssl.inference.checkpoint import load_run, save_card

pytestmark = pytest.mark.slow

Run = Callable[..., Any]


@pytest.fixture
def project(some_wrong_labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(some_wrong_labels, tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p"


def test_wrong_labels_are_found_told_and_drawn(project: Path, hsi_ssl: Run) -> None:
    ran = hsi_ssl("suggest", "runs/m2", "runs/dataset.h5", "--check-labels", "--sure", 0.5)
    assert ran.code == 0, ran.err
    assert "labelled pixels look like another class with 50% or more, in 2 places" in ran.out
    assert "may know by heart" in ran.out
    told = json.loads(
        hsi_ssl(
            "suggest", "runs/m2", "runs/dataset.h5", "--check-labels", "--sure", 0.5, "--json",
            "--overwrite",
        ).out
    )  # fmt: skip
    each = told["contradicted"]
    dataset = open_dataset(Path("runs/dataset.h5"))
    part = {tuple(place): p for place, p in zip(dataset.pixel.tolist(), dataset.part, strict=True)}
    known_as = {Part.TRAIN: "learnt from", Part.VALIDATION: "chose the model", Part.TEST: "new"}
    for one in each:
        assert {known_as[part[tuple(place)]] for place in one["pixels"]} == {one["label"]}
    wrong = {(r, c) for rows, cols in WRONG for r in range(48)[rows] for c in range(48)[cols]}
    found = {tuple(place) for one in each for place in one["pixels"]}
    assert found == wrong & set(part)
    margins = [one["probability"] - one["given_probability"] for one in each]
    assert margins == sorted(margins, reverse=True)
    meta, _, geometry, columns = pyogrio.raw.read("labels_to_check.gpkg", layer="scene")
    fields = dict(zip([str(f) for f in meta["fields"]], columns, strict=True))
    assert meta["crs"] == "EPSG:32633"
    assert list(fields["given"]) == [one["given"] for one in each]
    assert list(fields["predicted"]) == [one["predicted"] for one in each]
    for outline, one in zip(shapely.from_wkb(geometry), each, strict=True):
        rows, cols = np.array(one["pixels"]).T
        x, y = NORTH_UP @ (cols + 0.5, rows + 0.5)
        assert shapely.contains_xy(outline, x, y).all()
        assert outline.area == pytest.approx(900 * len(rows))
    assert "given" in Path("labels_to_check.qml").read_text()


def test_of_another_draw_nobody_knows_what_was_learnt_from(project: Path, hsi_ssl: Run) -> None:
    card, _ = load_run(Path("runs/m2"), "m2")
    card["dataset"]["draw"] = "0" * 64
    save_card(Path("runs/m2"), card)
    ran = hsi_ssl("suggest", "runs/m2", "runs/dataset.h5", "--check-labels", "--json")
    assert ran.code == 0, ran.err
    labels = {one["label"] for one in json.loads(ran.out)["contradicted"]}
    assert labels == {"perhaps learnt from"}


def test_nothing_contradicted_writes_nothing(project: Path, hsi_ssl: Run) -> None:
    ran = hsi_ssl("suggest", "runs/m2", "runs/dataset.h5", "--check-labels", "--sure", 1)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("no label of ")
    assert not list(project.glob("labels_to_check*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("scenes/scene.tif", "--check-labels"), "is of a dataset"),
        (("runs/dataset.h5", "--check-labels", "--radius", 3), "--radius means nothing with"),
        (("runs/dataset.h5", "--sure", 0.8), "--sure means nothing without"),
        (("runs/dataset.h5", "--check-labels", "-o", "a.shp"), "name it a.gpkg"),
        (("gone.h5", "--check-labels"), "no dataset gone.h5"),
    ],
)
def test_bad_input(
    project: Path, hsi_ssl: Run, arguments: tuple[object, ...], sentence: str
) -> None:
    before = sorted(project.iterdir())
    ran = hsi_ssl("suggest", "runs/m2", *arguments)
    assert ran.code == 2
    assert sentence in ran.err
    assert sorted(project.iterdir()) == before
