"""From what the user names (data sets, folders, files) to open scenes with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.catalog.entries import LabelSetEntry, entry
from hsi_ssl.errors import CatalogError, LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.class_codes import ClassFile
from hsi_ssl.labels.finding import LABELS, Found, find
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.published import named_by_overlap
from hsi_ssl.labels.rasters import own_labels, read_label_plane
from hsi_ssl.labels.vector_labels import USUAL_RULES, VectorRules, drawn_labels
from hsi_ssl.labels.vectors import is_vector, vector_file
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.wavelengths import BandFacts, with_facts
from hsi_ssl.watcher import SILENT, Watcher

Codes = npt.NDArray[np.uint16]

DRILL_CORE = "drill-core HDF5"
DRILL_CORE_ENTRY = "alhue-drillcore"
ANY_LABELS = LabelSetEntry(name="labels")
"""For scenes that the catalog does not know: every code counts, none has a name."""


@dataclass(frozen=True)
class LabelledScene:
    """An open scene and what is known of its pixels: planes `(rows, cols)` of codes, 0 unlabelled.

    `labels` is None where there are none or where published maps take their place; `labels_path`
    names the file that they are in; `role` is what the publishers use the scene for. `polygons`
    holds the number of the drawn polygon that each labelled pixel lies in, -1 elsewhere; one that
    several scenes show has one number. None where labels are rasters.
    """

    scene: Scene
    labels: Codes | None = field(default=None, repr=False)
    labels_path: Path | None = None
    role: str | None = None
    train_labels: Codes | None = field(default=None, repr=False)
    test_labels: Codes | None = field(default=None, repr=False)
    polygons: npt.NDArray[np.int32] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Sources:
    """Open scenes in an order that does not depend on the user's. Close them, or use a `with`.

    `label_set` holds all names that are known, also of codes that do not occur. `others` are the
    same scenes with the labels of further label sets. `class_file`, where labels are drawn with
    names, remembers the codes of these: save it with whatever is made of them.
    """

    scenes: tuple[LabelledScene, ...]
    label_set: LabelSet
    title: str
    others: tuple[Sources, ...] = ()
    class_file: ClassFile | None = None

    @property
    def by_label_set(self) -> tuple[Sources, ...]:
        """The scenes with the labels of each label set in turn."""
        return (self, *self.others)

    @property
    def image_like(self) -> bool:
        """Whether rows are pictures, not lines of pixels on the ground."""
        return all(source.scene.format == "IDX" for source in self.scenes)

    def close(self) -> None:
        """Release all files."""
        for one in self.by_label_set:
            for source in one.scenes:
                source.scene.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Opened:
    """A scene while its labels are sought.

    `given`, `train` and `test` are the user's rasters, `layers` the vector layers for this scene.
    """

    found: Found
    scene: Scene
    label_set: LabelSetEntry = ANY_LABELS
    given: Path | None = None
    train: Path | None = None
    test: Path | None = None
    layers: tuple[Path, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        return self.scene.rows, self.scene.cols


def resolve(
    sources: Sequence[str],
    *,
    labels: Sequence[Path] = (),
    label_set: str | None = None,
    variable: str | None = None,
    wavelengths: Path | None = None,
    train_labels: Sequence[Path] = (),
    test_labels: Sequence[Path] = (),
    rules: VectorRules = USUAL_RULES,
    labelled: bool = True,
    data_folder: Path | None = None,
    watcher: Watcher = SILENT,
) -> Sources:
    """Open the scenes of catalog names, folders and files, with their labels.

    Parameters
    ----------
    sources
        See `finding.find`.
    labels
        In the place of those that are found by themselves: label rasters, one a scene in the order
        of `sources`; or vector layers (`file.gpkg`, `file.gpkg:layer`), each for the scene whose
        name it bears (`scene.gpkg`, `scene_labels.gpkg`), else for all scenes that it lies on.
    label_set
        Of those that the data have, by default the first. Other codes count as unlabelled.
    variable, wavelengths
        As in `open_scene`.
    train_labels, test_labels
        Published maps, one a scene each, in the place of all other labels.
    rules
        How labels are taken from vector layers.
    labelled
        False: only open the scenes; no labels are read, none are needed.
    data_folder
        Where data sets of the catalog lie; by default as in `catalog.locate`.

    Raises
    ------
    SceneNotFoundError, SceneError
        A source is not there, or is no cube that can be read.
    LabelError
        Not one pixel is labelled; rasters do not fit their scenes; two sources name one code
        differently.
    VectorError
        A vector layer cannot be read, or nobody knows where on the scenes it lies.
    CatalogError, FetchError, OutputError
        A data set cannot be had, or has no label set of that name.
    """
    if not sources:
        raise SceneNotFoundError("no source is given; name a data set, a folder or files")
    titles, found = _found(sources, data_folder, watcher)
    with ExitStack() as on_error:
        opened: list[_Opened] = []
        for one in found:
            scene = _open(one, variable, wavelengths, watcher)
            if scene is not None:
                on_error.callback(scene.close)
                opened.append(_with_label_set(_Opened(one, scene), label_set))
        if not opened:
            raise SceneNotFoundError(f"no cube can be read in {', '.join(sources)}")
        beside = labelled and not labels and not train_labels and _layers_beside(opened)
        drawn = beside or _vectors(labels, rules)
        opened = _with_rasters(opened, () if drawn else labels, train_labels, test_labels)
        if beside:
            opened = [replace(one, layers=_own_layers(one)) for one in opened]
        elif drawn:
            opened = _with_layers(opened, labels)
        # From here on the order in which the user named them is forgotten.
        opened.sort(key=lambda one: (one.scene.path.name, str(one.scene.path)))
        _tell_notes(opened, watcher)
        names, class_file = _merged(opened), None
        result = [LabelledScene(one.scene, role=one.found.role) for one in opened]
        if labelled:
            if train_labels:
                result, names = _published(opened, names, watcher)
            elif drawn:
                result, names, class_file = _drawn(opened, names, rules, watcher)
            else:
                _tell_label_set(opened, label_set, watcher)
                result, names = _own(opened, names, watcher)
            _refuse_unlabelled(result, opened)
        on_error.pop_all()
    title = " + ".join(sorted(set(titles)))
    return Sources(tuple(result), names, title, class_file=class_file)


def _found(
    sources: Sequence[str], data_folder: Path | None, watcher: Watcher
) -> tuple[list[str], list[Found]]:
    """Titles, and each cube once."""
    titles: list[str] = []
    cubes: dict[Path, Found] = {}
    for source in sources:
        title, those = find(source, data_folder, watcher)
        titles.append(title)
        for one in those:
            cubes.setdefault(one.cube.resolve(), one)
    return titles, list(cubes.values())


def _open(
    found: Found, variable: str | None, wavelengths: Path | None, watcher: Watcher
) -> Scene | None:
    """The scene, or None for a file met in a folder that turns out to be no cube."""
    try:
        scene = open_scene(found.cube, variable=variable or found.variable, wavelengths=wavelengths)
    except SceneError as error:
        if not found.searched or variable:
            raise
        watcher.warn(f"left out: {error}")
        return None
    known = found.known.wavelengths_nm if found.known else None
    if known is not None and len(known) == scene.bands:
        scene = with_facts(scene, BandFacts(np.array(known)))
    return scene


def _with_label_set(opened: _Opened, name: str | None) -> _Opened:
    """With the label set of that name, or the first, of the data set that the scene is of."""
    known = opened.found.known
    if known is None and opened.scene.format == DRILL_CORE:
        known = entry(DRILL_CORE_ENTRY)
        opened = replace(opened, found=replace(opened.found, known=known))
    if known is None:
        if name is not None:
            raise CatalogError(
                f"the catalog does not know {opened.found.cube.name}, so it has no label set "
                f"{name}; leave out --label-set"
            )
        return opened
    chosen = known.label_set(name)
    if chosen.variable is None and opened.scene.format == DRILL_CORE:
        chosen = _plane_of_its_own(chosen, opened.found.cube)
    return replace(opened, label_set=chosen)


def _plane_of_its_own(label_set: LabelSetEntry, cube: Path) -> LabelSetEntry:
    """A drill-core file may hold a plane for each label set, under the set's name."""
    name = f"/hsimage/{label_set.name}"
    with h5py.File(cube, "r") as file:
        return label_set.model_copy(update={"variable": name}) if name in file else label_set


def _merged(opened: Sequence[_Opened]) -> LabelSet:
    """All names of the scenes' label sets."""
    classes: dict[int, LabelClass] = {}
    for one in opened:
        for a_class in one.label_set.label_set().classes:
            other = classes.setdefault(a_class.code, a_class)
            if other.name != a_class.name:
                raise LabelError(
                    f"code {a_class.code} is {other.name} in one source and {a_class.name} in "
                    "another; prepare them apart"
                )
    return LabelSet(opened[0].label_set.name, tuple(classes[code] for code in sorted(classes)))


def _with_rasters(
    opened: Sequence[_Opened],
    labels: Sequence[Path],
    train: Sequence[Path],
    test: Sequence[Path],
) -> list[_Opened]:
    """Each scene with its own of the rasters that the user gives, in the user's order."""
    if bool(train) != bool(test):
        raise LabelError("expected --train-labels and --test-labels together, found one of them")
    given = {"--labels": labels, "--train-labels": train, "--test-labels": test}
    for option, paths in given.items():
        if paths and len(paths) != len(opened):
            raise LabelError(
                f"{option}: expected one label raster a scene, found {len(paths)} for "
                f"{len(opened)} scene(s)"
            )
    columns: list[Sequence[Path | None]] = [
        paths or [None] * len(opened) for paths in given.values()
    ]
    return [
        replace(one, given=a, train=b, test=c)
        for one, a, b, c in zip(opened, *columns, strict=True)
    ]


def _vectors(labels: Sequence[Path], rules: VectorRules) -> bool:
    """Whether the user's labels are vector layers."""
    drawn = [path for path in labels if is_vector(path)]
    if drawn and len(drawn) < len(labels):
        raster = next(path for path in labels if path not in drawn)
        raise LabelError(
            f"--labels: expected rasters or vector layers, found both: {raster} and {drawn[0]}; "
            "prepare them apart"
        )
    if not drawn and rules != USUAL_RULES:
        raise LabelError(
            "--label-field, --min-coverage and --classes are for labels drawn as polygons, lines "
            "or points; leave them out, or give --labels such as polygons.gpkg"
        )
    return bool(drawn)


def _own_layers(opened: _Opened) -> tuple[Path, ...]:
    """The vector file that lies beside a scene under its name."""
    labels = opened.found.labels
    return () if labels is None or not is_vector(labels) else (labels,)


def _layers_beside(opened: Sequence[_Opened]) -> bool:
    """Whether the labels that lie beside the scenes are vector layers."""
    drawn = [one for one in opened if _own_layers(one)]
    for one in opened if drawn else ():
        if not _own_layers(one) and _names_only(one) is not None:
            raise LabelError(
                f"expected rasters or vector layers as labels, found both: {drawn[0].found.labels} "
                f"and the labels of {one.scene.path}; prepare them apart"
            )
    return bool(drawn)


def _with_layers(opened: Sequence[_Opened], labels: Sequence[Path]) -> list[_Opened]:
    """Each scene with its vector layers: of its name; those of no scene's name go to all."""
    everywhere = [p for p in labels if not any(_is_named(p, one.scene) for one in opened)]
    in_order = everywhere == list(labels) and len(labels) == len(opened)
    found = []
    for i, one in enumerate(opened):
        mine = [path for path in labels if _is_named(path, one.scene)]
        if not everywhere or len(opened) == 1 or one.scene.grid.placed:
            mine += everywhere
        elif in_order:  # nothing on the ground tells whose pixels they are
            mine.append(labels[i])
        else:
            raise LabelError(
                f"{one.scene.path} has no georeference, so nobody knows whether {everywhere[0]} is "
                f"for it; call its labels {one.scene.name}_labels.gpkg"
            )
        found.append(replace(one, layers=tuple(mine)))
    return found


def _is_named(path: Path, scene: Scene) -> bool:
    """Whether a vector file bears a scene's name, with or without a word for labels."""
    stem = vector_file(path).stem.lower()
    match = LABELS.fullmatch(stem)
    return scene.name.lower() in {stem, match[1] if match else stem}


def _drawn(
    opened: Sequence[_Opened], names: LabelSet, rules: VectorRules, watcher: Watcher
) -> tuple[list[LabelledScene], LabelSet, ClassFile | None]:
    """Scenes with the labels that the user has drawn."""
    scenes = [one.scene for one in opened]
    drawn = drawn_labels(scenes, [one.layers for one in opened], rules, names.classes, watcher)
    if drawn.classes:
        names = LabelSet(names.name, drawn.classes)
    else:
        names = named_by_overlap(
            drawn.codes, list(map(_names_only, opened)), names, watcher=watcher
        )
    return (
        [
            LabelledScene(
                one.scene,
                codes,
                vector_file(one.layers[0]) if one.layers else None,
                one.found.role,
                polygons=polygons,
            )
            for one, codes, polygons in zip(opened, drawn.codes, drawn.polygons, strict=True)
        ],
        names,
        drawn.class_file,
    )


def _own(
    opened: Sequence[_Opened], names: LabelSet, watcher: Watcher
) -> tuple[list[LabelledScene], LabelSet]:
    """Scenes with the labels that lie in or beside them, or those that the user gives."""
    replaced = any(one.given is not None for one in opened)
    planes = [_names_only(one) if replaced else _known_labels(one) for one in opened]
    if replaced:
        given = [_read(one.given, one) for one in opened if one.given is not None]
        if any(one.given != one.found.labels for one in opened):
            names = named_by_overlap(given, planes, names, watcher=watcher)
        planes = list(given)
    paths = [one.given or one.found.labels or one.found.cube for one in opened]
    return [
        LabelledScene(one.scene, plane, None if plane is None else path, one.found.role)
        for one, plane, path in zip(opened, planes, paths, strict=True)
    ], names


def _published(
    opened: Sequence[_Opened], names: LabelSet, watcher: Watcher
) -> tuple[list[LabelledScene], LabelSet]:
    """Scenes with published training and test maps."""
    train = [_read_whole(one.train, one) for one in opened if one.train is not None]
    test = [_read_whole(one.test, one) for one in opened if one.test is not None]
    both = [np.where(a != 0, a, b) for a, b in zip(train, test, strict=True)]
    names = named_by_overlap(both, [_names_only(one) for one in opened], names, watcher=watcher)
    return [
        LabelledScene(one.scene, None, one.train, one.found.role, a, b)
        for one, a, b in zip(opened, train, test, strict=True)
    ], names


def _known_labels(opened: _Opened) -> Codes | None:
    """The labels in or beside a scene, codes of other label sets made 0; None without any."""
    found, chosen = opened.found, opened.label_set
    codes: npt.NDArray[Any] | None
    if chosen.variable is not None or found.labels is not None:
        codes = read_label_plane(
            found.cube if chosen.variable is not None else found.labels or found.cube,
            variable=chosen.variable or found.labels_variable,
            shape=opened.shape,
            ignore=chosen.ignore,
        )
    else:
        codes = own_labels(opened.scene)
    return None if codes is None else chosen.within(codes).astype(np.uint16)


def _names_only(opened: _Opened) -> Codes | None:
    """The known labels where other rasters take their place: if they are bad, names are unknown."""
    try:
        return _known_labels(opened)
    except (LabelError, SceneError):
        return None


def _read_whole(path: Path, opened: _Opened) -> Codes:
    """A published map: its codes are its own, and no pixel of it is dropped."""
    return read_label_plane(path, shape=opened.shape).astype(np.uint16)


def _read(path: Path, opened: _Opened) -> Codes:
    """A raster that the user names."""
    codes = read_label_plane(path, shape=opened.shape, ignore=opened.label_set.ignore)
    return opened.label_set.within(codes).astype(np.uint16)


def _refuse_unlabelled(scenes: Sequence[LabelledScene], opened: Sequence[_Opened]) -> None:
    """Raise `LabelError` if not one pixel is labelled."""
    planes = [p for s in scenes for p in (s.labels, s.train_labels) if p is not None]
    if any(plane.any() for plane in planes):
        return
    if not planes:
        cube = opened[0].found.cube
        raise LabelError(
            f"no labels in or beside {cube}: expected {cube.stem}_labels.tif or .gpkg; "
            "give labels with --labels"
        )
    raise LabelError(
        f"not one pixel of {len(scenes)} scene(s) is labelled ({opened[0].label_set.name}): "
        "expected codes above 0; give other rasters with --labels or choose another --label-set"
    )


def _tell_notes(opened: Sequence[_Opened], watcher: Watcher) -> None:
    """Say what readers guessed and what is nominal; of many files that are alike, of the first."""
    notes: dict[str, str] = {}
    for one in opened:
        for note in one.scene.notes:
            notes.setdefault(note.replace(one.scene.path.name, ""), note)
        known, taken = one.found.known, one.scene.wavelengths_nm
        if known and known.wavelengths_note and taken is not None:
            if taken.tolist() == list(known.wavelengths_nm or ()):
                note = f"{known.title}: wavelengths are {' '.join(known.wavelengths_note.split())}"
                notes[note] = note
    for note in notes.values():
        watcher.say(note)


def _tell_label_set(opened: Sequence[_Opened], asked: str | None, watcher: Watcher) -> None:
    known = opened[0].found.known
    if asked is None and known is not None and len(known.label_sets) > 1:
        others = ", ".join(s.name for s in known.label_sets[1:])
        watcher.say(f"label set {known.label_sets[0].name}; --label-set chooses another: {others}")
