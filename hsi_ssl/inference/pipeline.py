"""From raw spectra to what the classifier sees: scaled, as M1's features, or as both side by side.

The one way in, for training as for maps. Training looks at it step by step; applied, the same steps
become linear layers that run on the device.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.extractor import Extractor
from hsi_ssl.models.moving import sent

Raw = npt.NDArray[Any]
Noise = Callable[[Tensor], Tensor]

KEPT_SPREAD = 0.1
"""Units of M1 whose mean has a smaller standard deviation are dropped, as the authors did."""
JUDGED = 65_536
"""Spectra that tell which units those are, at most."""
SIDE_GAIN = 8.0
"""What spectra beside M1's features are multiplied by: most components are of a spread far below 1,
which is that of the features, and would not be seen (drillcore-sim, 5 labels a class, macro-F1 57
with 1, 62 with 4, 64 with 10)."""


@dataclass(frozen=True)
class Pipeline:
    """What raw spectra `(n, used bands)` go through.

    `scaler`, and, with M1, its units that are `kept (J,)`; `side_input`: the scaled spectra stand
    beside them, for q(y|x) to read.
    """

    scaler: Scaler
    m1: Extractor | None
    kept: npt.NDArray[np.bool_]
    side_input: bool

    @classmethod
    def from_card(cls, card: dict[str, Any], m1: Extractor | None) -> Pipeline:
        """That of a run, by its card; `m1`: the M1 that the run brings along."""
        side_inputs = card["architecture"].get("side_inputs", 0)
        kept = np.asarray(card["kept_units"], dtype=bool)
        return cls(scaler_from_card(card["scaling"]), m1, kept, side_inputs > 0)

    def to_card(self) -> dict[str, Any]:
        """Its part of a run's card."""
        return {
            "scaling": self.scaler.to_card(),
            "m1": None if self.m1 is None else self.m1.card,
            "kept_units": self.kept.tolist(),
        }

    @property
    def side_inputs(self) -> int:
        """How many columns of the input are spectra beside M1's features."""
        return self.scaler.width if self.m1 is not None and self.side_input else 0

    @property
    def generates(self) -> bool:
        """Whether spectra have a density, all the way from raw ones."""
        return self.m1 is None or self.m1.model.generates

    def encode(self, raw: Raw) -> tuple[Tensor, Tensor | None]:
        """The input `(n, D)`, and the log-variance of M1's features `(n, D - side inputs)`.

        Of M1's features the input has the mean of q(z|x); those of extractors that give none have
        no log-variance.
        """
        scaled = torch.from_numpy(self.scaler.transform(raw))
        if self.m1 is None:
            return scaled, None
        features, log_variance = self.m1.features(raw)
        mean = torch.from_numpy(features[:, self.kept])
        logvar = None if log_variance is None else torch.from_numpy(log_variance[:, self.kept])
        return torch.cat([mean, SIDE_GAIN * scaled], 1) if self.side_input else mean, logvar

    @torch.inference_mode()
    def modelled(self, raw: Raw, device: torch.device) -> Tensor:
        """The columns of the input that p(x|y, z) is a density of, on a device."""
        x = sent(torch.from_numpy(self.scaler.transform(raw)), device)
        if self.m1 is None:
            return x
        kept = sent(torch.from_numpy(np.flatnonzero(self.kept)), device)
        return self.m1.model.encode(x)[0].index_select(1, kept)

    def scaled(self, modelled: Tensor, noise: Noise | None = None) -> Tensor:
        """Back from `modelled` columns `(n, J)` to scaled spectra `(n, width)`, through M1.

        `noise`: draws of N(0, I) like a tensor; what M1 says might be measured then, else its mean.
        """
        if self.m1 is None:
            return modelled
        z1 = modelled.new_zeros(len(modelled), len(self.kept))
        kept = sent(torch.from_numpy(np.flatnonzero(self.kept)), modelled.device)
        z1.index_copy_(1, kept, modelled)
        x = self.m1.model.decode(z1)
        return x if noise is None else self.m1.model.measured(x, noise(x))

    def input(self, raw: Raw, device: torch.device, *, features: bool = True) -> Tensor:
        """The same input as `encode` gives, `(n, D)`, the fast way: on the device.

        `features`: whether anybody reads M1's, where spectra stand beside them; else they are 0.
        """
        shift, layers = self._layers_on(device)
        if shift is None:
            x = sent(torch.from_numpy(self.scaler.transform(raw)), device)
        else:
            x = sent(torch.from_numpy(raw.astype(np.float32)), device).sub_(shift)
        if features or not self.side_input:
            found: Tensor = layers(x)
            return found
        *scaling, _beside = layers.children()
        spectra: Tensor = SIDE_GAIN * nn.Sequential(*scaling)(x)
        return F.pad(spectra, (int(self.kept.sum()), 0))

    def _layers_on(self, device: torch.device) -> tuple[Tensor | None, nn.Module]:
        """`_layers`, moved once to each device that asks."""
        if device not in self._moved:
            shift, layers = self._layers
            moved = None if shift is None else shift.to(device)
            here = torch.device("cpu") if self.m1 is None else self.m1.device
            own = layers if device == here else copy.deepcopy(layers)  # M1 itself stays where it is
            self._moved[device] = moved, own.to(device)
        return self._moved[device]

    @cached_property
    def _moved(self) -> dict[torch.device, tuple[Tensor | None, nn.Module]]:
        return {}

    @cached_property
    def _layers(self) -> tuple[Tensor | None, nn.Module]:
        """A shift, None where the scaling is not affine, then linear layers.

        An affine scaling becomes a linear layer; where it keeps all bands and nobody else reads
        what it gives it is multiplied into M1's first layer (into M2's it cannot be: several
        networks read its input). Of M1's last layer only the means of the kept units stay.
        """
        layers: list[nn.Module] = []
        affine = self.scaler.affine()
        shift = None
        if affine is not None:
            shift = torch.from_numpy(affine[0]).float()
            layers.append(_linear(torch.from_numpy(affine[1]).T, None))
        if self.m1 is not None:
            kept = torch.from_numpy(np.flatnonzero(self.kept)).to(self.m1.device)
            encoder = self.m1.model.mean_layers(kept)
            first = encoder[0]
            square = affine is not None and affine[1].shape[0] == affine[1].shape[1]
            alone = square and not self.side_input
            if affine is not None and alone and isinstance(first, nn.Linear):
                scale = torch.from_numpy(affine[1]).T.double()
                layers = []
                encoder[0] = _linear(first.weight.detach().cpu().double() @ scale, first.bias)
            layers += [_Beside(nn.Sequential(*encoder))] if self.side_input else encoder
        return shift, nn.Sequential(*layers)


def moving_units(m1: Extractor, dataset: Dataset) -> npt.NDArray[np.bool_]:
    """Which units `(J,)` of M1 move over training pixels and the pool; of many, evenly spaced ones.

    That none does is refused by callers, who know what helps.
    """
    rows = dataset.rows(Part.TRAIN, Part.POOL)
    some = rows[:: max(1, math.ceil(len(rows) / JUDGED))]
    moving: npt.NDArray[np.bool_] = m1.features(dataset.spectra(some))[0].std(0) >= KEPT_SPREAD
    return moving


class _Beside(nn.Module):
    """What a network gives, and its input after it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.network(x), SIDE_GAIN * x], dim=-1)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer
