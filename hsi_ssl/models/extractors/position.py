"""Which of two pieces of a spectrum comes first, and how far apart (after Doersch et al. 2015).

Self-supervised, as `masked`: each spectrum says itself what is right. There the pieces are squares
of a picture; here they are runs of bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.models.draws import drawn
from hsi_ssl.models.extractors.base import BLOCK, DeterministicExtractor, check_columns_are_bands
from hsi_ssl.models.networks import Architecture, perceptron

SMALLEST_PIECE = 2


@dataclass(frozen=True)
class PositionArchitecture(Architecture):
    """Widths, of which `latent` is shared out among the pieces, and their number."""

    width: int
    latent: int
    hidden: tuple[int, ...]
    activation: str
    pieces: int = 5

    def __post_init__(self) -> None:
        most = self.width // SMALLEST_PIECE
        if not SMALLEST_PIECE <= self.pieces <= most:
            raise ValueError(f"pieces={self.pieces} of {self.width} bands: from 2 to {most}")
        if self.latent % self.pieces:
            raise ValueError(
                f"{self.latent} units are not shared out evenly among {self.pieces} pieces: ask "
                f"for a multiple of {self.pieces} (--latent), or other pieces"
            )


class Position(DeterministicExtractor):
    """min mean of -log p(b - a | h(x_a), h(x_b)) over pairs of different pieces a, b of spectra.

    h, one network for all pieces, which thus does not know where it looks; p a softmax over the
    2 (P - 1) relative places of P pieces. Features are h of all pieces, side by side; bands that do
    not fill a piece are left out at the ends.
    """

    title = "position"
    architecture_type = PositionArchitecture
    decodes = False

    def __init__(self, architecture: PositionArchitecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        a = architecture
        units = a.latent // a.pieces
        h = perceptron(a.width // a.pieces, a.hidden, units, a.activation, generator)
        self.encoder = nn.Sequential(_OfPieces(h, a.pieces))
        places = 2 * (a.pieces - 1)
        self.place = perceptron(2 * units, a.hidden[-1:], places, a.activation, generator)

    def logits(self, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Of the relative places `(N, 2 (P - 1))` of pieces `first` and `second (N,)`."""
        a, each = self.architecture, torch.arange(len(x), device=x.device)
        codes = self.encoder(x).reshape(len(x), a.pieces, -1)
        found: Tensor = self.place(torch.cat([codes[each, first], codes[each, second]], -1))
        return found

    def pairs(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Two different pieces of each of `x (N, D)`, and their relative place, `(N,)` each."""
        pieces = self.architecture.pieces
        any_piece, any_other = partial(torch.randint, pieces), partial(torch.randint, 1, pieces)
        first = drawn(any_piece, (len(x),), generator, axis=-1, device=x.device)
        away = drawn(any_other, (len(x),), generator, axis=-1, device=x.device)
        second = (first + away) % pieces
        step = second - first
        return first, second, step + pieces - 1 - (step > 0).long()

    def cost(self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0) -> Tensor:
        """Cross-entropy `(N,)` of one pair a spectrum."""
        del kl_weight
        first, second, place = self.pairs(x, generator)
        return F.cross_entropy(self.logits(x, first, second), place, reduction="none")

    def check(self, x: Tensor, scaling: str) -> None:
        """Refuse columns that are no bands.

        Raises
        ------
        ModelError
            Naming the scalings that suit, or as of all of codes.
        """
        super().check(x, scaling)
        check_columns_are_bands(self.title, scaling)

    @torch.no_grad()
    def measures(self, x: Tensor) -> dict[str, float]:
        """Share of pairs whose relative place is told, and what the commonest answer would do."""
        generator, right = torch.Generator().manual_seed(0), 0
        for some in torch.split(x, BLOCK):
            first, second, place = self.pairs(some, generator)
            right += int((self.logits(some, first, second).argmax(-1) == place).sum())
        return {"pairs_told": right / len(x), "pairs_told_by_chance": 1 / self.architecture.pieces}


class _OfPieces(nn.Module):
    """h of each piece of spectra `(N, D)`, side by side `(N, J)`."""

    def __init__(self, network: nn.Sequential, pieces: int) -> None:
        super().__init__()
        self.network, self.pieces = network, pieces

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[-1] // self.pieces
        first = (x.shape[-1] - wide * self.pieces) // 2
        cut = x[..., first : first + wide * self.pieces]
        found: Tensor = self.network(cut.unflatten(-1, (self.pieces, wide))).flatten(-2)
        return found
