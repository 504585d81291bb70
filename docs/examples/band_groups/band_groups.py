"""Features of a package of its own: means over groups of neighbouring columns of scaled spectra.

pip install ./docs/examples/band_groups
hsi-ssl train-m1 --extractor band-groups --latent 10
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError
from hsi_ssl.models.extractors.base import DeterministicExtractor
from hsi_ssl.models.networks import Architecture


@dataclass(frozen=True)
class BandGroupsArchitecture(Architecture):
    """Columns of spectra, number of groups, and an option of its own."""

    width: int
    latent: int
    median: bool = False
    """Centre features at the median of the spectra, not at their mean."""


class BandGroups(DeterministicExtractor):
    """f_j(x) = mean of the columns of group j; g puts it back on each of them."""

    title = "band groups"
    architecture_type = BandGroupsArchitecture
    closed_form = True

    groups: Tensor

    def __init__(self, architecture: BandGroupsArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        if a.latent > a.width:
            raise ModelError(f"{a.latent} groups of {a.width} columns: ask for fewer (--latent)")
        group = torch.arange(a.width) * a.latent // a.width
        mean = nn.Linear(a.width, a.latent, bias=False)
        members = nn.functional.one_hot(group, a.latent).T.float()
        with torch.no_grad():
            mean.weight.copy_(members / members.sum(1, keepdim=True))
        self.encoder = nn.Sequential(mean)
        self.register_buffer("groups", members)

    def reconstruct(self, codes: Tensor) -> Tensor:
        """Spectra `(..., D)` of codes `(..., J)`."""
        return codes @ self.groups

    @torch.no_grad()
    def solve(self, blocks: Iterable[Tensor]) -> None:
        """There is nothing to learn but where features lie and how far they spread."""
        codes = torch.cat([self.encoder(block) for block in blocks])
        centre = codes.median(0).values if self.architecture.median else codes.mean(0)
        self.shift.copy_(centre)
        self.spread_evenly(codes.std(0))
