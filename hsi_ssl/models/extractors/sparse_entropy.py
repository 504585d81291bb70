"""Sparse auto-encoder each of whose units is active for few spectra (Ng 2011, lecture notes)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.extractors.autoencoder import Autoencoder, PenalisedArchitecture
from hsi_ssl.models.extractors.base import BLOCK
from hsi_ssl.models.moving import exact

EDGE = 1e-6
"""Means are kept this far from 0 and 1, where the divergence has no end."""


@dataclass(frozen=True)
class SparseEntropyArchitecture(PenalisedArchitecture):
    """An auto-encoder's with codes in [0, 1], the mean that they shall have, and the penalty."""

    codes: str = "sigmoid"
    penalty: float = 1.0
    epsilon: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.codes != "sigmoid":
            raise ValueError(
                f"its codes must lie in [0, 1], and those of codes={self.codes} do not: take "
                "codes=sigmoid"
            )
        if not 0 < self.epsilon < 1:
            raise ValueError(f"epsilon={self.epsilon:g} is no mean of codes: between 0 and 1")


class SparseEntropy(Autoencoder):
    """+ lambda sum_j KL(eps || m_j), m_j the mean of f_j(x_i) over a batch, codes in [0, 1].

    KL(eps || m) = eps log(eps / m) + (1 - eps) log((1 - eps) / (1 - m)).
    """

    title = "auto-encoder with entropy on codes"
    architecture_type = SparseEntropyArchitecture
    of_batches = True

    def penalty(
        self, x: Tensor, codes: Tensor, again: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Lambda times the divergence, of the batch as a whole."""
        del x, again, generator
        a = self.architecture
        total: Tensor = a.penalty * kl_of_means(a.epsilon, codes.mean(0)).sum()
        return total

    @torch.no_grad()
    def measures(self, x: Tensor) -> dict[str, float]:
        """Mean of the codes, and how far a unit's own mean is from epsilon at most."""
        total = sum(exact(self.encoder(some)).sum(0) for some in torch.split(x, BLOCK))
        mean = torch.as_tensor(total) / len(x)
        off = (mean - self.architecture.epsilon).abs().max()
        return {"mean_code": float(mean.mean()), "farthest_unit_from_epsilon": float(off)}


def kl_of_means(epsilon: float, mean: Tensor) -> Tensor:
    """KL between Bernoulli distributions of means `epsilon` and `mean (J,)`, of each unit."""
    m = mean.clamp(EDGE, 1 - EDGE)
    e = torch.full_like(m, epsilon)
    return e * torch.log(e / m) + (1 - e) * torch.log((1 - e) / (1 - m))
