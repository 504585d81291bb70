"""A project as a user has one: a scene, labels of which some are wrong, a dataset, a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from click.testing import CliRunner
from placed_files import NORTH_UP
from small_runs import one_thread

from hsi_ssl.cli.main import cli

ROWS, COLS, BANDS = 48, 48, 10
WRONG = ((slice(2, 5), slice(3, 6)), (slice(30, 33), slice(26, 28)))
"""Rows and columns whose labels are another class's."""


def small_project(folder: Path) -> Path:
    """Make `scenes/scene.tif`, `labels/labels.tif`, `runs/dataset.h5` and `runs/m2`.

    Three classes (codes 2, 7, 9) in stripes of 16 columns; what is `WRONG` is labelled as the next.
    All paths that are remembered are relative to the folder.
    """
    rng = np.random.default_rng(5)
    kind = np.indices((ROWS, COLS))[1] // 16
    shapes = 2000 + 700 * np.sin(np.linspace(0, 4, BANDS) * np.array([[1.0], [1.7], [2.4]]))
    cube = shapes[kind] * rng.uniform(0.9, 1.1, (ROWS, COLS, 1))
    cube += rng.normal(0, 20, cube.shape)
    for name in ("scenes", "labels"):
        (folder / name).mkdir(parents=True)
    write_raster(folder / "scenes/scene.tif", np.moveaxis(cube, -1, 0).astype(np.int16))
    for rows, cols in WRONG:
        kind[rows, cols] = (kind[rows, cols] + 1) % 3
    codes = np.array([2, 7, 9], np.uint8)[kind]
    codes[:, 14:18] = codes[:, 30:34] = 0
    write_raster(folder / "labels/labels.tif", codes[None])
    before = Path.cwd()
    os.chdir(folder)
    try:
        with one_thread():
            called("prepare", "scenes/scene.tif", "--labels", "labels/labels.tif", "--block", 8)
            called(
                "train-m2", "--no-m1", "--model", "perceptron", "--epochs", 40, "--hidden", "16",
                "--device", "cpu",
            )  # fmt: skip
    finally:
        os.chdir(before)
    return folder


def write_raster(path: Path, planes: npt.NDArray[Any]) -> None:
    """Write planes `(bands, rows, cols)` as a GeoTIFF of 30 m pixels in UTM zone 33."""
    bands, rows, cols = planes.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=bands, dtype=planes.dtype,
        crs="EPSG:32633", transform=NORTH_UP,
    ) as raster:  # fmt: skip
        raster.write(planes)


def called(*arguments: object) -> str:
    """What a command says; raises what it ends with."""
    ran = CliRunner().invoke(cli, [str(a) for a in arguments], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output
