"""Overall and average accuracy, macro-F1 and kappa: from pixels counted by true and found class.

Training chooses by these on validation pixels, reports tell them of test pixels: the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def scores_of(
    right: npt.NDArray[Any], true: npt.NDArray[Any], taken: npt.NDArray[Any]
) -> dict[str, Floats]:
    """Scores of any number of classifications from their pixels a class, each array `(..., K)`.

    `right`: pixels of the class that are found; `true`: all of the class; `taken`: all that are
    taken for it. Gives `oa`, `aa`, `macro_f1` and `kappa` `(...)`, `recall` and `f1` `(..., K)`.
    """
    n = true.sum(-1)
    oa = ratios(right.sum(-1), n)
    chance = ratios((taken * true).sum(-1), n * n)
    recall = ratios(right, true)
    f1 = np.where(true > 0, ratios(2 * right, taken + true), np.nan)
    return {
        "oa": oa,
        "aa": _mean(recall),
        "macro_f1": _mean(f1),
        "kappa": ratios(oa - chance, 1 - chance),
        "recall": recall,
        "f1": f1,
    }


def confusion_matrix(truth: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Ints:
    """Count pixels by true (row) and predicted (column) class, `(classes, classes)`."""
    pairs = np.asarray(truth, np.int64) * classes + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def ratios(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Floats:
    """Quotients a / b of any shape, NaN where b is 0."""
    found: Floats = np.divide(a, b, out=np.full(np.shape(b), np.nan), where=np.not_equal(b, 0))
    return found


def _mean(values: Floats) -> Floats:
    """Over the last axis, without NaN."""
    there = ~np.isnan(values)
    return ratios(np.where(there, values, 0).sum(-1), there.sum(-1))
