"""What a term of the objective sees of one step, and what it offers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.share import Share
from hsi_ssl.training.supervised_task import learnt_log_q

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


@dataclass(frozen=True)
class Step:
    """A batch of pixels drawn for their labels, and one of pixels that lack a label.

    Of several processes each has its share of both, `labelled` and `lacking`, which take means and
    give random numbers. Of these `x (n, D)`, `y (n, V)`, and `rows (m,)` among all training pixels
    of those that lack a label, `x_lacking (m, D)`, `y_lacking (m, V)`; -1 is not known.

    Of the whole batch, and on the CPU: `sets (N,)`, for which label set each pixel was drawn;
    `known (N, V)` and `known_lacking (M, V)`, which labels are known. `share_lacking`: of all
    training pixels. `inputs`: pixels seen as these are. `log_joint (n, K), (m, K)`: log p(x, y)
    of both batches, where no step changes it, else None.
    """

    module: DeclaredVAE
    settings: M2Settings
    inputs: Inputs
    e_step: EStep
    labelled: Share
    lacking: Share
    x: Tensor
    y: Tensor
    sets: Tensor
    known: Tensor
    known_lacking: Tensor
    rows: Tensor
    x_lacking: Tensor
    y_lacking: Tensor
    share_lacking: float
    kl_weight: float
    generator: torch.Generator
    log_joint: tuple[Tensor, Tensor] | None = None

    @cached_property
    def log_q(self) -> tuple[list[Tensor], list[Tensor]]:
        """log q_e(y|x) `(E, n, K)` of each label set, as experts learn from both batches.

        Of the pixels that lack a label only where pseudo-labels teach. In one pass: products of
        700 rows take less than those of 500 and of 200.
        """
        if self.e_step.pseudo_labels is None or not len(self.rows):
            return self._learnt(self.x, self.labelled), []
        both = self.labelled.beside(self.lacking)
        found = self._learnt(torch.cat([self.x, self.x_lacking]), both)
        split = [of_set.split([len(self.x), len(self.rows)], dim=1) for of_set in found]
        return [labelled for labelled, _ in split], [lacking for _, lacking in split]

    @cached_property
    def log_q_lacking(self) -> Tensor:
        """log q of all label sets `(m, M)` of the pixels that lack a label, a table."""
        return self.module.log_q(self.x_lacking)

    def _learnt(self, x: Tensor, share: Share) -> list[Tensor]:
        numbers = share.numbers(self.generator)
        return learnt_log_q(self.module, self.inputs, x, self.settings, numbers)

    @property
    def nothing(self) -> Tensor:
        """0, a scalar."""
        return self.x.new_zeros(())


class Term(Protocol):
    """A term of the objective."""

    @property
    def name(self) -> str:
        """Its column in the log, `term_<name>`."""

    @property
    def in_bound(self) -> bool:
        """Whether it is part of a bound on the log-likelihood."""

    def weight(self, settings: M2Settings) -> float:
        """What its cost is multiplied by in the objective; 0: it is not asked for."""

    def in_words(self, settings: M2Settings, e_step: EStep) -> str | None:
        """What it is, for the card's sentence; None where it has nothing to work with."""

    def cost(self, step: Step) -> Tensor:
        """Mean cost a pixel, a scalar, with gradient: this process's part (`Share.mean`)."""
