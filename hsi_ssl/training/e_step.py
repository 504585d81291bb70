"""What pixels that lack a label are told of it by others, between epochs of the training.

Variational EM: in the E-step each pixel says log q(y|x) for itself and labelled ones say their
class; others tell it more, by a Potts prior on the grid (`models/spatial.py`), by the graph of
nearest neighbours in feature space (`propagation.py`), or, where free slots are new, by groups that
no label speaks for (`slot_start.py`, `scene_start.py`). In the M-step q(y|x) learns the result as
pseudo-labels, until the next E-step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.spatial import mean_field
from hsi_ssl.training.first_teacher import FirstTeacher
from hsi_ssl.training.inputs import Pixels, evidence
from hsi_ssl.training.propagation import FeatureGraph

SHARPER = 2.0
"""Exponent of posteriors that were made smooth, which leaves them less sure than they are right."""
LEAST_PRIOR = 1e-3
"""Smallest p(y) that neighbours in feature space give: they may be wrong."""
LEAST = 1e-6
"""Smallest probability of a pseudo-label whose logarithm is taken: it must be finite."""


@dataclass
class EStep:
    """Who tells a training's N pixels of the labels that they lack, and what was told last.

    `neighbours (N, 8)`: rows among them, -1 where there is none; `strengths`: of the Potts prior of
    each label set, none or 0 for no spatial prior; `graph`: the pixels in feature space, None for
    none; `propagation`: exponent of what labels alone say on it; `start (N, K)`: first q(y) of the
    one label set where there are free slots, of which q(y|x) knows nothing yet.

    `teacher`: tells the first log p(y|x) `(N, K)` of the one label set, None for q(y|x) itself;
    without neighbours that is what q(y|x) learns. `again`: whether q(y|x), once taught, is asked
    itself.

    `pseudo_labels`: q(y) `(N, K)` of each label set; `log_prior`: log p(y) `(N, K)` of each pixel's
    own; None where nobody tells.
    """

    neighbours: Tensor | None = None
    strengths: list[float] = field(default_factory=list)
    graph: FeatureGraph | None = None
    propagation: float = 0.0
    start: Tensor | None = None
    teacher: FirstTeacher | None = None
    again: bool = True
    pseudo_labels: list[Tensor] | None = None
    log_prior: list[Tensor] | None = None

    @property
    def spatial(self) -> bool:
        """Whether neighbours on the grid tell anything."""
        return any(self.strengths)

    @property
    def speaks(self) -> bool:
        """Whether there is anybody to tell anything."""
        others = (self.graph, self.start, self.teacher)
        return self.spatial or any(one is not None for one in others)

    def run(
        self, module: DeclaredVAE, inputs: Pixels, y: Tensor, *, first: bool, bound_teaches: bool
    ) -> None:
        """Ask all who tell; `y (N, V)`: -1 where not known.

        `first`: of this training. `bound_teaches`: U reaches q(y|x), so that groups of free slots
        need tell no more than once.
        """
        if first and self.start is not None:
            log_q = [self.start.clamp(min=LEAST).log()]
        elif first and self.teacher is not None:
            log_q = [self.teacher.log_posterior]
        else:
            log_q = evidence(module, inputs, y)
        self.pseudo_labels = None
        if self.spatial:
            assert self.neighbours is not None
            self.pseudo_labels = [
                mean_field(log_f, self.neighbours, strength, known)
                for log_f, strength, known in zip(log_q, self.strengths, y.T, strict=True)
            ]
        elif self.start is not None and (first or not bound_teaches):
            self.pseudo_labels = [self.start]
        elif self.teacher is not None:
            self.pseudo_labels = [log_q[0].exp()]
        if self.graph is not None and self.propagation:
            alone = first and self.start is None
            self.log_prior = [
                self._of_features(self.graph, of_set, known, first=alone)
                for of_set, known in zip(log_q, y.T, strict=True)
            ]

    def _of_features(
        self, graph: FeatureGraph, log_q: Tensor, known: Tensor, *, first: bool
    ) -> Tensor:
        """log p(y) `(N, K)` of each pixel by its neighbours in feature space.

        First from the labels alone, then from `log_q (N, K)` of all pixels.
        """
        if first:
            found = graph.of_labels(known, log_q.shape[1]) ** self.propagation
        else:
            q, rows = log_q.exp(), known >= 0
            q[rows] = F.one_hot(known[rows], log_q.shape[1]).to(q.dtype)
            found = graph.of_posteriors(q) ** SHARPER
        return (found / found.sum(1, keepdim=True)).clamp(min=LEAST_PRIOR).log()

    def state(self) -> dict[str, Tensor]:
        """What was told last, to resume from."""
        each = {"pseudo_labels": self.pseudo_labels, "log_prior": self.log_prior}
        return {f"{name}_{v}": t for name, found in each.items() for v, t in enumerate(found or [])}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`."""

        def of(name: str) -> list[Tensor] | None:
            places = {key.rpartition("_")[2]: t for key, t in state.items() if key.startswith(name)}
            return [places[str(v)] for v in range(len(places))] or None

        self.pseudo_labels, self.log_prior = of("pseudo_labels"), of("log_prior")


def log_of(q: Tensor) -> Tensor:
    """Finite log q of pseudo-labels."""
    return torch.log(q.clamp(min=LEAST))
