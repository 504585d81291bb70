"""`hsi-ssl discover` from its arguments to its files, and `classify` after it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from hsi_ssl.datasets.neighbours import neighbour_table
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.scenes.minerals import MINERALS
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.m2_stage import train_m2


@pytest.fixture(scope="module")
def made(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with free slots and one without, on two of three classes; a scene, a library."""
    folder = tmp_path_factory.mktemp("made")
    torch.set_num_threads(1)
    nobody = tiny_dataset.label == 2
    kept = LabelSet("minerals", tiny_dataset.label_set.classes[:2])
    classes = tiny_dataset.meta["counts"]["classes"][:2]
    write_dataset(
        folder / "dataset.h5",
        spectra=tiny_dataset.spectra(),
        label=np.where(nobody, -1, tiny_dataset.label).astype(np.int16),
        part=np.where(nobody, Part.POOL, tiny_dataset.part).astype(np.uint8),
        scene=tiny_dataset.scene,
        pixel=tiny_dataset.pixel,
        neighbours=neighbour_table(tiny_dataset.scene, tiny_dataset.pixel),
        meta={
            **tiny_dataset.meta,
            "label_set": kept.to_card(),
            "counts": {**tiny_dataset.meta["counts"], "classes": classes},
        },
    )
    common: dict[str, Any] = {
        "dataset": folder / "dataset.h5", "m1": None, "device": "cpu", "hidden": (8,), "epochs": 4,
        "latent": 2, "supervised_epochs": 3,
    }  # fmt: skip
    train_m2(M2Settings(**common, output=folder / "runs/m2", model="gm-dgm", free_slots=3))
    train_m2(M2Settings(**common, output=folder / "runs/plain"))
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0)
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", height=40, width=30, count=12, dtype="uint16",
        crs="EPSG:32719", transform=rasterio.Affine(5, 0, 300_000, 0, -5, 7_400_000),
    ) as raster:  # fmt: skip
        raster.write(cube)
    waves = np.linspace(990, 2510, 200)
    names = ("alunite", "gypsum", "calcite")
    columns = [MINERALS[name].reflectance(waves) for name in names]
    table = np.column_stack([waves, *columns])
    head = ",".join(("wavelength_nm", *names))
    np.savetxt(folder / "library.csv", table, delimiter=",", header=head, comments="")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to work in."""
    shutil.copytree(made, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


ANYTHING = ("--min-pixels", 1, "--min-posterior", 0, "--min-compactness", -1)


@pytest.mark.slow
def test_of_a_scene_and_classify_after_it(hsi_ssl: Callable[..., Any], project: Path) -> None:
    ran = hsi_ssl(
        "discover", "runs/m2", "scene.tif", "--library", "library.csv", *ANYTHING, "--json"
    )
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["report"] == "discovered/index.html"
    assert told["free_slots"] == 3
    assert len(told["groups"]) + told["empty_slots"] == 3
    assert told["groups"]
    assert [g["code"] for g in told["groups"]] == list(range(8, 8 + len(told["groups"])))
    assert all(len(g["matches"]) == 3 for g in told["groups"])
    pixels = {g["code"]: g["pixels"] for g in told["groups"]}
    assert {"index.html", "groups.csv", "spectra.csv", "scene_classes.tif"} <= {
        path.name for path in Path("discovered").iterdir()
    }
    ran = hsi_ssl("classify", "scene.tif", "--json")
    assert ran.code == 0, ran.err
    counts = {int(code): n for code, n in json.loads(ran.out)["counts"].items()}
    assert {code: counts[code] for code in pixels} == pixels

    ran = hsi_ssl("classify", "scene.tif", "-o", "r.tif", "--reject", 0.3, "--p-value", "--json")
    assert ran.code == 0, ran.err
    told_again = json.loads(ran.out)
    counts = {int(code): n for code, n in told_again["counts"].items()}
    assert {code: counts[code] for code in pixels} == pixels
    assert told_again["rejected"] == counts[max(counts)] > 0
    with rasterio.open("r.tif") as classes, rasterio.open("r_p_value.tif") as p_value:
        in_group = np.isin(classes.read(1), list(pixels))
        assert (p_value.read(1)[in_group] <= 0.3).any()

    before = Path("discovered/groups.csv").read_bytes()
    ran = hsi_ssl("discover", "runs/m2", "scene.tif")
    assert ran.code == 2
    assert "exists already" in ran.err
    assert Path("discovered/groups.csv").read_bytes() == before


@pytest.mark.slow
def test_of_a_dataset_for_people(hsi_ssl: Callable[..., Any], project: Path) -> None:
    ran = hsi_ssl("discover", "runs/m2", "dataset.h5", "-o", "found", *ANYTHING)
    assert ran.code == 0, ran.err
    assert "unknown-1: " in ran.out
    assert "report: found/index.html" in ran.out
    assert not list(Path("found").glob("*.tif"))


@pytest.mark.slow
def test_a_run_without_free_slots_is_told_how_to_train_one(
    hsi_ssl: Callable[..., Any], project: Path
) -> None:
    ran = hsi_ssl("discover", "runs/plain", "scene.tif")
    assert ran.code == 2
    assert "runs/plain has no free slots" in ran.err
    assert "train-m2 --model gm-dgm --free-slots 10" in ran.err
    assert not Path("discovered").exists()
    assert not Path("runs/plain/discovered.json").exists()
