"""Real spectra for generation to start from: pixels that are named, or a dataset's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError, SceneError
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.extractor import check_bands
from hsi_ssl.inference.generation import Generator, Measured
from hsi_ssl.labels.sources import resolve
from hsi_ssl.maps.bands import ModelBands
from hsi_ssl.maps.fitting import fitted
from hsi_ssl.watcher import SILENT, Watcher

POOL = 4000
"""Spectra over which the units are chosen that move most."""


def of_dataset(dataset: Dataset, generator: Generator) -> Measured:
    """A validation pixel of each class, drawn by the generator's seed; else a training pixel.

    Raises
    ------
    DatasetError
        It has neither.
    """
    rng = np.random.default_rng(generator.seed)
    rows, titles = [], []
    for k, name in enumerate(dataset.label_set.names):
        for part in (Part.VALIDATION, Part.TRAIN):
            found = np.flatnonzero((dataset.part == part) & (dataset.label == k))
            if len(found):
                rows.append(int(rng.choice(found)))
                titles.append(name)
                break
    if not rows:
        raise DatasetError(f"{dataset.path} has no labelled pixels; name some with --pixel")
    return Measured(dataset.spectra(np.array(rows)), tuple(titles))


def of_scenes(
    pixels: Sequence[tuple[str, int, int]], classifier: Classifier, watcher: Watcher = SILENT
) -> Measured:
    """Pixels by scene, a file or a catalog name, and row and column, from 0.

    Raises
    ------
    SceneError
        The pixel is outside the scene or has no measurement; the name stands for several scenes.
    SceneNotFoundError, CatalogError, FetchError, BandsError
        The scene is not there, or has other bands than the model.
    """
    spectra, titles = [], []
    bands = ModelBands.from_card(classifier.card)
    for i, (name, row, col) in enumerate(pixels):
        told = any(name == earlier for earlier, *_ in pixels[:i])
        with resolve([name], labelled=False, watcher=SILENT if told else watcher) as found:
            if len(found.scenes) > 1:
                raise SceneError(
                    f"{name} holds {len(found.scenes)} scenes; name the file that pixel {row}, "
                    f"{col} is in, such as {found.scenes[0].scene.path}"
                )
            scene = found.scenes[0].scene
            if not (0 <= row < scene.rows and 0 <= col < scene.cols):
                raise SceneError(
                    f"pixel {row}, {col} is outside {name}, which has {scene.rows} rows and "
                    f"{scene.cols} columns, counted from 0"
                )
            match = fitted(scene, bands, watcher=watcher)
            window = scene.read(slice(row, row + 1), slice(col, col + 1))
            measured, _ = match.brought(window, scene.nodata)
            if not len(measured):
                raise SceneError(f"pixel {row}, {col} of {name} has no measurement; name another")
            spectra.append(measured[0])
            titles.append(f"{scene.name} {row}, {col}")
    return Measured(np.stack(spectra), tuple(titles))


def active_pool(dataset: Dataset, classifier: Classifier, run: Path) -> npt.NDArray[Any]:
    """Raw spectra `(n, bands)` of the dataset, evenly chosen from all that were learnt from.

    Raises
    ------
    ModelError
        The run was trained on other bands.
    """
    check_bands(classifier.card, dataset, run)
    rows = dataset.rows(Part.TRAIN, Part.VALIDATION, Part.POOL)
    return dataset.spectra(rows[np.linspace(0, len(rows) - 1, min(POOL, len(rows))).astype(int)])
