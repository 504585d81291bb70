"""Slots named after what lies in them: scores of classes that a model has no labels for.

Willetts et al. 2018, "cluster and label": a slot that no label speaks for is named after the true
class most common in it. The truth is used for that, so these scores say how well groups and classes
agree, not how well a map with names would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.label_set import UNLABELLED_CODE
from hsi_ssl.reports.metrics import number

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Slot:
    """`code` it stands for, 0 for an empty free slot; `purity`: share of its pixels of that code.

    NaN without pixels.
    """

    free: bool
    code: int
    pixels: int
    purity: float


@dataclass(frozen=True)
class ClusterAndLabel:
    """Overall accuracy and adjusted Rand index of slots against true classes.

    Of all pixels, of the labelled classes' and of the other classes' (`unlabelled`); NaN where
    there are none.
    """

    slots: tuple[Slot, ...]
    oa: float
    oa_labelled: float
    oa_unlabelled: float
    ari: float
    ari_unlabelled: float

    def to_json(self) -> dict[str, Any]:
        """As JSON: None where undefined."""
        scores = {k: number(v) for k, v in vars(self).items() if k != "slots"}
        slots = [{**vars(slot), "purity": number(slot.purity)} for slot in self.slots]
        return {**scores, "slots": slots}


def cluster_and_label(slot: Ints, truth: Ints, labelled: Ints, free: int) -> ClusterAndLabel:
    """Name slots and score them.

    `slot (n,)`: of each pixel, 0..K + free - 1; `truth (n,)`: its code; `labelled (K,)`: codes of
    the first K slots, which keep them; the `free` others are named after their commonest code.
    """
    slots = []
    for s in range(len(labelled) + free):
        inside = truth[slot == s]
        is_free = s >= len(labelled)
        code = int(labelled[s]) if not is_free else UNLABELLED_CODE
        if is_free and len(inside):
            values, counts = np.unique(inside, return_counts=True)
            code = int(values[counts.argmax()])
        purity = float(np.mean(inside == code)) if len(inside) else float("nan")
        slots.append(Slot(is_free, code, len(inside), purity))
    found = np.array([s.code for s in slots])[slot]
    of_labelled = np.isin(truth, labelled)
    right = found == truth
    return ClusterAndLabel(
        tuple(slots),
        _mean(right),
        _mean(right[of_labelled]),
        _mean(right[~of_labelled]),
        _rand(truth, slot),
        _rand(truth[~of_labelled], slot[~of_labelled]),
    )


def _mean(right: npt.NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else float("nan")


def _rand(truth: Ints, slot: Ints) -> float:
    from sklearn.metrics import adjusted_rand_score  # slow to import

    return float(adjusted_rand_score(truth, slot)) if len(truth) else float("nan")
