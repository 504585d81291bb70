"""Auto-encoder: codes from which spectra can be made again (Hinton and Salakhutdinov 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hsi_ssl.models.extractors.base import DeterministicExtractor
from hsi_ssl.models.networks import Architecture, perceptron


@dataclass(frozen=True)
class AutoencoderArchitecture(Architecture):
    """Widths of spectra, hidden layers and codes; no hidden layer: a linear auto-encoder."""

    width: int
    latent: int
    hidden: tuple[int, ...]
    activation: str


class Autoencoder(DeterministicExtractor):
    """min over f, g of the mean of |x - g(f(x))|^2 / 2 over spectra.

    Without hidden layers its optimum spans the leading principal components (Baldi and Hornik
    1989). Relatives add a penalty, or spoil what the encoder sees.
    """

    title = "auto-encoder"
    architecture_type = AutoencoderArchitecture

    def __init__(self, architecture: AutoencoderArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        self.encoder = perceptron(a.width, a.hidden, a.latent, a.activation, generator)
        self.decoder = perceptron(a.latent, a.hidden[::-1], a.width, a.activation, generator)

    def reconstruct(self, codes: Tensor) -> Tensor:
        """Spectra `(..., D)` of codes `(..., J)`."""
        found: Tensor = self.decoder(codes)
        return found

    def cost(self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0) -> Tensor:
        """Half the squared error and the penalty, `(N,)`."""
        del kl_weight
        seen = self.spoilt(x, generator)
        codes = self.encoder(seen)
        error = 0.5 * (self.reconstruct(codes) - x).square().sum(-1)
        return error + self.penalty(seen, codes, generator)

    def spoilt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """What the encoder sees of spectra while it learns: all of them."""
        del generator
        return x

    def penalty(self, x: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:
        """What is added to the error, `(N,)` or one number: nothing."""
        del codes, generator
        return x.new_zeros(())
