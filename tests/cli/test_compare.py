from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import DatasetError, OutputError, SettingsError


@pytest.mark.slow
def test_table_and_files(
    tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["compare", str(tiny_dataset.path), "--methods", "knn", "--per-class", "20"]
    result = CliRunner().invoke(cli, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {r["method"] for r in found["results"]} == {"knn"}
    assert all(r["train"] <= 60 for r in found["results"])
    written = json.loads(Path("runs/compare/compare.json").read_text())
    assert written["results"] == found["results"]

    again = CliRunner().invoke(cli, arguments)
    assert isinstance(again.exception, OutputError)
    again = CliRunner().invoke(cli, [*arguments, "--overwrite"])
    assert "standardised bands" in again.output
    assert "OA" in again.output


def test_mistakes_are_named(tiny_dataset: Dataset, tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "out")]
    wrong = CliRunner().invoke(
        cli, ["compare", str(tiny_dataset.path), "--methods", "knn,smv", *output]
    )
    assert isinstance(wrong.exception, SettingsError)
    assert "no method smv; there are: svm" in str(wrong.exception)
    gone = CliRunner().invoke(cli, ["compare", str(tmp_path / "none.h5"), *output])
    assert isinstance(gone.exception, DatasetError)
    assert not (tmp_path / "out").exists()
