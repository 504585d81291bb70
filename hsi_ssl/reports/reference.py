"""Class maps against a reference: points, polygons or a raster that say what is truly there.

The reference is brought onto each map's grid as labels are onto a scene's; a pixel of the map is
one sample. Its classes are the map's of the same name; numbers are the map's codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import UnitKind
from hsi_ssl.datasets.units import patches
from hsi_ssl.errors import LabelError, SettingsError
from hsi_ssl.labels.class_codes import read_classes
from hsi_ssl.labels.codes import assigned
from hsi_ssl.labels.label_set import LabelClass, LabelSet, all_coloured
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.legends import legend_file
from hsi_ssl.labels.palette import next_colour
from hsi_ssl.labels.raster_labels import RasterSource, raster_labels
from hsi_ssl.labels.rules import USUAL_RULES, LabelRules
from hsi_ssl.labels.vector_labels import drawn_labels
from hsi_ssl.labels.vectors import beside, is_vector
from hsi_ssl.reports.class_maps import ClassMap, open_class_map
from hsi_ssl.reports.map_accuracy import MapAccuracy, Truth, judged
from hsi_ssl.reports.map_classes import OURS, Matched, Naming, named
from hsi_ssl.reports.map_pixels import AtPixels, gathered
from hsi_ssl.reports.metrics import Scores, words
from hsi_ssl.reports.reference_parts import parts_about
from hsi_ssl.watcher import SILENT, Watcher

Ints = npt.NDArray[np.int64]

MOST_UNITS = 100_000
"""Units that intervals draw from; of more, blocks are drawn instead."""
BLOCKS = 32
"""Blocks along each side of what is referenced."""
REFERENCE = "reference"


@dataclass(frozen=True)
class Meaning:
    """What a code of a reference stands for: a value, and a name where it has one.

    `by_code`: the value is that of the file, not one that was given to a name just now.
    """

    value: int
    name: str | None
    by_code: bool = True


@dataclass(frozen=True)
class Sample:
    """Pixels of a map with reference: row and column `(n, 2)`, code and unit `(n,)`."""

    place: Ints = field(repr=False)
    code: npt.NDArray[np.uint16] = field(repr=False)
    unit: npt.NDArray[Any] = field(repr=False)
    unit_kind: UnitKind
    meanings: Mapping[int, Meaning]


def judge_maps(
    maps: Sequence[Path],
    reference: Path,
    rules: LabelRules = USUAL_RULES,
    watcher: Watcher = SILENT,
) -> list[MapAccuracy]:
    """Judge class maps by a reference, each on its own pixels.

    Parameters
    ----------
    reference
        Any label file that `prepare` takes.
    rules
        How labels are taken from it.

    Raises
    ------
    SceneNotFoundError, SceneError, VectorError
        A file is missing or broken; a map is no class map.
    LabelError
        The reference lies on no pixel of a map that is classified; a class of it is unknown to a
        map; the two call one code differently.
    SettingsError
        A rule does not suit the reference.
    """
    drawn = is_vector(reference)
    if rules.field is not None and not drawn:
        raise SettingsError(
            f"--label-field is for a reference drawn as polygons, lines or points, {reference} is "
            "none; leave it out"
        )
    if rules.zero_is_a_class and drawn:
        raise SettingsError(
            f"--zero-is-a-class is for a reference raster; in {reference} call the class by a name"
        )
    if rules.classes is not None and not rules.classes.is_file():
        raise SettingsError(f"--classes: no file {rules.classes}")
    once = _Once(watcher)
    found = []
    for path in maps:
        with open_class_map(path) as one:
            found.append(_judge(one, reference, rules, once))
        for note in found[-1].notes:
            once.say(note)
    return found


def reference_words(found: MapAccuracy) -> Iterator[str]:
    """Say in sentences what the scores, their intervals and the areas do not cover."""
    name, names = found.path.name, found.label_set.names
    yield from found.words()
    scores = Scores(found.scores.confusion)
    yield from (f"on {name}: {said}" for said in words(scores, names, found.what))
    yield from found.intervals.words(names, by_scene=False, pictures=True)
    if found.intervals.kind != "pixel":
        yield (
            f"the standard errors of areas and of the accuracy on the area of {name} take each "
            "pixel for itself; those that lie together are right or wrong together, so they are "
            "too small"
        )


class _Once(Watcher):
    """Tells each sentence once: one reference is read for several maps."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._told: set[str] = set()

    def progress(self, what: str, done: float, total: float) -> None:
        self._watcher.progress(what, done, total)

    def say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._watcher.say(sentence)

    def detail(self, sentence: str) -> None:
        self._watcher.detail(sentence)

    def warn(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._watcher.warn(sentence)


def _judge(found: ClassMap, reference: Path, rules: LabelRules, watcher: Watcher) -> MapAccuracy:
    if not found.pixels:
        raise LabelError(
            f"no pixel of {found.path} has a class: all are 0 or its nodata value; name another map"
        )
    names = found.names
    if not _any_named(names):
        names = _names_by_table(reference, rules, watcher) or names
    known = _classes_of(found, names)
    if is_vector(reference):
        sample = _drawn(found, known, reference, rules, watcher)
    else:
        sample = _laid(found, known, reference, rules, watcher)
    meant = _meant(sample, known, found.path, reference, nameless=not _any_named(names))
    label_set, classes, index = _together(found, known, meant)
    truth = Truth(label_set, index[sample.code], sample.unit, sample.unit_kind, REFERENCE)
    number = gathered(found.window, sample.place)
    return judged(found, classes, truth, AtPixels(number, np.zeros(len(number), bool)))


def _any_named(names: Mapping[int, str]) -> bool:
    return any(named(value, name) for value, name in names.items())


def _names_by_table(reference: Path, rules: LabelRules, watcher: Watcher) -> dict[int, str]:
    """Names for a map that has none: of the CSV that is given, or that lies by the reference."""
    table = rules.classes
    if table is None and is_vector(reference):
        table = beside(reference, ".classes.csv")
    if table is None or not table.is_file():
        return {}
    watcher.say(f"the map has no class names; those of {table} are taken")
    return dict(legend_file(table).names)


def _classes_of(found: ClassMap, names: Mapping[int, str]) -> LabelSet:
    """All classes that a map knows, by its own values."""
    values = sorted({*found.pixels, *(value for value in names if value or found.zero)})
    return LabelSet(
        found.path.stem,
        all_coloured(
            [
                LabelClass(value, names.get(value, f"class {value}"), found.colours.get(value, ""))
                for value in values
            ]
        ),
    )


def _drawn(
    found: ClassMap, known: LabelSet, reference: Path, rules: LabelRules, watcher: Watcher
) -> Sample:
    """Points, polygons or lines on a map."""
    parts = parts_about(found.scene, reference)
    classes = _coded(known)
    scenes = [part.scene for part in parts]
    drawn = drawn_labels(scenes, [[reference]] * len(parts), rules, classes, watcher)
    place, code, unit = [], [], []
    for part, codes, polygons in zip(parts, drawn.codes, drawn.polygons, strict=True):
        here = np.nonzero(codes)
        place.append(np.stack(here, axis=1) + part.first)
        code.append(codes[here])
        unit.append(polygons[here])
    sampled, units = np.concatenate(code), np.concatenate(unit)
    names = {c.code: c.name for c in drawn.classes}
    told = set(names.values())  # of numbers, which are their own codes, all that are known
    if drawn.class_file is not None:
        told = {c.name for c in read_classes(drawn.class_file.path).classes}
    meanings = {
        c: Meaning(c, names.get(c), by_code=c not in names or names[c] in told)
        for c in np.unique(sampled).tolist()
    }
    kind: UnitKind = "polygon" if len(np.unique(units)) < len(units) else "pixel"
    return Sample(np.concatenate(place), sampled, units, kind, meanings)


def _coded(known: LabelSet) -> tuple[LabelClass, ...]:
    """The classes of a map with codes in the place of values that can be none."""
    code_of = assigned(known.codes.tolist())
    return tuple(replace(c, code=code_of[c.code]) for c in known.classes)


def _laid(
    found: ClassMap, known: LabelSet, reference: Path, rules: LabelRules, watcher: Watcher
) -> Sample:
    """A raster on a map."""
    (part,) = parts_about(found.scene, reference)
    sources = [(RasterSource(reference),)]
    labels = raster_labels([part.scene], sources, rules, watcher, known=_coded(known))
    plane = labels.codes[0]
    if plane is None or not plane.any():
        raise LabelError(
            f"no pixel of {found.path} has a class in {reference}: expected codes above 0 where "
            "the two lie on each other; give another reference"
        )
    here = np.nonzero(plane)
    code, place = plane[here], np.stack(here, axis=1)
    value_of = {c: value for value, c in labels.recoded.items()}
    names = {c.code: c.name for c in labels.classes}
    meanings = {}
    for c in np.unique(code).tolist():
        value, name = value_of.get(c, c), names.get(c)
        meanings[c] = Meaning(value, name if name and named(value, name) else None)
    unit, kind = _units(plane, place, watcher)
    return Sample(place + part.first, code, unit, kind, meanings)


def _units(
    plane: npt.NDArray[np.uint16], place: Ints, watcher: Watcher
) -> tuple[npt.NDArray[Any], UnitKind]:
    """Which pixels of a raster lie together: connected patches; of too many of them, blocks."""
    if len(place) <= MOST_UNITS * BLOCKS:
        unit = patches([np.where(plane > 0, plane.astype(np.int32), -1)])[0].number
        if unit.max() < MOST_UNITS:
            return unit, "patch" if unit.max() + 1 < len(unit) else "pixel"
    side = -(-max(plane.shape) // BLOCKS)
    watcher.say(f"intervals draw blocks of {side} x {side} pixels of the reference")
    rows, cols = (place // side).T
    return rows * BLOCKS + cols, "block"


def _meant(
    sample: Sample, known: LabelSet, path: Path, reference: Path, *, nameless: bool
) -> dict[int, LabelClass]:
    """The class of the map that each code of a reference stands for.

    A number that a nameless map does not hold is a class that it never shows.
    """
    naming = Naming(known, path)
    found: dict[int, LabelClass] = {}
    strange: dict[str, int] = {}
    for code, meaning in sample.meanings.items():
        value, name = meaning.value, meaning.name
        place = None
        if meaning.by_code or (name is not None and naming.knows(name)):
            place = naming.index(value, name, reference)
        elif name is not None and not named(value, name):
            place = naming.index(value, None, reference)
        if place is not None:
            found[code] = known.classes[place]
        elif meaning.by_code and nameless:
            called = name or f"class {value}"
            taken = [*known.colours, *(c.colour for c in found.values())]
            found[code] = LabelClass(value, called, next_colour(called, taken))
        else:
            called = name if name is not None and named(value, name) else f"code {value}"
            strange[called] = int(np.count_nonzero(sample.code == code))
    if not strange:
        return found
    classes = listed((f"{name} ({n:,} pixels)" for name, n in strange.items()), len(strange))
    if nameless:
        raise LabelError(
            f"{path} has no class names, so nobody knows which of its codes {classes} of "
            f"{reference} are; give a CSV with columns code and name with --classes"
        )
    raise LabelError(
        f"{reference} has classes that {path} does not know: {classes}; it has "
        f"{listed(known.names, len(known))}: give both the same names, or leave these out"
    )


def _together(
    found: ClassMap, known: LabelSet, meant: Mapping[int, LabelClass]
) -> tuple[LabelSet, Matched, Ints]:
    """Classes that occur on the map or in the reference, and that of each code of the latter.

    Pixels that no class explains, and groups, on our maps are no true classes unless the reference
    has them.
    """
    true = {c.code: c for c in meant.values()}
    of_map = {c.code: c for c in known.classes if c.code in found.pixels}
    further = [
        value
        for value in of_map
        if value not in true and OURS.fullmatch(found.declared.get(value, ""))
    ]
    values = sorted({*true, *of_map} - {*further})
    label_set = LabelSet(known.name, tuple(of_map.get(v) or true[v] for v in values))
    place = {value: k for k, value in enumerate((*values, *further))}
    classes = Matched(
        {value: place[value] for value in found.pixels}, tuple(of_map[v] for v in further)
    )
    index = np.full(max(meant) + 1, -1, np.int64)
    for code, c in meant.items():
        index[code] = place[c.code]
    return label_set, classes, index
