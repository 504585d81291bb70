"""Which settings of `[m2]` mean something for a classifier that is no declared model."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from hsi_ssl.errors import SettingsError
from hsi_ssl.models.classifiers.base import ClassifierModel
from hsi_ssl.training.stage import OF_LOOP

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings

OF_DECLARED = (
    "samples", "free_weight", "slot_start", "side_input", "hidden_classifier", "experts",
    "likelihood", "sd_floor", "alpha", "stop_gradient", "warm_start", "supervised_epochs",
    "em_rounds", "propagation", "steadiness", "radius", "balance", "exact_classes",
    "bayes_samples", "novelty_samples", "warm_up", "stream",
)  # fmt: skip
"""Settings of declared models alone."""
OF_ARCHITECTURE = ("latent", "hidden", "activation")
OF_STEPS = OF_LOOP | {"batch_labelled", "batch_unlabelled", "balanced", "perturbation"}
"""Settings that a closed form has no use for."""


def check_settings(settings: M2Settings, kind: type[ClassifierModel], label_sets: int) -> None:
    """Refuse what only a declared model can give.

    Raises
    ------
    SettingsError
        Naming what was asked for.
    """
    asked = [
        said
        for said, wanted in (
            ("free_slots", settings.free_slots > 0),
            ("generation", settings.generation is not None),
            ("inference", settings.inference is not None),
            ("predict = bayes", settings.predict == "bayes"),
        )
        if wanted
    ]
    if asked:
        raise SettingsError(
            f"{', '.join(asked)}: for declared models alone, {kind.title} knows q(y|x) and no "
            f"p(x|y); leave {'it' if len(asked) == 1 else 'them'} out, or take --model m2"
        )
    if kind.has_teacher and settings.teacher is None:
        raise SettingsError(f"{kind.title} learns from a teacher: name its run with --teacher")
    if settings.teacher is not None and not kind.has_teacher:
        raise SettingsError(
            f"{kind.title} has no use for a teacher: leave --teacher out, or take --model student"
        )
    if label_sets > 1 and not kind.several:
        raise SettingsError(
            f"{kind.title} learns one label set, the dataset has {label_sets}: name one with "
            "--label-set, or take --model m2"
        )


def left_aside(settings: M2Settings, kind: type[ClassifierModel]) -> list[str]:
    """Settings that were given and mean nothing here."""
    declared = {field.name for field in fields(kind.architecture_type)}
    idle = {*OF_DECLARED, *(name for name in OF_ARCHITECTURE if name not in declared)}
    if kind.closed_form:
        idle |= OF_STEPS
    return sorted(idle & settings.model_fields_set)
