"""Principal components: the linear codes that keep most of the variance (Hotelling 1933)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError
from hsi_ssl.models.extractors.base import DEAD, DeterministicExtractor
from hsi_ssl.models.moving import exact_mean
from hsi_ssl.models.networks import Architecture, linear

AT_ONCE = 512
"""Spectra multiplied at a time, so that they stay in the processor's cache."""
STRIPS = 5


@dataclass(frozen=True)
class PCAArchitecture(Architecture):
    """Width of spectra and number of components."""

    width: int
    latent: int


class PCA(DeterministicExtractor):
    """f(x) = U' (x - mean), g(u) = U u + mean, which minimise the mean of |x - g(f(x))|^2.

    U `(D, J)` holds the leading eigenvectors of the covariance. Sums are in float64, so that
    components a thousandth of the mean are not lost; spectra come in blocks and are not kept.
    """

    title = "PCA"
    architecture_type = PCAArchitecture
    closed_form = True

    def __init__(self, architecture: PCAArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        self.encoder = nn.Sequential(linear(a.width, a.latent, generator, last=True))
        self.decoder = nn.Sequential(linear(a.latent, a.width, generator, last=True))

    def reconstruct(self, codes: Tensor) -> Tensor:
        """Spectra `(..., D)` of codes `(..., J)`."""
        found: Tensor = self.decoder(codes)
        return found

    @torch.no_grad()
    def solve(self, blocks: Iterable[Tensor]) -> None:
        """One pass: sums about the first block's mean, then the eigenvectors.

        Raises
        ------
        ModelError
            More components are asked for than spectra or their columns can tell.
        """
        width, count = self.architecture.width, 0
        about = torch.zeros(width, dtype=torch.float64)
        beside = torch.zeros(0, width + 1, dtype=torch.float64)
        # A column of ones beside the spectra: one product gives their sums too.
        products = torch.zeros(width + 1, width + 1, dtype=torch.float64)
        for block in blocks:
            if not count:
                about = exact_mean(block)
                products = products.to(about.device)
                beside = about.new_ones(AT_ONCE, width + 1)
            count += len(block)
            for some in torch.split(block, AT_ONCE):
                x = beside[: len(some)]
                x[:, :width] = some
                x[:, :width] -= about
                add_products(products, x)
        if not count:
            raise ModelError("principal components of no spectra: give some")
        mean = products[:width, width] / count
        covariance = products[:width, :width] / count - torch.outer(mean, mean)
        covariance = covariance.triu() + covariance.triu(1).T
        variances, vectors = torch.linalg.eigh(covariance)
        sd = variances.flip(0).clamp(min=0).sqrt()
        told = int((sd > DEAD * sd[0]).sum())
        if self.units > told:
            raise ModelError(
                f"{self.units} principal components of {count} spectra of {width} columns, which "
                f"vary in {told} directions: "
                + (f"ask for at most {told} (--latent)" if told else "all spectra are equal")
            )
        u = vectors.flip(1)[:, : self.units]
        # Eigenvectors have no sign of their own: the largest entry is made positive.
        largest = u.abs().argmax(0)
        u = u * u[largest, torch.arange(self.units, device=u.device)].sign()
        encoder, decoder = self.encoder[0], self.decoder[0]
        assert isinstance(encoder, nn.Linear)
        assert isinstance(decoder, nn.Linear)
        encoder.weight.copy_(u.T)
        encoder.bias.copy_(-(about + mean) @ u)
        decoder.weight.copy_(u)
        decoder.bias.copy_(about + mean)
        self.spread_evenly(sd[: self.units])


def add_products(products: Tensor, x: Tensor) -> None:
    """Add the upper triangle of x' x, of `x (n, D)`, to `products (D, D)`, and little below it."""
    strip = -(-len(products) // STRIPS)
    for first in range(0, len(products), strip):
        rows = slice(first, first + strip)
        products[rows, first:].addmm_(x[:, rows].T, x[:, first:])
