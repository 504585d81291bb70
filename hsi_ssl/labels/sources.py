"""From what the user names (data sets, folders, files) to open scenes with their labels."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hsi_ssl.catalog.entries import LabelSetEntry, entries, entry
from hsi_ssl.closing import Closes
from hsi_ssl.errors import (
    CatalogError,
    DamagedSceneError,
    LabelError,
    SceneError,
    SceneNotFoundError,
)
from hsi_ssl.labels.class_codes import ClassFile
from hsi_ssl.labels.finding import Finder, Found, labels_in
from hsi_ssl.labels.inside import SUFFIXES
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.labelling import (
    Labelled,
    LabelledScene,
    Opened,
    drawn,
    own,
    published,
    with_files,
)
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.looking import looked_at, without_masked
from hsi_ssl.labels.rules import USUAL_RULES, LabelRules
from hsi_ssl.scenes.opening import open_as
from hsi_ssl.scenes.readers.hdf5_file import opened as hdf5_opened
from hsi_ssl.scenes.reading import AS_THEY_ARE, Reading
from hsi_ssl.scenes.resting import MOST, Room, resting
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.virtual import is_virtual
from hsi_ssl.scenes.wavelengths import with_facts
from hsi_ssl.watcher import SILENT, Watcher

DRILL_CORE = "drill-core HDF5"
DRILL_CORE_ENTRY = "alhue-drillcore"


@dataclass(frozen=True)
class Sources(Closes):
    """Open scenes in an order that does not depend on the user's. Close them, or use a `with`.

    `label_set` holds all names that are known, also of codes that do not occur. `others` are the
    same scenes with the labels of further label sets. `class_file`, where labels hold
    names, remembers the codes of these: save it with whatever is made of them. `recoded` are the
    codes of values of label rasters that could not be codes: 0 where it is a class, say.
    """

    scenes: tuple[LabelledScene, ...]
    label_set: LabelSet
    title: str
    others: tuple[Sources, ...] = ()
    class_file: ClassFile | None = None
    recoded: Mapping[int, int] = field(default_factory=dict)

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


def resolve(
    sources: Sequence[str],
    *,
    labels: Sequence[Path] = (),
    label_set: str | None = None,
    reading: Reading = AS_THEY_ARE,
    train_labels: Sequence[Path] = (),
    test_labels: Sequence[Path] = (),
    rules: LabelRules = USUAL_RULES,
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
        In the place of those that are found by themselves: label rasters or vector layers
        (`file.gpkg`, `file.gpkg:layer`), also a folder or a pattern of them; each for the scene
        whose name it bears (`scene.gpkg`, `scene_labels.tif`), else for all that it lies on.
    label_set
        Of those that the data have, by default the first. Other codes count as unlabelled.
    reading
        How scenes are read.
    train_labels, test_labels
        Published maps, in the place of all other labels; for scenes as `labels`.
    rules
        How labels are taken from what is drawn and from rasters.
    labelled
        False: only open the scenes; no labels are read, none are needed.
    data_folder
        Where data sets of the catalog lie, and go; by default as in `catalog.locate`, and what is
        missing goes into the cache folder.

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
    room = Room() if len(found) > MOST else None
    with ExitStack() as on_error:
        opened: list[Opened] = []
        for one in found:
            scene = _open(one, reading, watcher)
            if scene is not None:
                if room is not None:
                    scene = resting(scene, partial(open_again, one, reading), room)
                on_error.callback(scene.close)
                opened.append(_with_label_set(Opened(one, scene), label_set))
        if not opened:
            raise SceneNotFoundError(f"no cube can be read in {', '.join(sources)}")
        drawn_by_hand = False
        if labelled:
            opened, drawn_by_hand = with_files(
                opened, labels, train_labels, test_labels, rules, watcher
            )
        opened = _looked_at(opened, reading, watcher)
        # From here on the order in which the user named them is forgotten.
        opened.sort(key=lambda one: (one.scene.path.name, str(one.scene.path)))
        _tell_notes(opened, watcher)
        names = _merged(opened)
        if not labelled:
            found_labels = Labelled(
                tuple(
                    LabelledScene(one.scene, role=one.found.role, found=one.found) for one in opened
                ),
                names,
            )
        elif train_labels:
            found_labels = published(opened, names, rules, watcher)
        elif drawn_by_hand:
            found_labels = drawn(opened, names, rules, watcher)
        else:
            _tell_label_set(opened, label_set, watcher)
            found_labels = own(opened, names, rules, watcher)
        scenes = tuple(without_masked(source, watcher) for source in found_labels.scenes)
        if labelled:
            _refuse_unlabelled(scenes, opened)
        on_error.pop_all()
    return Sources(
        scenes,
        found_labels.names,
        " + ".join(sorted(set(titles))),
        class_file=found_labels.class_file,
        recoded=found_labels.recoded,
    )


def in_catalog(name: str) -> bool:
    """Whether a name is that of a known data set."""
    return name in entries()


def open_found(found: Found, reading: Reading, watcher: Watcher = SILENT) -> Scene | None:
    """Open one scene that was found, without labels, as `resolve` does; what it notes is said.

    None for a file that was met in a folder and turns out to be no cube, which is said.

    Raises
    ------
    SceneNotFoundError, SceneError, VectorError, LabelError
        It is no cube that can be read; its masks do not fit, or leave nothing.
    """
    scene = _open(found, reading, watcher)
    if scene is None:
        return None
    with ExitStack() as on_error:
        on_error.callback(scene.close)
        looked = looked_at([scene], reading, watcher)[0]
        if looked is None:
            return None
        _tell_notes([Opened(found, looked)], watcher)
        on_error.pop_all()
    return looked


def open_again(found: Found, reading: Reading) -> Scene:
    """One that could be opened before, without masks and labels.

    Raises
    ------
    SceneNotFoundError, SceneError
        It is gone, or no cube any more.
    """
    scene = _open(replace(found, searched=False), reading, SILENT)
    assert scene is not None  # else it is left out of a folder only
    return scene


def _found(
    sources: Sequence[str], data_folder: Path | None, watcher: Watcher
) -> tuple[list[str], list[Found]]:
    """Titles, and each cube once."""
    titles: list[str] = []
    cubes: dict[Path, Found] = {}
    finder = Finder(data_folder, watcher)
    for source in finder.scenes_among(sources):
        title, those = finder.find(source)
        titles.append(title)
        for one in those:
            cubes.setdefault(one.cube.resolve(), one)
    return titles, list(cubes.values())


def _open(found: Found, reading: Reading, watcher: Watcher) -> Scene | None:
    """The scene, or None for a file met in a folder that turns out to be no cube.

    One that is damaged is a cube.
    """
    try:
        scene = open_as(found.cube, reading, found.variable)
    except SceneError as error:
        if not found.searched or reading.variable:
            raise
        if isinstance(error, DamagedSceneError):
            raise DamagedSceneError(f"{error}, or take it out of the folder") from error
        watcher.warn(f"left out: {error}")
        return None
    if found.known is not None:
        scene = with_facts(scene, found.known.facts(scene.bands))
    return scene


def _looked_at(opened: Sequence[Opened], reading: Reading, watcher: Watcher) -> list[Opened]:
    """Scenes with what is not to be looked at as if it held nothing; without those with no more."""
    looked = looked_at([one.scene for one in opened], reading, watcher)
    kept = []
    for one, scene in zip(opened, looked, strict=True):
        if scene is None:
            one.scene.close()
        else:
            kept.append(replace(one, scene=scene))
    return kept


def _with_label_set(opened: Opened, name: str | None) -> Opened:
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
    with hdf5_opened(cube) as file:
        return label_set.model_copy(update={"variable": name}) if name in file else label_set


def _merged(opened: Sequence[Opened]) -> LabelSet:
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


def _refuse_unlabelled(scenes: Sequence[LabelledScene], opened: Sequence[Opened]) -> None:
    """Raise `LabelError` if not one pixel is labelled."""
    planes = [p for s in scenes for p in (s.labels, s.train_labels) if p is not None]
    if any(plane.any() for plane in planes):
        return
    if not planes:
        cube = opened[0].found.cube
        there = [] if is_virtual(cube) else labels_in(cube.parent)
        found = f", found {listed([one.name for one in there], len(there))}" if there else ""
        array = cube.suffix.lower() in SUFFIXES
        inside = f", an array in it as --labels {cube}:NAME" if array else ""
        those = f" {shlex.quote(str(there[0]))}" if len(there) == 1 else ""
        raise LabelError(
            f"no labels in or beside {cube}: expected {cube.stem}_labels.tif or .gpkg{found}; "
            f"give labels with --labels{those}{inside}"
        )
    raise LabelError(
        f"not one pixel of {len(scenes)} scene(s) is labelled ({opened[0].label_set.name}): "
        "expected codes above 0; give other rasters with --labels or choose another --label-set"
    )


def _tell_notes(opened: Sequence[Opened], watcher: Watcher) -> None:
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


def _tell_label_set(opened: Sequence[Opened], asked: str | None, watcher: Watcher) -> None:
    known = opened[0].found.known
    if asked is None and known is not None and len(known.label_sets) > 1:
        others = ", ".join(s.name for s in known.label_sets[1:])
        watcher.say(f"label set {known.label_sets[0].name}; --label-set chooses another: {others}")
