"""Validation pixels, and scores on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.inference.scores import confusion_matrix, scores_of
from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.moving import fetched
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

    @cached_property
    def truth(self) -> Tensor:
        """`y` on the CPU, where it is asked for in every epoch."""
        return self.y.cpu()

    @cached_property
    def known(self) -> Tensor:
        """Which of `y` are known, `(N, V)`, on the CPU."""
        return self.truth >= 0

    def log_q(self, module: DeclaredVAE, *, labelled_only: bool = False) -> list[Tensor]:
        """log q(y|x) `(N, K)` of each set; with `labelled_only` given that y is no free slot."""
        found = log_q_each(module, self.inputs)
        if not labelled_only:
            return found
        return [module.among_labelled(of_set, v) for v, of_set in enumerate(found)]

    def measured(self, module: DeclaredVAE, *, labelled_only: bool = False) -> dict[str, Tensor]:
        """`measured` of q(y|x), nothing without validation pixels."""
        if not len(self):
            return {}
        return measured(self.log_q(module, labelled_only=labelled_only), self.y, self.known)

    def of_classifier(self, names: Sequence[str], read: Mapping[str, Tensor]) -> Scores:
        """Scores of q(y|x), each the mean over label sets, and a `score` that chooses states.

        Of several label sets macro-F1 of each too. Without validation pixels the score is infinite,
        so that the last state is kept. `read`: what was `measured`, on the CPU.
        """
        if not len(self):
            return {"score": math.inf, "macro_f1": 0.0}
        each = scores_by_label_set(names, read, self.truth)
        return over_label_sets(each, several=len(names) > 1)

    def by_label_set(
        self, module: DeclaredVAE, *, labelled_only: bool = False
    ) -> dict[str, Scores]:
        """Scores and cross-entropy of q(y|x) of each label set that has validation pixels."""
        if not len(self):
            return {}
        read = fetched(self.measured(module, labelled_only=labelled_only))
        return scores_by_label_set(module.architecture.labels, read, self.truth)


def measured(log_q: Sequence[Tensor], y: Tensor, known: Tensor) -> dict[str, Tensor]:
    """What scores need of log q(y|x) `(N, K)` of each label set that has labels among `y (N, V)`.

    The most probable classes and the cross-entropy, left where they are, to be fetched together.
    `known (N, V)`: which labels are, on the CPU.
    """
    found: dict[str, Tensor] = {}
    for v, of_set in enumerate(log_q):
        if bool(known[:, v].any()):
            found[f"classes_{v}"] = of_set.argmax(-1)
            found[f"cross_entropy_{v}"] = F.nll_loss(of_set, y[:, v], ignore_index=-1)
    return found


def scores_by_label_set(
    names: Sequence[str], read: Mapping[str, Tensor], truth: Tensor
) -> dict[str, Scores]:
    """Scores and cross-entropy of each label set by what was `measured` of it, on the CPU.

    `truth (N, V)`: classes, -1 where not known, there too.
    """
    found = {}
    for v, name in enumerate(names):
        if f"classes_{v}" in read:
            known = truth[:, v] >= 0
            found[name] = _scores(truth[known, v], read[f"classes_{v}"][known])
            found[name]["cross_entropy"] = float(read[f"cross_entropy_{v}"])
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
    read = fetched({"y": y, "classes": log_p.argmax(-1)})
    return _scores(read["y"], read["classes"])


def _scores(truth: Tensor, predicted: Tensor) -> Scores:
    """Of classes `(N,)` on the CPU, which count among those that there are."""
    classes = 1 + int(torch.cat([truth, predicted]).max())
    counts = confusion_matrix(truth.numpy(), predicted.numpy(), classes)
    found = scores_of(np.diag(counts), counts.sum(1), counts.sum(0))
    return {
        "oa": float(found["oa"]),
        "balanced_accuracy": float(found["aa"]),
        "macro_f1": float(found["macro_f1"]),
    }
