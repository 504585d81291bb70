"""Two label sets from `train-m2` to reports and maps of each."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError
from hsi_ssl.inference.classifier import load_classifiers
from hsi_ssl.reports.evaluation import evaluate, evaluate_each

pytestmark = pytest.mark.slow


NAMES = ("mineralogy", "lithology")
PROJECT = """
[m2]
hidden = [16]
hidden_classifier = [32]
latent = 2
experts = [0.5]
epochs = 1
supervised_epochs = 6
inference = ["lithology", "mineralogy | lithology", "z | lithology, mineralogy"]
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)


@pytest.fixture(scope="module")
def run(two_label_sets: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    (folder / "p.toml").write_text(PROJECT)
    run = folder / "m2"
    arguments = ("--no-m1", "-o", run, "--project", folder / "p.toml", "--json")
    made = call("train-m2", two_label_sets.path, *arguments)
    assert made.exit_code == 0, made.output
    each = json.loads(made.stdout)["label_sets"]
    assert [one["label_set"] for one in each] == list(NAMES)
    assert min(one["validation"]["macro_f1"] for one in each) > 0.8
    return run


def test_evaluate_scores_each_label_set(run: Path, two_label_sets: Dataset) -> None:
    answer = call("evaluate", run, two_label_sets.path, "--json")
    assert answer.exit_code == 0, answer.output
    each = json.loads(answer.stdout)["label_sets"]
    assert tuple(each) == NAMES
    for name, found in each.items():
        assert found["report"] == str(run / "report" / name / "index.html")
        page = Path(found["report"]).read_text()
        assert f"label set {name}, " in page
        assert "Two ways to predict" in page
        one = two_label_sets.one(name)
        assert found["n"] == len(one.rows(Part.TEST))
        classifier = next(c for c in load_classifiers(run) if c.label_set.name == name)
        predicted = classifier.posterior(one.spectra(one.rows(Part.TEST))).argmax(1)
        assert found["oa"] == pytest.approx(np.mean(predicted == one.label[one.rows(Part.TEST)]))
        assert evaluate(run, one).scores.oa == pytest.approx(found["oa"])
    assert len(evaluate_each(run, two_label_sets)) == 2
    with pytest.raises(DatasetError, match="one is needed here"):
        evaluate(run, two_label_sets)


def test_classify_writes_a_map_of_each_label_set(
    run: Path, two_label_sets: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cube = np.zeros((40, 40, two_label_sets.bands), np.uint16)
    row, col = two_label_sets.pixel.T
    cube[row, col] = two_label_sets.spectra()
    with h5py.File("core.h5", "w") as file:
        file["hsimage/data"] = cube
    answer = call("classify", "core.h5", "--model", run, "--novelty", "--spatial", "0.5", "--json")
    assert answer.exit_code == 0, answer.output
    maps = json.loads(answer.stdout)["scenes"]
    assert [m["map"] for m in maps] == [f"core_classes_{name}.tif" for name in NAMES]
    for made, codes in zip(maps, ({2, 7, 32}, {101, 104}), strict=True):
        path = Path(made["map"])
        with rasterio.open(path) as raster:
            assert set(np.unique(raster.read(1)).tolist()) <= codes
            assert raster.tags()["LABEL_SET"] == made["label_set"]
        legend = path.with_suffix(".csv").read_text()
        assert all(str(code) in legend for code in codes)
        with rasterio.open(path.with_name(path.stem + "_novelty.tif")) as raster:
            assert np.isfinite(raster.read(1)).all()
    again = CliRunner().invoke(cli, ["classify", "core.h5", "--model", str(run)])
    assert "core_classes_mineralogy" in str(again.exception)


def test_info_names_the_classes_of_each_label_set(run: Path) -> None:
    answer = json.loads(call("info", run, "--json").stdout)
    assert [one["label_set"] for one in answer["label_sets"]] == list(NAMES)
    assert [c["code"] for c in answer["label_sets"][1]["classes"]] == [101, 104]
