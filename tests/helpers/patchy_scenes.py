"""Small scenes with patches of three classes, each spectrum of which tells its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.settings import PrepareSettings
from hsi_ssl.watcher import SILENT, Watcher

ROWS, COLS, BANDS = 48, 40, 12
CODES = (2, 5, 32)
Cube = npt.NDArray[Any]


def label_plane(seed: int, rows: int = ROWS, cols: int = COLS) -> npt.NDArray[np.uint16]:
    """Patches of the three classes, most of the plane unlabelled."""
    rng = np.random.default_rng(seed)
    plane = np.zeros((rows, cols), np.uint16)
    for i in range(30):
        r, c = rng.integers(rows), rng.integers(cols)
        plane[r : r + rng.integers(2, 7), c : c + rng.integers(2, 7)] = CODES[i % 3]
    return plane


def cube(number: int, rows: int = ROWS, cols: int = COLS) -> npt.NDArray[np.uint16]:
    """Every spectrum tells where it comes from: row, column, scene, then mixtures with noise."""
    rng = np.random.default_rng(1000 + number)
    found = np.empty((rows, cols, BANDS), np.uint16)
    found[..., 0], found[..., 1] = np.mgrid[1 : rows + 1, 1 : cols + 1]
    found[..., 2] = number + 1
    mixed = rng.normal(size=(rows, cols, 2)) @ rng.normal(size=(2, BANDS - 3)) * 300
    found[..., 3:] = (mixed + 5000 + rng.normal(size=mixed.shape) * 20).astype(np.uint16)
    return found


def write_scene(path: Path, data: Cube, labels: Cube) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["hsimage/data"] = data
        file["hsimage/labels"] = labels
    return path


def write_scenes(folder: Path, n: int) -> list[Path]:
    return [write_scene(folder / f"core-{i:02}.h5", cube(i), label_plane(i)) for i in range(n)]


def prepared(
    folder: Path, paths: list[Path], *, watcher: Watcher = SILENT, **settings: Any
) -> Dataset:
    settings = {"cap": 40, "unlabelled": 500, "components": 4, "output": folder / "d.h5"} | settings
    return prepare(
        PrepareSettings(sources=tuple(map(str, paths)), **settings),
        overwrite=True,
        watcher=watcher,
    )


def places(dataset: Dataset, rows: npt.NDArray[Any] | None = None) -> set[tuple[int, int, int]]:
    """Scene, row, column of the dataset's rows; none may be there twice."""
    found = np.column_stack([dataset.scene, dataset.pixel])
    found = found if rows is None else found[rows]
    pixels = set(map(tuple, found.tolist()))
    assert len(pixels) == len(found)
    return pixels


def class_counts(dataset: Dataset, part: Part) -> list[int]:
    label = dataset.label[dataset.rows(part)]
    return [int(n) for n in np.bincount(label, minlength=len(dataset.label_set))]
