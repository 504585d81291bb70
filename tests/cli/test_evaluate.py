from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.errors import DatasetError, ModelError, OutputError, SettingsError

SMALL = (
    "--no-m1 --hidden 16 --latent 2 --epochs 10 --alpha 1 --batch-labelled 30 "
    "--batch-unlabelled 100 --device cpu"
)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "m2"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    result = call("train-m2", tiny_dataset.path, "-o", folder, *SMALL.split())
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    return folder


def test_json_is_one_object_with_the_promised_keys(run: Path, tiny_dataset: Dataset) -> None:
    result = call("evaluate", run, tiny_dataset.path, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    keys = "oa aa kappa macro_f1 balanced_accuracy ece n_test classes confusion"
    assert set(keys.split()) <= found.keys()
    assert {"code", "name", "train", "test", "precision", "recall", "f1"} <= set(
        found["classes"][0]
    )
    assert found["report"] == str(run / "report" / "index.html")
    assert (run / "report" / "index.html").exists()


def test_the_report_in_its_place_is_made_anew(run: Path, tiny_dataset: Dataset) -> None:
    for _ in range(2):
        assert call("evaluate", run, tiny_dataset.path).exit_code == 0
    assert call("evaluate", run, tiny_dataset.path, "--split", "validation").exit_code == 0
    assert (run / "report-validation" / "metrics.json").exists()


def test_words_and_an_elsewhere_that_exists(
    run: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "shown"
    result = call("evaluate", run, tiny_dataset.path, "--report", elsewhere)
    assert "overall accuracy" in result.output
    assert "guessing" in result.output
    again = call("evaluate", run, tiny_dataset.path, "--report", elsewhere)
    assert isinstance(again.exception, OutputError)
    assert (
        call("evaluate", run, tiny_dataset.path, "--report", elsewhere, "--overwrite").exit_code
        == 0
    )


def test_mistakes_leave_nothing(tiny_dataset: Dataset, run: Path, tmp_path: Path) -> None:
    report = ("--report", tmp_path / "report")
    no_run = call("evaluate", tmp_path / "nowhere", tiny_dataset.path, *report)
    assert isinstance(no_run.exception, ModelError)
    assert "nowhere; make one with `hsi-ssl train-m2`" in str(no_run.exception)
    no_dataset = call("evaluate", run, tmp_path / "nowhere.h5", *report)
    assert isinstance(no_dataset.exception, DatasetError)
    no_picture = call("evaluate", run, tiny_dataset.path, "--map", "nowhere.png", *report)
    assert isinstance(no_picture.exception, SettingsError)
    assert not (tmp_path / "report").exists()


@pytest.fixture(scope="module")
def semi(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with free slots on the tiny dataset without labels of kaolinite; beside it the data."""
    folder = tmp_path_factory.mktemp("semi")
    part = tiny_dataset.part.copy()
    part[(part == Part.TRAIN) & (tiny_dataset.label == 1)] = Part.POOL
    names = ("label", "scene", "pixel", "neighbours")
    write_dataset(
        folder / "dataset.h5",
        spectra=tiny_dataset.spectra(),
        part=part,
        meta=tiny_dataset.meta,
        **{name: getattr(tiny_dataset, name) for name in names},
    )
    asked = (*SMALL.split(), "--model", "gm-dgm", "--free-slots", "3")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    result = call("train-m2", folder / "dataset.h5", "-o", folder / "run", *asked, "--json")
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["model"] == "GM-DGM"
    return folder


def test_free_slots_named_after_what_lies_in_them(semi: Path, tiny_dataset: Dataset) -> None:
    args = (semi / "run", semi / "dataset.h5", "--device", "cpu")
    plain = call("evaluate", *args, "--json")
    assert plain.exit_code == 0, plain.output
    found = json.loads(plain.stdout)
    assert [c["code"] for c in found["classes"]] == [2, 32]
    rows = tiny_dataset.rows(Part.TEST)
    assert found["n"] == np.count_nonzero(tiny_dataset.label[rows] != 1)
    assert np.sum(found["confusion"]) + sum(found["in_free_slots"]) == found["n"]
    assert any("classes without training label are left out: kaolinite" in w
               for w in found["warnings"])  # fmt: skip
    assert "cluster_and_label" not in found
    assert found["novelty"]["level"] == 0.01
    assert 0 <= found["novelty"]["rejected"] < 0.2
    shown = call("evaluate", *args)
    assert f"would be rejected  {100 * found['novelty']['rejected']:5.1f} %" in shown.output
    assert "would reject" in (semi / "run" / "report" / "index.html").read_text()

    named = json.loads(call("evaluate", *args, "--cluster-and-label", "--json").stdout)
    clusters = named["cluster_and_label"]
    assert clusters["oa"] > 0.8
    assert clusters["oa_unlabelled"] > 0.8
    assert [s["free"] for s in clusters["slots"]] == [False] * 2 + [True] * 3
    assert 7 in [s["code"] for s in clusters["slots"]]
    assert {k: v for k, v in named.items() if k != "cluster_and_label"} | {"warnings": 0} == (
        found | {"warnings": 0}
    )
    page = (semi / "run" / "report" / "index.html").read_text()
    assert "Free slots, named after what lies in them" in page
    words = call("evaluate", *args, "--cluster-and-label").output
    assert "free slots named after what lies in them" in words


def test_without_free_slots_there_is_nothing_to_name(run: Path, tiny_dataset: Dataset) -> None:
    asked = call("evaluate", run, tiny_dataset.path, "--cluster-and-label")
    assert isinstance(asked.exception, ModelError)
    assert "no free slots to name" in str(asked.exception)


def test_the_prior_is_tuned_and_named(run: Path, tiny_dataset: Dataset, tmp_path: Path) -> None:
    asked = ("--tune-spatial", "--spatial", "0.5", "--report", tmp_path / "report", "--json")
    result = call("evaluate", run, tiny_dataset.path, *asked)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["spatial"] == 0.5
    assert "Potts prior of strength 0.5" in (tmp_path / "report" / "index.html").read_text()
    assert "strength 0" in call("evaluate", run, tiny_dataset.path, "--spatial", "0.5").output
    result = call("evaluate", run, tiny_dataset.path, "--spatial", "much")
    assert isinstance(result.exception, SettingsError)
    assert "a strength from 0 to 10, learnt or tuned" in str(result.exception)
