"""The Potts prior on a dataset's pixels, and its strength chosen on the validation pixels.

The strength that training learns says how much neighbours agree in q(y|x). Whether a map gets
better by it is another question: on small fields it is best at 0, on large ones far above.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl.claims import claimed
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import DatasetError
from hsi_ssl.inference.checkpoint import amend_label_sets
from hsi_ssl.inference.classifier import Classifier, load_classifiers
from hsi_ssl.inference.dataset_prior import among_neighbours
from hsi_ssl.inference.extractor import check_bands
from hsi_ssl.labels.label_set import codes_to_indices, indices_to_codes
from hsi_ssl.training.validation import scores
from hsi_ssl.watcher import Watcher

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)


def tuned_prior(classifier: Classifier, dataset: Dataset) -> dict[str, Any] | None:
    """The strength with the best macro-F1 on the validation pixels, for the card; None without any.

    `strength`, the weakest of equal ones; `tried` and their `macro_f1`; `pixels`. The pixels of
    the dataset are all there is, those to test on only where it is transductive.
    """
    rows = dataset.rows(Part.VALIDATION)
    codes = indices_to_codes(dataset.label[rows], dataset.label_set)
    truth = codes_to_indices(codes, classifier.label_set).astype(np.int64)
    rows, truth = rows[truth >= 0], truth[truth >= 0]
    if not len(rows):
        return None
    seen = np.zeros(len(dataset), bool)
    seen[dataset.rows(Part.TRAIN, Part.VALIDATION)] = True
    seen[dataset.unlabelled_rows] = True
    y = torch.from_numpy(truth)
    found = [
        scores(y, torch.from_numpy(p))["macro_f1"]
        for p in among_neighbours(classifier, dataset, rows, STRENGTHS, seen)
    ]
    return {
        "strength": STRENGTHS[int(np.argmax(found))],
        "tried": list(STRENGTHS),
        "macro_f1": found,
        "pixels": len(rows),
    }


def tuned_in_words(tuned: dict[str, Any]) -> str:
    """What the prior is worth on the validation pixels."""
    none, best = tuned["macro_f1"][0], max(tuned["macro_f1"])
    if not tuned["strength"]:
        return "on the validation pixels no spatial prior is best"
    return (
        f"on the validation pixels a spatial prior of strength {tuned['strength']:g} is best: "
        f"macro-F1 {none:.3f} -> {best:.3f} (--spatial tuned)"
    )


def tune_run(run: Path, dataset: Dataset, device: str, watcher: Watcher) -> None:
    """Choose the strength for each label set of a run on the dataset's validation pixels anew.

    It is written into the run's card.

    Raises
    ------
    ModelError, DeviceError
        As `load_classifiers`.
    DatasetError
        There are no validation pixels; the dataset lacks a label set of the model.
    OutputError
        The run's folder cannot be written to.
    """
    with claimed(run):
        found = []
        for classifier in load_classifiers(run, device):
            check_bands(classifier.card, dataset, run)
            several = len(dataset.label_sets) > 1
            tuned = tuned_prior(
                classifier, dataset.one(classifier.label_set.name) if several else dataset
            )
            if tuned is None:
                raise DatasetError(
                    f"{dataset.path} has no validation pixels to choose the strength of the "
                    "spatial prior on; prepare with some (--validation 0.2), or name a strength"
                )
            found.append({"spatial_tuned": tuned})
            watcher.say(f"{classifier.label_set.name}: {tuned_in_words(tuned)}")
        amend_label_sets(run, found)
