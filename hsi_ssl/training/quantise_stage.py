"""What `quantise` learns: a dataset's spectra in, a quantiser and the card of its run out."""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.errors import DatasetError
from hsi_ssl.inference.device import choose_device, device_name
from hsi_ssl.inference.lineage import dataset_card
from hsi_ssl.inference.precision import quick_products
from hsi_ssl.inference.quantising import TrainedQuantiser
from hsi_ssl.models.moving import exact, sent
from hsi_ssl.models.quantisers import QUANTISERS
from hsi_ssl.training.stage import network_scaler
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.models.quantisers.base import Quantiser
    from hsi_ssl.settings import QuantiseSettings

DEAD_NAMED = 10
OWN = {
    "som": ("rows", "cols", "grid", "kernel", "start", "radius_start", "radius_end", "epochs"),
    "kohonen": ("units", "takes", "learning_rate", "epochs"),
}
"""Settings of each method; other packages' have the number of units and epochs."""


def train_quantiser(
    settings: QuantiseSettings, dataset: Dataset, *, named: str, watcher: Watcher = SILENT
) -> TrainedQuantiser:
    """A quantiser of the pixels of a dataset that may be learnt from; its card tells them `named`.

    Those are the training pixels and the pool; in a transductive dataset the test pixels too.
    Labels are not looked at.

    Raises
    ------
    DatasetError
        There are fewer spectra than units, or all are alike.
    DeviceError
        The device is not there.
    """
    device = choose_device(settings.device)
    scaler = network_scaler(dataset, settings.whitening)
    x = torch.from_numpy(dataset.scaled(dataset.learnt_rows, scaler))
    model = QUANTISERS.find(settings.method).from_card(architecture(settings, x.shape[1]))
    units = len(model.weights)
    _check(x, units, settings.method, named, watcher)
    idle = _left_aside(settings)
    if idle:
        watcher.say(f"{settings.method} has no use for {', '.join(idle)}: left aside")
    watcher.say(f"{settings.method} of {units} units on {len(x):,} spectra, {device}")
    x, model = sent(x, device), model.to(device)
    started = time.perf_counter()
    with quick_products(device):
        model.fit(
            x,
            torch.Generator().manual_seed(settings.seed),
            told=lambda done, total: watcher.progress(f"learn {settings.method}", done, total),
        )
    seconds = time.perf_counter() - started
    facts = dataset_card(dataset)
    card = {
        "kind": "quantiser",
        "method": settings.method,
        "architecture": model.to_card(),
        **facts,
        "dataset": {**facts["dataset"], "path": named},
        "scaling": scaler.to_card(),
        "settings": settings.model_dump(mode="json"),
        "training": {
            "epochs": settings.epochs,
            "spectra": len(x),
            "seconds": seconds,
            "spectra_per_second": settings.epochs * len(x) / seconds,
            "device": device_name(device),
        },
        "metrics": _metrics(model, x, watcher),
    }
    return TrainedQuantiser(card, model, device)


def architecture(settings: QuantiseSettings, width: int) -> dict[str, Any]:
    """The card of the quantiser that is asked for."""
    return {"width": width, **{name: getattr(settings, name) for name in _own(settings.method)}}


def _own(method: str) -> tuple[str, ...]:
    """Settings that a method has a use for."""
    return OWN.get(method, ("units", "epochs"))


def _left_aside(settings: QuantiseSettings) -> list[str]:
    """Settings of other methods that were given and mean nothing here."""
    others = {name for names in OWN.values() for name in names} - {*_own(settings.method)}
    return sorted(others & settings.model_fields_set)


def _check(x: Tensor, units: int, method: str, named: str, watcher: Watcher) -> None:
    """Refuse spectra that cannot be told by so many units; say which columns tell nothing."""
    fewer = "--rows and --cols" if method == "som" else "--units"
    if len(x) < units:
        raise DatasetError(
            f"{named} has {len(x):,} spectra to learn from and {units:,} units are asked for: "
            f"expected more spectra than units; take fewer units ({fewer}) or more pixels"
        )
    constant = (x == x[0]).all(0)
    if bool(constant.all()):
        raise DatasetError(
            f"all {len(x):,} spectra of {named} are alike once they are scaled, so that nothing "
            "tells units apart; take more pixels or another --scaling"
        )
    if bool(constant.any()):
        watcher.say(f"{int(constant.sum())} of {x.shape[1]} scaled columns are constant")
    columns = x[:, ~constant].T.contiguous().numpy()
    twice = len(columns) - len({hashlib.sha256(column).digest() for column in columns})
    if twice:
        watcher.warn(
            f"{twice} of {x.shape[1]} scaled columns are copies of others and count twice in "
            "distances; scaling by noise would give them no more weight than they measure"
        )


def _metrics(model: Quantiser, x: Tensor, watcher: Watcher) -> dict[str, Any]:
    """Quantisation error, of a map the topographic one too, and dead units; said in words."""
    dead = torch.nonzero(model.hits == 0).flatten().tolist()
    found: dict[str, Any] = {"units": len(model.hits), "dead": dead}
    if hasattr(model, "errors"):
        quantisation, topographic = model.errors(x)
        known = not math.isnan(topographic)
        found |= {
            "quantisation_error": quantisation,
            "topographic_error": topographic if known else None,
        }
        said = f"quantisation error {quantisation:.4g}"
        if known:
            said = f"topographic error {topographic:.3f}, {said}"
    else:
        best = [exact(model.distances(some).amin(1)).sum() for some in x.split(8192)]
        found["quantisation_error"] = float(sum(best)) / len(x)
        said = f"quantisation error {found['quantisation_error']:.4g}"
    watcher.say(f"{said} (mean distance of a scaled spectrum to its unit)")
    if dead:
        more = ", ..." if len(dead) > DEAD_NAMED else ""
        listed = ", ".join(str(i + 1) for i in dead[:DEAD_NAMED])
        watcher.say(f"{len(dead)} of {len(model.hits)} units won no spectrum: {listed}{more}")
    return found
