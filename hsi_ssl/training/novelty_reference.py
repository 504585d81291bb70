"""What a run keeps to tell novelty by, measured on its dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.appearance import Appearance, scaled_noise
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.novelty import Measure, Novelty, means
from hsi_ssl.inference.ranks import Ranks
from hsi_ssl.inference.surroundings import medians_among

MOST_FOR_NOISE = 20_000
"""Spectra that noise is measured on, at most, where the scaling did not."""


def measure_novelty(classifier: Classifier, dataset: Dataset, samples: int) -> Novelty:
    """What a run is to keep: the looks of its training pixels, scores of the validation pixels.

    Validation pixels of a class without training pixels are left out: to the run they are novel.
    """
    appearance = appearance_of(dataset, classifier.scaler).to(classifier.device)
    telling = replace(classifier, novelty=Novelty(appearance, {}, samples))
    others = dataset.rows(Part.VALIDATION)
    trained = dataset.label[dataset.rows(Part.TRAIN)]
    others = others[np.isin(dataset.label[others], trained)]
    raw = dataset.spectra(others)
    scene, pixel = dataset.scene[others], dataset.pixel[others]
    reference: dict[Measure, Ranks] = {}
    for measure in telling.measures:
        score = telling.novelty_score(raw, measure, samples)
        reference[measure] = Ranks.of(score, medians_among(scene, pixel, score))
    return Novelty(appearance, reference, samples)


def appearance_of(dataset: Dataset, scaler: Scaler) -> Appearance:
    """What the training pixels look like, scaled in this way."""
    rows = dataset.rows(Part.TRAIN)
    raw = dataset.spectra(rows)
    many = np.union1d(rows, dataset.unlabelled_rows)
    some = many[:: 1 + len(many) // MOST_FOR_NOISE]
    return Appearance.fit(
        torch.from_numpy(scaler.transform(raw)),
        torch.from_numpy(means(raw)),
        torch.from_numpy(dataset.label[rows].astype(np.int64)),
        scaler,
        scaled_noise(dataset.spectra(some), scaler),
        dataset.wavelengths_nm,
    )
