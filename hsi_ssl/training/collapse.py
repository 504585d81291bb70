"""Whether the slots of a trained classifier are of use, in numbers and in words.

A model of classes that nobody has labelled can fail in ways that no score on labelled pixels shows:
q(y|x) stays at its prior, one slot takes every pixel, free slots stay empty, or they take the
pixels of labelled classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

AT_THE_PRIOR = 0.1
"""Nats: a mean KL(q(y|x) || p(y)) below it tells no slot from another."""
LARGE_SHARE = 0.2
"""Of a labelled class's pixels in free slots: worth a warning."""


@dataclass(frozen=True)
class Slots:
    """How a classifier of K labelled classes and F free slots uses them.

    `pixels (K + F,)`: of training pixels and pool by most probable slot; `divergence`: mean
    KL(q(y|x) || p(y)) in nats over the same; `taken (K,)`: share of each class's labelled pixels
    that lie in free slots, NaN without labelled pixels.
    """

    pixels: npt.NDArray[np.int64]
    divergence: float
    taken: npt.NDArray[np.float64]

    def to_card(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "pixels": self.pixels.tolist(),
            "divergence_from_prior": self.divergence,
            "taken_by_free_slots": [None if np.isnan(t) else float(t) for t in self.taken],
        }

    def warnings(self, names: Sequence[str]) -> Iterator[str]:
        """Sentences on what is wrong; `names (K,)` of the labelled classes."""
        known = len(names)
        free = self.pixels[known:]
        if self.divergence < AT_THE_PRIOR:
            yield (
                f"the model has collapsed: q(y|x) has stayed at its prior ({self.divergence:.2f} "
                "nats from it) and tells no class from another"
            )
        used = np.flatnonzero(self.pixels)
        if len(used) == 1:
            slot = int(used[0])
            what = names[slot] if slot < known else f"free slot {slot - known + 1}"
            yield f"the classifier predicts one class for everything: {what}. Do not use it"
            return
        never = [name for name, n in zip(names, self.pixels, strict=False) if not n]
        if never:
            yield f"the classifier never predicts: {', '.join(never)}"
        if len(free) and not free.any():
            yield (
                f"all {len(free)} free slots are empty: labelled classes have taken every pixel. "
                "There may be nothing else; a larger free_weight asks more of them"
            )
        taken = [
            f"{name} ({share:.0%})"
            for name, share in zip(names, self.taken, strict=True)
            if share > LARGE_SHARE
        ]
        if taken:
            yield (
                f"free slots have taken labelled pixels of {', '.join(taken)}: what they hold may "
                "be no new material; a smaller free_weight or fewer free slots asks less of them"
            )


def slots_of(
    posterior: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    log_prior: npt.NDArray[np.float32],
    classes: int,
) -> Slots:
    """How pixels are spread over slots.

    `posterior (N, K + F)`: q(y|x) of labelled pixels and pool; `labels (N,)`: 0..K-1, -1 without;
    `log_prior (K + F,)`: log p(y); `classes`: K.
    """
    best = posterior.argmax(1)
    log_q = np.log(np.maximum(posterior, np.finfo(np.float32).tiny))
    divergence = float((posterior * (log_q - log_prior)).sum(1).mean(dtype=np.float64))
    known = labels >= 0
    there = np.bincount(labels[known], minlength=classes)
    lost = np.bincount(labels[known & (best >= classes)], minlength=classes)
    taken = np.divide(lost, there, out=np.full(classes, np.nan), where=there > 0)
    return Slots(np.bincount(best, minlength=posterior.shape[1]), divergence, taken)
