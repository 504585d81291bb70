"""Stage `train-m2`: a dataset and, for M1+M2, an M1 run in; a run folder with a classifier out.

First the supervised part alone, q(y|x) on the labelled pixels; then the whole model, with the
unlabelled ones. On the validation pixels the better of the two classifiers is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from hsi_ssl.datasets.scaling import Scaler
from hsi_ssl.datasets.store import Dataset, Part, open_dataset
from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.models.gm_dgm import MODELS
from hsi_ssl.models.m2 import M2, M2Architecture
from hsi_ssl.training.checkpoint import STATE, check_run_folder, model_name, save_run
from hsi_ssl.training.classifier import Classifier, Rule, fixed_noise
from hsi_ssl.training.collapse import Slots, slots_of
from hsi_ssl.training.device import choose_device
from hsi_ssl.training.experts import held_out, in_words, weights
from hsi_ssl.training.extractor import check_bands, load_m1
from hsi_ssl.training.inputs import APPLIED_BATCH, Validation, scores
from hsi_ssl.training.joint_stage import train_joint
from hsi_ssl.training.loop import fit, weights_of
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_shared import (
    SUPERVISED,
    architecture_values,
    check_likelihood,
    class_prior_of,
    fit_supervised,
    generated,
    run_tensors,
)
from hsi_ssl.training.m2_task import M2Task
from hsi_ssl.training.novelty import measure_novelty
from hsi_ssl.training.stage import (
    Draw,
    dataset_card,
    draw_nothing,
    draw_spectra,
    identity,
    seen_elsewhere,
)
from hsi_ssl.training.supervised_task import SupervisedTask
from hsi_ssl.training.temperature import fitted_temperature, tempered_in_words
from hsi_ssl.training.tuned_prior import tuned_in_words, tuned_prior
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


def train_m2(
    settings: M2Settings,
    *,
    resume: bool = False,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
    draw: Draw = draw_nothing,
) -> dict[str, Any]:
    """Train M2 on spectra, or on the features of the M1 that `settings.m1` names (M1+M2).

    Of several label sets one model for all of them, unless `settings.label_set` names one.

    Returns the card written. Validation pixels choose the best state, the experts' weights, between
    the supervised and the whole model, and the rule to predict by; test pixels are not touched,
    unless the dataset is transductive, when their spectra count as unlabelled.

    Raises
    ------
    DatasetError, ModelError, OutputError, DeviceError
        Before anything is written.
    """
    run = settings.output
    check_run_folder(run, resume=resume, overwrite=overwrite, parts=(SUPERVISED,))
    device = choose_device(settings.device)
    dataset = open_dataset(settings.dataset, settings.label_set)
    m1 = None
    if settings.m1 is not None:
        m1 = load_m1(settings.m1, settings.device)
        check_bands(m1.card, dataset, settings.m1)
        for sentence in seen_elsewhere(m1.card, dataset, f"M1 in {settings.m1}"):
            watcher.warn(sentence)
    if len(dataset.label_sets) > 1:
        return train_joint(settings, dataset, m1, device, resume=resume, watcher=watcher, draw=draw)
    facts = dataset_card(dataset)
    data = M2Data(dataset, settings, m1, device)
    label_set = data.label_set
    labelled, unlabelled, validation = data.labelled, data.unlabelled, data.validation
    if not len(validation.y):
        watcher.warn("no validation pixels: training runs all its epochs and keeps the last state")
    check_likelihood(settings, data)
    class_prior = class_prior_of(settings, labelled.y, len(label_set))
    architecture = M2Architecture(
        classes=len(label_set) + settings.free_slots,
        free=settings.free_slots,
        **architecture_values(settings, data),
    )

    def fresh() -> M2:
        generator = torch.Generator().manual_seed(settings.seed)
        kind = MODELS[settings.model]
        made = kind(architecture, class_prior, generator).to(device)
        made.classifier.gain.copy_(data.gains)
        return made

    watcher.say(
        f"{model_name({'model': settings.model, 'm1': m1})} on {architecture.width} "
        f"{'scaled bands' if m1 is None else 'units of M1'}, {len(label_set)} classes"
        f"{f' and {architecture.free} free slots' if architecture.free else ''}, "
        f"{len(labelled):,} labelled and {len(unlabelled):,} unlabelled pixels, {device}"
    )
    known = identity(
        dataset, settings, m1_weights=m1 and m1.card["weights_sha256"], device=device.type
    )
    model = fresh()
    part = SupervisedTask(model, labelled, validation, data.pixels)
    supervised = fit_supervised(part, settings, known, resume=resume, watcher=watcher)
    if len(model.classifier) > 1:
        sure = held_out(model, fresh(), labelled, validation, settings, data.pixels)
        model.classifier.weight.copy_(weights(*sure, data.told_by_neighbours(model)))
        watcher.say(in_words(settings.experts, model.classifier.weight))
    started = settings.slot_start and settings.free_slots > 0
    graph = start = None
    if (settings.propagation or (started and not settings.spatial)) and len(unlabelled):
        graph = data.feature_graph()
    if started and len(unlabelled):
        watcher.say("looking for groups that no label speaks for")
        with torch.no_grad():
            start = data.slot_start(None if settings.spatial else graph, model)
    grid = data.grid(model, start, watcher) if settings.spatial else None
    before = weights_of(model.classifier)
    if not settings.warm_start:
        weight = model.classifier.weight
        model = fresh()
        model.classifier.weight.copy_(weight)

    means = _class_means(dataset, data.scaler)

    def on_snapshot(snapshots: dict[int, Tensor]) -> None:
        panels = [*generated(m1, data.kept, snapshots), ("measured class means", means)]
        draw_spectra(draw, data.scaler, facts, panels)

    spread = graph if settings.propagation else None
    task = M2Task(model, labelled, unlabelled, validation, settings, grid, spread, start)
    found = fit(
        task,
        settings,
        run,
        identity=known,
        resume=resume and (run / STATE).exists(),
        watcher=watcher,
        on_snapshot=on_snapshot,
    )
    metrics = keep_the_better(model, before, validation, watcher)
    rule, by_rule, temperature = _choose_rule(task, settings, watcher)
    card: dict[str, Any] = {
        "kind": "m2",
        "model": settings.model,
        "free_slots": settings.free_slots,
        "architecture": architecture.to_card(),
        **facts,
        "classes": label_set.to_card(),
        "scaling": data.scaler.to_card(),
        "m1": None if m1 is None else m1.card,
        "kept_units": data.kept.tolist(),
        "settings": settings.model_dump(mode="json"),
        "expert_weights": model.classifier.weight.tolist(),
        "objective": _objective_in_words(settings, task),
        "spatial_strength": 0.0 if grid is None else grid.strength,
        "training": {
            **found.to_card(device),
            "supervised_seconds": supervised.progress.seconds,
        },
        "rule": rule,
        "temperature": temperature,
        "metrics": {**metrics, **by_rule},
    }
    classifier = Classifier(card, model.eval(), m1, device, rule)
    card["spatial_tuned"] = tuned = tuned_prior(classifier, dataset)
    if tuned is not None:
        watcher.say(tuned_in_words(tuned))
    slots = _slots(classifier, data)
    card["metrics"]["predicted_classes"] = int(np.count_nonzero(slots.pixels[: len(label_set)]))
    card["metrics"]["slots"] = slots.to_card()
    for sentence in slots.warnings(label_set.names):
        watcher.warn(sentence)
    tensors = run_tensors(model, m1)
    tensors |= measure_novelty(classifier, dataset, settings.novelty_samples).to_tensors()
    return save_run(run, tensors, card)


def keep_the_better(
    model: M2, before: dict[str, Tensor], validation: Validation, watcher: Watcher
) -> dict[str, Any]:
    """Leave the better classifier on the validation pixels in the model, and say which it is.

    With free slots it is the whole model's always: the supervised part's knows nothing of them, and
    validation pixels do not either. `before`: the classifier after the supervised part.
    """
    if not len(validation.y):
        return {"supervised": {}, "gained": None, "kept": "semi-supervised"}
    after = weights_of(model.classifier)
    now = scores(validation.y, validation.log_q(model))
    model.classifier.load_state_dict(before)
    then = scores(validation.y, validation.log_q(model, labelled_only=True))
    gained = now["macro_f1"] - then["macro_f1"]
    change = f"macro-F1 on the validation pixels {then['macro_f1']:.3f} -> {now['macro_f1']:.3f}"
    if model.architecture.free:
        model.classifier.load_state_dict(after)
        watcher.say(f"with free slots: {change}, a labelled pixel in a free slot counted as wrong")
    elif gained < 0:
        watcher.say(f"unlabelled pixels did not help here: kept the supervised model ({change})")
    else:
        model.classifier.load_state_dict(after)
        watcher.say(f"unlabelled pixels gained {100 * gained:+.1f} points ({change})")
    kept = "supervised" if gained < 0 and not model.architecture.free else "semi-supervised"
    return {"supervised": then, "semi_supervised": now, "gained": gained, "kept": kept}


def _objective_in_words(settings: M2Settings, task: M2Task) -> str:
    """What q(y|x) was trained by, for the card: whether a bound alone or more."""
    parts = ["J, a bound on the log-likelihood of all training pixels"]
    if settings.pull < 1:
        parts.append(f"{settings.pull:.0%} of whose gradient reaches q(y|x)")
    parts.append("cross-entropy of q(y|x) on labelled pixels, outside the bound")
    if task.grid is not None:
        parts.append(
            "cross-entropy of q(y|x) against the mean field of a Potts prior on unlabelled pixels, "
            "outside the bound"
        )
    if task.start is not None:
        parts.append(
            "first cross-entropy of q(y|x) against groups of pixels, for free slots, outside the "
            "bound"
        )
    if settings.propagation:
        parts.append("p(y) of an unlabelled pixel from its nearest neighbours in feature space")
    if settings.steadiness:
        parts.append("steadiness of q(y|x), outside the bound")
    if settings.balance:
        parts.append("balance of the mean q(y|x), outside the bound")
    return "; ".join(parts)


def _class_means(dataset: Dataset, scaler: Scaler) -> Any:
    """Mean scaled spectrum of each class that has training pixels."""
    rows = dataset.rows(Part.TRAIN)
    scaled, label = scaler.transform(dataset.spectra(rows)), dataset.label[rows]
    return np.stack([scaled[label == k].mean(0) for k in np.unique(label)])


def _choose_rule(
    task: M2Task, settings: M2Settings, watcher: Watcher
) -> tuple[Rule, dict[str, Any], dict[Rule, float]]:
    """q(y|x) or Bayes' rule, as the settings say or as the validation pixels do; their scores.

    And the temperature of each; 1 with free slots, of which validation pixels say nothing.
    """
    validation = task.validation
    if not len(validation.y):
        rule: Rule = "bayes" if settings.predict == "bayes" else "classifier"
        return rule, {"validation": {}}, {}
    eps = fixed_noise(settings.bayes_samples, task.module.architecture.latent).to(
        validation.y.device
    )
    found: dict[Rule, dict[str, float]] = {}
    with torch.no_grad():
        batches = torch.split(validation.inputs.mean, APPLIED_BATCH)
        p = torch.cat([task.module.log_posterior_bayes(x, eps) for x in batches])
    log_p: dict[Rule, Tensor] = {"classifier": validation.log_q(task.module), "bayes": p}
    for one, values in log_p.items():
        found[one] = scores(validation.y, values)
    if settings.predict == "auto":
        # Of free slots validation pixels say nothing: with them it is q(y|x).
        better = found["bayes"]["macro_f1"] > found["classifier"]["macro_f1"]
        rule = "bayes" if better and not settings.free_slots else "classifier"
    else:
        rule = settings.predict
    watcher.say(
        f"validation macro-F1: q(y|x) {found['classifier']['macro_f1']:.3f}, Bayes' rule "
        f"{found['bayes']['macro_f1']:.3f}; predicts by "
        f"{'q(y|x)' if rule == 'classifier' else 'Bayes rule'}"
    )
    temperature: dict[Rule, float] = {}
    if not settings.free_slots:
        for one, values in log_p.items():
            temperature[one] = fitted_temperature(values, validation.y)
        watcher.say(f"{tempered_in_words(temperature[rule])} on the validation pixels")
    return rule, {"validation": found[rule], "validation_by_rule": found}, temperature


def _slots(classifier: Classifier, data: M2Data) -> Slots:
    """How the classifier spreads the training pixels, the validation pixels and the pool."""
    rows = data.dataset.rows(Part.TRAIN, Part.VALIDATION, Part.POOL)
    labels = data.indices(rows).astype(np.int64)
    labels[data.dataset.part[rows] == Part.POOL] = UNLABELLED
    assert isinstance(classifier.model, M2)
    return slots_of(
        classifier.posterior(data.dataset.spectra(rows)),
        labels,
        classifier.model.log_p_y.cpu().numpy(),
        len(data.label_set),
    )
