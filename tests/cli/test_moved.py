"""Scenes and datasets that are not where they were: moved with all else, or named by --data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsi_ssl.datasets.reopening import reopened
from hsi_ssl.datasets.store import open_dataset
from hsi_ssl.datasets.whereabouts import missing, place_of
from hsi_ssl.errors import DatasetError
from hsi_ssl.view.shown import shown

pytestmark = pytest.mark.slow

Run = Callable[..., Any]


@pytest.fixture
def moved(some_wrong_labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project, the current folder being another."""
    shutil.copytree(some_wrong_labels, tmp_path / "there")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "there"


@pytest.fixture
def apart(moved: Path, tmp_path: Path) -> Path:
    """The same, its scene in a folder that nobody knows of."""
    (tmp_path / "archive/2024").mkdir(parents=True)
    (moved / "scenes/scene.tif").rename(tmp_path / "archive/2024/scene.tif")
    return moved


def test_a_tree_that_was_moved_together_is_found(moved: Path, hsi_ssl: Run) -> None:
    dataset = open_dataset(moved / "runs/dataset.h5")
    assert missing(dataset) == []
    assert place_of(dataset.meta["sources"][0], dataset) == moved / "scenes/scene.tif"
    ran = hsi_ssl("evaluate", moved / "runs/m2", moved / "runs/dataset.h5")
    assert ran.code == 0, ran.err
    assert "--data" not in ran.err
    page = (moved / "runs/m2/report/index.html").read_text()
    assert "map by this model, pixel by pixel" in page
    with shown([moved / "runs/m2"]) as found:
        assert found.dataset is not None
        assert found.scenes[0].number == 0


def test_absolute_paths_of_a_tree_that_was_moved(moved: Path) -> None:
    dataset = open_dataset(moved / "runs/dataset.h5")
    card = {**dataset.meta["sources"][0], "path": "/once/upon/scenes/scene.tif"}
    assert place_of(card, dataset) == moved / "scenes/scene.tif"


def test_the_folder_of_scenes_is_named(apart: Path, tmp_path: Path, hsi_ssl: Run) -> None:
    dataset, data = apart / "runs/dataset.h5", tmp_path / "archive"
    ran = hsi_ssl("evaluate", apart / "runs/m2", dataset)
    assert ran.code == 0, ran.err
    assert "scene.tif, of which" in ran.err
    assert "name the folder that holds it with --data" in " ".join(ran.err.split())
    ran = hsi_ssl("evaluate", apart / "runs/m2", dataset, "--data", data)
    assert ran.code == 0, ran.err
    assert "--data" not in ran.err
    assert "pixel by pixel" in (apart / "runs/m2/report/index.html").read_text()
    for command in (
        ("suggest", apart / "runs/m2", dataset, "--radius", 0),
        ("balance", dataset),
    ):
        ran = hsi_ssl(*command, "--data", data, "--json")
        assert ran.code == 0, ran.err
        assert "--data" not in ran.err
    ran = hsi_ssl("suggest", apart / "runs/m2", dataset, "-o", "other.gpkg")
    assert ran.code == 2
    assert "name the folder that holds it with --data" in ran.err
    with shown([apart / "runs/m2"], data=[data]) as found:
        assert found.scenes[0].scene.path == data / "2024/scene.tif"


def test_another_file_of_that_name_is_refused(apart: Path, tmp_path: Path, hsi_ssl: Run) -> None:
    scene = tmp_path / "archive/2024/scene.tif"
    content = bytearray(scene.read_bytes())
    content[-1] ^= 1
    scene.write_bytes(content)
    ran = hsi_ssl(
        "suggest", apart / "runs/m2", apart / "runs/dataset.h5", "--check-labels",
        "--data", tmp_path / "archive",
    )  # fmt: skip
    assert ran.code == 2
    assert "is another file than the scene.tif" in ran.err
    assert not list(Path().iterdir())
    dataset = open_dataset(apart / "runs/dataset.h5", data=[tmp_path / "archive"])
    with pytest.raises(DatasetError, match="another file"):
        reopened(dataset.meta["sources"][0], dataset)


def test_a_file_beside_that_is_another_is_passed_over(moved: Path) -> None:
    scene = moved / "scenes/scene.tif"
    (moved / "runs/scenes").mkdir()
    shutil.copy(scene, moved / "runs/scenes/scene.tif")
    scene.write_bytes(b"another")
    dataset = open_dataset(moved / "runs/dataset.h5")
    assert place_of(dataset.meta["sources"][0], dataset) == moved / "runs/scenes/scene.tif"


def test_a_map_and_its_scene_that_lie_apart(apart: Path, tmp_path: Path, hsi_ssl: Run) -> None:
    scene = tmp_path / "archive/2024/scene.tif"
    ran = hsi_ssl("classify", scene, "--model", apart / "runs/m2", "-o", "m.tif", "--device", "cpu")
    assert ran.code == 0, ran.err
    (tmp_path / "elsewhere").mkdir()
    scene.rename(tmp_path / "elsewhere/scene.tif")
    shutil.rmtree(apart)
    ran = hsi_ssl("view", "m.tif", "--no-browser")
    assert ran.code == 2
    assert "with --data" in ran.err
    with shown([Path("m.tif")], data=[tmp_path / "elsewhere"]) as found:
        assert found.scenes[0].scene.path == tmp_path / "elsewhere/scene.tif"
    np.save(tmp_path / "elsewhere/scene.npy", np.ones((48, 48, 10)))
    (tmp_path / "elsewhere/scene.npy").rename(tmp_path / "elsewhere/scene.tif")
    ran = hsi_ssl("view", "m.tif", "--no-browser", "--data", tmp_path / "elsewhere")
    assert ran.code == 2
    assert "is another file than the scene" in ran.err


def test_the_dataset_of_a_run_is_found_beside_it(moved: Path, tmp_path: Path, hsi_ssl: Run) -> None:
    distil = ("distil", moved / "runs/m2", "--epochs", 1, "--device", "cpu")
    ran = hsi_ssl(*distil, "-o", "s", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["run"] == "s"
    (tmp_path / "store").mkdir()
    (moved / "runs/dataset.h5").rename(tmp_path / "store/dataset.h5")
    ran = hsi_ssl(*distil, "-o", "t")
    assert ran.code == 2
    assert "that holds it with --data" in ran.err
    ran = hsi_ssl(*distil, "-o", "t", "--data", tmp_path / "store")
    assert ran.code == 0, ran.err
