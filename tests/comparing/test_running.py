from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hearing import Hears
from typed import next_steps

from hsi_ssl.comparing.folder import Folder
from hsi_ssl.comparing.grid import Cell, Grid, Result
from hsi_ssl.comparing.running import compare, expected
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import DatasetError, HsiSslError, OutputError, SettingsError
from hsi_ssl.settings import M1Settings, M2Settings

M1 = M1Settings(latent=4, hidden=(16,), epochs=2, batch=64, device="cpu")
M2 = M2Settings(
    m1=None, latent=3, hidden=(16,), hidden_classifier=(16,), epochs=2, supervised_epochs=2,
    em_rounds=1, device="cpu",
)  # fmt: skip
GRID = Grid(("none", "pca"), ("lda", "knn"), (3, 6), 2)
Changed = Callable[..., Dataset]


@pytest.fixture
def changed(tiny_dataset: Dataset, tmp_path: Path) -> Changed:
    """The tiny dataset with other columns or spectra."""

    def write(**columns: Any) -> Dataset:
        own = {
            name: getattr(tiny_dataset, name)
            for name in ("label", "part", "scene", "pixel", "neighbours", "unit", "meta")
        }
        whole = {"spectra": tiny_dataset.spectra(), **own, **columns}
        return write_dataset(tmp_path / f"changed{len(columns)}.h5", **whole)

    return write


def run(dataset: Dataset, output: Path, grid: Grid = GRID, **more: Any) -> list[Result]:
    return compare(dataset.path, output, grid, M1, M2, **more)


def scores(results: list[Result]) -> list[tuple[float | None, ...]]:
    return [(r.oa, r.aa, r.macro_f1, r.kappa) for r in results]


@pytest.mark.slow
def test_every_cell_is_scored_and_written(tiny_dataset: Dataset, tmp_path: Path) -> None:
    hears = Hears()
    results = run(tiny_dataset, tmp_path / "c", watcher=hears)
    assert [(r.labels, r.classifier, r.extractor, r.seed) for r in results] == [
        (n, c, e, seed)
        for n in (3, 6)
        for c in ("lda", "knn")
        for e in ("none", "pca")
        for seed in (0, 1)
    ]
    for r in results:
        assert r.trained_on == 3 * r.labels
        assert r.features == (4 if r.extractor == "pca" else 12)
        assert r.macro_f1 is not None
        assert r.macro_f1 > 0.6
        assert re.fullmatch("[2345] folds by (patch|pixel.*)", r.tuned)
    with (tmp_path / "c/compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["macro_f1"]) for row in rows] == [r.macro_f1 for r in results]
    page = (tmp_path / "c/index.html").read_text()
    assert "3 labels a class" in page
    names = "--extractors none,pca --classifiers lda,knn,m2 --labels 3,6 --seeds 2"
    command = f"hsi-ssl compare {tiny_dataset.path} -o {tmp_path / 'c'} {names}"
    assert next_steps(tmp_path / "c/index.html") == [command]
    assert "linear discriminant analysis, nearest neighbours" in page
    assert "16 cells: 2 extractors x 2 classifiers x 2 numbers of labels x 2 seeds" in hears.all
    assert " left" in hears.said[-2]
    assert hears.steps[-1] == ("comparing", 16, 16)


@pytest.mark.slow
def test_what_is_there_is_not_made_again(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """Three cells and an extractor are lost, seeds and labels are added: all else stays."""
    whole = run(tiny_dataset, tmp_path / "c")
    files = sorted((tmp_path / "c/cells").iterdir())
    for file in files[3:6]:
        file.unlink()
    kept = {f: f.stat().st_mtime_ns for f in (tmp_path / "c").rglob("*-*") if f.is_file()}
    hears = Hears()
    again = run(tiny_dataset, tmp_path / "c", watcher=hears)
    assert scores(again) == scores(whole)
    assert "16 cells, 13 of them are there already" in hears.said[0]
    assert "by those that are done" in hears.said[1]
    assert {f: f.stat().st_mtime_ns for f in kept} == kept
    more = run(tiny_dataset, tmp_path / "c", replace(GRID, labels=(3, 6, 9), seeds=3))
    assert len(more) == 36
    assert scores([r for r in more if r.labels < 9 and r.seed < 2]) == scores(whole)
    assert {f: f.stat().st_mtime_ns for f in kept} == kept


@pytest.mark.slow
def test_processes_find_what_one_finds(tiny_dataset: Dataset, tmp_path: Path) -> None:
    grid = replace(GRID, labels=(3,))
    one, two = (run(tiny_dataset, tmp_path / f"{n}", grid, jobs=n) for n in (1, 2))
    assert scores(one) == scores(two)


@pytest.mark.slow
def test_ours_learns_from_few_labels_and_the_pool(tiny_dataset: Dataset, tmp_path: Path) -> None:
    grid = Grid(("none", "vae"), ("label-spreading", "m2", "perceptron"), (4,), 1)
    results = run(tiny_dataset, tmp_path / "c", grid)
    assert not any(r.refused for r in results)
    for r in results:
        assert r.trained_on == 12
        assert (r.extractor_seconds > 0) == (r.extractor == "vae")
        assert r.bytes > 1000
    spread, ours = results[0], results[2]
    pool = len(tiny_dataset.rows(Part.POOL, Part.TRAIN)) - 12
    assert f"{pool} unlabelled pixels" in spread.settings
    assert ours.tuned == "settings of [m2]"
    assert list((tmp_path / "c/unfinished").iterdir()) == []


@pytest.mark.slow
def test_labels_of_validation_pixels_are_not_looked_at(
    tiny_dataset: Dataset, changed: Changed, tmp_path: Path
) -> None:
    label, rows = tiny_dataset.label.copy(), tiny_dataset.rows(Part.VALIDATION)
    label[rows] = (label[rows] + 1) % 3
    grid = Grid(("none", "pca"), ("svm", "m2"), (4,), 1)
    found = [
        scores(run(d, tmp_path / f"{i}", grid))
        for i, d in enumerate((tiny_dataset, changed(label=label)))
    ]
    assert found[0] == found[1]


@pytest.mark.slow
def test_test_pixels_are_looked_at_for_the_score_alone(
    tiny_dataset: Dataset, changed: Changed, tmp_path: Path
) -> None:
    """With nonsense for test spectra, what has been learnt is the same: settings and sizes."""
    spectra = tiny_dataset.spectra().copy()
    rows = tiny_dataset.rows(Part.TEST)
    spectra[rows] = 65535 - spectra[rows]
    found = [
        run(d, tmp_path / f"{i}", Grid(("none", "pca"), ("svm", "label-spreading"), (3,), 1))
        for i, d in enumerate((tiny_dataset, changed(spectra=spectra)))
    ]
    assert scores(found[0]) != scores(found[1])
    for a, b in zip(*found, strict=True):
        assert (a.settings, a.bytes, a.features) == (b.settings, b.bytes, b.features)


@pytest.mark.slow
def test_what_an_extractor_refuses_is_said_in_its_cells(
    tiny_dataset: Dataset, changed: Changed, tmp_path: Path
) -> None:
    spectra = np.full_like(tiny_dataset.spectra(), 1000)
    spectra[tiny_dataset.rows(Part.TEST)] = tiny_dataset.spectra(tiny_dataset.rows(Part.TEST))
    flat = changed(spectra=spectra)
    results = run(flat, tmp_path / "c", Grid(("none", "pca"), ("knn",), (3,), 1))
    assert results[0].refused == ""
    assert "all spectra are equal" in results[1].refused
    assert "not possible" in (tmp_path / "c/index.html").read_text()


def test_a_folder_of_something_else_is_refused(
    tiny_dataset: Dataset, changed: Changed, tmp_path: Path
) -> None:
    grid = Grid(("none",), ("lda",), (3,), 1)
    folder = tmp_path / "c"
    run(tiny_dataset, folder, grid)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    part = tiny_dataset.part.copy()
    part[tiny_dataset.rows(Part.POOL)[0]] = Part.OTHER
    other = changed(part=part)
    for dataset, m2, what in (
        (other, M2, "dataset.draw"),
        (tiny_dataset, M2.model_copy(update={"alpha": 0.5}), "m2.alpha"),
    ):
        with pytest.raises(OutputError, match=rf"other values of {what};"):
            compare(dataset.path, folder, grid, M1, m2)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert len(run(other, folder, grid, overwrite=True)) == 1

    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"also holds thesis\.tex"):
        run(tiny_dataset, strange, grid, overwrite=True)


@pytest.mark.parametrize(
    ("grid", "kind", "sentence"),
    [
        (Grid(("none", "pcs"), ("svm",), (3,), 1), SettingsError, "'pcs'; did you mean pca?"),
        (Grid(("none",), ("smv",), (3,), 1), SettingsError, "'smv'; did you mean svm?"),
        (Grid(("none",), ("student",), (3,), 1), SettingsError, "student learns from another run"),
        (Grid(("none",), ("zzz",), (3,), 1), SettingsError, "there are logistic, lda, svm"),
        (Grid(("none",), ("svm", "svm"), (3,), 1), SettingsError, "is to be named once"),
        (Grid(("none",), ("svm",), (900,), 1), DatasetError, "no class of .* has more than the"),
    ],
)
def test_mistakes_are_one_sentence_and_nothing_is_written(
    tiny_dataset: Dataset, tmp_path: Path, grid: Grid, kind: type[HsiSslError], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence.replace("?", r"\?")):
        run(tiny_dataset, tmp_path / "c", grid)
    assert not (tmp_path / "c").exists()


def test_datasets_that_cannot_be_compared_on_are_refused(
    tiny_dataset: Dataset, two_label_sets: Dataset, changed: Changed, tmp_path: Path
) -> None:
    part, label = tiny_dataset.part, tiny_dataset.label
    untested = changed(part=np.where(part == Part.TEST, Part.OTHER, part).astype(np.uint8))
    with pytest.raises(DatasetError, match="no test pixels"):
        run(untested, tmp_path / "c")
    lone = np.where((part == Part.TRAIN) & (label > 0), Part.POOL, part).astype(np.uint8)
    one = changed(part=lone, label=np.where(lone == Part.POOL, -1, label).astype(np.int16))
    with pytest.raises(DatasetError, match="of one class only"):
        run(one, tmp_path / "c")
    with pytest.raises(DatasetError, match="several label sets"):
        run(two_label_sets, tmp_path / "c")
    many = M1.model_copy(update={"latent": 5000})
    with pytest.raises(SettingsError, match="5000 features cannot be learnt from"):
        compare(tiny_dataset.path, tmp_path / "c", GRID, many, M2)
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_one_of_several_label_sets_is_compared_on(two_label_sets: Dataset, tmp_path: Path) -> None:
    grid = Grid(("none",), ("lda", "m2"), (4,), 1)
    results = run(two_label_sets, tmp_path / "c", grid, label_set="lithology")
    assert [r.trained_on for r in results] == [8, 8]
    assert not any(r.refused for r in results)


def test_time_is_expected_from_what_is_most_alike() -> None:
    measured = [
        Result("none", "svm", 5, 0, wall_seconds=1.0),
        Result("pca", "svm", 5, 0, wall_seconds=3.0),
        Result("none", "m2", 5, 0, wall_seconds=50.0),
    ]
    assert expected(Cell(1, 5, "pca", "svm"), measured) == 3
    assert expected(Cell(1, 5, "vae", "svm"), measured) == 2
    assert expected(Cell(1, 10, "vae", "svm"), measured) == 2
    assert expected(Cell(1, 10, "vae", "knn"), measured) == 18


def test_a_broken_cell_is_named(tmp_path: Path) -> None:
    folder, cell = Folder(tmp_path / "c"), Cell(0, 5, "runs/m1", "svm")
    folder.begin({}, overwrite=False)
    folder.keep(cell, Result("runs/m1", "svm", 5, 0, oa=1.0))
    assert folder.found([cell])[cell].oa == 1.0
    (file,) = (tmp_path / "c/cells").iterdir()
    file.write_text(json.dumps({"extractor": "none"}))
    with pytest.raises(OutputError, match="is broken"):
        folder.found([cell])


def test_cells_that_nothing_tells_of_are_forgotten(tmp_path: Path) -> None:
    folder, cell = Folder(tmp_path / "c"), Cell(0, 3, "none", "lda")
    folder.begin({"seed": 0}, overwrite=False)
    folder.keep(cell, Result("none", "lda", 3, 0))
    folder.begin({"seed": 0}, overwrite=False)
    assert list(folder.found([cell])) == [cell]
    (tmp_path / "c" / "compare.json").unlink()
    folder.begin({"seed": 1}, overwrite=False)
    assert folder.found([cell]) == {}


def test_what_is_forgotten_tells_what_it_was_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cell = Folder(tmp_path / "c"), Cell(0, 3, "none", "lda")
    folder.begin({"seed": 0}, overwrite=False)
    folder.keep(cell, Result("none", "lda", 3, 0))
    removed, rmtree = [], shutil.rmtree

    def remove(place: Path, **more: Any) -> None:
        assert (tmp_path / "c" / "compare.json").exists() or place.name == "unfinished"
        removed.append(place.name)
        rmtree(place, **more)

    monkeypatch.setattr(shutil, "rmtree", remove)
    folder.begin({"seed": 1}, overwrite=True)
    assert {"cells", "extractors"} <= set(removed)
    assert folder.found([cell]) == {}
