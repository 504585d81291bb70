"""Who teaches q(y|x) what pixels without label are, and how far each may be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from hsi_ssl.models.declared import DeclaredVAE
from hsi_ssl.training.e_step import EStep
from hsi_ssl.training.first_teacher import MOST, FirstTeacher
from hsi_ssl.training.m2_architecture import labels_alone_teach
from hsi_ssl.training.m2_data import M2Data
from hsi_ssl.training.validation import scores
from hsi_ssl.watcher import Watcher


@dataclass(frozen=True)
class Teaching:
    """The E-step; `decided`: what labels say of who may teach, for the card."""

    e_step: EStep
    decided: dict[str, Any] = field(default_factory=dict)


def teaching(data: M2Data, model: DeclaredVAE, watcher: Watcher) -> Teaching:
    """Who is to tell pixels of the labels that they lack; `model` has learnt from labels alone."""
    settings = data.settings
    if not data.unlabelled and bool((data.y >= 0).all()):
        return Teaching(EStep())
    if closed_form_teaches(data, model):
        return _by_labels(data, model, watcher)
    started = settings.slot_start and settings.free_slots > 0 and data.unlabelled > 0
    graph = start = None
    if settings.propagation or (started and not settings.spatial):
        graph = data.feature_graph()
    if started:
        watcher.say("looking for groups that no label speaks for")
        with torch.no_grad():
            start = data.slot_start(None if settings.spatial else graph, model)
    strengths = data.strengths(model, start, watcher) if settings.spatial else []
    return Teaching(
        EStep(
            neighbours=data.neighbours if any(strengths) else None,
            strengths=strengths,
            graph=graph if settings.propagation else None,
            propagation=settings.propagation,
            start=start,
        )
    )


def closed_form_teaches(data: M2Data, model: DeclaredVAE) -> bool:
    """Whether machines that are fitted to the labels in closed form have a say.

    Where labels are all that teaches q(y|x) the classes: not beside a graph, nor where classes have
    no labels or labels depend on each other; beside U's gradient where p knows the classes by what
    was told of pixels, not by what z happens to leave to y.
    """
    settings = data.settings
    if not settings.first_teacher or len(data.label_sets) > 1:
        return False
    return labels_alone_teach(settings) or model.architecture.components > 0


def _by_labels(data: M2Data, model: DeclaredVAE, watcher: Watcher) -> Teaching:
    """By labels alone first, then by neighbours as far as labels that are left out believe them."""
    teacher, decided = _first(data, model, watcher)
    strengths, again = list[float](), False
    if data.settings.spatial:
        first = None if teacher is None else teacher.log_posterior.exp()
        strengths = data.strengths(model, first, watcher)
    if any(strengths):
        told = data.evidence_of_neighbours(strengths[0])
        watcher.say(told.in_words())
        strengths, again = [told.share * strengths[0]], told.again
        decided["neighbours"] = told.in_words()
    e_step = EStep(
        neighbours=data.neighbours if any(strengths) else None,
        strengths=strengths,
        teacher=teacher,
        again=again,
    )
    return Teaching(e_step, decided)


def _first(
    data: M2Data, model: DeclaredVAE, watcher: Watcher
) -> tuple[FirstTeacher | None, dict[str, Any]]:
    """Who speaks first: machines in closed form, or None for the networks, and how that came.

    The better on validation pixels; without any, machines where they know all labels.
    """
    found, validation = data.first_teacher, data.validation
    named = found.in_words()
    if not len(validation):
        teaches = len(data.labelled) <= MOST
        watcher.say(
            f"first taught what unlabelled pixels are by {named if teaches else 'networks'}"
        )
        return found if teaches else None, {"taught_first_by": named if teaches else "networks"}
    (of_networks,) = validation.log_q(model)
    of_machines = found.of(validation.inputs.mean * found.gain)
    y = validation.y[:, 0]
    ours, theirs = (scores(y, log_q)["macro_f1"] for log_q in (of_machines, of_networks))
    teaches = ours >= theirs
    watcher.say(
        f"macro-F1 on the validation pixels by labels alone: {named} {ours:.3f}, networks "
        f"{theirs:.3f}; the better teach first what unlabelled pixels are"
    )
    return found if teaches else None, {
        "taught_first_by": named if teaches else "networks",
        "by_labels_alone": {named: ours, "networks": theirs},
    }
