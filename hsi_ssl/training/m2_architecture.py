"""The model that settings ask for over a dataset's pixels: its factors, sizes and class priors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hsi_ssl.errors import SettingsError
from hsi_ssl.models.declared import DeclaredArchitecture, DeclaredVAE
from hsi_ssl.models.dependence import LATENT, OBSERVED, Dependence
from hsi_ssl.models.factor_m2 import make_model
from hsi_ssl.models.likelihoods import check_unit_interval
from hsi_ssl.models.presets import PRESETS, declared
from hsi_ssl.training.stage import DEFAULT_SD_FLOOR, sd_floor
from hsi_ssl.training.terms import asked_for

if TYPE_CHECKING:
    from hsi_ssl.settings import M2Settings
    from hsi_ssl.training.m2_data import M2Data

BLOCK = 65_536
"""Pixels that are looked at together."""
UNITS, FEW_UNITS = 50, 3
"""Of z, where none are asked for."""
COMPONENTS, MOST_DIRECTIONS = 16, 32
"""Of p(x|y) in closed form, where none are asked for: components a class, directions of each."""
WIDEST = 100
"""Columns of spectra up to which that is so: memory and time grow with the square."""
ALONE = "y"
"""What the one label set of a dataset is called in lines of factors; several have their names."""


def check_settings(settings: M2Settings, data: M2Data) -> None:
    """Refuse what cannot be asked of this model or of these pixels.

    Raises
    ------
    SettingsError
        The settings contradict each other, ask without unlabelled pixels for what is for these,
        weigh a term that is none, or ask of several label sets what is not declared.
    ModelError
        The likelihood is one on [0, 1] and the spectra leave it.
    """
    if settings.generation is not None and settings.model != "m2":
        raise SettingsError(
            f"generation declares p, and so does model = {settings.model}: give one of them"
        )
    asked_for(settings)
    if not settings.unlabelled:
        _check_labelled_alone(settings)
    if len(data.label_sets) > 1:
        _check_several(settings, [label_set.name for label_set in data.label_sets])
    if settings.likelihood == "gaussian":
        return
    if data.m1 is not None:
        raise SettingsError("M1's features are Gaussian: M1+M2 needs likelihood gaussian")
    if data.pixels:
        what = f"the {settings.likelihood} likelihood"
        for some in data.every.blocks(BLOCK):
            check_unit_interval(some.mean, what, data.scaler.kind)


def _check_labelled_alone(settings: M2Settings) -> None:
    for_others = {"free_slots": settings.free_slots, "propagation": settings.propagation}
    asked = [name for name, value in for_others.items() if value]
    if asked:
        raise SettingsError(
            f"{' and '.join(asked)} is for unlabelled pixels, which unlabelled = false leaves out: "
            "leave one of them out"
        )


def _check_several(settings: M2Settings, names: list[str]) -> None:
    asked = [
        said
        for said, wanted in (
            ("free_slots", settings.free_slots > 0),  # whose they are is not declared
            ("class_prior in numbers", not isinstance(settings.class_prior, str)),
        )
        if wanted
    ]
    if asked:
        raise SettingsError(
            f"{', '.join(asked)}: only for one label set; name one with --label-set, or leave "
            f"{'it' if len(asked) == 1 else 'them'} out"
        )
    unfit = [n for n in names if n in (LATENT, OBSERVED) or "," in n or "|" in n or n != n.strip()]
    if unfit:
        raise SettingsError(
            f"label sets {', '.join(map(repr, unfit))} cannot stand in lines such as `a | b, z`, "
            "in which x and z are the spectrum and the latent: name others, or one with --label-set"
        )


def architecture_of(settings: M2Settings, data: M2Data) -> DeclaredArchitecture:
    """What is to be built.

    Raises
    ------
    SettingsError
        The lines of `generation` or `inference` declare no distribution.
    """
    several = len(data.label_sets) > 1
    labels = tuple(label_set.name for label_set in data.label_sets) if several else (ALONE,)
    p, q = declared(settings.model, labels, settings.generation, settings.inference)
    bound = [name for name in labels if p.parents(name)]
    if settings.propagation and bound:
        raise SettingsError(
            f"propagation gives each pixel its own p of a label set, and p of {', '.join(bound)} "
            "depends on others: leave propagation out, or declare in generation that it does not"
        )
    of_q = settings.hidden_classifier
    floor = sd_floor(settings.sd_floor, data.scaler)
    width = data.width - data.side_inputs
    components = components_of(settings, p, q, None if several or data.m1 is not None else width)
    return DeclaredArchitecture(
        width=width,
        labels=labels,
        counts=tuple(len(label_set) + settings.free_slots for label_set in data.label_sets),
        free=(settings.free_slots,) * len(labels),
        generation=tuple(map(str, p.factors)),
        inference=tuple(map(str, q.factors)),
        latent=latent_of(settings, p, width if components else None),
        hidden=settings.hidden,
        hidden_classifier=settings.hidden if of_q is None else of_q,
        activation=settings.activation,
        likelihood=settings.likelihood,
        sd_floor=floor if data.m1 is None else settings.sd_floor or DEFAULT_SD_FLOOR,
        side_inputs=data.side_inputs,
        experts=1 if q.after_latent else len(data.gains),  # what sees z beside x is one network
        components=components,
    )


def components_of(settings: M2Settings, p: Dependence, q: Dependence, width: int | None) -> int:
    """Components of p(x|y) for each class, 0 where p(x|y, z) is a network.

    `width`: columns of spectra; None on M1's features, or of several label sets.

    Raises
    ------
    SettingsError
        Components are asked for where p is not known in closed form.
    """
    plain = settings.likelihood == "gaussian" and labels_name_all(settings)
    if width is None or not plain or (p, q) != declared("m2", (ALONE,)):
        if settings.components:
            raise SettingsError(
                f"components = {settings.components}: p(x|y) is known in closed form for m2 on "
                "spectra alone, of one label set, with likelihood gaussian, and neither free_slots "
                "nor propagation; leave components out, or what is in its way"
            )
        return 0
    if settings.components is not None:
        return settings.components
    return COMPONENTS if width <= WIDEST else 0


def latent_of(settings: M2Settings, p: Dependence, of_components: int | None) -> int:
    """Units of z: those asked for, else as suits what z is there for.

    `of_components`: columns of spectra whose classes have components, None where they have none.
    """
    if settings.latent is not None:
        return settings.latent
    if of_components is not None:
        return 1 + min(of_components, MOST_DIRECTIONS)
    told = any(parent != LATENT for parent in p.parents(OBSERVED))
    return FEW_UNITS if told and labels_alone_teach(settings) else UNITS


def labels_alone_teach(settings: M2Settings) -> bool:
    """Whether neither U's gradient nor a graph nor free slots have a say in q(y|x)."""
    return settings.stop_gradient == 1 and labels_name_all(settings)


def labels_name_all(settings: M2Settings) -> bool:
    """Whether every class has labels, and each pixel the same p(y)."""
    return not (settings.free_slots or settings.propagation)


def class_priors(settings: M2Settings, data: M2Data) -> list[Tensor]:
    """p(y) `(K + F,)` of each label set.

    Raises
    ------
    SettingsError
        The numbers given are not one a class.
    """
    return [
        class_prior_of(settings, y[y >= 0], len(label_set))
        for y, label_set in zip(data.labelled.y.cpu().T, data.label_sets, strict=True)
    ]


def class_prior_of(settings: M2Settings, y: Tensor, classes: int) -> Tensor:
    """p(y) of classes and free slots as the settings say, in float32, positive, summing to 1."""
    if settings.class_prior == "uniform":
        of_classes = torch.ones(classes)
    elif settings.class_prior == "empirical":
        of_classes = torch.bincount(y, minlength=classes).float().clamp(min=1)
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


def fresh_model(
    architecture: DeclaredArchitecture, priors: list[Tensor], data: M2Data
) -> DeclaredVAE:
    """A model with random weights, by the settings' seed, on the device."""
    generator = torch.Generator().manual_seed(data.settings.seed)
    made = make_model(architecture, priors, generator).to(data.device)
    if len(made.classifier) == len(data.gains):
        made.classifier.gain.copy_(data.gains)
    return made


def in_words(architecture: DeclaredArchitecture, data: M2Data, named: str) -> list[str]:
    """What is trained on what; where it is not as its preset has it, its factors too."""
    a, settings = architecture, data.settings
    several = len(a.labels) > 1
    classes = " x ".join(str(len(label_set)) for label_set in data.label_sets)
    said = [
        f"{named}{' of ' + ', '.join(a.labels) if several else ''} on {a.width} "
        f"{'scaled bands' if data.m1 is None else 'units of M1'}, {classes} classes"
        f"{f' and {settings.free_slots} free slots' if settings.free_slots else ''}, "
        f"{len(data.labelled):,} labelled and {data.unlabelled:,} unlabelled pixels, "
        f"{data.device}"
    ]
    preset = PRESETS.find(settings.model)
    usual = (tuple(preset.generation(a.labels)), tuple(preset.inference(a.labels)))
    if several or (a.generation, a.inference) != usual:
        said.append(f"p: {'; '.join(a.generation)}. q given x: {'; '.join(a.inference)}")
    return said
