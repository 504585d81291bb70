"""Sparse auto-encoders whose weights are pulled towards 0: by their sizes, or their squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from hsi_ssl.models.extractors.autoencoder import Autoencoder, PenalisedArchitecture

NEAR_ZERO = 1e-3
"""Weights smaller than this count as 0: steps of Adam keep them moving about it."""


@dataclass(frozen=True)
class L1Architecture(PenalisedArchitecture):
    """An auto-encoder's, and the penalty."""

    penalty: float = 1e-4


@dataclass(frozen=True)
class L2Architecture(PenalisedArchitecture):
    """An auto-encoder's, and the penalty."""

    penalty: float = 1e-3


class SparseL1(Autoencoder):
    """+ lambda sum |w| over the weights w of both networks, without biases (Tibshirani 1996).

    Bands and units that are of little use are let go of.
    """

    title = "auto-encoder with L1 on weights"
    architecture_type: ClassVar[type[PenalisedArchitecture]] = L1Architecture

    @property
    def weights(self) -> list[Tensor]:
        """Of all layers."""
        return [m.weight for m in self.modules() if isinstance(m, nn.Linear)]

    def penalty(
        self, x: Tensor, codes: Tensor, again: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Lambda times the norm."""
        del x, codes, again, generator
        total: Tensor = self.architecture.penalty * sum(self.norm(w) for w in self.weights)
        return total

    def norm(self, weight: Tensor) -> Tensor:
        """Sum of sizes."""
        return weight.abs().sum()

    @torch.no_grad()
    def measures(self, x: Tensor) -> dict[str, float]:
        """Share of weights that are 0, or nearly so."""
        del x
        whole = torch.cat([w.flatten() for w in self.weights])
        return {"share_of_weights_near_0": float((whole.abs() < NEAR_ZERO).float().mean())}


class SparseL2(SparseL1):
    """+ lambda sum w^2 over the weights w of both networks, without biases (Krogh, Hertz 1991).

    Beside it stands the setting `weight_prior`, which adds sum w^2 / 2N.
    """

    title = "auto-encoder with L2 on weights"
    architecture_type = L2Architecture

    def norm(self, weight: Tensor) -> Tensor:
        """Sum of squares."""
        return weight.square().sum()
