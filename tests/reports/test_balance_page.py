from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import matplotlib.image
import numpy as np
import pytest

from hsi_ssl.datasets.prepare import prepare_sources
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.labelling import LabelledScene
from hsi_ssl.labels.rasters import own_labels
from hsi_ssl.labels.sources import Sources
from hsi_ssl.reports.balance_page import report_dataset, report_sources
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import PrepareSettings

MINERALS = LabelSet(
    "mineralogy",
    (LabelClass(2, "gypsum", "#c03030"), LabelClass(32, "quartz <clear>", "#3060c0")),
)


def write_core(path: Path, seed: int) -> None:
    """A core of 120 x 30 pixels: mostly quartz, gypsum on every fifth row, half unlabelled."""
    rng = np.random.default_rng(seed)
    labels = np.full((120, 30), 32, np.uint16)
    labels[::5] = 2
    labels[:, ::2] = 0
    shape = np.where(labels == 2, 1.0, 1.5)[..., None] * np.linspace(1000, 2000, 10)
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = (shape + rng.normal(0, 30, (120, 30, 10))).astype(np.uint16)
        file["hsimage/labels"] = labels


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Sources]:
    found = []
    for i in range(2):
        path = tmp_path / f"core_{i}.h5"
        write_core(path, i)
        scene = open_scene(path)
        labels = own_labels(scene)
        assert labels is not None
        found.append(LabelledScene(scene, labels=labels.astype(np.uint16), labels_paths=(path,)))
    with Sources(tuple(found), MINERALS, "two cores") as opened:
        yield opened


@pytest.fixture
def dataset(sources: Sources, tmp_path: Path) -> Dataset:
    settings = PrepareSettings(
        output=tmp_path / "dataset.h5", cap=200, split="pixels", unlabelled=500
    )
    return prepare_sources(sources, settings)


def test_report_of_scenes(sources: Sources, tmp_path: Path) -> None:
    balance, page = report_sources(sources, tmp_path / "report")
    assert {p.name for p in page.parent.iterdir()} == {"index.html", "balance.csv", "balance.png"}
    html = page.read_text()
    assert html.count("<img") == 4  # two scenes, composite and labels
    assert "quartz &lt;clear&gt;" in html
    assert "<clear>" not in html
    assert balance.total == 3600
    with (page.parent / "balance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["code"], r["count"], r["kept"], r["scenes"]) for r in rows] == [
        ("2", "720", "", "2"),
        ("32", "2880", "", "2"),
    ]
    assert [r["count in core_1"] for r in rows] == ["360", "1440"]
    assert matplotlib.image.imread(page.parent / "balance.png").shape[1] > 800


def test_report_of_a_dataset_shows_the_parts(
    sources: Sources, dataset: Dataset, tmp_path: Path
) -> None:
    balance, page = report_dataset(dataset, tmp_path / "report", sources=sources)
    assert page.read_text().count("<img") == 6
    with (page.parent / "balance.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row, c in zip(rows, balance.classes, strict=True):
        assert int(row["kept"]) == c.kept
        assert int(row["train"]) + int(row["validation"]) + int(row["test"]) == c.kept
        assert int(row["train"]) <= 200
    with pytest.raises(OutputError, match="--overwrite"):
        report_dataset(dataset, tmp_path / "report", sources=sources)


@pytest.mark.slow
def test_scenes_are_found_again_or_done_without(
    sources: Sources, dataset: Dataset, tmp_path: Path
) -> None:
    _, whole = report_dataset(dataset, tmp_path / "whole", sources=sources)
    sources.close()
    _, again = report_dataset(dataset, tmp_path / "again")
    assert again.read_text() == whole.read_text()
    (tmp_path / "core_1.h5").unlink()
    _, without = report_dataset(dataset, tmp_path / "without")
    assert without.read_text().count("<img") == 5
    write_core(tmp_path / "core_0.h5", 7)  # another core of that name is not the one meant
    _, changed = report_dataset(dataset, tmp_path / "changed")
    assert changed.read_text().count("<img") == 4


def test_no_label_at_all_is_refused(sources: Sources, tmp_path: Path) -> None:
    empty = tuple(
        LabelledScene(s.scene, labels=np.zeros((120, 30), np.uint16)) for s in sources.scenes
    )
    with pytest.raises(LabelError, match="not one pixel"):
        report_sources(Sources(empty, MINERALS, "empty"), tmp_path / "report")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_stands_alone_and_fits(
    sources: Sources, dataset: Dataset, browser: Any, tmp_path: Path, width: int, dark: bool
) -> None:
    _, page = report_dataset(dataset, tmp_path / "report", sources=sources)
    browser.open(page, width=width, dark=dark)
    assert browser.errors() == []
    assert browser.requests() == []
    assert browser.overflow() == 0
    assert browser.evaluate("[...document.images].filter(i => !i.naturalWidth).length") == 0
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(n) for n in background.strip("rgb()").split(","))
    assert (light < 200) == dark
