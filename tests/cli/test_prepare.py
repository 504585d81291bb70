"""`hsi-ssl prepare`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hsi_ssl.cli.main import cli
from hsi_ssl.datasets.store import open_dataset
from hsi_ssl.errors import OutputError, SceneNotFoundError, SettingsError
from hsi_ssl.scenes.simulate import simulate


@pytest.fixture(scope="module")
def cores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cores")
    simulate(folder, scenes=2, rows=96, cols=96)
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["prepare", *map(str, arguments)])


FEW = ("--cap", "50", "--unlabelled", "300", "--components", "5")


@pytest.mark.slow
def test_writes_dataset_and_balance_report(
    cores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(cores, *FEW, "--seed", "3", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["dataset"] == "runs/dataset.h5"
    dataset = open_dataset(Path(answer["dataset"]))
    assert answer["rows"] == len(dataset)
    assert answer["pool"] == 300
    assert answer["split"] == "blocks"
    assert [c["code"] for c in answer["classes"]] == dataset.label_set.codes.tolist()
    assert max(c["train"] for c in answer["classes"]) == 50
    assert dataset.meta["seed"] == 3
    page = Path(answer["report"])
    assert page.is_relative_to("runs/dataset_balance")
    assert "<html" in page.read_text(encoding="utf-8")


@pytest.mark.slow
def test_speaks_to_people(cores: Path, tmp_path: Path) -> None:
    result = run(cores, *FEW, "-o", tmp_path / "d.h5")
    assert result.exit_code == 0, result.output
    assert "300 unlabelled pixels to learn from" in result.stdout
    assert f"now: hsi-ssl train-m1 {tmp_path / 'd.h5'}" in result.stdout
    assert "Warning" in result.stderr


@pytest.mark.slow
def test_options_go_before_the_settings_file(
    cores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hsi-ssl.toml").write_text(
        f'[prepare]\nsources = ["{cores}"]\ncap = 20\nunlabelled = 100\nscaling = "standard"\n',
        encoding="utf-8",
    )
    result = run("--cap", "30", "--transductive")
    assert result.exit_code == 0, result.output
    dataset = open_dataset(Path("runs/dataset.h5"))
    used = dataset.meta["settings"]
    assert (used["cap"], used["unlabelled"], used["scaling"]) == (30, 100, "standard")
    assert used["transductive"]
    assert dataset.meta["transductive"]
    assert len(dataset.scaled(dataset.rows())) == 0


@pytest.mark.slow
def test_existing_output_is_kept(cores: Path, tmp_path: Path) -> None:
    (tmp_path / "d_balance").mkdir()
    refused = run(cores, *FEW, "-o", tmp_path / "d.h5")
    assert isinstance(refused.exception, OutputError)
    assert not (tmp_path / "d.h5").exists()
    assert run(cores, *FEW, "-o", tmp_path / "d.h5", "--overwrite").exit_code == 0
    before = (tmp_path / "d.h5").read_bytes()
    assert isinstance(run(cores, "-o", tmp_path / "d.h5").exception, OutputError)
    assert (tmp_path / "d.h5").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nowhere.h5"], SceneNotFoundError),
        (["--validation", "0.6", "--test", "0.6"], SettingsError),
        (["--cap", "0"], SettingsError),
        (["--train-labels", "a.tif"], SettingsError),
    ],
)
def test_what_cannot_be_done_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: type[Exception]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(run(*arguments).exception, error)
    assert list(tmp_path.iterdir()) == []


def test_unknown_key_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hsi-ssl.toml").write_text("[prepare]\nunlabeled = 5\n", encoding="utf-8")
    result = run("somewhere")
    assert isinstance(result.exception, SettingsError)
    assert "did you mean unlabelled?" in str(result.exception)
