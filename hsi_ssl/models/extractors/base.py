"""What every feature extractor offers, whatever it learns by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from hsi_ssl.errors import ModelError
from hsi_ssl.models.method import Method
from hsi_ssl.models.moving import exact, exact_mean, numbers
from hsi_ssl.models.networks import Architecture

BLOCK = 8192
DEAD = 1e-6
"""A unit whose standard deviation is less than this share of the largest one says nothing."""


@dataclass(frozen=True)
class LatentUse:
    """How much of its units an extractor uses.

    `variance`: of each unit's value over the data; `kl`: mean KL of each unit in nats, where
    features are distributions; `active`: how many units tell spectra apart; `columns`: of spectra,
    None for no fewer than units.
    """

    variance: tuple[float, ...]
    active: int
    kl: tuple[float, ...] | None = None
    columns: int | None = None

    def in_words(self) -> str:
        """One sentence for the user; see `collapsed`."""
        if self.kl is None:
            return f"{self.active} of {len(self.variance)} units are active"
        total = sum(self.kl)
        return f"{self.active} of {len(self.kl)} latent units are active, KL {total:.1f} nats"

    @property
    def collapsed(self) -> bool:
        """Fewer than three active units where there are more, or under 5 %: (nearly) useless.

        As many as spectra have columns are enough.
        """
        units = len(self.variance)
        columns = units if self.columns is None else self.columns
        return self.active < min(units, columns, max(3, 0.05 * units))


class Phase(NamedTuple):
    """Something that is trained before the whole extractor, and shares its weights."""

    name: str
    module: FeatureExtractor
    epochs: int


class FeatureExtractor(Method, ABC):
    """Features `(N, J)` of scaled spectra `(N, D)`; J is `architecture.latent`, D its `width`.

    A subclass names itself and the dataclass that rebuilds it. Fields of that dataclass that have a
    default are the method's own options, by the same names in `[m1.options]` and `--option`; those
    without come from the settings of `[m1]`, and who has no use for one does not name it.
    """

    bound_name: ClassVar[str] = "minus_cost"
    """What `-cost` is called in the log; `bound` where it is one on log p(x)."""
    decodes: ClassVar[bool] = True
    """Whether there is a way back from features to spectra."""
    distributions: ClassVar[bool] = False
    """Whether `encode` gives a log-variance."""
    generates: ClassVar[bool] = False
    """Whether it is a model of spectra, with a p(x|z)."""
    closed_form: ClassVar[bool] = False
    """Whether `solve` fits it, and no training."""
    of_batches: ClassVar[bool] = False
    """Whether what a spectrum costs depends on the others of its batch."""

    @property
    def units(self) -> int:
        """J, the number of features."""
        return int(self.architecture.latent)

    @abstractmethod
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean, and where features are distributions log-variance `(N, J)`, of `x (N, D)`."""

    @abstractmethod
    def mean_layers(self, kept: Tensor) -> list[nn.Module]:
        """Layers in a row that give the mean of the units `kept` (indices), as `encode` does."""

    def decode(self, z: Tensor) -> Tensor:
        """Spectra `(..., D)` of features `(..., J)`.

        Raises
        ------
        ModelError
            There is no way back.
        """
        del z
        raise ModelError(f"{self.title} gives features only: there is no way back to spectra")

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) `(N,)` of scaled spectra `(N, D)` and features `(N, J)`.

        Raises
        ------
        ModelError
            The method is no model of spectra.
        """
        del x, z
        raise ModelError(
            f"{self.title} has no p(x|z): likelihoods and generated spectra need M1 "
            "(`hsi-ssl train-m1 --extractor vae`), or M2 on the spectra themselves"
        )

    def measured(self, mean: Tensor, eps: Tensor) -> Tensor:
        """What might be measured around spectra `mean (..., D)`, by draws `eps` of N(0, I)."""
        del eps
        return mean

    def cost(self, x: Tensor, generator: torch.Generator, kl_weight: float = 1.0) -> Tensor:
        """What training minimises, `(N,)` of spectra `(N, D)`."""
        raise NotImplementedError(f"{self.title} is not trained by steps")

    def solve(self, blocks: Iterable[Tensor]) -> None:
        """Fit to all spectra at once, which come in blocks `(n, D)`."""
        raise NotImplementedError(f"{self.title} is trained by steps")

    def begin(self, blocks: Iterable[Tensor]) -> bool:
        """Before training: take what all spectra say at once; they come in blocks `(n, D)`.

        Whether this is a model already, which training may or may not make better.
        """
        del blocks
        return False

    def phases(self) -> Sequence[Phase]:
        """What is trained first, one after another, nine at most; most methods have none."""
        return ()

    def check(self, x: Tensor, scaling: str) -> None:
        """Refuse spectra that the method has no use for; `scaling` names theirs.

        Raises
        ------
        ModelError
            Naming what was expected and found.
        """

    def settle(self, x: Tensor) -> None:
        """Put features on a common scale once training is over, by the spectra it learnt from."""

    def shown(self, measured: Tensor, generator: torch.Generator) -> Tensor:
        """Spectra `(n, D)` that show what has been learnt: reconstructions of measured ones."""
        del generator
        if not self.decodes:
            return measured[:0]
        return self.decode(self.encode(measured)[0])

    @torch.no_grad()
    def use(self, x: Tensor) -> LatentUse:
        """How much of its units it uses over the spectra `x (N, D)`."""
        means = torch.cat([self.encode(some)[0] for some in torch.split(x, BLOCK)])
        variance = means.var(0, unbiased=False)
        sd = variance.sqrt()
        active = int((sd > DEAD * sd.max()).sum())
        return LatentUse(tuple(variance.tolist()), active, columns=x.shape[1])

    def measures(self, x: Tensor) -> dict[str, float]:
        """What the method is about, measured over spectra `(N, D)`, by names for the card."""
        del x
        return {}

    @torch.no_grad()
    def explained(self, x: Tensor) -> float | None:
        """Share of the spectra's variance in what `decode` makes of their features."""
        if not self.decodes:
            return None
        lost = total = 0.0
        mean = exact_mean(x)
        for some in torch.split(x, BLOCK):
            away = exact(some - self.decode(self.encode(some)[0]))
            of_some = numbers([away.square().sum(), (exact(some) - mean).square().sum()])
            lost, total = lost + of_some[0], total + of_some[1]
        return 1 - lost / total if total else None


class DeterministicExtractor(FeatureExtractor):
    """Codes f(x) `(N, J)`, one value a unit, and a way back g(f(x)).

    Features are the codes about their mean, each divided by the square root of its spread, the
    largest spread being 1: codes of any scale meet the networks that read them at more equal
    spread, as components of a scaling do.
    """

    encoder: nn.Sequential
    """f, from spectra to codes; a subclass makes it."""
    shift: Tensor
    gain: Tensor

    def __init__(self, architecture: Architecture, generator: torch.Generator) -> None:
        super().__init__(architecture, generator)
        self.register_buffer("shift", torch.zeros(self.units))
        self.register_buffer("gain", torch.ones(self.units))

    def reconstruct(self, codes: Tensor) -> Tensor:
        """g, from codes `(..., J)` to spectra `(..., D)`, where there is a way back."""
        return super().decode(codes)

    def encode(self, x: Tensor) -> tuple[Tensor, None]:
        """Features `(N, J)`; they have no variance."""
        return (self.encoder(x) - self.shift) * self.gain, None

    def decode(self, z: Tensor) -> Tensor:
        """Spectra `(..., D)` of features `(..., J)`."""
        return self.reconstruct(z / self.gain + self.shift)

    def check(self, x: Tensor, scaling: str) -> None:
        """Refuse fewer spectra than units, which would learn them by heart.

        Raises
        ------
        ModelError
            Naming both numbers.
        """
        del scaling
        if self.units > len(x):
            raise ModelError(
                f"{self.units} units of {self.title} for {len(x)} spectra to learn from: ask for "
                f"at most {len(x)} (--latent)"
            )

    def mean_layers(self, kept: Tensor) -> list[nn.Module]:
        """Layers that give the features of the units `kept`."""
        last = nn.Linear(self.units, len(kept), device=self.gain.device)
        with torch.no_grad():
            last.weight.copy_(torch.diag(self.gain)[kept])
            last.bias.copy_(-(self.shift * self.gain)[kept])
        return [*self.encoder, last]

    @torch.no_grad()
    def settle(self, x: Tensor) -> None:
        """Measure mean and spread of each code."""
        codes = torch.cat([self.encoder(some) for some in torch.split(x, BLOCK)])
        codes = exact(codes)
        self.shift.copy_(codes.mean(0))
        self.spread_evenly(codes.std(0, unbiased=False))

    def spread_evenly(self, sd: Tensor) -> None:
        """Set the gain by the standard deviation of each code `(J,)`; a dead unit keeps its own."""
        alive = sd > DEAD * sd.max()
        self.gain.copy_(torch.where(alive, (sd * sd.max()).rsqrt(), 1.0))


COMPONENTS = ("noise", "mnf")
"""Scalings whose columns are no bands."""


def check_columns_are_bands(what: str, scaling: str) -> None:
    """Refuse components for a method that looks at bands in their order.

    Raises
    ------
    ModelError
        Naming the scalings that suit.
    """
    if scaling in COMPONENTS:
        raise ModelError(
            f"{what} looks at bands side by side, scaling {scaling} gives components: prepare "
            "with --scaling standard, or another that keeps the bands"
        )
