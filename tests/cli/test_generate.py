"""`hsi-ssl generate` from its arguments to its files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import rasterio
import torch

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2

pytestmark = pytest.mark.slow


KINDS = ("analogies", "interpolations", "reconstructions", "styles")


@pytest.fixture(scope="module")
def made(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder: the runs m1 and m2, one with free slots, and the dataset's scene."""
    folder = tmp_path_factory.mktemp("made")
    torch.set_num_threads(1)
    common: dict[str, Any] = {
        "dataset": tiny_dataset.path, "device": "cpu", "hidden": (8,), "epochs": 1, "latent": 2,
    }  # fmt: skip
    m2 = {**common, "m1": None, "supervised_epochs": 2}
    train_m1(M1Settings(**common, output=folder / "runs/m1"))
    train_m2(M2Settings(**m2, output=folder / "runs/m2"))
    train_m2(M2Settings(**m2, output=folder / "runs/free", model="gm-dgm", free_slots=2))
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0).copy()
    cube[:, 0, 0] = 0
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", height=40, width=30, count=12, dtype="uint16",
        crs="EPSG:32719", transform=rasterio.Affine(5, 0, 300_000, 0, -5, 7_400_000), nodata=0,
    ) as raster:  # fmt: skip
        raster.write(cube)
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder that knows those runs by `runs` and the scene by its name."""
    (tmp_path / "runs").symlink_to(made / "runs")
    (tmp_path / "scene.tif").symlink_to(made / "scene.tif")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path: str) -> list[list[str]]:
    with Path(path).open(newline="") as file:
        return list(csv.reader(file))


def test_a_validation_pixel_of_each_class_by_default(
    hsi_ssl: Callable[..., Any], project: Path, tiny_dataset: Dataset
) -> None:
    ran = hsi_ssl("generate", "-o", "first", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["output"] == "first"
    assert told["files"] == [f"first/{k}.{s}" for k in KINDS for s in ("csv", "png")]
    for kind in KINDS:
        assert matplotlib.image.imread(f"first/{kind}.png").std() > 0
    names = list(tiny_dataset.label_set.names)
    assert [row[0] for row in table("first/reconstructions.csv")[1::4]] == names

    again = hsi_ssl(
        "generate", "runs/m2", "-o", "again", "--dataset", tiny_dataset.path, "--device", "cpu"
    )
    assert again.code == 0, again.err
    assert "wrote again: analogies.csv, analogies.png" in again.out
    other = hsi_ssl("generate", "-o", "other", "--seed", 1)
    assert other.code == 0, other.err
    first, same, differs = (
        Path(folder, "reconstructions.csv").read_bytes() for folder in ("first", "again", "other")
    )
    assert first == same != differs


def test_pixels_of_a_scene_and_free_slots(
    hsi_ssl: Callable[..., Any], project: Path, tiny_dataset: Dataset
) -> None:
    two = ("--pixel", "scene.tif", 3, 4, "--pixel", "scene.tif", 39, 29)
    ran = hsi_ssl("generate", "runs/free", *two, "-o", "g")
    assert ran.code == 0, ran.err
    assert {row[0] for row in table("g/interpolations.csv")[1:]} == {"scene 3, 4 to scene 39, 29"}
    raw = tiny_dataset.spectra().reshape(40, 30, 12)[3, 4]
    measured = next(row for row in table("g/reconstructions.csv") if row[1] == "measured")
    np.testing.assert_allclose(np.array(measured[2:], float), raw, rtol=1e-4)
    classes = [*tiny_dataset.label_set.names, "free slot 1", "free slot 2"]
    assert [row[1] for row in table("g/analogies.csv")[1:6]] == classes

    refused = hsi_ssl("generate", "runs/free", *two, "-o", "g")
    assert refused.code == 2
    assert "g exists already" in refused.err
    ran = hsi_ssl("generate", "runs/free", *two, "-o", "g", "--overwrite")
    assert ran.code == 0, ran.err
    ran = hsi_ssl("generate", "runs/free", *two[:4], "-o", "one")
    assert ran.code == 0, ran.err
    assert {p.stem for p in Path("one").iterdir()} == set(KINDS) - {"interpolations"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("runs/m1",), "runs/m1 holds an extractor of features, a classifier is needed; make one"),
        (("runs/none",), "no model in runs/none"),
        (("--dataset", "none.h5"), "none.h5"),
        (("--pixel", "scene.tif", 40, 0), "40, 0 is outside scene.tif, which has 40 rows and 30"),
        (("--pixel", "scene.tif", 0, 0), "pixel 0, 0 of scene.tif has no measurement"),
        (("--pixel", "nowhere.tif", 0, 0), "nowhere.tif"),
        (("--pixel", ".", 0, 1), ". holds 2 scenes; name the file that pixel 0, 1 is in"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    hsi_ssl: Callable[..., Any], project: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    (project / "twin.tif").write_bytes((project / "scene.tif").read_bytes())
    ran = hsi_ssl("generate", *arguments, "-o", "g")
    assert ran.code == 2
    assert sentence in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert not Path("g").exists()
