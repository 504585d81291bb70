"""What training an M2 of one label set and one of several have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hsi_ssl.errors import SettingsError
from hsi_ssl.files import os_errors
from hsi_ssl.training.checkpoint import STATE, forget_state
from hsi_ssl.training.extractor import Extractor
from hsi_ssl.training.loop import Fit, Task, fit
from hsi_ssl.training.stage import DEFAULT_SD_FLOOR, check_unit_interval, sd_floor
from hsi_ssl.training.supervised_task import supervised_settings
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings
    from hsi_ssl.training.m2_data import M2Data

SUPERVISED = "last/supervised"
"""Folder within the run's of the supervised part: its log and its state to resume from."""


def check_likelihood(settings: M2Settings, data: M2Data) -> None:
    """Refuse a likelihood on [0, 1] for inputs that leave it."""
    if settings.likelihood == "gaussian":
        return
    if data.m1 is not None:
        raise SettingsError("M1's features are Gaussian: M1+M2 needs likelihood gaussian")
    for inputs in (data.labelled.inputs, data.unlabelled):
        if len(inputs):
            check_unit_interval(inputs.mean.cpu().numpy(), settings.likelihood, data.scaler.kind)


def architecture_values(settings: M2Settings, data: M2Data) -> dict[str, Any]:
    """What every architecture over these pixels has."""
    of_q = settings.hidden_classifier
    floor = sd_floor(settings.sd_floor, data.scaler)
    return {
        "width": data.labelled.inputs.mean.shape[1] - data.beside,
        "latent": settings.latent,
        "hidden": settings.hidden,
        "hidden_classifier": settings.hidden if of_q is None else of_q,
        "activation": settings.activation,
        "likelihood": settings.likelihood,
        "sd_floor": floor if data.m1 is None else settings.sd_floor or DEFAULT_SD_FLOOR,
        "beside": data.beside,
        "experts": len(data.gains),
    }


def class_prior_of(settings: M2Settings, y: Tensor, classes: int) -> Tensor:
    """p(y) of classes and free slots as the settings say, in float32, positive, summing to 1."""
    if settings.class_prior == "uniform":
        of_classes = torch.ones(classes)
    elif settings.class_prior == "empirical":
        of_classes = torch.bincount(y.cpu(), minlength=classes).float().clamp(min=1)
    else:
        of_classes = torch.tensor(settings.class_prior)
        if len(of_classes) != classes or not bool((of_classes > 0).all()):
            raise SettingsError(
                f"class_prior needs {classes} positive numbers, one a class; found "
                f"{len(of_classes)}: {list(settings.class_prior)}"
            )
    of_slots = torch.full((settings.free_slots,), settings.free_weight)
    found = torch.cat([of_classes / of_classes.mean(), of_slots])
    return found / found.sum()


def fit_supervised(
    task: Task, settings: M2Settings, known: dict[str, Any], *, resume: bool, watcher: Watcher
) -> Fit:
    """Train q(y|x) on the labelled pixels alone; `known`: what must be the same to resume.

    A run that starts anew first forgets the whole state of the one before, lest a later `resume`
    go on with that one where this has not come further than here.
    """
    run = settings.output
    if not resume:
        with os_errors(run):
            forget_state(run)
    watcher.say("supervised part, labelled pixels alone:")
    return fit(
        task,
        supervised_settings(settings),
        run / SUPERVISED,
        identity=known,
        resume=resume and (run / SUPERVISED / STATE).exists(),
        watcher=watcher,
        on_snapshot=lambda snapshots: None,
    )


def generated(
    m1: Extractor | None, kept: Any, snapshots: dict[int, Tensor]
) -> list[tuple[str, Any]]:
    """One generated spectrum a class at each moment, scaled."""
    panels: list[tuple[str, Any]] = []
    for epoch, generated in sorted(snapshots.items()):
        spectra = generated
        if m1 is not None:
            z1 = torch.zeros(len(generated), len(kept))
            z1[:, torch.from_numpy(kept)] = generated
            with torch.no_grad():
                spectra = m1.model.decode(z1.to(m1.device)).cpu()
        panels.append((f"epoch {epoch}", spectra.numpy()))
    return panels


def run_tensors(model: nn.Module, m1: Extractor | None) -> dict[str, Tensor]:
    """What a run folder keeps of a model: its weights, and beside them those of the M1 below it."""
    tensors = dict(model.state_dict())
    if m1 is not None:
        tensors |= {f"m1.{name}": t for name, t in m1.model.state_dict().items()}
    return tensors
