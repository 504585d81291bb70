"""Stacked auto-encoder: layer by layer, then the whole (Bengio et al. 2007)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.models.extractors.autoencoder import Autoencoder, AutoencoderArchitecture
from hsi_ssl.models.extractors.base import DeterministicExtractor, Phase


@dataclass(frozen=True)
class StackedArchitecture(AutoencoderArchitecture):
    """An auto-encoder's with hidden layers, and epochs at most for each layer by itself."""

    layer_epochs: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden:
            raise ValueError(
                "it has hidden layers to stack: give --hidden 200-100, say, or take ae"
            )
        if self.layer_epochs < 1:
            raise ValueError(f"layer_epochs={self.layer_epochs}: at least 1 is needed")


class Stacked(Autoencoder):
    """For k = 1, 2, ...: min |h_{k-1} - g_k(f_k(h_{k-1}))|^2 / 2, h_k = f_k(h_{k-1}), h_0 = x.

    f_k a layer, g_k linear, what lies below left as it is. While the next layer learns, g_k is out
    of the way; at last all are unrolled into one auto-encoder (Hinton and Salakhutdinov 2006),
    which is trained as a whole.
    """

    title = "stacked auto-encoder"
    architecture_type = StackedArchitecture

    def phases(self) -> list[Phase]:
        """Each layer, from below."""
        ups = [layer for layer in self.decoder if isinstance(layer, nn.Linear)]
        parts = list(self.encoder)
        layers = [
            _Layer(nn.Sequential(*parts[: 2 * k]), nn.Sequential(*parts[2 * k : 2 * k + 2]), up)
            for k, up in enumerate(reversed(ups))
        ]
        epochs = self.architecture.layer_epochs
        return [Phase(f"layer {k}", layer, epochs) for k, layer in enumerate(layers, 1)]


class _Layer(Autoencoder):
    """A layer and its way back, as an auto-encoder of what the layers below give."""

    title = "layer"

    def __init__(self, below: nn.Sequential, encoder: nn.Sequential, up: nn.Linear) -> None:
        architecture = AutoencoderArchitecture(up.out_features, up.in_features, (), "relu")
        DeterministicExtractor.__init__(self, architecture, torch.Generator())
        self.encoder, self.decoder = encoder, nn.Sequential(up)
        self.below = (below,)  # in a tuple it is no part of this module, and is not trained

    def cost(self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0) -> Tensor:
        """Half the squared error `(N,)` of what the layers below make of spectra `(N, D)`."""
        with torch.no_grad():
            inputs = self.below[0](x)
        return super().cost(inputs, generator, kl_weight)

    def shown(self, measured: Tensor, generator: torch.Generator) -> Tensor:
        """No spectra: it knows none."""
        del generator
        return measured[:0]
