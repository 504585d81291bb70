"""Stage `train-m2` on a dataset with several label sets: one model for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hsi_ssl.datasets.store import Dataset, Part
from hsi_ssl.errors import SettingsError
from hsi_ssl.models.dependence import generation_of, inference_of
from hsi_ssl.models.joint import JointArchitecture, JointM2, OneLabelSet
from hsi_ssl.training.checkpoint import STATE, save_run
from hsi_ssl.training.classifier import Classifier
from hsi_ssl.training.experts import in_words, weights
from hsi_ssl.training.extractor import Extractor
from hsi_ssl.training.joint_data import JointData, JointValidation, each_expert, each_marginal
from hsi_ssl.training.joint_task import JointSupervisedTask, JointTask
from hsi_ssl.training.loop import fit, weights_of
from hsi_ssl.training.m2_shared import (
    architecture_values,
    check_likelihood,
    class_prior_of,
    fit_supervised,
    generated,
    run_tensors,
)
from hsi_ssl.training.novelty import measure_novelty
from hsi_ssl.training.stage import Draw, dataset_card, draw_spectra, identity
from hsi_ssl.training.tuned_prior import tuned_in_words, tuned_prior
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

ALONE = ("propagation", "steadiness", "balance", "free_slots")
"""Settings that only a model of one label set knows."""


def train_joint(
    settings: M2Settings,
    dataset: Dataset,
    m1: Extractor | None,
    device: torch.device,
    *,
    resume: bool,
    watcher: Watcher,
    draw: Draw,
) -> dict[str, Any]:
    """Train one model for all label sets of a dataset; see `m2_stage.train_m2`.

    Returns the card written.

    Raises
    ------
    SettingsError
        The settings ask for what only a model of one label set can do; the dependence declared is
        none; p(y) is given in numbers.
    """
    _refuse_settings(settings)
    data = JointData(dataset, settings, m1, device)
    if not len(data.validation.y):
        watcher.warn("no validation pixels: training runs all its epochs and keeps the last state")
    check_likelihood(settings, data)
    label_sets = dataset.label_sets
    priors = [
        class_prior_of(settings, y[y >= 0], len(label_set))
        for y, label_set in zip(data.labelled.y.T, label_sets, strict=True)
    ]
    architecture = _architecture(settings, data)

    def fresh() -> JointM2:
        generator = torch.Generator().manual_seed(settings.seed)
        made = JointM2(architecture, priors, generator).to(device)
        if len(made.classifier) == len(data.gains):
            made.classifier.gain.copy_(data.gains)
        return made

    watcher.say(
        f"{'M2' if m1 is None else 'M1+M2'} of {', '.join(architecture.labels)} on "
        f"{architecture.width} {'scaled bands' if m1 is None else 'units of M1'}, "
        f"{' x '.join(map(str, architecture.counts))} classes, {len(data.labelled):,} labelled "
        f"and {len(data.unlabelled):,} unlabelled pixels, {device}"
    )
    watcher.say(
        f"p: {'; '.join(architecture.generation)}. q given x: {'; '.join(architecture.inference)}"
    )
    known = identity(
        dataset, settings, m1_weights=m1 and m1.card["weights_sha256"], device=device.type
    )
    model = fresh()
    run = settings.output
    part = JointSupervisedTask(model, data, settings)
    supervised = fit_supervised(part, settings, known, resume=resume, watcher=watcher)
    if len(model.classifier) > 1 and len(data.validation.y):
        model.classifier.weight.copy_(_weights(model, data))
        for name, weight in zip(architecture.labels, model.classifier.weight, strict=True):
            watcher.say(f"{name}: {in_words(settings.experts, weight)}")
    strengths = data.strengths(model, watcher) if settings.spatial else None
    before = weights_of(q_of_labels(model))
    if not settings.warm_start:
        weight = model.classifier.weight
        model = fresh()
        model.classifier.weight.copy_(weight)
    facts = dataset_card(dataset)
    rows = dataset.rows(Part.TRAIN)
    measured, label = data.scaler.transform(dataset.spectra(rows)), dataset.label[rows, 0]
    means = np.stack([measured[label == k].mean(0) for k in np.unique(label[label >= 0])])

    def on_snapshot(snapshots: dict[int, Tensor]) -> None:
        panels = [
            *generated(m1, data.kept, snapshots),
            (f"measured means, {label_sets[0].name}", means),
        ]
        draw_spectra(draw, data.scaler, facts, panels)

    task = JointTask(model, data, settings, strengths)
    found = fit(
        task,
        settings,
        run,
        identity=known,
        resume=resume and (run / STATE).exists(),
        watcher=watcher,
        on_snapshot=on_snapshot,
    )
    metrics, by_set = keep_the_better(model, before, data.validation, watcher)
    temperatures = data.validation.temperatures(model)
    predicted = _predicted_classes(model, data)
    for one, label_set in zip(predicted, label_sets, strict=True):
        _say_left_out(one, label_set.names, watcher)
    card: dict[str, Any] = {
        "kind": "m2",
        "architecture": architecture.to_card(),
        **facts,
        "label_sets": [
            {
                "classes": label_set.to_card(),
                "spatial_strength": 0.0 if strengths is None else strengths[v],
                "expert_weights": model.classifier.weight[v].tolist(),
                "temperature": {"classifier": temperatures[v]} if temperatures else {},
                "metrics": {
                    "validation": by_set.get(label_set.name, {}),
                    "predicted_classes": int(predicted[v].sum()),
                },
            }
            for v, label_set in enumerate(label_sets)
        ],
        "scaling": data.scaler.to_card(),
        "m1": None if m1 is None else m1.card,
        "kept_units": data.kept.tolist(),
        "settings": settings.model_dump(mode="json"),
        "objective": _objective_in_words(settings, task),
        "training": {**found.to_card(device), "supervised_seconds": supervised.progress.seconds},
        "rule": "classifier",
        "metrics": {**metrics, "predicted_classes": int(sum(one.sum() for one in predicted))},
    }
    tensors = run_tensors(model, m1)
    for label_set, own in zip(label_sets, card["label_sets"], strict=True):
        classifier = Classifier(
            {**card, **own}, OneLabelSet(model, label_set.name).eval(), m1, device, "classifier"
        )
        of_set = dataset.one(label_set.name)
        kept = measure_novelty(classifier, of_set, settings.novelty_samples)
        tensors |= kept.to_tensors(label_set.name)
        own["spatial_tuned"] = tuned = tuned_prior(classifier, of_set)
        if tuned is not None:
            watcher.say(f"{label_set.name}: {tuned_in_words(tuned)}")
    return save_run(run, tensors, card)


def _refuse_settings(settings: M2Settings) -> None:
    asked = [name for name in ALONE if getattr(settings, name)]
    if settings.model != "m2":
        asked.append(f"model = {settings.model}")
    if settings.predict == "bayes":
        asked.append("predict = bayes")
    if not isinstance(settings.class_prior, str):
        asked.append("class_prior in numbers")
    if asked:
        raise SettingsError(
            f"{', '.join(asked)}: only for one label set; name one with --label-set, or leave "
            f"{'it' if len(asked) == 1 else 'them'} out"
        )


def _architecture(settings: M2Settings, data: JointData) -> JointArchitecture:
    labels = tuple(label_set.name for label_set in data.dataset.label_sets)
    p = generation_of(settings.generation, labels)
    q = inference_of(settings.inference, labels)
    values = architecture_values(settings, data)
    if q.after_latent:  # these see z beside x: one network
        values["experts"] = 1
    return JointArchitecture(
        labels=labels,
        counts=tuple(len(label_set) for label_set in data.dataset.label_sets),
        generation=tuple(map(str, p.factors)),
        inference=tuple(map(str, q.factors)),
        **values,
    )


def _weights(model: JointM2, data: JointData) -> Tensor:
    """How much each expert counts for each label set, `(V, E)`, by what its pixels tell."""
    each = each_expert(model, data.validation.inputs)
    found = []
    for log_q, y, told in zip(each, data.validation.y.T, data.told(model), strict=True):
        known = y >= 0
        found.append(weights(log_q[:, known], y[known], told))
    return torch.stack(found)


def q_of_labels(model: JointM2) -> nn.ModuleList:
    """The networks of q(y|x): where labels come after z, q(z|x, ...) is one of them."""
    return nn.ModuleList([model.classifier, *([model.encoder] if model.after else [])])


def keep_the_better(
    model: JointM2, before: dict[str, Tensor], validation: JointValidation, watcher: Watcher
) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Leave q of the labels in the model that is better on the validation pixels; scores of each.

    By the mean of macro-F1 over label sets. `before`: `q_of_labels` after the supervised part.
    The second result is what is kept, by label set.
    """
    if not len(validation.y):
        return {"supervised": {}, "gained": None, "kept": "semi-supervised", "validation": {}}, {}
    q = q_of_labels(model)
    after = weights_of(q)
    now, each_now = validation.of_classifier(model), validation.by_label_set(model)
    q.load_state_dict(before)
    then, each_then = validation.of_classifier(model), validation.by_label_set(model)
    gained = now["macro_f1"] - then["macro_f1"]
    change = ", ".join(
        f"{name} {each_then[name]['macro_f1']:.3f} -> {each_now[name]['macro_f1']:.3f}"
        for name in each_now
    )
    if gained < 0:
        watcher.say(f"unlabelled pixels did not help here: kept the supervised model ({change})")
    else:
        q.load_state_dict(after)
        watcher.say(
            f"unlabelled pixels gained {100 * gained:+.1f} points of macro-F1 on the validation "
            f"pixels ({change})"
        )
    kept = "supervised" if gained < 0 else "semi-supervised"
    best, each = (then, each_then) if gained < 0 else (now, each_now)
    metrics = {"supervised": then, "semi_supervised": now, "gained": gained, "kept": kept}
    return {**metrics, "validation": best}, each


def _predicted_classes(model: JointM2, data: JointData) -> list[Any]:
    """Which classes of each label set are ever predicted, `(K,)` bool."""
    seen = [
        each_marginal(model, inputs)
        for inputs in (data.every, data.validation.inputs)
        if len(inputs)
    ]
    return [
        np.isin(np.arange(count), torch.cat([one[v].argmax(-1) for one in seen]).cpu().numpy())
        for v, count in enumerate(model.architecture.counts)
    ]


def _say_left_out(predicted: Any, names: tuple[str, ...], watcher: Watcher) -> None:
    if predicted.sum() == 1:
        only = names[int(np.flatnonzero(predicted)[0])]
        watcher.warn(f"the classifier predicts one class for everything: {only}. Do not use it")
    elif not predicted.all():
        left_out = ", ".join(names[k] for k in np.flatnonzero(~predicted))
        watcher.warn(f"the classifier never predicts: {left_out}")


def _objective_in_words(settings: M2Settings, task: JointTask) -> str:
    """What q was trained by, for the card: whether a bound alone or more."""
    parts = ["J, a bound on the log-likelihood of all training pixels with what is known of each"]
    if settings.pull < 1:
        parts.append(f"{settings.pull:.0%} of whose gradient reaches q of the labels")
    parts.append(
        "cross-entropy of q(y|x) of each label set on its labelled pixels, outside the bound"
    )
    if task.strengths is not None:
        parts.append(
            "cross-entropy of q(y|x) against the mean field of a Potts prior for each label set on "
            "pixels that lack it, outside the bound"
        )
    return "; ".join(parts)
