"""Open scenes and label files to labelled scenes: rasters, drawn layers, published maps."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.catalog.entries import LabelSetEntry
from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.class_codes import ClassFile
from hsi_ssl.labels.finding import Found, shared_labels
from hsi_ssl.labels.inside import array_in
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.labels.layer_classes import BY_LAYER
from hsi_ssl.labels.pairing import label_files, paired
from hsi_ssl.labels.published import named_by_overlap
from hsi_ssl.labels.raster_labels import RasterLabels, RasterSource, raster_labels
from hsi_ssl.labels.rules import USUAL_RULES, LabelRules
from hsi_ssl.labels.vector_labels import drawn_labels
from hsi_ssl.labels.vectors import is_vector, layers_at, vector_file
from hsi_ssl.scenes.opening import is_raster, open_scene, plane_grid
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

Codes = npt.NDArray[np.uint16]

ANY_LABELS = LabelSetEntry(name="labels")
"""For scenes that the catalog does not know: every code counts, none has a name."""


@dataclass(frozen=True)
class LabelledScene:
    """An open scene and what is known of its pixels: planes `(rows, cols)` of codes, 0 unlabelled.

    `labels` is None where there are none or where published maps take their place; `labels_paths`
    are the files that they are in; `role` is what the publishers use the scene for. `polygons`
    holds the number of the drawn polygon that each labelled pixel lies in, -1 elsewhere; one that
    several scenes show has one number. None where labels are rasters.
    """

    scene: Scene
    labels: Codes | None = field(default=None, repr=False)
    labels_paths: tuple[Path, ...] = ()
    role: str | None = None
    train_labels: Codes | None = field(default=None, repr=False)
    test_labels: Codes | None = field(default=None, repr=False)
    polygons: npt.NDArray[np.int32] | None = field(default=None, repr=False)
    found: Found | None = field(default=None, repr=False)
    """Where the scene lies, to open it again."""


@dataclass(frozen=True)
class Opened:
    """A scene while its labels are sought.

    `given`, `train` and `test` are the user's rasters, `layers` the vector layers for this scene.
    """

    found: Found
    scene: Scene
    label_set: LabelSetEntry = ANY_LABELS
    given: tuple[RasterSource, ...] = ()
    train: tuple[RasterSource, ...] = ()
    test: tuple[RasterSource, ...] = ()
    layers: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """Scenes with their labels; `names` are all that are known, also of codes that do not occur.

    `class_file`, where labels hold names, remembers their codes; `recoded` are the codes
    of values of rasters that could not be codes.
    """

    scenes: tuple[LabelledScene, ...]
    names: LabelSet
    class_file: ClassFile | None = None
    recoded: Mapping[int, int] = field(default_factory=dict)


def with_files(
    opened: Sequence[Opened],
    labels: Sequence[Path],
    train: Sequence[Path],
    test: Sequence[Path],
    rules: LabelRules = USUAL_RULES,
    watcher: Watcher = SILENT,
) -> tuple[list[Opened], bool]:
    """Each scene with its own of the user's files, and whether labels are drawn.

    Without files the vector layers that lie beside the scenes are taken, where there are any, and
    where no scene has labels of its own, what is called `labels` beside them, for all.

    Raises
    ------
    LabelError
        Rasters and layers are mixed; train and test are not both given; nothing tells which scene a
        file is for.
    """
    if bool(train) != bool(test):
        raise LabelError("expected --train-labels and --test-labels together, found one of them")
    if not labels and not train:
        labels = _for_all(opened, watcher)
    if not labels and not train and _layers_beside(opened):
        return [replace(one, layers=_own_layers(one)) for one in opened], True
    files = label_files(labels, "--labels", watcher)
    drawn = _vectors(list(files), rules)
    if drawn:
        return _with_layers(opened, files, rules, watcher), True
    given = _rasters(opened, files, "--labels", watcher)
    train_of = _rasters(
        opened, label_files(train, "--train-labels", watcher), "--train-labels", watcher
    )
    test_of = _rasters(
        opened, label_files(test, "--test-labels", watcher), "--test-labels", watcher
    )
    return [
        replace(one, given=a, train=b, test=c)
        for one, a, b, c in zip(opened, given, train_of, test_of, strict=True)
    ], False


def drawn(
    opened: Sequence[Opened], names: LabelSet, rules: LabelRules, watcher: Watcher
) -> Labelled:
    """Scenes with the labels that the user has drawn."""
    scenes = [one.scene for one in opened]
    found = drawn_labels(scenes, [one.layers for one in opened], rules, names.classes, watcher)
    if found.classes:
        names = LabelSet(names.name, found.classes)
    else:
        known = list(map(known_codes, opened))
        names = named_by_overlap(found.codes, known, names, watcher=watcher)
    return Labelled(
        tuple(
            LabelledScene(
                one.scene,
                codes,
                tuple(dict.fromkeys(vector_file(path) for path in one.layers)),
                one.found.role,
                polygons=polygons,
                found=one.found,
            )
            for one, codes, polygons in zip(opened, found.codes, found.polygons, strict=True)
        ),
        names,
        found.class_file,
    )


def own(opened: Sequence[Opened], names: LabelSet, rules: LabelRules, watcher: Watcher) -> Labelled:
    """Scenes with the labels that lie in or beside them, or with the rasters that are given."""
    replaced = any(one.given for one in opened)
    sources = [one.given if replaced else _known_sources(one) for one in opened]
    scenes = [one.scene for one in opened]
    found = raster_labels(scenes, sources, rules, watcher, known=names.classes)
    by_name = found.class_file is not None  # then codes are ours, those of the data set and more
    planes = [
        plane if plane is None or by_name else one.label_set.within(plane).astype(np.uint16)
        for one, plane in zip(opened, found.codes, strict=True)
    ]
    if replaced and names.classes:
        for one, before, plane in zip(opened, found.codes, planes, strict=True):
            _tell_outside(one, before, plane, watcher)
    if not names.classes or by_name or (replaced and found.classes):
        names = LabelSet(names.name, found.classes)
    elif replaced and any(
        source.path != one.found.labels for one in opened for source in one.given
    ):
        names = _named_by_overlap(opened, planes, names, watcher)
    return Labelled(
        tuple(
            LabelledScene(one.scene, plane, _paths(one, some), one.found.role, found=one.found)
            for one, plane, some in zip(opened, planes, sources, strict=True)
        ),
        names,
        found.class_file,
        recoded=found.recoded,
    )


def published(
    opened: Sequence[Opened], names: LabelSet, rules: LabelRules, watcher: Watcher
) -> Labelled:
    """Scenes with published training and test maps, whose codes are their own."""
    scenes = [one.scene for one in opened]
    sources = [*(one.train for one in opened), *(one.test for one in opened)]
    found = raster_labels([*scenes, *scenes], sources, rules, watcher, known=names.classes)
    train, test = found.codes[: len(scenes)], found.codes[len(scenes) :]
    both = [_either(a, b) for a, b in zip(train, test, strict=True)]
    if found.classes or not names.classes:
        names = LabelSet(names.name, found.classes)
    else:
        names = _named_by_overlap(opened, both, names, watcher)
    return Labelled(
        tuple(
            LabelledScene(
                one.scene, None, _paths(one, one.train), one.found.role, a, b, found=one.found
            )
            for one, a, b in zip(opened, train, test, strict=True)
        ),
        names,
        found.class_file,
        recoded=found.recoded,
    )


def known_codes(opened: Opened) -> Codes | None:
    """The known labels where others take their place: if they are bad, names are unknown."""
    try:
        found: RasterLabels = raster_labels([opened.scene], [_known_sources(opened)])
    except (LabelError, SceneError):
        return None
    plane = found.codes[0]
    return None if plane is None else opened.label_set.within(plane).astype(np.uint16)


def _known_sources(opened: Opened) -> tuple[RasterSource, ...]:
    """Where the labels in or beside a scene lie."""
    found, chosen = opened.found, opened.label_set
    known = found.known is not None
    if chosen.variable is not None:
        return (RasterSource(found.cube, chosen.variable, chosen.ignore, known),)
    if found.labels is not None and not is_vector(found.labels):
        return (RasterSource(found.labels, found.labels_variable, chosen.ignore, known),)
    if opened.scene.label_reader is not None:
        return (RasterSource(None, None, chosen.ignore, known),)
    return ()


def _paths(opened: Opened, sources: Sequence[RasterSource]) -> tuple[Path, ...]:
    return tuple(source.path or opened.found.cube for source in sources)


def _either(one: Codes | None, other: Codes | None) -> Codes | None:
    if one is None or other is None:
        return one if other is None else other
    return np.where(one != 0, one, other)


def _named_by_overlap(
    opened: Sequence[Opened], planes: Sequence[Codes | None], names: LabelSet, watcher: Watcher
) -> LabelSet:
    """Names for rasters that have none, by the known labels of the same pixels."""
    pairs = [(p, one) for p, one in zip(planes, opened, strict=True) if p is not None]
    known = [known_codes(one) for _, one in pairs]
    return named_by_overlap([p for p, _ in pairs], known, names, watcher=watcher)


def _tell_outside(
    opened: Opened, before: Codes | None, plane: Codes | None, watcher: Watcher
) -> None:
    """Say which codes of a given raster the data set's label set does not know."""
    if before is None or plane is None:
        return
    lost = np.unique(before[(before != 0) & (plane == 0)])
    if len(lost):
        watcher.warn(
            f"codes {', '.join(map(str, lost[:5]))} of the labels of {opened.scene.path.name} are "
            f"not of the label set {opened.label_set.name}: left unlabelled"
        )


def _vectors(labels: Sequence[Path], rules: LabelRules) -> bool:
    """Whether the user's labels are vector layers."""
    layers = [path for path in labels if is_vector(path)]
    if layers and len(layers) < len(labels):
        raster = next(path for path in labels if path not in layers)
        raise LabelError(
            f"--labels: expected rasters or vector layers, found both: {raster} and {layers[0]}; "
            "prepare them apart"
        )
    if not layers and rules.field is not None:
        raise LabelError(
            "--label-field is for labels drawn as polygons, lines or points; leave it out, or give "
            "--labels such as polygons.gpkg"
        )
    if layers and rules.zero_is_a_class:
        raise LabelError(
            f"--zero-is-a-class is for label rasters; in {layers[0]} call the class by a name"
        )
    return bool(layers)


def _own_layers(opened: Opened) -> tuple[Path, ...]:
    """The vector file that lies beside a scene under its name."""
    labels = opened.found.labels
    return () if labels is None or not is_vector(labels) else (labels,)


def _for_all(opened: Sequence[Opened], watcher: Watcher) -> list[Path]:
    """The one file of labels beside scenes that have none of their own, if its place tells whose.

    One without a place may be that of another scene beside them.
    """
    if any(one.found.labels is not None or _known_sources(one) for one in opened):
        return []
    found = shared_labels(one.found.cube for one in opened)
    if len(found) != 1 or not any(one.scene.grid.placed for one in opened):
        return []  # the refusal names them
    if not (layer_is_placed if is_vector(found[0]) else raster_is_placed)(found[0]):
        return []
    watcher.say(f"labels of all scenes: {found[0]}, which lies beside them")
    return found


def _layers_beside(opened: Sequence[Opened]) -> bool:
    """Whether the labels that lie beside the scenes are vector layers."""
    drawn = [one for one in opened if _own_layers(one)]
    for one in opened if drawn else ():
        if not _own_layers(one) and known_codes(one) is not None:
            raise LabelError(
                f"expected rasters or vector layers as labels, found both: {drawn[0].found.labels} "
                f"and the labels of {one.scene.path}; prepare them apart"
            )
    return bool(drawn)


def _rasters(
    opened: Sequence[Opened], files: Mapping[Path, bool], option: str, watcher: Watcher
) -> list[tuple[RasterSource, ...]]:
    """Each scene's rasters among those of an option."""
    if not files:
        return [() for _ in opened]
    scenes = [one.scene for one in opened]
    ignore = [one.label_set.ignore for one in opened]
    return [
        tuple(RasterSource(*array_in(path), left_out, by_place=placed) for path, placed in some)
        for some, left_out in zip(
            paired(scenes, files, raster_is_placed, option, watcher), ignore, strict=True
        )
    ]


def raster_is_placed(path: Path) -> bool:
    """Whether a label raster tells where it lies."""
    path, inside = array_in(path)
    if not is_raster(path):
        with contextlib.suppress(SceneError, SceneNotFoundError):  # of several planes, say
            return plane_grid(path, inside).placed
        return False
    with open_scene(path) as raster:
        return raster.grid.placed


def _with_layers(
    opened: Sequence[Opened], files: Mapping[Path, bool], rules: LabelRules, watcher: Watcher
) -> list[Opened]:
    """Each scene with its vector layers: of its name; those of no scene's name go to all."""
    scenes = [one.scene for one in opened]
    each: dict[Path, bool] = {}
    for path, searched in files.items():
        images = [facts for facts in layers_at(path) if facts.image is not None]
        if len(images) > 1:  # pictures of several scenes in one file
            each |= {Path(f"{path}:{facts.name}"): True for facts in images}
        else:
            each[path] = searched
    # Files that are classes are not one a scene.
    in_order = rules.field != BY_LAYER
    mine = paired(scenes, each, layer_is_placed, "--labels", watcher, in_order=in_order)
    return [
        replace(one, layers=tuple(path for path, _ in some))
        for one, some in zip(opened, mine, strict=True)
    ]


def layer_is_placed(path: Path) -> bool:
    """Whether a layer may lie on any scene, not on one whose pixels it was drawn on."""
    return all(facts.place != "pixel" for facts in layers_at(path))
