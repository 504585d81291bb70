"""A trained quantiser applied: raw spectra in, winners out. Holds its own scaling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.inference.checkpoint import load_run
from hsi_ssl.inference.device import choose_device
from hsi_ssl.inference.extractor import load_weights, rebuilding
from hsi_ssl.models.moving import sent
from hsi_ssl.models.quantisers import QUANTISERS

if TYPE_CHECKING:
    from hsi_ssl.models.quantisers.base import Quantiser


@dataclass(frozen=True)
class TrainedQuantiser:
    """A quantiser with the card of its run."""

    card: dict[str, Any]
    model: Quantiser
    device: torch.device

    @cached_property
    def scaler(self) -> Scaler:
        """From raw spectra to what distances are measured in."""
        return scaler_from_card(self.card["scaling"])

    @property
    def units(self) -> int:
        """How many prototypes there are."""
        return len(self.model.weights)

    def assign(self, raw: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The winner `(n,)` of raw spectra `(n, used bands)`."""
        x = sent(torch.from_numpy(self.scaler.transform(raw)), self.device)
        return self.model.assign(x).cpu().numpy()


def load_quantiser(run: Path, device: str = "auto") -> TrainedQuantiser:
    """The quantiser of a run folder.

    Raises
    ------
    ModelError
        As `load_run`.
    SettingsError
        No package that is installed offers its method.
    DeviceError
        The device is not there.
    """
    card, tensors = load_run(run, "quantiser")
    where = choose_device(device)
    with rebuilding(run):
        model = QUANTISERS.find(card["method"]).from_card(card["architecture"])
        load_weights(model, tensors)  # type: ignore[arg-type]
        found = TrainedQuantiser(card, model.to(where), where)
        found.assign(np.ones((1, len(card["used_bands"])), np.float32))
        if len(card["units"]["classes"]) != found.units:
            raise ValueError(f"there are names for {len(card['units']['classes'])} of its units")
    return found
