"""Validation pixels, and scores on them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.inference.scores import confusion_matrix, scores_of
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.training.inputs import Inputs, log_q_each

TIE = 1e-4
"""Weight of the cross-entropy in the score: it decides between states of equal macro-F1."""
MEANT = ("macro_f1", "oa", "balanced_accuracy", "cross_entropy")
"""Scores of which the mean over label sets is the whole's."""

Scores = dict[str, float]


@dataclass(frozen=True)
class Validation:
    """Validation pixels, none perhaps, with `y (N, V)`: classes 0..K-1, -1 where not known."""

    inputs: Inputs
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def log_q(self, module: DeclaredVAE, *, labelled_only: bool = False) -> list[Tensor]:
        """log q(y|x) `(N, K)` of each set; with `labelled_only` given that y is no free slot."""
        found = log_q_each(module, self.inputs)
        if not labelled_only:
            return found
        return [module.among_labelled(of_set, v) for v, of_set in enumerate(found)]

    def of_classifier(self, module: DeclaredVAE, *, labelled_only: bool = False) -> Scores:
        """Scores of q(y|x), each the mean over label sets, and a `score` that chooses states.

        Of several label sets macro-F1 of each too. Without validation pixels the score is infinite,
        so that the last state is kept.
        """
        if not len(self):
            return {"score": math.inf, "macro_f1": 0.0}
        each = self.by_label_set(module, labelled_only=labelled_only)
        return over_label_sets(each, several=len(module.architecture.labels) > 1)

    def by_label_set(
        self, module: DeclaredVAE, *, labelled_only: bool = False
    ) -> dict[str, Scores]:
        """Scores and cross-entropy of q(y|x) of each label set that has validation pixels."""
        if not len(self):
            return {}
        log_q = self.log_q(module, labelled_only=labelled_only)
        return scores_by_label_set(module.architecture.labels, log_q, self.y)


def scores_by_label_set(
    names: Iterable[str], log_q: Iterable[Tensor], y: Tensor
) -> dict[str, Scores]:
    """Scores and cross-entropy of log q(y|x) `(N, K)` of each label set that has labels here.

    `y (N, V)`: as in `Validation`.
    """
    found = {}
    for name, of_set, truth in zip(names, log_q, y.T, strict=True):
        known = truth >= 0
        if known.any():
            found[name] = scores(truth[known], of_set[known])
            found[name]["cross_entropy"] = float(F.nll_loss(of_set[known], truth[known]))
    return found


def over_label_sets(each: dict[str, Scores], *, several: bool) -> Scores:
    """Means over label sets of what `by_label_set` gives, and a `score` that chooses states."""
    found = {name: float(np.mean([one[name] for one in each.values()])) for name in MEANT}
    if several:
        found |= {f"macro_f1_{name}": one["macro_f1"] for name, one in each.items()}
    return {"score": found["macro_f1"] - TIE * found["cross_entropy"], **found}


def scores(y: Tensor, log_p: Tensor) -> Scores:
    """OA, balanced accuracy and macro-F1 of log p(y|x) `(N, K)` against `y (N,)`.

    Over the classes that occur among `y`.
    """
    counts = confusion_matrix(y.cpu().numpy(), log_p.argmax(-1).cpu().numpy(), log_p.shape[1])
    found = scores_of(np.diag(counts), counts.sum(1), counts.sum(0))
    return {
        "oa": float(found["oa"]),
        "balanced_accuracy": float(found["aa"]),
        "macro_f1": float(found["macro_f1"]),
    }
