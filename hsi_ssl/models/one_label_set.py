"""A model of any number of label sets, seen as a classifier of one of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.models.tables import marginals


class OneLabelSet(nn.Module):
    """A model as a classifier of one of its label sets; the others are summed out."""

    def __init__(self, model: DeclaredVAE, place: int = 0) -> None:
        """`place`: of the label set."""
        super().__init__()
        self.whole, self.place = model, place

    @property
    def classes(self) -> int:
        """K, the labelled classes and the free slots."""
        return self.whole.architecture.counts[self.place]

    @property
    def free(self) -> int:
        """How many of the last classes are free slots."""
        return self.whole.architecture.free[self.place]

    @property
    def alone(self) -> bool:
        """Whether the model has no other label set."""
        return len(self.whole.architecture.counts) == 1

    def rows(self, *, every_class: bool) -> int:
        """How many rows of a network's layers a pixel takes; see `DeclaredVAE.rows`."""
        return self.whole.rows(every_class=every_class)

    @property
    def reads(self) -> Tensor:
        """Which columns of its input q(y|x) reads, `(D,)`; see `DeclaredVAE.reads`."""
        return self.whole.reads

    def log_q_y(self, x: Tensor) -> Tensor:
        """log q(y|x), `(N, K)`, of `x (N, D)`, all columns."""
        return self.whole.log_q_each(x)[self.place]

    def log_joint(self, x: Tensor, eps: Tensor) -> Tensor:
        """Bound on log p(x, y), `(K, N)`; `eps (S, J)`."""
        every = self.whole.log_joint(x, eps).T
        return marginals(every, self.whole.architecture.counts)[self.place].T

    def log_posterior_bayes(self, x: Tensor, eps: Tensor) -> Tensor:
        """log p(y|x) by Bayes' rule with the generative part, `(N, K)`; `eps (S, J)`."""
        return torch.log_softmax(self.log_joint(x, eps).T, dim=-1)

    def encode(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance `(N, J)` of q(u|x, y), of `x (N, D)` and classes `y (N,)`.

        u is z in the units in which p(z|y) is N(0, I). Only where the model is `alone`.
        """
        given = {self.whole.architecture.labels[0]: y}
        mean, logvar = self.whole.q_z(x, given)
        p_mean, p_logvar = self.whole.p_z(given)
        return (mean - p_mean) * torch.exp(-0.5 * p_logvar), logvar - p_logvar

    def decode(self, y: Tensor, u: Tensor) -> Tensor:
        """Mean `(N, D)` of p(x|y, u), of classes `y (N,)` and `u (N, J)`; u as in `encode`."""
        given = {self.whole.architecture.labels[0]: y}
        p_mean, p_logvar = self.whole.p_z(given)
        z = p_mean + torch.exp(0.5 * p_logvar) * u
        return self.whole.likelihood.mean(self.whole.decoded(z, given))
