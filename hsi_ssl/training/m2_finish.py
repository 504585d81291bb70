"""What is measured of a trained classifier for its run: its use of classes, a prior, novelty."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hsi_ssl.datasets.checked_rows import READ_ROWS
from hsi_ssl.datasets.store import Part
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.extractor import Extractor
from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.training.collapse import Slots, slots_of
from hsi_ssl.training.m2_choice import Choice
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.novelty_reference import measure_novelty
from hsi_ssl.training.tuned_prior import tuned_in_words, tuned_prior
from hsi_ssl.watcher import Watcher


def finish(
    classifier: Classifier,
    data: M2Data,
    place: int,
    own: dict[str, Any],
    choice: Choice,
    log_prior: Tensor,
    watcher: Watcher,
) -> dict[str, Tensor]:
    """Fill in the card `own` of the label set at a place; gives the tensors that tell novelty.

    `log_prior (K + F,)`: log p(y). The classifier's card tells the strength of its prior.
    """
    label_set = data.label_sets[place]
    said = "" if len(data.label_sets) == 1 else f"{label_set.name}: "
    of_set = data.dataset.one(label_set.name)
    own["spatial_tuned"] = tuned = tuned_prior(classifier, of_set)
    if tuned is not None:
        watcher.say(f"{said}{tuned_in_words(tuned)}")
    slots = _slots(classifier, data, place, log_prior)
    for sentence in slots.warnings(label_set.names):
        watcher.warn(f"{said}{sentence}")
    predicted = int(np.count_nonzero(slots.pixels[: len(label_set)]))
    own["metrics"] = {
        **choice.metrics,
        "predicted_classes": predicted,
        "slots": slots.to_card(),
    }
    kept = measure_novelty(classifier, of_set, data.settings.novelty_samples)
    return kept.to_tensors(place)


def generated(data: M2Data, snapshots: dict[int, Tensor]) -> list[tuple[str, Any]]:
    """One generated spectrum a class at each moment, scaled; none where nothing decodes."""
    if data.m1 is not None and not data.m1.model.decodes:
        return []
    with torch.no_grad():
        return [
            (f"epoch {epoch}", data.pipeline.scaled(modelled.to(data.device)).cpu().numpy())
            for epoch, modelled in sorted(snapshots.items())
        ]


def run_tensors(model: nn.Module, m1: Extractor | None) -> dict[str, Tensor]:
    """What a run folder keeps of a model: its weights, and beside them those of the M1 below it."""
    tensors = dict(model.state_dict())
    if m1 is not None:
        tensors |= {f"m1.{name}": t for name, t in m1.model.state_dict().items()}
    return tensors


def _slots(classifier: Classifier, data: M2Data, place: int, log_prior: Tensor) -> Slots:
    """How a classifier spreads the training pixels, the validation pixels and the pool."""
    rows = data.dataset.rows(Part.TRAIN, Part.VALIDATION, Part.POOL)
    labels = data.indices(rows)[:, place]
    labels[data.dataset.part[rows] == Part.POOL] = UNLABELLED
    pieces = [rows[first : first + READ_ROWS] for first in range(0, len(rows), READ_ROWS)]
    return slots_of(
        np.concatenate([classifier.posterior(data.dataset.spectra(some)) for some in pieces]),
        labels,
        log_prior.cpu().numpy(),
        len(data.label_sets[place]),
    )
