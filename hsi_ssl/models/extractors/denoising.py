"""Denoising auto-encoder: makes spectra again from spoilt ones (Vincent et al. 2008)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.draws import drawn
from hsi_ssl.models.extractors.autoencoder import Autoencoder, AutoencoderArchitecture


@dataclass(frozen=True)
class DenoisingArchitecture(AutoencoderArchitecture):
    """An auto-encoder's, and how spectra are spoilt.

    `noise`: standard deviation of what is added, in scaled units; `zeroed`: probability of each
    column to be set to 0.
    """

    noise: float = 0.1
    zeroed: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.noise < 0 or not 0 <= self.zeroed < 1:
            raise ValueError(
                f"noise={self.noise:g} must not be below 0, and zeroed={self.zeroed:g} is a "
                "probability from 0 to below 1"
            )
        if not self.noise and not self.zeroed:
            raise ValueError("noise and zeroed are both 0, which spoils nothing: take ae for that")


class Denoising(Autoencoder):
    """min mean |x - g(f(x~))|^2 / 2, x~ ~ N(x, s^2 I), each component set to 0 with probability p0.

    Trained so, g(f(x)) - x points to where spectra are denser (Alain and Bengio 2014).
    """

    title = "denoising auto-encoder"
    architecture_type = DenoisingArchitecture

    def spoilt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Spectra `(N, D)` with noise and zeros."""
        a = self.architecture
        if a.noise:
            eps = drawn(torch.randn, x.shape, generator, device=x.device, dtype=x.dtype)
            x = x + a.noise * eps
        if a.zeroed:
            x = x * (drawn(torch.rand, x.shape, generator, device=x.device) >= a.zeroed)
        return x
