"""A student and the teacher that sees more, trained at once (Lopez-Paz et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hsi_ssl.errors import ModelError
from hsi_ssl.models.classifiers.base import Batch, Costs, cross_entropy
from hsi_ssl.models.classifiers.perceptron import Perceptron
from hsi_ssl.models.classifiers.student import imitation
from hsi_ssl.models.networks import Architecture, perceptron


@dataclass(frozen=True)
class JointStudentArchitecture(Architecture):
    """A perceptron's, the width of (x, x*), and the weights `teaching` and `imitation`."""

    width: int
    width_both: int
    counts: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: str
    teaching: float = 1.0
    imitation: float = 1.0

    def __post_init__(self) -> None:
        if min(self.teaching, self.imitation) < 0:
            raise ValueError("teaching and imitation are 0 or more")


class JointStudent(Perceptron):
    """min over w, w* of L(a(x, w), y) + lambda L(a*(x, x*, w*), y) + mu L(a(x, w), a*(x, x*, w*)).

    a is the student, a* its teacher, who sees a second sensor beside, L the cross-entropy; the
    first two terms are means over labelled pixels, the last over all. Applied, it is a alone.
    """

    title = "student with its teacher"
    in_words = (
        "cross-entropy of q(y|x) on labelled pixels, plus teaching times that of a teacher who "
        "sees a second sensor too, plus imitation times that of q(y|x) with it on all pixels"
    )
    architecture_type = JointStudentArchitecture
    privileged = True

    def __init__(self, architecture: Architecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = self.architecture
        self.tutor = perceptron(a.width_both, a.hidden, a.counts[0], a.activation, generator)

    def cost(self, batch: Batch, generator: torch.Generator) -> Costs:
        """The three terms.

        Raises
        ------
        ModelError
            There is no second sensor.
        """
        del generator
        if batch.x_both is None or batch.every_both is None:
            raise ModelError(
                "what a second sensor saw is not there: `hsi-ssl prepare --privileged`"
            )
        a, y = self.architecture, batch.y[:, 0]
        own = cross_entropy(self.log_q_y(batch.x), y)
        theirs = cross_entropy(torch.log_softmax(self.tutor(batch.x_both), dim=-1), y)
        said = torch.log_softmax(self.tutor(batch.every_both), dim=-1)
        imitated = imitation(self.network(batch.every), said, 1.0)
        terms = {"cross_entropy": own, "teacher": theirs, "imitation": imitated}
        return Costs(own + a.teaching * theirs + a.imitation * imitated, terms)
