"""Sparse auto-encoder whose codes are mostly 0 (Olshausen and Field 1996)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.extractors.autoencoder import Autoencoder, PenalisedArchitecture
from hsi_ssl.models.extractors.base import BLOCK


@dataclass(frozen=True)
class SparseCodesArchitecture(PenalisedArchitecture):
    """An auto-encoder's, and the penalty; codes that are exactly 0 need `relu`."""

    codes: str = "relu"
    penalty: float = 0.1


class SparseCodes(Autoencoder):
    """+ lambda sum_j |f_j(x)| |d_j|: L1 on codes, d_j what the decoder's first layer makes of one.

    Without |d_j| codes would shrink and the decoder grow, at no cost. A spectrum is told by few of
    the units, which may be more than its bands.
    """

    title = "auto-encoder with L1 on codes"
    architecture_type = SparseCodesArchitecture

    def penalty(
        self, x: Tensor, codes: Tensor, again: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Lambda times the sizes of each spectrum's codes `(N,)`."""
        del x, again, generator
        first = self.decoder[0]
        assert isinstance(first, nn.Linear)
        total: Tensor = self.architecture.penalty * (codes.abs() * first.weight.norm(dim=0)).sum(-1)
        return total

    @torch.no_grad()
    def measures(self, x: Tensor) -> dict[str, float]:
        """Share of codes that are 0, or a thousandth of the largest of their unit."""
        codes = torch.cat([self.encoder(some) for some in torch.split(x, BLOCK)]).abs()
        silent = codes <= 1e-3 * codes.amax(0)
        return {"share_of_codes_near_0": float(silent.float().mean())}
