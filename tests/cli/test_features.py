"""`hsi-ssl features` of a scene and of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import Affine

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.inference.extractor import load_m1
from hsi_ssl.settings import M1Settings
from hsi_ssl.training.m1_stage import train_m1

GRID = Affine(5.0, 1.0, 300_000.0, 1.0, -5.0, 7_400_000.0)


@pytest.fixture
def project(tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a trained M1 and a scene whose first column has no data."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    train_m1(
        M1Settings(
            dataset=tiny_dataset.path, output=Path("runs/m1"), latent=3, hidden=(8,), epochs=2
        )
    )
    cube = np.moveaxis(tiny_dataset.spectra().reshape(40, 30, 12), -1, 0).copy()
    cube[:, :, 0] = 0
    with rasterio.open(
        "scene.tif", "w", driver="GTiff", height=40, width=30, count=12, dtype="uint16",
        crs="EPSG:32719", transform=GRID,
    ) as raster:  # fmt: skip
        raster.write(cube)
    return tmp_path


def test_of_a_scene(hsi_ssl: Callable[..., Any], project: Path, tiny_dataset: Dataset) -> None:
    ran = hsi_ssl("features", "scene.tif", "-o", "out/features.tif")
    assert ran.code == 0, ran.err
    mean, logvar = load_m1(Path("runs/m1")).features(tiny_dataset.spectra())
    expected = np.concatenate([mean, logvar], 1).reshape(40, 30, 6)
    with rasterio.open("out/features.tif") as raster:
        assert raster.crs.to_epsg() == 32719
        assert raster.transform == GRID
        assert raster.descriptions[0] == "mean 1"
        assert raster.descriptions[-1] == "log-variance 3"
        found = np.moveaxis(raster.read(), 0, -1)
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_allclose(found[:, 1:], expected[:, 1:], atol=1e-5)
    assert [p.name for p in (project / "out").iterdir()] == ["features.tif"]


def test_of_a_dataset(hsi_ssl: Callable[..., Any], project: Path, tiny_dataset: Dataset) -> None:
    ran = hsi_ssl("features", tiny_dataset.path, "-o", "features.h5")
    assert ran.code == 0, ran.err
    mean, _ = load_m1(Path("runs/m1")).features(tiny_dataset.spectra())
    with h5py.File("features.h5") as file:
        np.testing.assert_allclose(file["mean"][:], mean, atol=1e-6)
        assert (file["label"][:] == tiny_dataset.label).all()
        assert file["logvar"].shape == (len(tiny_dataset), 3)


def test_mistakes(hsi_ssl: Callable[..., Any], project: Path) -> None:
    with rasterio.open(
        "other.tif", "w", driver="GTiff", height=4, width=3, count=5, dtype="uint16"
    ) as raster:
        raster.write(np.ones((5, 4, 3), np.uint16))
    for arguments, word in (
        (("other.tif", "-o", "f.tif"), "5"),
        (("nowhere.tif", "-o", "f.tif"), "nowhere.tif"),
        (("scene.tif", "-o", "scene.tif"), "exists already"),
        (("scene.tif", "-o", "f.tif", "--m1", "runs/none"), "train-m1"),
    ):
        ran = hsi_ssl("features", *arguments)
        assert ran.code == 2
        assert word in ran.err
        assert not Path("f.tif").exists()


def test_without_an_output_it_lies_here_under_the_sources_name(
    hsi_ssl: Callable[..., Any], project: Path, tiny_dataset: Dataset
) -> None:
    ran = hsi_ssl("features", "scene.tif")
    assert ran.code == 0, ran.err
    assert "wrote scene_features.tif" in ran.out
    ran = hsi_ssl("features", tiny_dataset.path)
    assert ran.code == 0, ran.err
    assert "wrote dataset_features.h5" in ran.out
    assert (project / "scene_features.tif").exists()
    assert (project / "dataset_features.h5").exists()
    ran = hsi_ssl("features", "scene.tif")
    assert ran.code == 2
    assert "scene_features.tif exists already" in ran.err
