"""A feature extractor applied: raw spectra in, features out. Holds its scaling, no dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from hsi_ssl.datasets.scaling import Scaler, scaler_from_card
from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import HsiSslError, ModelError
from hsi_ssl.inference.checkpoint import load_run
from hsi_ssl.inference.device import choose_device
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.models.extractors.base import FeatureExtractor
from hsi_ssl.models.moving import fetched, sent

Raw = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
BATCH = 16_384
SHOWN = 200
"""Characters of another library's sentence."""
FAILURES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NotImplementedError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What networks raise that are made of parts that do not fit."""


@dataclass(frozen=True)
class Extractor:
    """A trained M1, or another extractor: `features` of raw spectra."""

    card: dict[str, Any]
    model: FeatureExtractor
    device: torch.device

    @cached_property
    def scaler(self) -> Scaler:
        """The scaling that it was trained with."""
        return scaler_from_card(self.card["scaling"])

    @torch.no_grad()
    def features(self, raw: Raw) -> tuple[Floats, Floats | None]:
        """Features `(n, J)` of raw spectra `(n, used bands)`, and their log-variance.

        Those of M1 are mean and log-variance of q(z|x); most others have no variance: None.
        """
        scaler = self.scaler
        means, logvars = list[Tensor](), list[Tensor]()
        for first in range(0, max(1, len(raw)), BATCH):
            x = torch.from_numpy(scaler.transform(raw[first : first + BATCH]))
            mean, logvar = self.model.encode(sent(x, self.device))
            means.append(mean)
            if logvar is not None:
                logvars.append(logvar)
        whole = {"mean": torch.cat(means)} | ({"logvar": torch.cat(logvars)} if logvars else {})
        read = {name: t.numpy() for name, t in fetched(whole).items()}
        return read["mean"], read.get("logvar")

    @property
    def parts(self) -> tuple[str, ...]:
        """What `columns` holds of each unit."""
        return ("mean", "log-variance")[: 1 + self.model.distributions]

    def columns(self, raw: Raw) -> Floats:
        """Mean and, where there is one, log-variance side by side, `(n, J)` or `(n, 2 J)`."""
        mean, logvar = self.features(raw)
        return mean if logvar is None else np.concatenate([mean, logvar], axis=1)


def load_m1(run: Path, device: str = "auto") -> Extractor:
    """The M1, or other extractor, of a run folder.

    Raises
    ------
    ModelError
        As `load_run`.
    DeviceError
        The device is not there.
    """
    where = choose_device(device)
    card, tensors = load_run(run, "m1")
    with rebuilding(run):
        found = rebuild_m1(card, tensors, where)
        found.features(np.ones((1, len(card["used_bands"])), np.float32))
    return found


@contextmanager
def rebuilding(run: Path) -> Iterator[None]:
    """Rebuild a run's model in the body, and try it on a spectrum.

    Raises
    ------
    ModelError
        Its card and its weights do not make a model.
    """
    try:
        yield
    except HsiSslError:
        raise
    except FAILURES as error:
        why = str(error).partition("\n")[0].rstrip(".:")[:SHOWN]
        raise ModelError(
            f"{run}: its card and its weights do not make a model ({why}); bring back a copy, or "
            "train again"
        ) from error


def rebuild_m1(card: dict[str, Any], tensors: dict[str, Tensor], device: torch.device) -> Extractor:
    """The extractor of a card and its weights."""
    kind = EXTRACTORS.find(card["extractor"])
    model = kind(kind.architecture_type.from_card(card["architecture"]), torch.Generator())
    load_weights(model, tensors)
    return Extractor(card, model.to(device).eval(), device)


def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load weights by name.

    Raises
    ------
    ModelError
        They are not those of this architecture.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).partition("\n")[2].partition("\n")[0].strip().rstrip(".")
        raise ModelError(
            f"the weights do not fit the architecture in the card ({first}): train again"
        ) from error


def check_bands(card: dict[str, Any], dataset: Dataset, run: Path) -> None:
    """Refuse a run whose bands are not the dataset's.

    Raises
    ------
    ModelError
        Naming both numbers of bands.
    """
    meta = dataset.meta
    if (card["bands"], card["used_bands"]) != (meta["bands"], meta["used_bands"]):
        raise ModelError(
            f"{run} was trained on {len(card['used_bands'])} of {card['bands']} bands, "
            f"{dataset.path} has {len(meta['used_bands'])} of {meta['bands']}: "
            "they must be the same; train again on this dataset"
        )
