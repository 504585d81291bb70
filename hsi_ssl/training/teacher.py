"""A trained classifier as the teacher of another: what it says of a dataset's pixels."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import DatasetError, ModelError
from hsi_ssl.inference.checkpoint import load_run, model_name
from hsi_ssl.inference.classifier import Classifier, load_classifier
from hsi_ssl.inference.extractor import check_bands
from hsi_ssl.inference.lineage import remembered_dataset, seen_elsewhere
from hsi_ssl.watcher import Watcher

SMALLEST = 1e-12
TIMED = 20_000
"""Pixels by which speeds are compared, at most."""
PASSES = 5


@dataclass(frozen=True)
class Teacher:
    """A classifier, and the dataset whose pixels it is asked about, as it sees them."""

    run: Path
    classifier: Classifier
    dataset: Dataset

    def log_q(self, rows: Any) -> Tensor:
        """log q(y|x) `(n, K)` of some pixels, uncalibrated: students soften it by themselves."""
        p = self.classifier.uncalibrated.posterior(self.dataset.spectra(rows))
        return torch.from_numpy(p).clamp(min=SMALLEST).log()

    def to_card(self) -> dict[str, Any]:
        """Its part of the student's card."""
        card = self.classifier.card
        return {
            "path": str(self.run),
            "model": model_name(card),
            "weights_sha256": card["weights_sha256"],
            "dataset": card["dataset"],
        }


def teacher_of(run: Path, dataset: Dataset, device: str, watcher: Watcher) -> Teacher:
    """The classifier of a run folder as a teacher on a dataset.

    Raises
    ------
    DatasetError
        It learnt from a second sensor, of other pixels.
    ModelError, DeviceError
        As `load_classifier`; it has other bands or classes than the dataset, or free slots.
    """
    classifier = load_classifier(run, device)
    seen = _seen_by(classifier, run, dataset)
    check_bands(classifier.card, seen, run)
    if classifier.free_slots:
        raise ModelError(
            f"{run} has {classifier.free_slots} free slots, which a student's classes are not: "
            "take a teacher without (`hsi-ssl train-m2 --free-slots 0`)"
        )
    ours, theirs = dataset.label_set.codes, classifier.label_set.codes
    if not np.array_equal(ours, theirs):
        raise ModelError(
            f"{run} knows the classes {list(map(int, theirs))}, {dataset.path} has "
            f"{list(map(int, ours))}: they must be the same, in this order; train the teacher on "
            "this dataset"
        )
    for sentence in seen_elsewhere(classifier.card, seen, f"the teacher in {run}"):
        watcher.warn(sentence)
    return Teacher(run, classifier, seen)


def saw_second_sensor(run: Path) -> bool:
    """Whether a run was trained on a dataset of two sensors, which must still be there.

    Raises
    ------
    ModelError
        As `load_run`.
    """
    card, _ = load_run(run, "m2")
    return _of_both(remembered_dataset(card, run))


def _seen_by(classifier: Classifier, run: Path, dataset: Dataset) -> Dataset:
    """The dataset, or where the teacher learnt from a second sensor too, that of both."""
    place = remembered_dataset(classifier.card, run)
    if classifier.bands == dataset.bands or not _of_both(place):
        return dataset
    return dataset_of_both(dataset, place)


def _of_both(place: Path) -> bool:
    """Whether a dataset is there, and one of two sensors."""
    return place.exists() and "privileged" in open_dataset(place).meta


def dataset_of_both(dataset: Dataset, place: Path) -> Dataset:
    """What two sensors saw of a dataset's pixels.

    Raises
    ------
    DatasetError
        It is not there, or is of other pixels.
    """
    if not place.exists():
        raise DatasetError(
            f"no dataset of two sensors {place}; prepare {dataset.path} with --privileged CUBE"
        )
    both = open_dataset(place, dataset.label_set.name if dataset.whole else None)
    same = all(
        np.array_equal(getattr(both, name), getattr(dataset, name))
        for name in ("scene", "pixel", "part", "y")
    )
    if not same:
        raise DatasetError(
            f"{place} is of other pixels than {dataset.path}: prepare both at once "
            "(`hsi-ssl prepare --privileged`), and train the teacher again"
        )
    return both


def compared(teacher: Teacher, student: Classifier, dataset: Dataset) -> dict[str, float]:
    """How often student and teacher agree on validation pixels, and how fast each is, pixels/s."""
    found: dict[str, float] = {}
    rows = dataset.rows(Part.VALIDATION)
    if len(rows):
        theirs = teacher.classifier.posterior(teacher.dataset.spectra(rows)).argmax(1)
        ours = student.posterior(dataset.spectra(rows)).argmax(1)
        found["agreement"] = float(np.mean(theirs == ours))
        found["agreement_pixels"] = len(rows)
    some = np.concatenate([dataset.rows(Part.TRAIN), dataset.unlabelled_rows])[:TIMED]
    asked = (("teacher", teacher.classifier, teacher.dataset), ("student", student, dataset))
    for name, classifier, of in asked:
        spectra = of.spectra(some)
        classifier.posterior(spectra[:64])  # what is worked out once is not timed
        found[f"{name}_pixels_per_second"] = len(some) / least_seconds(classifier, spectra)
    return found


def least_seconds(classifier: Classifier, spectra: npt.NDArray[Any]) -> float:
    """The least of several passes: of few pixels, one is as long as whatever else runs."""
    passes = []
    for _ in range(PASSES):
        started = time.perf_counter()
        classifier.posterior(spectra)
        passes.append(time.perf_counter() - started)
    return min(passes)


def compared_in_words(found: dict[str, float]) -> str:
    """One sentence."""
    agreed = ""
    if "agreement" in found:
        pixels = int(found["agreement_pixels"])
        agreed = (
            f"agrees with its teacher on {found['agreement']:.1%} of {pixels:,} validation pixels, "
        )
    ours, theirs = found["student_pixels_per_second"], found["teacher_pixels_per_second"]
    return (
        f"the student {agreed}and is {ours / theirs:.1f} times as fast: {ours:,.0f} pixels/s "
        f"against {theirs:,.0f}"
    )
