from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from hsi_ssl.cli.main import cli
from hsi_ssl.errors import DatasetError, OutputError, SceneNotFoundError, SettingsError

CLASS_KEYS = "code name count kept train validation test scenes"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture
def cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one core of two classes; the current folder is another."""
    labels = np.zeros((60, 20), np.uint16)
    labels[:40], labels[40:50] = 32, 2
    rng = np.random.default_rng(0)
    folder = tmp_path / "cores"
    folder.mkdir()
    with h5py.File(folder / "core.h5", "w") as file:
        spectra = rng.normal(1000, 50, (60, 20, 8)) + 5 * labels[..., None]
        file["hsimage/data"] = spectra.astype(np.uint16)
        file["hsimage/labels"] = labels
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return folder


@pytest.mark.slow
def test_scenes_then_the_dataset_made_of_them(cores: Path) -> None:
    result = call("balance", cores, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {"label_set", "total", "unlabelled", "imbalance_ratio", "warnings"} <= found.keys()
    assert set(CLASS_KEYS.split()) <= found["classes"][0].keys()
    assert [(c["code"], c["count"], c["kept"]) for c in found["classes"]] == [
        (2, 200, None),
        (32, 800, None),
    ]
    assert found["report"] == "runs/balance/index.html"
    assert (found["total"], found["unlabelled"], found["imbalance_ratio"]) == (1000, 200, 4)

    made = call("prepare", cores, "--split", "pixels", "--cap", 300)
    assert made.exit_code == 0, made.output
    result = call("balance", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["report"] == "runs/dataset_balance/index.html"
    assert [c["count"] for c in found["classes"]] == [200, 800]
    for c in found["classes"]:
        assert c["kept"] == c["train"] + c["validation"] + c["test"]
        assert c["train"] <= 300


@pytest.mark.slow
def test_the_usual_place_is_replaced_another_is_not(cores: Path) -> None:
    for _ in range(2):
        assert call("balance", cores).exit_code == 0
    assert call("balance", cores, "--report", "shown").exit_code == 0
    assert isinstance(call("balance", cores, "--report", "shown").exception, OutputError)
    assert call("balance", cores, "--report", "shown", "--overwrite").exit_code == 0


def test_words(cores: Path) -> None:
    result = call("balance", cores)
    assert "always guessing" in result.stdout
    assert "holds 80 % of the labelled pixels" in result.stderr
    codes = [line.split()[0] for line in result.stdout.splitlines() if line.endswith("%      1")]
    assert codes == ["2", "32"]


def test_mistakes_are_named(cores: Path) -> None:
    missing = call("balance", "nowhere.h5", "--report", "shown")
    assert isinstance(missing.exception, SceneNotFoundError)
    assert "nowhere.h5" in str(missing.exception)
    call("prepare", cores, "--split", "pixels")
    odd = call("balance", "runs/dataset.h5", "--label-set", "lithology", "--report", "shown")
    assert isinstance(odd.exception, DatasetError)
    assert "it has mineralogy" in str(odd.exception)
    odd = call("balance", "runs/dataset.h5", "--variable", "cube", "--report", "shown")
    assert isinstance(odd.exception, SettingsError)
    assert not Path("shown").exists()
