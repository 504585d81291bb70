"""Auto-encoder: codes from which spectra can be made again (Hinton and Salakhutdinov 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.extractors.base import DeterministicExtractor
from hsi_ssl.models.networks import ACTIVATIONS, Architecture, perceptron

CODES: dict[str, type[nn.Module]] = {"linear": nn.Identity, "sigmoid": nn.Sigmoid, **ACTIVATIONS}
"""What codes are of the encoder's last layer; `sigmoid` gives values in [0, 1]."""


@dataclass(frozen=True)
class AutoencoderArchitecture(Architecture):
    """Widths of spectra, hidden layers and codes; no hidden layer: a linear auto-encoder.

    `codes`: one of `CODES`.
    """

    width: int
    latent: int
    hidden: tuple[int, ...]
    activation: str
    codes: str = "linear"

    def __post_init__(self) -> None:
        if self.codes not in CODES:
            raise ValueError(f"codes={self.codes} is not known; take {', '.join(CODES)}")


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
        if a.codes != "linear":
            self.encoder.append(CODES[a.codes]())
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
        again = self.reconstruct(codes)
        error = 0.5 * (again - x).square().sum(-1)
        return error + self.penalty(x, codes, again, generator)

    def spoilt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """What the encoder sees of spectra while it learns: all of them."""
        del generator
        return x

    def penalty(
        self, x: Tensor, codes: Tensor, again: Tensor, generator: torch.Generator
    ) -> Tensor:
        """What is added to the error, `(N,)` or one number: nothing.

        Of spectra `(N, D)`, their codes, and the spectra that were made `again` from these.
        """
        del codes, again, generator
        return x.new_zeros(())


@dataclass(frozen=True)
class PenalisedArchitecture(AutoencoderArchitecture):
    """An auto-encoder's with a penalty, and its weight beside the error."""

    penalty: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty < 0:
            raise ValueError(
                f"penalty={self.penalty:g} is below 0, and 0 is the plain auto-encoder"
            )
