"""Masked auto-encoder: hidden bands predicted from the others (Pathak et al. 2016; He et al. 2022).

Self-supervised: what is to be predicted comes with the spectra themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from hsi_ssl.models.draws import drawn
from hsi_ssl.models.extractors.autoencoder import Autoencoder, AutoencoderArchitecture
from hsi_ssl.models.extractors.base import BLOCK, check_columns_are_bands
from hsi_ssl.models.moving import exact


@dataclass(frozen=True)
class MaskedArchitecture(AutoencoderArchitecture):
    """An auto-encoder's, the share of bands that is hidden, and how many side by side."""

    share: float = 0.5
    run: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share:g} of bands to hide: between 0 and 1")
        if not 1 <= self.run <= self.width // 2:
            raise ValueError(
                f"run={self.run} bands hidden side by side, of {self.width}: from 1 to "
                f"{self.width // 2}"
            )


class Masked(Autoencoder):
    """min mean of sum_d m_d (x_d - g_d(f(x~)))^2 / 2p over masks m, x~ = (1 - m) x / (1 - p).

    m_d is 1 with probability p, for runs of bands at once: a lone band is the mean of those beside
    it. What is seen is as large on average as the whole spectrum, of which features are taken.
    """

    title = "masked auto-encoder"
    architecture_type = MaskedArchitecture

    def cost(self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0) -> Tensor:
        """Half the squared error on hidden bands, as if over all, `(N,)`."""
        del kl_weight
        share = self.architecture.share
        hidden = self.mask(x, generator)
        again = self.reconstruct(self.encoder(x * (1 - hidden) / (1 - share)))
        error: Tensor = 0.5 * (hidden * (again - x).square()).sum(-1) / share
        return error

    def mask(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """1 where bands of `x (N, D)` are hidden, else 0; runs begin anywhere."""
        a = self.architecture
        first = drawn(partial(torch.randint, a.run), (1,), generator, axis=None, device=x.device)
        number = (torch.arange(a.width, device=x.device) + first) // a.run
        shape = (len(x), -(-a.width // a.run) + 1)
        hidden = drawn(torch.rand, shape, generator, device=x.device) < a.share
        mask: Tensor = hidden[:, number].to(x.dtype)
        return mask

    def check(self, x: Tensor, scaling: str) -> None:
        """Refuse columns that are no bands.

        Raises
        ------
        ModelError
            Naming the scalings that suit, or as of all auto-encoders.
        """
        super().check(x, scaling)
        check_columns_are_bands(self.title, scaling)

    @torch.no_grad()
    def measures(self, x: Tensor) -> dict[str, float]:
        """Share of the variance of hidden bands that is predicted."""
        generator = torch.Generator().manual_seed(0)
        lost = sum(float(self.cost(some, generator).sum()) for some in torch.split(x, BLOCK))
        total = 0.5 * float(exact(x - x.mean(0)).square().sum())
        return {"predicted_variance_of_hidden_bands": 1 - lost / total} if total else {}
