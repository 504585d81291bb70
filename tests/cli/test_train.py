"""Training, features and the demo as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hsi_ssl.cli.options import if_other
from hsi_ssl.datasets.store import Dataset

pytestmark = pytest.mark.slow


SMALL = ("--hidden", "16", "--latent", "4", "--epochs", "3")
SHORT = ("--hidden", "16", "--latent", "4", "--epochs", "1")
SUPERVISED = ("--supervised-epochs", "1")


@pytest.fixture(autouse=True)
def _in_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "dataset.h5").symlink_to(tiny_dataset.path)


def test_m1_then_m2_without_options_but_size(hsi_ssl: Callable[..., Any], tmp_path: Path) -> None:
    ran = hsi_ssl("train-m1", *SMALL, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    promised = "bound_train bound_validation epochs seconds spectra_per_second active_units"
    assert {*promised.split(), "kl_per_unit", "device"} <= set(found)
    assert found["epochs"] == 3
    assert len(found["kl_per_unit"]) == 4

    ran = hsi_ssl("train-m2", *SMALL, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    promised = "validation epochs seconds spectra_per_second predicted_classes device"
    assert set(promised.split()) <= set(found)
    assert found["model"] == "M1+M2"
    for run in ("m1", "m2"):
        names = {p.name for p in (tmp_path / "runs" / run).iterdir()}
        assert names == {"model.safetensors", "model.json", "metrics.csv", "figures", "last"}
        picture = tmp_path / "runs" / run / "figures" / "generated.png"
        assert picture.read_bytes().startswith(b"\x89PNG")


def test_words_for_people(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl("train-m1", *SMALL)
    assert "M1 12-16-4, gaussian, on " in ran.out
    assert "latent units are active" in ran.out
    assert "now: hsi-ssl train-m2" in ran.out
    ran = hsi_ssl("train-m2", "--no-m1", *SHORT, *SUPERVISED, "-q")
    assert (ran.code, ran.out) == (0, "")


def test_verbose_says_every_epoch(hsi_ssl: Callable[..., Any]) -> None:
    few, all_of_them = (
        hsi_ssl("train-m1", *SMALL, "--overwrite", *more).out.count("\nepoch ")
        for more in ((), ("-v",))
    )
    assert few < all_of_them == 3


def test_the_settings_file_counts_and_options_override_it(
    hsi_ssl: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "hsi-ssl.toml").write_text("[m1]\nhidden = [8]\nlatent = 2\nepochs = 1\nseed = 4\n")
    assert hsi_ssl("train-m1", "--latent", "3").code == 0
    card = json.loads((tmp_path / "runs/m1/model.json").read_text())
    assert card["architecture"]["hidden"] == [8]
    assert card["architecture"]["latent"] == 3
    assert card["settings"]["seed"] == 4


def test_m2_before_m1_says_what_to_do(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl("train-m2", *SMALL)
    assert ran.code == 2
    assert "make one with `hsi-ssl train-m1`" in ran.err


def test_m1_and_no_m1_contradict(hsi_ssl: Callable[..., Any]) -> None:
    ran = hsi_ssl("train-m2", "--m1", "runs/m1", "--no-m1")
    assert ran.code == 2
    assert "contradict" in ran.err


def test_resume_of_a_finished_run_changes_nothing(
    hsi_ssl: Callable[..., Any], tmp_path: Path
) -> None:
    assert hsi_ssl("train-m1", *SHORT).code == 0
    before = (tmp_path / "runs/m1/model.safetensors").read_bytes()
    assert hsi_ssl("train-m1", *SHORT, "--resume").code == 0
    assert (tmp_path / "runs/m1/model.safetensors").read_bytes() == before
    assert hsi_ssl("train-m1", *SHORT).code == 2


def test_import_of_the_2016_weights(
    hsi_ssl: Callable[..., Any], real_data: Callable[[str], Path]
) -> None:
    folder = real_data("alhue-m1-2016")
    ran = hsi_ssl("train-m1", "--import-anglepy", folder, "-o", "runs/m1-2016", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["active_units"] == 2
    assert "has collapsed: 2 of 50" in ran.err


def test_no_hidden_layer_can_be_asked_for(hsi_ssl: Callable[..., Any], tmp_path: Path) -> None:
    assert hsi_ssl("train-m1", "--hidden", "none", "--latent", "2", "--epochs", "1").code == 0
    card = json.loads((tmp_path / "runs/m1/model.json").read_text())
    assert card["architecture"]["hidden"] == []


def test_flags_that_contradict_each_other_are_refused(hsi_ssl: Callable[..., Any]) -> None:
    for command in ("train-m1", "train-m2"):
        ran = hsi_ssl(command, "--resume", "--overwrite")
        assert ran.code == 2
        assert "contradict" in ran.err


def test_another_model_takes_the_reports_on_the_old_one_away_and_nothing_else(
    hsi_ssl: Callable[..., Any], tmp_path: Path
) -> None:
    assert hsi_ssl("train-m2", "--no-m1", *SHORT, *SUPERVISED).code == 0
    assert hsi_ssl("evaluate").code == 0
    run = tmp_path / "runs" / "m2"
    (run / "report-for-my-supervisor").mkdir()
    (run / "report.pdf").write_text("mine")
    assert hsi_ssl("train-m2", "--no-m1", *SHORT, *SUPERVISED, "--overwrite").code == 0
    assert not (run / "report").exists()
    assert (run / "report.pdf").read_text() == "mine"
    assert (run / "report-for-my-supervisor").is_dir()


def test_widths(hsi_ssl: Callable[..., Any], tmp_path: Path) -> None:
    assert hsi_ssl("train-m1", "--hidden", "9-7", "--latent", "2", "--epochs", "1").code == 0
    card = json.loads((tmp_path / "runs/m1/model.json").read_text())
    assert card["architecture"]["hidden"] == [9, 7]
    ran = hsi_ssl("train-m1", "--hidden", "wide", "--overwrite")
    assert ran.code == 2
    assert "no list of widths" in ran.err


def test_the_next_command_names_what_it_would_not_take_by_itself() -> None:
    own = Path("two  spaces/m1")
    assert if_other("--m1", own, own) == ""
    assert if_other("--m1", own, None) == " --m1 'two  spaces/m1'"
    assert if_other("", own, Path("runs/m1")) == " 'two  spaces/m1'"
