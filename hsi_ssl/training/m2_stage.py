"""Stage `train-m2`: a dataset and, for M1+M2, an M1 run in; a run folder with a classifier out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.errors import ModelError, SettingsError
from hsi_ssl.models.m2 import M2, M2Architecture
from hsi_ssl.training.checkpoint import check_run_folder, save_run
from hsi_ssl.training.classifier import Classifier, Rule, fixed_noise
from hsi_ssl.training.device import choose_device
from hsi_ssl.training.extractor import Extractor, check_bands, load_m1
from hsi_ssl.training.loop import fit
from hsi_ssl.training.m2_task import VALIDATION_BATCH, Inputs, M2Task, scores
from hsi_ssl.training.stage import (
    DEFAULT_SD_FLOOR,
    Draw,
    check_unit_interval,
    dataset_card,
    draw_nothing,
    draw_spectra,
    identity,
    sd_floor,
    seen_elsewhere,
)
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

KEPT_SPREAD = 0.1
"""Units of M1 whose mean has a smaller standard deviation are dropped, as the authors did."""


def train_m2(
    settings: M2Settings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
    draw: Draw = draw_nothing,
) -> dict[str, Any]:
    """Train M2 on spectra, or on the features of the M1 that `settings.m1` names (M1+M2).

    Returns the card written. Validation pixels choose the best state and the rule to predict by;
    test pixels are not touched, unless the dataset is transductive, when their spectra count as
    unlabelled.

    Raises
    ------
    DatasetError, ModelError, OutputError, DeviceError
        Before anything is written.
    """
    run = settings.output
    check_run_folder(run, resume=resume, overwrite=overwrite)
    device = choose_device(settings.device)
    dataset = open_dataset(settings.dataset)
    label_set, facts = dataset.label_set, dataset_card(dataset)
    train_rows, pool_rows = dataset.rows(Part.TRAIN), dataset.unlabelled_rows
    y = torch.from_numpy(dataset.label[train_rows].astype(np.int64)).to(device)
    class_prior = _class_prior(settings, y, len(label_set))

    m1 = None
    if settings.m1 is not None:
        m1 = load_m1(settings.m1, settings.device)
        check_bands(m1.card, dataset, settings.m1)
        for sentence in seen_elsewhere(m1.card, dataset, f"M1 in {settings.m1}"):
            watcher.warn(sentence)
    scaler = dataset.scaler if m1 is None else m1.scaler
    kept = _kept_units(m1, dataset, settings.m1)

    def inputs(rows: Any) -> Inputs:
        if m1 is None:
            return Inputs(torch.from_numpy(dataset.scaled(rows)).to(device))
        found = [
            torch.from_numpy(f[:, kept]).to(device) for f in m1.features(dataset.spectra(rows))
        ]
        return Inputs(*found)

    labelled, unlabelled = inputs(train_rows), inputs(pool_rows)
    validation_rows = dataset.rows(Part.VALIDATION)
    validation = inputs(validation_rows)
    y_validation = torch.from_numpy(dataset.label[validation_rows].astype(np.int64)).to(device)
    if not len(validation):
        watcher.warn("no validation pixels: training runs all its epochs and keeps the last state")
    likelihood = settings.likelihood
    if likelihood != "gaussian":
        if m1 is not None:
            raise SettingsError("M1's features are Gaussian: M1+M2 needs likelihood gaussian")
        for x in (labelled.mean, unlabelled.mean):
            if len(x):
                check_unit_interval(x.cpu().numpy(), likelihood, scaler.kind)

    architecture = M2Architecture(
        width=labelled.mean.shape[1],
        classes=len(label_set),
        latent=settings.latent,
        hidden=settings.hidden,
        hidden_classifier=settings.hidden
        if settings.hidden_classifier is None
        else settings.hidden_classifier,
        activation=settings.activation,
        likelihood=likelihood,
        sd_floor=sd_floor(settings.sd_floor, scaler)
        if m1 is None
        else settings.sd_floor or DEFAULT_SD_FLOOR,
    )
    model = M2(architecture, class_prior, torch.Generator().manual_seed(settings.seed)).to(device)
    task = M2Task(model, labelled, y, unlabelled, validation, y_validation, settings)
    watcher.say(
        f"{'M2' if m1 is None else 'M1+M2'} on {architecture.width} "
        f"{'scaled bands' if m1 is None else 'units of M1'}, {len(label_set)} classes, "
        f"{len(y):,} labelled and {len(unlabelled):,} unlabelled pixels, {device}"
    )

    means = _class_means(dataset, scaler)

    def on_snapshot(snapshots: dict[int, Tensor]) -> None:
        panels = [*_generated(m1, kept, snapshots), ("measured class means", means)]
        draw_spectra(draw, scaler, facts, panels)

    found = fit(
        task,
        settings,
        run,
        identity=identity(
            dataset,
            settings,
            m1_weights=m1 and m1.card["weights_sha256"],
            device=device.type,
        ),
        resume=resume,
        watcher=watcher,
        on_snapshot=on_snapshot,
    )
    card: dict[str, Any] = {
        "kind": "m2",
        "architecture": architecture.to_card(),
        **facts,
        "classes": label_set.to_card(),
        "scaling": scaler.to_card(),
        "m1": None if m1 is None else m1.card,
        "kept_units": kept.tolist(),
        "settings": settings.model_dump(mode="json"),
        "training": found.to_card(device),
        "rule": "classifier",
    }
    card["rule"], card["metrics"] = _choose_rule(task, settings, watcher)
    predicted = _predicted_classes(Classifier(card, model, m1, device, card["rule"]), dataset)
    card["metrics"]["predicted_classes"] = int(predicted.sum())
    _say_left_out(predicted, label_set.names, watcher)
    tensors = dict(model.state_dict())
    if m1 is not None:
        tensors |= {f"m1.{name}": t for name, t in m1.model.state_dict().items()}
    return save_run(run, tensors, card)


def _class_prior(settings: M2Settings, y: Tensor, classes: int) -> Tensor:
    """p(y) as the settings say, in float32, positive, summing to 1."""
    if settings.class_prior == "uniform":
        return torch.full((classes,), 1 / classes)
    if settings.class_prior == "empirical":
        counts = torch.bincount(y.cpu(), minlength=classes).float().clamp(min=1)
        return counts / counts.sum()
    given = torch.tensor(settings.class_prior)
    if len(given) != classes or not bool((given > 0).all()):
        raise SettingsError(
            f"class_prior needs {classes} positive numbers, one a class; found {len(given)}: "
            f"{list(settings.class_prior)}"
        )
    return given / given.sum()


def _kept_units(m1: Extractor | None, dataset: Dataset, run: Path | None) -> Any:
    """Which units of M1 move over the training pixels and the pool, `(J,)` bool."""
    if m1 is None:
        return np.zeros(0, dtype=bool)
    rows = dataset.rows(Part.TRAIN, Part.POOL)
    kept = m1.features(dataset.spectra(rows))[0].std(0) >= KEPT_SPREAD
    if not kept.any():
        raise ModelError(
            f"no latent unit of {run} moves over the data: M1 has collapsed; train it again "
            "(gaussian likelihood, --scaling noise) or use --no-m1"
        )
    return kept


def _class_means(dataset: Dataset, scaler: Scaler) -> Any:
    """Mean scaled spectrum of each class that has training pixels."""
    rows = dataset.rows(Part.TRAIN)
    scaled, label = scaler.transform(dataset.spectra(rows)), dataset.label[rows]
    return np.stack([scaled[label == k].mean(0) for k in np.unique(label)])


def _generated(
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


def _choose_rule(
    task: M2Task, settings: M2Settings, watcher: Watcher
) -> tuple[Rule, dict[str, Any]]:
    """q(y|x) or Bayes' rule, as the settings say or as the validation pixels do; their scores."""
    if not len(task.validation):
        rule: Rule = "bayes" if settings.predict == "bayes" else "classifier"
        return rule, {"validation": {}}
    eps = fixed_noise(settings.bayes_samples, task.module.architecture.latent).to(task.y.device)
    found: dict[Rule, dict[str, float]] = {}
    with torch.no_grad():
        batches = torch.split(task.validation.mean, VALIDATION_BATCH)
        q = torch.cat([task.module.log_q_y(x) for x in batches])
        p = torch.cat([task.module.log_posterior_bayes(x, eps) for x in batches])
    found["classifier"], found["bayes"] = scores(task.y_validation, q), scores(task.y_validation, p)
    if settings.predict == "auto":
        better = found["bayes"]["macro_f1"] > found["classifier"]["macro_f1"]
        rule = "bayes" if better else "classifier"
    else:
        rule = settings.predict
    watcher.say(
        f"validation macro-F1: q(y|x) {found['classifier']['macro_f1']:.3f}, Bayes' rule "
        f"{found['bayes']['macro_f1']:.3f}; predicts by "
        f"{'q(y|x)' if rule == 'classifier' else 'Bayes rule'}"
    )
    return rule, {"validation": found[rule], "validation_by_rule": found}


def _predicted_classes(classifier: Classifier, dataset: Dataset) -> Any:
    """Which classes the classifier ever predicts on training, validation and pool, `(K,)` bool."""
    rows = dataset.rows(Part.TRAIN, Part.VALIDATION, Part.POOL)
    found = classifier.posterior(dataset.spectra(rows)).argmax(-1)
    counts = np.bincount(found, minlength=classifier.model.architecture.classes)
    return counts > 0


def _say_left_out(predicted: Any, names: tuple[str, ...], watcher: Watcher) -> None:
    if predicted.sum() == 1:
        only = names[int(np.flatnonzero(predicted)[0])]
        watcher.warn(f"the classifier predicts one class for everything: {only}. Do not use it")
    elif not predicted.all():
        left_out = ", ".join(names[k] for k in np.flatnonzero(~predicted))
        watcher.warn(f"the classifier never predicts: {left_out}")
