"""A perceptron that learns another model's outputs: distillation (Hinton, Vinyals, Dean 2015)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.errors import ModelError
from hsi_ssl.models.classifiers.base import Batch, Costs, cross_entropy
from hsi_ssl.models.classifiers.perceptron import Perceptron
from hsi_ssl.models.networks import Architecture


@dataclass(frozen=True)
class StudentArchitecture(Architecture):
    """A perceptron's, and `temperature`, `imitation` (mu) and `labels`, the weights of its cost."""

    width: int
    counts: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: str
    temperature: float = 2.0
    imitation: float = 1.0
    labels: float = 0.0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature is above 0, not {self.temperature:g}")
        if min(self.imitation, self.labels) < 0 or not self.imitation + self.labels:
            raise ValueError("imitation and labels are 0 or more, not both 0")


class Student(Perceptron):
    """min over w' of labels L(b(x, w'), y) + mu T^2 L(b(x, w') / T, a(x, w) / T).

    a is the teacher, b the student, both before the softmax, L the cross-entropy; the second term
    is the mean over all training pixels, labelled or not, the first over labelled ones. T^2 keeps
    the second's gradient as large whatever T. With `labels` 0 it is distillation, with more the
    student's part of generalised distillation (Lopez-Paz et al. 2016), whose teacher may have seen
    what the student will not.
    """

    title = "student"
    in_words = (
        "labels times the cross-entropy of q(y|x) on labelled pixels plus imitation times that "
        "with its teacher's q(y|x) on all pixels, both at a temperature"
    )
    architecture_type = StudentArchitecture
    has_teacher = True

    def cost(self, batch: Batch, generator: torch.Generator) -> Costs:
        """Both terms.

        Raises
        ------
        ModelError
            There is no teacher.
        """
        del generator
        if batch.taught is None:
            raise ModelError("a student needs a teacher: name a run with --teacher")
        a = self.architecture
        imitated = imitation(self.network(batch.every), batch.taught, a.temperature)
        if not a.labels:
            return Costs(a.imitation * imitated, {"imitation": imitated})
        of_labels = cross_entropy(self.log_q_y(batch.x), batch.y[:, 0])
        terms = {"imitation": imitated, "cross_entropy": of_labels}
        return Costs(a.imitation * imitated + a.labels * of_labels, terms)


def imitation(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """T^2 times the mean of -sum_k a_k log b_k, both at temperature T.

    `logits (N, K)` of the student, `taught (N, K)`: log q(y|x) of the teacher.
    """
    a = torch.softmax(taught / temperature, dim=-1)
    log_b = torch.log_softmax(logits / temperature, dim=-1)
    return -(temperature**2) * (a * log_b).sum(-1).mean()
