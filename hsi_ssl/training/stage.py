"""What training M1 and training M2 share: where inputs come from and what a card says of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl import __version__
from hsi_ssl.datasets.checked_rows import READ_ROWS
from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.inference.device import SMALLEST_BATCH
from hsi_ssl.inference.extractor import Extractor, check_bands, load_m1
from hsi_ssl.inference.lineage import dataset_card, draw_fingerprint, seen_elsewhere
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings, TrainingSettings

DEFAULT_SD_FLOOR = 0.05
"""Smallest standard deviation, in scaled units, where the noise was not measured."""
STEPS_AN_EPOCH = 30
OF_LOOP = frozenset(
    {
        "epochs", "learning_rate", "patience", "warm_up", "weight_prior", "clip", "average",
        "decay", "precision", "stream",
    }
)  # fmt: skip
"""Settings of the loop, for which what is worked out without steps has no use."""

Panels = list[tuple[str, npt.NDArray[np.float64]]]
"""Titles and spectra `(n, bands)`: generated ones as training went on, the measured ones last."""


class Draw(Protocol):
    """Draws panels of spectra; called anew each time there is one more."""

    def __call__(self, panels: Panels, wavelengths_nm: list[float] | None, unit: str) -> None:
        """Draw them over wavelengths (band numbers where None), values in `unit`."""


def draw_nothing(panels: Panels, wavelengths_nm: list[float] | None, unit: str) -> None:
    """Draw no figure."""


def identity(dataset: Dataset, settings: TrainingSettings, **more: Any) -> dict[str, Any]:
    """What must be the same for a run to be resumed: settings and data, not where or how long.

    M1 counts by its weights, which `more` holds, not by its path. How long counts where the
    learning rate falls to 0 over the epochs.
    """
    loose = {"epochs", "device", "output", "dataset", "m1", "stream"}
    if settings.decay == "cosine":
        loose.remove("epochs")
    values = settings.model_dump(mode="json", exclude=loose)
    card = dataset_card(dataset)["dataset"]
    return {**values, "dataset": {k: v for k, v in card.items() if k != "path"}, **more}


def facts_of(
    settings: TrainingSettings, dataset: Dataset, below: Extractor | None
) -> dict[str, str]:
    """What all processes of a training must see alike, in words; `below`: what it stands on."""
    values = settings.model_dump(mode="json", exclude={"device", "output", "dataset", "m1"})
    checks = dataset.spectra_checksums or ()
    return {
        "version of hsi-ssl": __version__,
        "version of torch": torch.__version__,
        "dataset": f"checksum {draw_fingerprint(dataset)[:8]}-{_digest(repr(checks))}",
        "model to start from": "none" if below is None else below.card["weights_sha256"][:8],
        "settings": f"checksum {_digest(json.dumps(values, sort_keys=True))}",
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def m1_below(
    settings: M2Settings, dataset: Dataset, device: torch.device, watcher: Watcher
) -> Extractor | None:
    """The extractor whose features a classifier is to stand on, None where it sees spectra.

    Raises
    ------
    ModelError, DeviceError
        As `load_m1`; it was trained on other bands than the dataset's.
    """
    if settings.m1 is None:
        return None
    m1 = load_m1(settings.m1, str(device))
    check_bands(m1.card, dataset, settings.m1)
    for sentence in seen_elsewhere(m1.card, dataset, f"M1 in {settings.m1}"):
        watcher.warn(sentence)
    return m1


def network_scaler(dataset: Dataset, whitening: float) -> Scaler:
    """The dataset's scaling as networks see it: where it measures noise, at more equal spread.

    Noise-scaled components differ in spread by two orders of magnitude, and a network hardly sees
    the small ones, which tell classes apart; at wholly equal spread it sees much noise. Between
    the two, each is multiplied by its spread to the power of -`whitening`. The noise of each is
    still known, so the likelihood stays honest.
    """
    scaler = dataset.scaler
    if scaler.noise_sd is None or not whitening:
        return scaler
    rows = dataset.rows(Part.TRAIN, Part.POOL)
    pieces = (dataset.scaled(rows[i : i + READ_ROWS]) for i in range(0, len(rows), READ_ROWS))
    spread = standard_deviation(pieces, scaler.width)
    if not (spread > 0).all():
        return scaler
    return scaler.with_gain((spread / spread.max()) ** -whitening)


def standard_deviation(
    pieces: Iterable[npt.NDArray[np.float32]], width: int
) -> npt.NDArray[np.float64]:
    """Of each column `(width,)` of spectra that come in pieces `(n, width)` (Chan et al. 1983)."""
    count, mean, squares = 0, np.zeros(width), np.zeros(width)
    for piece in pieces:
        own = piece.mean(0, dtype=np.float64)
        apart, n = own - mean, len(piece)
        squares += np.square(piece - own).sum(0) + apart**2 * (count * n / (count + n))
        mean += apart * (n / (count + n))
        count += n
    found: npt.NDArray[np.float64] = np.sqrt(squares / max(1, count))
    return found


def sd_floor(asked: float | None, scaler: Scaler) -> float | tuple[float, ...]:
    """The floor of the Gaussian likelihood: as asked, or the measured noise, or a default."""
    if asked is not None:
        return asked
    if scaler.noise_sd is None:
        return DEFAULT_SD_FLOOR
    return tuple(scaler.noise_sd.tolist())


def batch_size(at_most: int, pixels: int) -> int:
    """A batch of which an epoch over `pixels` has some 30 at least, none below 64 pixels.

    A small scene would otherwise see a handful of steps an epoch, and patience would end training
    long before the model has learnt.
    """
    return min(at_most, max(SMALLEST_BATCH, pixels // STEPS_AN_EPOCH))


def draw_spectra(
    draw: Draw,
    scaler: Scaler,
    card: dict[str, Any],
    panels: list[tuple[str, npt.NDArray[Any]]],
    watcher: Watcher,
) -> None:
    """Draw scaled spectra in the file's units, or scaled ones where the scaling has no inverse.

    A picture that cannot be drawn or written is said, and ends no training.
    """
    wavelengths = card["wavelengths_nm"]
    try:
        if scaler.invertible:
            draw([(title, scaler.inverse(s)) for title, s in panels], wavelengths, "measured value")
        else:
            draw(
                [(title, s.astype(np.float64)) for title, s in panels],
                wavelengths if scaler.width == len(card["used_bands"]) else None,
                f"scaled ({scaler.kind})",
            )
    except Exception as error:
        watcher.warn(
            f"the picture of generated spectra is left out: {error or type(error).__name__}"
        )
