"""Scores of a classification: from true and predicted classes, and from class probabilities.

Classes are indices 0..K-1. A class without a pixel in the part that is scored ("absent") has no
recall and no F1; it is left out of the means, and `words` names it. A class that is there but
never predicted has F1 = 0 and no precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.inference.scores import Floats, Ints, confusion_matrix, ratios, scores_of

REJECT = 0.01
"""Level at which the report tells how many pixels of labelled classes would be rejected."""
BINS = 15
SMALLEST = float(np.finfo(np.float32).tiny)
"""Probabilities are float32: a true class at 0 costs 87 nats instead of infinitely many."""


@dataclass(frozen=True)
class Calibration:
    """Pixels in bins of equal width of their largest class probability, each array `(bins,)`.

    `confidence` and `accuracy` are means over the bin, NaN where it is empty.
    """

    count: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap of confidence and accuracy (Guo et al. 2017)."""
        gap = np.abs(self.confidence - self.accuracy)
        return float(np.nansum(self.count * gap) / self.count.sum())


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix `(K, K)` says; rows are true, columns predicted classes.

    `in_none (K,)`: pixels of each true class that were taken for none of the classes: all wrong.
    Without pixels every score is NaN. `calibration` and `nll` (mean negative log-probability of
    the true class, nats) need class probabilities, else they are None.
    """

    confusion: Ints
    calibration: Calibration | None = None
    nll: float | None = None
    in_none: Ints | None = None

    @property
    def totals(self) -> Ints:
        """Pixels of each true class, `(K,)`."""
        found: Ints = self.confusion.sum(axis=1)
        return found if self.in_none is None else found + self.in_none

    @property
    def n(self) -> int:
        """Pixels scored."""
        return int(self.totals.sum())

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which classes have a pixel in the part that is scored, `(K,)`."""
        present: npt.NDArray[np.bool_] = self.totals > 0
        return present

    @cached_property
    def found(self) -> dict[str, Floats]:
        """What `scores_of` gives."""
        right, taken = np.diag(self.confusion), self.confusion.sum(axis=0)
        return scores_of(right, self.totals, taken)

    @property
    def oa(self) -> float:
        """Overall accuracy: share of pixels that are right."""
        return float(self.found["oa"])

    @property
    def recall(self) -> Floats:
        """Share of a class's pixels that are found (producer's accuracy), `(K,)`."""
        return self.found["recall"]

    @property
    def precision(self) -> Floats:
        """Share of a class's predictions that are right (user's accuracy), `(K,)`."""
        return ratios(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, `(K,)`; NaN for absent classes."""
        return self.found["f1"]

    @property
    def aa(self) -> float:
        """Average accuracy: mean recall over the classes present."""
        return float(self.found["aa"])

    @property
    def balanced_accuracy(self) -> float:
        """The machine-learning name of average accuracy."""
        return self.aa

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes present."""
        return float(self.found["macro_f1"])

    @property
    def kappa(self) -> float:
        """Cohen's kappa: agreement beyond that of chance with the same margins."""
        return float(self.found["kappa"])

    @property
    def ece(self) -> float | None:
        """Expected calibration error of the largest class probability, over 15 bins."""
        return None if self.calibration is None else self.calibration.ece

    def headline(self) -> dict[str, float | None]:
        """Give the single numbers, as JSON: None where undefined."""
        return {
            "oa": number(self.oa),
            "aa": number(self.aa),
            "kappa": number(self.kappa),
            "macro_f1": number(self.macro_f1),
            "balanced_accuracy": number(self.balanced_accuracy),
            "ece": number(self.ece),
            "nll": number(self.nll),
        }


def score(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Scores:
    """Score predictions `(n,)` against the truth `(n,)`, both indices below `classes`."""
    return Scores(confusion_matrix(truth, predicted, classes))


def score_posterior(truth: npt.ArrayLike, posterior: npt.NDArray[Any], free: int = 0) -> Scores:
    """Score class probabilities `(n, K + free)` against the truth `(n,)`; the largest predicts.

    The last `free` columns are slots of no class: a pixel in one of them is wrong.
    """
    truth = np.asarray(truth, np.int64)
    classes = posterior.shape[1] - free
    if len(truth) == 0:
        return Scores(np.zeros((classes, classes), np.int64))
    own = posterior[np.arange(len(truth)), truth].astype(np.float64)
    predicted = posterior.argmax(axis=1)
    named = predicted < classes
    return Scores(
        confusion_matrix(truth[named], predicted[named], classes),
        calibrate(truth, posterior),
        float(-np.log(own.clip(SMALLEST, 1)).mean()),
        np.bincount(truth[~named], minlength=classes) if free else None,
    )


def calibrate(
    truth: npt.NDArray[Any], posterior: npt.NDArray[Any], bins: int = BINS
) -> Calibration:
    """Bin pixels by their largest class probability, bins open below and closed above."""
    confidence = posterior.max(axis=1).astype(np.float64)
    right = posterior.argmax(axis=1) == truth
    place = (np.ceil(confidence * bins).astype(np.int64) - 1).clip(0, bins - 1)
    count = np.bincount(place, minlength=bins)
    return Calibration(
        count,
        ratios(np.bincount(place, weights=confidence, minlength=bins), count),
        ratios(np.bincount(place, weights=right, minlength=bins), count),
    )


def sharpened(posterior: npt.NDArray[Any], power: float) -> Floats:
    """Class probabilities `(n, K)` to a power, normalised again: takes a temperature back."""
    largest = posterior.max(axis=1, keepdims=True).astype(np.float64)
    raised = (posterior / largest) ** power
    found: Floats = raised / raised.sum(axis=1, keepdims=True)
    return found


def words(scores: Scores, names: Sequence[str], part: str = "test") -> list[str]:
    """Say in sentences what the single numbers hide: classes left out, missing or guessed."""
    found = []
    present = scores.present
    predicted = scores.confusion.sum(axis=0) > 0
    absent = [name for name, there in zip(names, present, strict=True) if not there]
    never = [
        name
        for name, there, used in zip(names, present, predicted, strict=True)
        if there and not used
    ]
    if absent:
        found.append(
            f"no {part} pixels of {listed(absent)}: no score for these, "
            "and the means leave them out"
        )
    if predicted.sum() == 1 and present.sum() > 1:
        found.append(f"predicts {names[int(predicted.argmax())]} for every {part} pixel")
    elif never:
        found.append(f"never predicts {listed(never)}")
    if scores.in_none is not None and scores.in_none.any():
        share = scores.in_none.sum() / scores.n
        found.append(
            f"{100 * share:.1f} % of the {part} pixels of labelled classes lie in free slots and "
            "count as wrong"
        )
    commonest = scores.totals.max() / max(1, scores.n)
    if present.sum() > 1 and scores.oa <= commonest:
        found.append(
            f"overall accuracy {100 * scores.oa:.1f} % is no better than always guessing the "
            f"commonest class of the {part} pixels ({100 * commonest:.1f} %)"
        )
    return found


def listed(names: Sequence[str]) -> str:
    """Names as in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def number(value: float | None) -> float | None:
    """A float for JSON: NaN becomes None."""
    return None if value is None or np.isnan(value) else float(value)
