"""Mean spectra of a run's classes: of the pixels that it learnt from, else generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import DatasetError, ModelError
from hsi_ssl.inference.checkpoint import read_card
from hsi_ssl.inference.classifier import Classifier, load_classifiers
from hsi_ssl.inference.generation import Generator
from hsi_ssl.inference.lineage import dataset_of
from hsi_ssl.libraries.library import SpectralLibrary
from hsi_ssl.naming.measured import ALL_PIXELS, as_library

DRAWN = 1000
"""Spectra of a class that are generated."""
BLOCK = 65_536
"""Pixels read at a time."""


def of_run(run: Path, data: Sequence[Path] = ()) -> SpectralLibrary:
    """A mean spectrum a class, and of all pixels that it learnt from where they are still there.

    Raises
    ------
    ModelError
        The run is broken or no classifier; its pixels are gone and it generates none.
    LibraryError
        It tells no wavelengths.
    """
    if read_card(run)["kind"] != "m2":
        raise ModelError(
            f"{run} is no run of train-m2 and knows no classes: expected one, or a folder of "
            "`hsi-ssl generate`, `discover` or `quantise`"
        )
    classifiers = load_classifiers(run, "cpu")
    card = classifiers[0].card
    several = len(classifiers) > 1
    try:
        dataset = open_dataset(dataset_of(card, run, data))
    except DatasetError as gone:
        if not classifiers[0].generates or not classifiers[0].pipeline.generates:
            raise ModelError(f"{run} generates no spectra, and {gone}") from gone
        spectra = {n: s for one in classifiers for n, s in _generated(one, several).items()}
        note = f"means of {DRAWN:,} spectra a class that {run} generates: its dataset is gone"
    else:
        spectra = {n: s for one in classifiers for n, s in _learnt(one, dataset, several).items()}
        spectra[ALL_PIXELS] = _mean(dataset, dataset.learnt_rows)
        note = f"means of the pixels that {run} learnt each class from"
    numbers = card["numbers"]
    if numbers is not None:
        scale, offset = np.asarray(numbers["scale"]), np.asarray(numbers["offset"])
        spectra = {name: values * scale + offset for name, values in spectra.items()}
    return as_library(run, spectra, card["wavelengths_nm"], note)


def _called(name: str, classifier: Classifier, several: bool) -> str:
    return f"{classifier.label_set.name}: {name}" if several else name


def _learnt(
    classifier: Classifier, dataset: Dataset, several: bool
) -> dict[str, npt.NDArray[np.float64]]:
    """Means of the training pixels of each class."""
    one = dataset.one(classifier.label_set.name) if len(dataset.label_sets) > 1 else dataset
    found = {}
    for k, label in enumerate(one.label_set.classes):
        rows = np.flatnonzero((one.part == Part.TRAIN) & (one.label == k))
        if len(rows) and label.code in classifier.label_set.codes:
            found[_called(label.name, classifier, several)] = _mean(one, rows)
    return found


def _mean(dataset: Dataset, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    total: Any = np.zeros(dataset.bands)
    for first in range(0, len(rows), BLOCK):
        total += dataset.spectra(rows[first : first + BLOCK]).sum(axis=0, dtype=np.float64)
    mean: npt.NDArray[np.float64] = total / len(rows)
    return mean


def _generated(classifier: Classifier, several: bool) -> dict[str, npt.NDArray[np.float64]]:
    """Means of what is drawn of each labelled class."""
    generator = Generator(classifier)
    return {
        _called(name, classifier, several): generator.sampled(k, DRAWN).mean(axis=0)
        for k, name in enumerate(classifier.label_set.names)
    }
