"""Labels from rasters: planes of codes scene by scene, whatever grids and numbers they have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.class_codes import ClassFile, joined, remembered, tell_alike, with_names
from hsi_ssl.labels.codes import (
    LARGEST_CODE,
    Nothing,
    Numbering,
    assigned,
    name_value,
    refuse_shape,
)
from hsi_ssl.labels.frames import Gridded, extent
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelClass, all_coloured
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.laying import Laying
from hsi_ssl.labels.no_class import is_no_class
from hsi_ssl.labels.palette import by_meaning
from hsi_ssl.labels.rasters import LabelRaster, open_label_raster, own_raster
from hsi_ssl.labels.rules import USUAL_RULES, LabelRules
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

Codes = npt.NDArray[np.uint16]

STRIP = 2**22
"""Pixels that are laid at a time."""
UNSEEN = (255, 65535)
"""Codes that often stand for "not looked at"."""
FAR = 0.8
"""Such a code is no class where all others are below so much of it."""


@dataclass(frozen=True)
class RasterSource:
    """A raster for a scene: a file, or (None) the plane in the scene's own.

    `ignore` and `known`: the catalog says which values are no labels, and what it holds.
    `by_place`: it may lie elsewhere; then it says nothing of this scene.
    """

    path: Path | None
    variable: str | None = None
    ignore: tuple[int, ...] = ()
    known: bool = False
    by_place: bool = False


@dataclass(frozen=True)
class RasterLabels:
    """Planes `(rows, cols)` of codes, 0 unlabelled; None for a scene on which no raster lies.

    `classes` are all that have a name, also those that do not occur; `recoded` are the codes of
    values that could not be codes (0 where it is a class, values above 65535). `class_file`
    remembers the codes of the names that rasters hold in the place of numbers, where some do.
    """

    codes: list[Codes | None] = field(repr=False)
    classes: tuple[LabelClass, ...]
    recoded: Mapping[int, int]
    class_file: ClassFile | None = None


def raster_labels(
    scenes: Sequence[Scene],
    sources: Sequence[Sequence[RasterSource]],
    rules: LabelRules = USUAL_RULES,
    watcher: Watcher = SILENT,
    *,
    known: Sequence[LabelClass] = (),
    fixed: Mapping[int, int] | None = None,
) -> RasterLabels:
    """Labels of scenes from the rasters of each, laid on them by their place.

    Where a raster and its scene both have a place, each pixel gets the class that covers most of
    it; else pixels count row by row, and sizes must agree. Pixels that two rasters give different
    classes stay unlabelled. What was guessed and what was lost is said.

    Parameters
    ----------
    known
        Classes of the scenes' data set: rasters that hold names give them these codes.
    fixed
        Codes that values had to get elsewhere, in the dataset that a model was trained on, say;
        then `known` are that dataset's classes, whatever is remembered beside the rasters.

    Raises
    ------
    SceneNotFoundError, SceneError
        A raster cannot be read.
    LabelError
        A raster lies elsewhere than its scene, or is of another size; a value is no code; two
        rasters name a code differently.
    """
    work = _Work(rules, known, fixed)
    planes = [work.plane(scene, some) for scene, some in zip(scenes, sources, strict=True)]
    work.refuse_elsewhere(scenes, planes)
    found = work.coded(planes)
    work.tell(watcher)
    return found


class _Work:
    """Rasters brought onto scenes, and what is to be said of them."""

    def __init__(
        self, rules: LabelRules, known: Sequence[LabelClass], fixed: Mapping[int, int] | None
    ) -> None:
        self._rules, self._known, self._fixed = rules, known, fixed
        self._numbering = Numbering()
        self._names: dict[int, tuple[str, Path]] = {}
        self._colours: dict[int, str] = {}
        self._said: dict[str, list[str]] = defaultdict(list)
        self._warned: dict[str, list[str]] = defaultdict(list)
        self._seen = self._zeros = 0
        self._zero: tuple[Path, float | None] | None = None
        """A raster in which 0 is a class, and its nodata value."""
        self._plain: Path | None = None
        """A raster of which nobody says what 0 is."""
        self._elsewhere: dict[Path, str] = {}
        """Rasters that do not lie on some scene, and where they lie; `_here`: those that do."""
        self._here: set[Path] = set()
        self._named: dict[Path, None] = {}
        """Rasters that hold names."""

    def plane(self, scene: Scene, sources: Sequence[RasterSource]) -> Codes | None:
        """Numbers of values `(rows, cols)`, of all rasters of a scene."""
        found: Codes | None = None
        for source in sources:
            with self._opened(scene, source) as raster:
                laid = self._laid(scene, raster, source)
                self._learn(raster)
            if laid is not None:
                found = laid if found is None else self._joined(found, laid, scene)
        return found

    def refuse_elsewhere(self, scenes: Sequence[Scene], planes: Sequence[Codes | None]) -> None:
        """Say which rasters lie on no scene; raise `LabelError` if no raster lies on any."""
        nowhere = {path: w for path, w in self._elsewhere.items() if path not in self._here}
        for path, where in nowhere.items():
            if all(plane is None for plane in planes):
                raise LabelError(
                    f"labels in {path} lie on none of {len(scenes)} scene(s): they span {where}, "
                    f"{scenes[0].path} {extent(scenes[0])}; give labels of these scenes, or check "
                    "the CRS of both"
                )
            self._warned["elsewhere"].append(
                f"left out {path}, which lies on none of the scenes: it spans {where}"
            )

    def coded(self, planes: list[Codes | None]) -> RasterLabels:
        """Planes of codes from those of numbers, in place."""
        values = [v for v in self._numbering.values if v >= UNLABELLED_CODE]
        named = [v for v in self._names if UNLABELLED_CODE < v <= LARGEST_CODE]
        file, kept = self._remembered()
        code_of = assigned(values, [*named, *(c.code for c in kept)], self._fixed)
        recoded = {v: code for v, code in code_of.items() if v != code}
        self._tell_codes(values, recoded)
        classes: list[LabelClass] = []
        for value in sorted({*named, *values}):
            code = code_of.get(value, value)
            name = self._names.get(value, (None,))[0]
            if name is None and value in recoded:
                name = f"class {value}"
            if name is not None and (value in code_of or code not in code_of.values()):
                classes.append(LabelClass(code, name, self._colours.get(value, "")))
        told = by_meaning([c.name for c in classes if not c.colour])
        if told:
            self._said["colours"].append(told)
        classes = list(all_coloured(classes))
        if file is not None:
            names = self._numbering.names
            both = joined(kept, classes, "the label rasters have", f"{file.path} has")
            classes = list(with_names(names, both, code_of.values(), {}))
            of_name = {c.name: c.code for c in classes}
            code_of |= {name_value(i): of_name[name] for i, name in enumerate(names)}
            file = file.extended(tuple(classes))
        numbered = (code_of[value] for value in self._numbering.values)
        table = np.array([UNLABELLED_CODE, *numbered], np.uint16)
        for plane in planes:
            for line in plane if plane is not None else ():
                line[:] = table[line]  # in place: such a plane may be large
        ordered = tuple(sorted(classes, key=lambda c: c.code))
        return RasterLabels(planes, ordered, recoded, file)

    def _remembered(self) -> tuple[ClassFile | None, Sequence[LabelClass]]:
        """The file that remembers codes of names, if rasters hold names, and what is known."""
        if not self._named:
            return None, ()
        places = [path.with_suffix(".classes.csv") for path in self._named]
        file = remembered(places if self._rules.classes is None else [self._rules.classes])
        if self._fixed is not None:
            return file, self._known
        return file, file.classes or self._known

    def tell(self, watcher: Watcher) -> None:
        """Say each kind of thing once, of the first raster that it is true of."""
        tell_alike(self._numbering.names, watcher)
        for said, tell in ((self._said, watcher.say), (self._warned, watcher.warn)):
            for first, *more in said.values():
                tell(first + (f"; the same of {len(more)} more" if more else ""))

    def _opened(self, scene: Scene, source: RasterSource) -> LabelRaster:
        shape = scene.rows, scene.cols
        if source.path is None:
            raster = own_raster(scene)
            assert raster is not None
            return raster
        return open_label_raster(
            source.path, variable=source.variable, shape=shape, legend=self._rules.classes
        )

    def _learn(self, raster: LabelRaster) -> None:
        """Take names and colours of a raster; what it guessed is to be said."""
        for note in raster.notes:
            self._said[note.replace(raster.path.name, "")].append(note)
        for value, name in raster.legend.names.items():
            if is_no_class(name):
                continue
            other, path = self._names.setdefault(value, (name, raster.path))
            if other != name:
                raise LabelError(
                    f"{raster.path} calls code {value} {name}, {path} calls it {other}; make them "
                    "one, or prepare them apart"
                )
        for value, colour in raster.legend.colours.items():
            self._colours.setdefault(value, colour)

    def _laid(self, scene: Scene, raster: LabelRaster, source: RasterSource) -> Codes | None:
        """Numbers of the values of a raster on a scene, None where it lies elsewhere."""
        window = self._window(raster, source)
        shape = scene.rows, scene.cols
        if not (scene.grid.placed and raster.grid.placed):
            refuse_shape(raster.path, (raster.rows, raster.cols), shape)
            if source.path is not None and not source.known:
                which = "neither has a place" if not raster.grid.placed else "it has no place"
                if scene.grid.placed:
                    which = "the labels have no place"
                self._said["position"].append(
                    f"{raster.path.name} is taken for {scene.path.name} row by row, column by "
                    f"column, as {which}"
                )
            return _by_strips(window, shape)
        laying = Laying(scene, raster, window, self._rules.min_coverage)
        if not laying.overlaps():
            if source.by_place:
                self._elsewhere[raster.path] = extent(raster)
                return None
            raise LabelError(
                f"labels in {raster.path} lie elsewhere than {scene.path}: they span "
                f"{extent(raster)}, the scene {extent(scene)}; give the labels of this scene, or "
                "check the CRS of both"
            )
        self._here.add(raster.path)
        found = _by_strips(laying.read, shape)
        self._tell_laid(scene, raster, laying, int(np.count_nonzero(found)))
        return found

    def _window(self, raster: LabelRaster, source: RasterSource) -> Callable[[slice, slice], Codes]:
        """Reads numbers of a raster's values, or of its names."""
        if raster.named:
            return self._window_of_names(raster)
        ignore = (*source.ignore, *self._rules.ignore)
        if not source.known:
            ignore = (*ignore, *self._called_nothing(raster))
        zero = not source.known and self._zero_is_a_class(raster)
        nothing = Nothing(raster.nodata, ignore, zero)
        if zero:
            self._zero = self._zero or (raster.path, raster.nodata)
        elif source.path is not None and not source.known and UNLABELLED_CODE not in ignore:
            self._plain = self._plain or raster.path

        def window(rows: slice, cols: slice) -> Codes:
            values = raster.window(rows, cols)
            self._seen += values.size
            self._zeros += values.size - int(np.count_nonzero(values))
            return self._numbering.of(values, nothing, raster.path, (rows.start, cols.start))

        return window

    def _window_of_names(self, raster: LabelRaster) -> Callable[[slice, slice], Codes]:
        if self._rules.zero_is_a_class:
            raise LabelError(
                f"--zero-is-a-class is for label rasters of numbers; {raster.path} holds names: "
                "call the class by one"
            )
        self._named[raster.path] = None
        return lambda rows, cols: self._numbering.of_names(
            raster.window(rows, cols), raster.named, raster.path
        )

    def _called_nothing(self, raster: LabelRaster) -> list[int]:
        """Values but 0 whose names say that they are no class, as "background" does."""
        found = {v: name for v, name in raster.legend.names.items() if v and is_no_class(name)}
        if found:
            values = listed((f"{value} ({name})" for value, name in found.items()), len(found))
            self._said["called nothing"].append(
                f"{values} of {raster.path.name} is taken as unlabelled, as its name stands for no "
                "class"
            )
        return list(found)

    def _zero_is_a_class(self, raster: LabelRaster) -> bool:
        """Whether 0 is a class: the user says so, or something else is declared to be nothing."""
        if UNLABELLED_CODE in self._rules.ignore:
            return False
        if self._rules.zero_is_a_class:
            return True
        named = raster.legend.names.get(UNLABELLED_CODE)
        declared = raster.nodata is not None and raster.nodata != UNLABELLED_CODE
        return declared and (named is None or not is_no_class(named))

    def _joined(self, one: Codes, other: Codes, scene: Gridded) -> Codes:
        """Two planes as one; pixels to which they give different numbers have none."""
        both = (one != 0) & (other != 0) & (one != other)
        found = np.where(one != 0, one, other)
        if both.any():
            found[both] = 0
            self._warned["joined"].append(
                f"{np.count_nonzero(both):,} pixels of {scene.path.name} that two label rasters "
                "give different classes are left unlabelled"
            )
        return found

    def _tell_laid(self, scene: Scene, raster: LabelRaster, laying: Laying, labelled: int) -> None:
        if raster.grid == scene.grid and (raster.rows, raster.cols) == (scene.rows, scene.cols):
            return
        how = "pixel on pixel" if laying.copied else "each pixel by what covers most of it"
        self._said[how].append(
            f"{raster.path.name} is laid on {scene.path.name} by its place, {how}: it labels "
            f"{labelled:,} of {scene.rows * scene.cols:,} pixels"
        )
        lost = laying.tally.short + laying.tally.tied
        if lost:
            self._said["lost"].append(
                f"{lost:,} pixels of {scene.path.name} that {raster.path.name} touches stay "
                f"unlabelled: no class covers {100 * self._rules.min_coverage:g} % of "
                f"{laying.tally.short:,}, two cover the same of {laying.tally.tied:,}"
            )

    def _tell_codes(self, values: Sequence[int], recoded: Mapping[int, int]) -> None:
        """Say what has become of 0 and of large values, and which code is perhaps none."""
        codes = sorted(v for v in values if v != UNLABELLED_CODE)
        if UNLABELLED_CODE in recoded and self._zero is not None:
            path, nodata = self._zero
            why = "" if nodata is None else f", where {nodata:g} stands for nothing"
            self._said["zero"].append(
                f"0 is a class in {path.name}{why}: in the dataset and in maps its code is "
                f"{recoded[UNLABELLED_CODE]}, as 0 is not classified there; --ignore-codes 0 "
                "leaves it out"
            )
        elif self._plain is not None and self._zeros and self._zero_may_be_a_class(codes):
            named = self._names.get(UNLABELLED_CODE)
            called = "" if named is None else f" ({named[0]})"
            self._said["zero"].append(
                f"0{called} is taken as unlabelled in {self._plain.name}; if it is a class there, "
                "give --zero-is-a-class"
            )
        large = {v: c for v, c in recoded.items() if v > LARGEST_CODE}
        if large:
            pairs = (f"{value} is {code}" for value, code in large.items())
            self._said["large"].append(
                f"codes above {LARGEST_CODE} get new ones: {listed(pairs, len(large))}"
            )
        for code in UNSEEN:
            others = [v for v in codes if v != code]
            if code in codes and code not in self._names and max(others, default=0) < FAR * code:
                self._warned["unseen"].append(
                    f"{code} is taken as a class; if it stands for pixels that nobody looked at, "
                    f"leave it out with --ignore-codes {code}"
                )

    def _zero_may_be_a_class(self, codes: Sequence[int]) -> bool:
        """Codes run on from 0, and 0 is no more than one among them; or it has a name."""
        if UNLABELLED_CODE in self._names:
            return True
        codes = [v for v in codes if v not in UNSEEN]
        return (
            bool(codes)
            and codes == list(range(1, len(codes) + 1))
            and (2 * self._zeros <= self._seen or len(codes) == 1)
        )


def _by_strips(read: Callable[[slice, slice], npt.NDArray[Any]], shape: tuple[int, int]) -> Codes:
    """A whole plane, read by strips of rows."""
    found = np.zeros(shape, np.uint16)
    high = max(1, STRIP // shape[1] // 256) * 256
    for row in range(0, shape[0], high):
        rows = slice(row, min(row + high, shape[0]))
        found[rows] = read(rows, slice(0, shape[1]))
    return found
