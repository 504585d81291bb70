"""Models by their preset and pixels without a dataset, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hsi_ssl.models.declared import DeclaredArchitecture, DeclaredVAE
from hsi_ssl.models.factor_m2 import make_model
from hsi_ssl.models.presets import declared
from hsi_ssl.settings import M2Settings
from hsi_ssl.training.inputs import Inputs, Labelled
from hsi_ssl.training.semi_supervised_task import Batch, SemiSupervisedTask
from hsi_ssl.training.validation import Validation


def preset(
    name: str,
    class_prior: Tensor,
    *,
    width: int,
    latent: int,
    hidden: tuple[int, ...],
    seed: int = 0,
    free: int = 0,
    labels: Sequence[str] = ("y",),
    **more: Any,
) -> DeclaredVAE:
    """A preset over label sets that all have the class prior `(K,)`; ReLU and Gaussian."""
    p, q = declared(name, labels)
    usual = {"activation": "relu", "likelihood": "gaussian", "sd_floor": 0.1}
    architecture = DeclaredArchitecture(
        width=width,
        labels=tuple(labels),
        counts=(len(class_prior),) * len(labels),
        free=(free,) * len(labels),
        generation=tuple(map(str, p.factors)),
        inference=tuple(map(str, q.factors)),
        latent=latent,
        hidden=hidden,
        **{"hidden_classifier": hidden, **usual, **more},
    )
    priors = [class_prior] * len(labels)
    return make_model(architecture, priors, torch.Generator().manual_seed(seed))


def batch(task: SemiSupervisedTask, rows: Tensor, sets: Tensor, lacking: Tensor) -> Batch:
    """These rows of a task's pixels, which lie in memory."""
    assert isinstance(task.inputs, Inputs)
    return Batch(rows, sets, lacking, task.inputs, lacking)


@dataclass(frozen=True)
class SomePixels:
    """Training pixels, those with labels first, as a task takes them; no dataset behind them."""

    every: Inputs
    y: Tensor
    labelled: Labelled
    validation: Validation


def pixels(
    labelled: Inputs,
    y: Tensor,
    pool: Tensor,
    settings: M2Settings,
    validation: Validation | None = None,
) -> SomePixels:
    """Labelled inputs with classes `y (n,)` or `(n, V)`, and spectra `pool (m, D)` without."""
    y = y if y.ndim > 1 else y[:, None]
    every = Inputs(torch.cat([labelled.mean, pool]), noise_sd=labelled.noise_sd)
    nobody = Validation(Inputs(labelled.mean[:0]), y[:0])
    return SomePixels(
        every,
        F.pad(y, (0, 0, 0, len(pool)), value=-1),
        Labelled(labelled, y, settings),
        nobody if validation is None else validation,
    )
