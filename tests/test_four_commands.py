"""Every shipped recipe from init to map, as the README says, with little training."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from little_work import few_steps, small_reports

from hsi_ssl.catalog import entries as catalog
from hsi_ssl.cli.main import cli
from hsi_ssl.recipes import recipes
from hsi_ssl.scenes import simulate

SHORT = ["--epochs", "2", "--hidden", "64", "-q"]
SUPERVISED = ["--supervised-epochs", "4"]
FEW = ["--unlabelled", "2000", "--per-class", "100", "-q"]
NEEDS = {
    "enmap-potsdam": "enmap-potsdam",
    "kingma-2014": "mnist",
    "mnist": "mnist",
    "mnist-semi-unsupervised": "mnist",
    "salinas-a": "salinas-a",
}
SCENES = {"drillcore": 10, "kingma-2014": 2, "mnist": 2, "mnist-semi-unsupervised": 2}


def test_this_test_knows_every_recipe() -> None:
    assert set(recipes()) == {"demo", "indian-pines", "drillcore", *NEEDS}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", sorted(recipes()))
def test_init_prepare_train_classify_evaluate(
    recipe: str,
    real_data: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    if recipe != "mnist-semi-unsupervised":  # which then finds nothing but free slots
        few_steps(monkeypatch, 12)
    small_reports(monkeypatch)
    if recipe in NEEDS:
        real_data(NEEDS[recipe])
    if recipe == "drillcore":
        # The catalog entry simulates itself into the cache folder; here of an eighth of its pixels.
        small = partial(simulate.simulate, rows=96, cols=128)
        monkeypatch.setattr(simulate, "simulate", small)
        monkeypatch.delenv("HSI_SSL_DATA", raising=False)
        monkeypatch.setattr(catalog, "cache_folder", lambda: tmp_path / "cache")
    for step in (
        ["init", recipe],
        ["prepare", *FEW],
        ["train-m1", *SHORT],
        ["train-m2", *SHORT, *SUPERVISED],
        ["classify", "-q"],
        ["evaluate", "-q"],
    ):
        cli.main(step, prog_name="hsi-ssl", standalone_mode=False)

    maps = sorted(tmp_path.glob("*_classes.tif"))
    assert len(maps) == SCENES.get(recipe, 1)
    card = json.loads((tmp_path / "runs/m2/model.json").read_text())
    codes = {c["code"] for c in card["label_sets"][0]["classes"]["classes"]}
    for path in maps:
        with rasterio.open(path) as raster:
            plane = raster.read(1)
            assert raster.nodata == 0
            assert set(np.unique(plane)) <= codes | {0}
            assert len(np.unique(plane)) > 1
            if recipe == "enmap-potsdam":
                with rasterio.open(real_data("enmap-potsdam/scene.tif")) as scene:
                    cube, bad = scene.read(), scene.nodata
                    assert raster.crs.to_epsg() == scene.crs.to_epsg() == 32633
                    assert raster.transform == scene.transform
                assert (plane[(cube == bad).all(0)] == 0).all()
            else:
                assert raster.crs is None
        for suffix in (".png", ".csv", ".qml"):
            assert path.with_suffix(suffix).stat().st_size > 50
    assert (tmp_path / "runs/m2/report/index.html").stat().st_size > 10_000
    assert (tmp_path / "runs/dataset_balance/index.html").stat().st_size > 10_000
