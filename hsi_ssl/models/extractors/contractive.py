"""Contractive auto-encoder: codes that hardly move with the spectrum (Rifai et al. 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from hsi_ssl.models.draws import drawn
from hsi_ssl.models.extractors.autoencoder import Autoencoder, PenalisedArchitecture
from hsi_ssl.models.networks import ACTIVATIONS

MEASURED = 8192
"""Spectra over which the Jacobian's norm is told, at most."""


@dataclass(frozen=True)
class ContractiveArchitecture(PenalisedArchitecture):
    """An auto-encoder's, the penalty, and draws a spectrum where the norm is estimated."""

    codes: str = "sigmoid"
    penalty: float = 0.1
    draws: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.draws < 1:
            raise ValueError(f"draws={self.draws}: at least 1 is needed")


class Contractive(Autoencoder):
    """+ lambda |J(x)|_F^2, J = df/dx `(J, D)`; only what spectra differ by is worth a unit.

    Of one layer in closed form, of others Hutchinson's estimate. The decoder's weights are the
    encoder's, transposed: else the encoder would shrink and the decoder grow, at no cost.
    """

    title = "contractive auto-encoder"
    architecture_type = ContractiveArchitecture

    def __init__(self, architecture: ContractiveArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        del self.decoder
        self.activation = ACTIVATIONS[architecture.activation]()
        self.biases = nn.ParameterList(
            torch.zeros(layer.in_features) for layer in reversed(self.layers)
        )

    @property
    def layers(self) -> list[nn.Linear]:
        """Of the encoder."""
        return [layer for layer in self.encoder if isinstance(layer, nn.Linear)]

    def reconstruct(self, codes: Tensor) -> Tensor:
        """Spectra `(..., D)` of codes `(..., J)`, by the same weights."""
        with torch.autocast(codes.device.type, enabled=False):
            found = codes.to(self.biases[0].dtype)
            for place, layer in enumerate(reversed(self.layers)):
                found = found if place == 0 else self.activation(found)
                found = found @ layer.weight + self.biases[place]
        return found

    def penalty(
        self, x: Tensor, codes: Tensor, again: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Lambda times the squared norm of each spectrum's Jacobian `(N,)`."""
        found: Tensor = self.architecture.penalty * self.squared_norm(x, codes, generator)
        return found

    def squared_norm(self, x: Tensor, codes: Tensor, generator: torch.Generator) -> Tensor:
        """|J(x)|_F^2 `(N,)` of spectra `(N, D)` and their codes, or an estimate of it."""
        if len(self.layers) > 1 or self.architecture.codes not in ("sigmoid", "linear"):
            return hutchinson(self.encoder, x, self.architecture.draws, generator)
        squares = self.layers[0].weight.square().sum(1)
        if self.architecture.codes == "linear":
            return squares.sum().expand(len(x))
        return (codes * (1 - codes)).square() @ squares

    @torch.no_grad()
    def measures(self, x: Tensor) -> dict[str, float]:
        """Mean of |J|_F^2 over some of the spectra."""
        some = x[:: max(1, -(-len(x) // MEASURED))]
        generator = torch.Generator().manual_seed(0)
        norms = self.squared_norm(some, self.encoder(some), generator)
        return {"mean_squared_jacobian": float(norms.mean())}


def hutchinson(f: nn.Module, x: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """An unbiased estimate `(N,)` of |df/dx|_F^2 at each of `x (N, D)` (Hutchinson 1990).

    E |J' v|^2 = |J|_F^2 for v of independent signs; J' v is one pass backwards.
    """
    differentiated = torch.is_grad_enabled()
    total = x.new_zeros(len(x))
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        codes = f(x)
        for _ in range(draws):
            coin = drawn(partial(torch.randint, 2), codes.shape, generator, device=x.device)
            v = coin.to(codes.dtype) * 2 - 1
            (back,) = torch.autograd.grad(
                (codes * v).sum(), x, create_graph=differentiated, retain_graph=True
            )
            total = total + back.square().sum(-1) / draws
    return total if differentiated else total.detach()
