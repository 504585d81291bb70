"""Relational auto-encoder: also keeps how alike spectra are (Meng et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.extractors.autoencoder import Autoencoder, PenalisedArchitecture

AMONG = 1024
"""Spectra whose pairs are looked at together: of more, memory would grow with their square."""


@dataclass(frozen=True)
class RelationalArchitecture(PenalisedArchitecture):
    """An auto-encoder's, the penalty, and below which product two spectra are not alike."""

    penalty: float = 1.0
    threshold: float = 0.0


class Relational(Autoencoder):
    """+ lambda mean over pairs of (s(x^_i . x^_j) - s(x_i . x_j))^2 / 2D, s(p) = (p - s0)_+.

    x^ = g(f(x)), D the number of columns: so that it is of the size of the error, whatever the
    batch. Pairs that are less alike than s0 only have to stay so.
    """

    title = "relational auto-encoder"
    architecture_type = RelationalArchitecture
    of_batches = True

    def penalty(
        self, x: Tensor, codes: Tensor, again: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Lambda times each spectrum's mean over its pairs `(N,)`."""
        del codes, generator
        a = self.architecture
        of_pairs = [
            unlikeness(some, made, a.threshold)
            for some, made in zip(torch.split(x, AMONG), torch.split(again, AMONG), strict=True)
        ]
        found: Tensor = a.penalty * torch.cat(of_pairs) / (2 * a.width)
        return found

    @torch.no_grad()
    def measures(self, x: Tensor) -> dict[str, float]:
        """Share of the variance of s over some pairs in what is made of the spectra."""
        some = x[:: max(1, -(-len(x) // AMONG))]
        made = self.reconstruct(self.encoder(some))
        true = (some @ some.T - self.architecture.threshold).relu()
        lost = unlikeness(some, made, self.architecture.threshold).mean()
        variance = true[~torch.eye(len(some), dtype=torch.bool, device=x.device)].var()
        return {"kept_variance_of_likeness": float(1 - lost / variance)} if variance > 0 else {}


def unlikeness(x: Tensor, again: Tensor, threshold: float) -> Tensor:
    """Mean over j != i of (s(x^_i . x^_j) - s(x_i . x_j))^2, `(N,)`; 0 of a lone spectrum."""
    with torch.autocast(x.device.type, enabled=False):
        again = again.to(x.dtype)
        gap = (again @ again.T - threshold).relu() - (x @ x.T - threshold).relu()
        others = 1 - torch.eye(len(x), device=x.device, dtype=x.dtype)
        return (gap.square() * others).sum(1) / max(1, len(x) - 1)
