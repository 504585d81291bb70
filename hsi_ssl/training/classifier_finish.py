"""What a run says of a trained classifier that is no declared model, and what it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hsi_ssl.inference.classifier import Classifier, card_of_label_set, of_label_set
from hsi_ssl.inference.lineage import dataset_card
from hsi_ssl.inference.temperature import fitted_temperature, tempered_in_words
from hsi_ssl.models.classifiers.base import ClassifierModel
from hsi_ssl.models.moving import fetched
from hsi_ssl.models.spatial import learnt_strength
from hsi_ssl.training.classifier_task import log_q_each
from hsi_ssl.training.loop import Fit
from hsi_ssl.training.m2_architecture import class_priors
from hsi_ssl.training.m2_choice import Choice
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.m2_finish import finish, run_tensors
from hsi_ssl.training.teacher import Teacher, compared, compared_in_words
from hsi_ssl.training.validation import scores
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings


@torch.no_grad()
def finished(
    data: M2Data,
    settings: M2Settings,
    model: ClassifierModel,
    teacher: Teacher | None,
    found: Fit,
    watcher: Watcher,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card, and what the run keeps as tensors; `settings` as they were asked for."""
    model.eval()
    generator = torch.Generator().manual_seed(settings.seed)
    own = model.findings(data.seen.mean, generator)
    for sentence in own.said:
        watcher.say(sentence)
    for sentence in own.warnings:
        watcher.warn(sentence)
    card: dict[str, Any] = {
        "kind": "m2",
        "model": settings.model,
        "architecture": model.architecture.to_card(),
        **dataset_card(data.dataset),
        "label_sets": [],
        **data.pipeline.to_card(),
        "settings": settings.model_dump(mode="json"),
        "objective": model.in_words,
        "training": found.to_card(data.device),
        "metrics": dict(own.metrics),
    }
    tensors = run_tensors(model, data.m1)
    priors = class_priors(settings, data)
    of_every = log_q_each(model, data.seen.mean) if settings.spatial else None
    for place, choice in enumerate(_choices(data, model, watcher)):
        log_prior = priors[place].log().to(data.device)
        strength = 0.0
        if of_every is not None:
            strength = learnt_strength(of_every[place].exp(), data.neighbours, log_prior)
        one = {
            "classes": data.label_sets[place].to_card(),
            "spatial_strength": strength,
            "expert_weights": [1.0],
            "rule": choice.rule,
            "temperature": choice.temperature,
        }
        card["label_sets"].append(one)
        classifier = Classifier(
            card_of_label_set(card, place),
            of_label_set(model, place),
            data.m1,
            data.device,
            choice.rule,
        )
        tensors |= finish(classifier, data, place, one, choice, log_prior, watcher)
        if teacher is not None:
            known = compared(teacher, classifier, data.dataset)
            watcher.say(compared_in_words(known))
            card |= {"teacher": teacher.to_card()}
            card["metrics"] |= known
    return card, tensors


def _choices(data: M2Data, model: ClassifierModel, watcher: Watcher) -> list[Choice]:
    """Scores and temperature of each label set on its validation pixels."""
    validation, found = data.validation, []
    each = log_q_each(model, validation.inputs.mean)
    log_q = fetched({str(v): of_set for v, of_set in enumerate(each)}).values()
    for label_set, of_set, y in zip(data.label_sets, log_q, validation.truth.T, strict=True):
        known = y >= 0
        if not known.any():
            found.append(Choice("classifier"))
            continue
        said = f"{label_set.name}: " if len(log_q) > 1 else ""
        of_known = scores(y[known], of_set[known])
        temperature = fitted_temperature(of_set[known], y[known])
        watcher.say(
            f"{said}validation macro-F1 {of_known['macro_f1']:.3f}; "
            f"{tempered_in_words(temperature)} on the validation pixels"
        )
        found.append(Choice("classifier", {"classifier": of_known}, {"classifier": temperature}))
    return found
