"""Stage `train-m1`: a dataset in, a run folder with M1 out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import DatasetError, ModelError
from hsi_ssl.inference.checkpoint import check_run_folder, save_run
from hsi_ssl.inference.device import choose_device
from hsi_ssl.inference.extractor import check_bands, load_m1, load_weights
from hsi_ssl.inference.lineage import dataset_card
from hsi_ssl.models.m1 import M1, LatentUse, M1Architecture, latent_use
from hsi_ssl.training.loop import fit
from hsi_ssl.training.stage import (
    Draw,
    batch_size,
    check_unit_interval,
    draw_nothing,
    draw_spectra,
    identity,
    network_scaler,
    sd_floor,
)
from hsi_ssl.training.task import PlainTask, StepCost
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M1Settings

DRAWN_SPECTRA = 12
HELD_OUT = 0.1
"""Share of the training pixels that validate when the dataset has no validation pixels."""


class M1Task(PlainTask):
    """M1 with its spectra: `x (N, D)` to learn from, `x_validation`, both on the device."""

    module: M1

    score_name = "bound"

    def __init__(self, module: M1, x: Tensor, x_validation: Tensor, batch: int) -> None:
        self.module = module
        self.x, self.x_validation = x, x_validation
        self.batch = batch
        self.pixels = len(x)

    def batches(self, generator: torch.Generator) -> Iterator[Tensor]:
        """All pixels in random order; the last batch may be smaller."""
        order = torch.randperm(self.pixels, generator=generator, device=self.x.device)
        for rows in torch.split(order, self.batch):
            yield self.x[rows]

    def cost(self, batch: Tensor, kl_weight: float, generator: torch.Generator) -> StepCost:
        """Mean of J(x) over the batch."""
        cost = self.module.cost(batch, generator, kl_weight).mean()
        return StepCost(cost, -cost, len(batch))

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Mean bound on log p(x) of the validation pixels; it is the score."""
        bound = self.bound(self.x_validation, generator)
        return {"bound": bound, "score": bound if math.isfinite(bound) else -math.inf}

    @torch.no_grad()
    def bound(self, x: Tensor, generator: torch.Generator) -> float:
        """Mean of -J(x) over any spectra `(n, D)`."""
        costs = [self.module.cost(some, generator).sum() for some in torch.split(x, 8192)]
        return -float(sum(costs)) / len(x)

    @torch.no_grad()
    def snapshot(self, generator: torch.Generator) -> Tensor:
        """Spectra decoded from draws of the prior p(z)."""
        latent = self.module.architecture.latent
        z = torch.randn(DRAWN_SPECTRA, latent, generator=generator, device=self.x.device)
        return self.module.decode(z)


def train_m1(
    settings: M1Settings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    init_from: Path | None = None,
    watcher: Watcher = SILENT,
    draw: Draw = draw_nothing,
) -> dict[str, Any]:
    """Train M1 on every pixel of a dataset that may be seen; returns the card written.

    Training sees the training pixels and the unlabelled pool (in a transductive dataset the test
    pixels too); the validation pixels stop it.

    Raises
    ------
    DatasetError, ModelError, OutputError, DeviceError
        Before anything is written.
    """
    run = settings.output
    check_run_folder(run, resume=resume, overwrite=overwrite)
    device = choose_device(settings.device)
    dataset = open_dataset(settings.dataset)
    scaler, facts = network_scaler(dataset, settings.whitening), dataset_card(dataset)
    x, x_validation = _spectra(dataset, settings, scaler, watcher)
    model = _model(settings, scaler, dataset, init_from).to(device)
    x, x_validation, architecture = x.to(device), x_validation.to(device), model.architecture
    task = M1Task(model, x, x_validation, batch_size(settings.batch, len(x)))
    watcher.say(
        f"M1 {'-'.join(map(str, (architecture.width, *architecture.hidden, architecture.latent)))}"
        f", {architecture.likelihood}, on {len(x):,} spectra "
        f"({len(dataset.unlabelled_rows):,} of them unlabelled), {device}"
    )

    measured = x[:: max(1, len(x) // DRAWN_SPECTRA)][:DRAWN_SPECTRA].cpu().numpy()

    def on_snapshot(snapshots: dict[int, Tensor]) -> None:
        drawn = [(f"epoch {epoch}", s.numpy()) for epoch, s in sorted(snapshots.items())]
        draw_spectra(draw, scaler, facts, [*drawn, ("measured", measured)])

    found = fit(
        task,
        settings,
        run,
        identity=identity(dataset, settings, init_from=str(init_from), device=device.type),
        resume=resume,
        watcher=watcher,
        on_snapshot=on_snapshot,
    )
    use = _use(model, x, watcher)
    card = {
        "kind": "m1",
        "architecture": architecture.to_card(),
        **facts,
        "scaling": scaler.to_card(),
        "settings": settings.model_dump(mode="json"),
        "training": found.to_card(device),
        "metrics": {
            "bound_train": task.bound(x, torch.Generator(device).manual_seed(settings.seed)),
            "bound_validation": found.progress.best["bound"],
            "active_units": use.active,
            "kl_per_unit": use.kl,
            "variance_per_unit": use.variance,
            "collapsed": use.collapsed,
        },
    }
    return save_run(run, model.state_dict(), card)


def _spectra(
    dataset: Dataset, settings: M1Settings, scaler: Scaler, watcher: Watcher
) -> tuple[Tensor, Tensor]:
    """Scaled spectra to learn from, and those that stop the training.

    Raises
    ------
    DatasetError
        There is nothing to learn from.
    ModelError
        The likelihood is one on [0, 1] and they leave it.
    """
    parts = [Part.TRAIN, Part.POOL] + [Part.TEST] * dataset.meta["transductive"]
    x = torch.from_numpy(dataset.scaled(dataset.rows(*parts), scaler))
    x_validation = torch.from_numpy(dataset.scaled(dataset.rows(Part.VALIDATION), scaler))
    if len(x) < 2:  # noqa: PLR2004
        raise DatasetError(f"{dataset.path} has {len(x)} pixels to learn from; M1 needs more")
    if not len(x_validation):
        held_out = max(1, int(HELD_OUT * len(x)))
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(settings.seed))
        x_validation, x = x[order[:held_out]], x[order[held_out:]]
        watcher.say(f"no validation pixels: {held_out} of the training pixels stop the training")
    if settings.likelihood != "gaussian":
        check_unit_interval(x.numpy(), settings.likelihood, scaler.kind)
    return x, x_validation


def _model(settings: M1Settings, scaler: Scaler, dataset: Dataset, init_from: Path | None) -> M1:
    """A model with random weights, or with those of another run.

    Raises
    ------
    ModelError
        The other run has other bands or another architecture.
    """
    architecture = M1Architecture(
        width=scaler.width,
        latent=settings.latent,
        hidden=settings.hidden,
        activation=settings.activation,
        likelihood=settings.likelihood,
        sd_floor=sd_floor(settings.sd_floor, scaler),
    )
    model = M1(architecture, torch.Generator().manual_seed(settings.seed))
    if init_from is not None:
        source = load_m1(init_from, "cpu")
        check_bands(source.card, dataset, init_from)
        if source.model.architecture != architecture:
            raise ModelError(
                f"{init_from} has another architecture ({source.model.architecture}) than asked "
                f"for ({architecture}); give the same widths, activation and likelihood"
            )
        load_weights(model, source.model.state_dict())
    return model


def _use(model: M1, x: Tensor, watcher: Watcher) -> LatentUse:
    """How much of the latent space is in use, said in words."""
    use = latent_use(model, x)
    watcher.say(use.in_words())
    if use.collapsed:
        watcher.warn(
            f"M1 has collapsed: {use.in_words()}. Its features say (nearly) nothing of the "
            "spectra. Try the gaussian likelihood, --scaling noise, or a longer warm-up"
        )
    return use
