"""A scene of four minerals of which three are labelled, and runs with free slots on it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import torch
from rasterio.transform import Affine

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.scenes.minerals import MINERALS
from hsi_ssl.settings import M2Settings, PrepareSettings
from hsi_ssl.training.m2_stage import train_m2

WAVELENGTHS = np.linspace(1000, 2500, 40)
SIDE = 48
KNOWN = {2: "calcite", 5: "muscovite", 32: "quartz"}
UNKNOWN = "alunite"
GRID = Affine(5.0, 1.0, 300_000.0, 1.0, -5.0, 7_400_000.0)


@dataclass(frozen=True)
class Project:
    """`scene`, `dataset`, `library`, runs `run(0)` and `run(1)` with free slots, `plain` without.

    `there (rows, cols)`: codes of what is there, 99 for the mineral that nobody labels.
    """

    folder: Path
    there: npt.NDArray[np.int64]

    @property
    def scene(self) -> Path:
        return self.folder / "scene.tif"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset.h5"

    @property
    def library(self) -> Path:
        return self.folder / "library.csv"

    def run(self, seed: int) -> Path:
        return self.folder / f"run{seed}"

    @property
    def plain(self) -> Path:
        return self.folder / "plain"


def quarters() -> npt.NDArray[np.int64]:
    """Codes of four minerals `(SIDE, SIDE)`, a quarter each."""
    half = SIDE // 2
    row, col = np.indices((SIDE, SIDE)) // half
    return np.array([[2, 5], [32, 99]])[row, col]


def write_library(path: Path, names: tuple[str, ...]) -> Path:
    fine = np.linspace(990, 2510, 300)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("wavelength_nm", *names))
        rows.writerows(zip(fine, *(MINERALS[n].reflectance(fine) for n in names), strict=True))
    return path


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Written, prepared and trained once."""
    folder = tmp_path_factory.mktemp("discovery")
    rng = np.random.default_rng(0)
    there = quarters()
    pure = {c: MINERALS[n].reflectance(WAVELENGTHS) for c, n in {**KNOWN, 99: UNKNOWN}.items()}
    scene = np.array([pure[code] for code in there.ravel().tolist()])
    background = scene.mean(axis=0)
    share = rng.uniform(0.6, 0.9, (len(scene), 1))
    light = rng.uniform(0.8, 1.2, (len(scene), 1))
    cube = light * (share * scene + (1 - share) * background)
    cube += rng.normal(0, 0.004, cube.shape)
    values = np.round(10_000 * cube).astype(np.uint16).reshape(SIDE, SIDE, -1)
    values[0, :3] = 0  # not measured
    labels = np.where((there != 99) & (rng.random(there.shape) < 0.3), there, 0)
    profile: dict[str, Any] = {"crs": "EPSG:32719", "transform": GRID, "driver": "GTiff"}
    profile |= {"height": SIDE, "width": SIDE}
    with rasterio.open(
        folder / "scene.tif", "w", count=len(WAVELENGTHS), dtype="uint16", **profile
    ) as raster:
        raster.write(np.moveaxis(values, -1, 0))
        for band, nm in enumerate(WAVELENGTHS, 1):
            raster.update_tags(band, wavelength=f"{nm:.4f}", wavelength_units="nm")
    with rasterio.open(folder / "labels.tif", "w", count=1, dtype="uint8", **profile) as raster:
        raster.write(labels.astype(np.uint8), 1)
    write_library(folder / "library.csv", ("alunite", "calcite", "gypsum", "kaolinite", "quartz"))
    prepare(
        PrepareSettings(
            sources=(str(folder / "scene.tif"),),
            labels=(folder / "labels.tif",),
            output=folder / "dataset.h5",
            split="pixels",
            components=10,
        )
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    common: dict[str, Any] = {
        "dataset": folder / "dataset.h5", "m1": None, "device": "cpu", "hidden": (32,),
        "hidden_classifier": (64,), "latent": 3, "supervised_epochs": 3, "epochs": 5,
    }  # fmt: skip
    for seed in (0, 1):
        train_m2(
            M2Settings(
                **common, output=folder / f"run{seed}", model="gm-dgm", free_slots=2, seed=seed
            )
        )
    train_m2(M2Settings(**{**common, "epochs": 1}, output=folder / "plain"))
    torch.set_num_threads(threads)
    return Project(folder, np.where(values.any(axis=-1), there, 0))
