"""What `prepare` decides from label planes alone: the classes, the split, which pixels to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.balance import codes_of
from hsi_ssl.datasets.bands import used_bands
from hsi_ssl.datasets.sampling import Draw, labelled_draws
from hsi_ssl.datasets.splits import (
    Labels,
    Split,
    split_fixed_test,
    split_pixels,
    split_units,
)
from hsi_ssl.datasets.store import Part
from hsi_ssl.datasets.units import Found, cut, units_of
from hsi_ssl.errors import LabelError
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import UNLABELLED, UNLABELLED_CODE, LabelSet, codes_to_indices
from hsi_ssl.labels.labelling import LabelledScene
from hsi_ssl.labels.sources import Sources
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.settings import PrepareSettings
from hsi_ssl.watcher import Watcher

Bools = npt.NDArray[np.bool_]

SCENES_ENOUGH = 5
"""From so many labelled scenes on, whole scenes go to training, validation and test."""
CLASSES_LEAST = 2


@dataclass(frozen=True)
class Plan:
    """What label planes have decided: which pixels go where, before any spectrum is read.

    `label_sets`, and of `each` its classes' indices in every scene; `draws` of labelled pixels;
    `used`: bands, `(bands,)`.
    """

    scenes: list[Scene]
    label_sets: tuple[LabelSet, ...]
    each: tuple[list[Labels], ...]
    units: Callable[[], Found]
    split: Split
    draws: list[Draw]
    used: Bools


def planned(
    sources: Sources,
    settings: PrepareSettings,
    split_rng: np.random.Generator,
    draw_rng: np.random.Generator,
    watcher: Watcher,
) -> Plan:
    """The plan for sources that are open, said in words.

    Raises
    ------
    LabelError
        There are no labels to learn from.
    """
    scenes = [s.scene for s in sources.scenes]
    label_sets, each = zip(*(_indices(one) for one in sources.by_label_set), strict=True)
    labels = _running_on(label_sets, each)
    classes = sum(map(len, label_sets))
    units = cache(partial(units_of, sources, labels, classes))
    split = _split(sources, labels, classes, settings, split_rng, units)
    names = [name for label_set in label_sets for name in label_set.names]
    _tell(split, names, labels, sources, units, watcher)
    draws = labelled_draws(labels, split.planes, classes, _limits(settings, split), draw_rng)
    used = used_bands(scenes, labels, draw_rng, watcher)
    return Plan(scenes, label_sets, each, units, split, draws, used)


def _indices(sources: Sources) -> tuple[LabelSet, list[Labels]]:
    """The classes that occur, and each scene's plane of their indices."""
    for source in sources.scenes:
        _refuse_overlap(source)
    planes = [codes_of(source) for source in sources.scenes]
    occurs = np.zeros(LARGEST_CODE + 1, bool)
    for plane in planes:
        occurs[plane] = True
    label_set = sources.label_set.occurring(np.flatnonzero(occurs))
    if not len(label_set):
        raise LabelError(
            f"not one pixel of {len(planes)} scene(s) is labelled: expected codes above 0; "
            "give label maps with --labels"
        )
    if len(label_set) < CLASSES_LEAST:
        only = label_set.classes[0]
        raise LabelError(
            f"all labelled pixels are of one class, {only.name} ({only.code}): expected two "
            "classes or more; label pixels of another, or choose another --label-set"
        )
    return label_set, [codes_to_indices(plane, label_set) for plane in planes]


def _running_on(label_sets: Sequence[LabelSet], each: Sequence[list[Labels]]) -> list[Labels]:
    """Each scene's indices as `splits` takes them: numbers that run on from set to set."""
    if len(label_sets) == 1:
        return each[0]
    first = np.cumsum([0, *map(len, label_sets)])[:-1, None, None]
    stacked = (np.stack(planes) for planes in zip(*each, strict=True))
    return [np.where(planes < 0, UNLABELLED, planes + first) for planes in stacked]


def _refuse_overlap(source: LabelledScene) -> None:
    """Raise `LabelError` if a pixel is in the training map and in the test map."""
    train, test = source.train_labels, source.test_labels
    if train is not None and test is not None:
        both = np.count_nonzero((train != UNLABELLED_CODE) & (test != UNLABELLED_CODE))
        if both:
            raise LabelError(
                f"{both} pixels of {source.scene.path} are in the training map and in the test "
                "map; take them out of one of the two"
            )


def _limits(settings: PrepareSettings, split: Split) -> dict[Part, int | None]:
    """Pixels a class that each part takes at most, None for all.

    A published training map is taken as a whole, unless a few labels a class are asked for.
    """
    if settings.per_class is None:
        most = None if split.kind == "maps" else settings.cap
        return {Part.TRAIN: most, Part.VALIDATION: most, Part.TEST: None}
    few = round(settings.validation * settings.per_class)
    if settings.validation:
        few = max(few, min(1, settings.per_class - 1))
    return {Part.TRAIN: settings.per_class - few, Part.VALIDATION: few, Part.TEST: None}


def _split(
    sources: Sources,
    labels: list[Labels],
    classes: int,
    settings: PrepareSettings,
    rng: np.random.Generator,
    units: Callable[[], Found],
) -> Split:
    """The split asked for, or the one that suits the sources."""
    given = sources.scenes
    if any(source.test_labels is not None for source in given):
        held_out = [
            np.zeros(plane.shape[-2:], bool) if s.test_labels is None else s.test_labels != 0
            for s, plane in zip(given, labels, strict=True)
        ]
        return split_fixed_test(labels, held_out, classes, settings.validation, rng, kind="maps")
    if settings.split is None and any(source.role == "test" for source in given):
        held_out = [
            np.full(plane.shape[-2:], s.role == "test")
            for s, plane in zip(given, labels, strict=True)
        ]
        return split_fixed_test(
            labels,
            held_out,
            classes,
            settings.validation,
            rng,
            kind="catalog",
            blocks=not sources.image_like,
            guard=settings.guard,
            block=settings.block,
        )
    labelled = sum(bool((plane >= 0).any()) for plane in labels)
    kind = settings.split
    if kind is None:
        kind = "pixels" if sources.image_like else "blocks"
        kind = "scenes" if labelled >= SCENES_ENOUGH else kind
    shares = {
        Part.TRAIN: 1 - settings.validation - settings.test,
        Part.VALIDATION: settings.validation,
        Part.TEST: settings.test,
    }
    if not settings.validation:
        del shares[Part.VALIDATION]
    if kind == "pixels":
        return split_pixels(labels, classes, shares, rng)
    return split_units(
        labels,
        classes,
        shares,
        rng,
        guard=settings.guard,
        block=settings.block,
        whole=kind == "scenes",
        polygons=units()[0] if kind == "polygons" else None,
    )


def _tell(
    split: Split,
    names: Sequence[str],
    labels: Sequence[Labels],
    sources: Sources,
    units: Callable[[], Found],
    watcher: Watcher,
) -> None:
    """Say how the pixels were split, and what is wrong with it."""
    drawn = all(source.polygons is not None for source in sources.scenes)
    if split.kind == "blocks":
        watcher.say(f"split by blocks of {split.block} x {split.block} pixels")
    if split.kind == "polygons":
        watcher.say(f"split by {'polygons' if drawn else 'connected patches of labels'}")
    elif drawn and split.block is not None:
        several, n = cut(units()[0], split.planes)
        if several:
            watcher.warn(
                f"{several} of {n} polygons are in more than one part, so that scores are too good "
                "for other polygons; --split polygons keeps each in one"
            )
    if split.kind == "scenes":
        # Rare classes train in scenes of other parts too.
        test, validation, train = (
            {i for i, plane in enumerate(split.planes) if (plane == part).any()}
            for part in (Part.TEST, Part.VALIDATION, Part.TRAIN)
        )
        watcher.say(
            f"split by scenes: {len(train - validation - test)} to train on, "
            f"{len(validation)} to validate, {len(test)} to test"
        )
    if split.kind == "pixels" and not sources.image_like:
        watcher.warn(
            "split pixels puts neighbours of test pixels into training, so its scores are too "
            "good for pixels elsewhere; --split blocks or scenes says more"
        )
    if split.rare:
        totals = [sum(int((plane == k).sum()) for plane in labels) for k in split.rare]
        rare = ", ".join(f"{names[k]} ({n})" for k, n in zip(split.rare, totals, strict=True))
        watcher.warn(
            f"too rare to be split, kept in training with all pixels and not tested: {rare}"
        )
