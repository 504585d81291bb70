"""From many scenes and a trained classifier to class maps: a task a scene, wherever it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from hsi_ssl.claims import claimed
from hsi_ssl.errors import HsiSslError, ModelError, OutputError, ScenesError, SettingsError
from hsi_ssl.inference.checkpoint import CARD
from hsi_ssl.inference.classifier import Classifier, load_classifiers
from hsi_ssl.inference.worth import poor_in_words
from hsi_ssl.labels.area import areas
from hsi_ssl.labels.finding import Found
from hsi_ssl.labels.looking import looked_at
from hsi_ssl.labels.sources import open_found
from hsi_ssl.maps.mosaic import is_mosaic, withdraw_mosaic
from hsi_ssl.maps.one_map import (
    ClassifyResult,
    check_novelty,
    made_or_left,
    shown_classes,
)
from hsi_ssl.maps.places import of_label_set
from hsi_ssl.maps.planning import Wanted, nothing_found, planned
from hsi_ssl.maps.records import record_path
from hsi_ssl.maps.whole import make_way, mosaic_of
from hsi_ssl.maps.windows import novelty_asked
from hsi_ssl.running.places import Here, Place, value_of
from hsi_ssl.running.starting import place_of
from hsi_ssl.running.task import Done, Task
from hsi_ssl.running.telling import Once
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings

BARS = 8
"""Scenes whose own progress is shown, beside that of all."""
SEEN_WITHIN = 5.0
"""Seconds in which a file that another machine has written is seen here."""


def classify(
    settings: ClassifySettings, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> list[ClassifyResult]:
    """Map every scene that the settings name, by catalog name, folder or file.

    A model of several label sets makes a map of each, `<map>_<label set>.tif`. Over the maps of
    scenes in one CRS goes a mosaic if the output is named `.vrt`. A map that is there stays where
    its record says that it was made of the same.

    What is wrong with all scenes together is found out before the first map is begun. Where one of
    several scenes fails, the others go on.

    Raises
    ------
    SettingsError
        No scene is named, several would be written to one file, the shard is none.
    ScenesError
        Some of several scenes failed; the other maps are made.
    WorkerError
        The cluster is not there, or of another version.
    SceneNotFoundError, SceneError, CatalogError, FetchError
        A scene is not there or cannot be read; no mosaic can hold it.
    VectorError
        The layer of the area is broken, or holds nothing of the scenes.
    ModelError, DeviceError
        The model is not there, or the device; p-values are asked for that it cannot give.
    BandsError, UnitsError, OutputError, LabelError
        As `classify_scene`.
    """
    _refuse_none(settings.scenes)
    classifiers = load_classifiers(settings.model, settings.device)
    return classify_sources(classifiers, settings, overwrite=overwrite, watcher=watcher)


def classify_sources(
    classifiers: Sequence[Classifier],
    settings: ClassifySettings,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[ClassifyResult]:
    """As `classify`, by the classifiers of `settings.model` where they are loaded already."""
    return _classified(classifiers, settings, None, overwrite, watcher)


def classify_scenes(
    scenes: Sequence[Scene],
    classifiers: Sequence[Classifier],
    settings: ClassifySettings,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[ClassifyResult]:
    """As `classify_sources`, of scenes that are open, in this process.

    Raises
    ------
    SettingsError
        Workers are asked for: what is open here is not open there.
    """
    if settings.elsewhere:
        raise SettingsError("workers open scenes by themselves: give files, not open scenes")
    return _classified(classifiers, settings, scenes, overwrite, watcher)


def _refuse_none(scenes: Sequence[object]) -> None:
    if not scenes:
        raise SettingsError(
            "no scene to classify; name files, folders or data sets of the catalog, "
            "or put them into [classify] as scenes"
        )


def _classified(
    classifiers: Sequence[Classifier],
    settings: ClassifySettings,
    scenes: Sequence[Scene] | None,
    overwrite: bool,
    watcher: Watcher,
) -> list[ClassifyResult]:
    _refuse_none(settings.scenes if scenes is None else scenes)
    for classifier in classifiers:
        check_novelty(classifier, settings)
        kept, measure, _ = novelty_asked(classifier, settings)
        poor = poor_in_words(classifier.card)
        if poor is not None and kept is not None and measure == "likelihood":
            watcher.warn(poor)
    mosaics = _mosaics(settings.output, classifiers)
    former = _former_mosaics(settings, classifiers) if overwrite else []
    with ExitStack() as held:
        held.enter_context(claimed(*mosaics.values(), *former))
        place: Place = place_of(settings.workers, settings.scheduler, watcher)
        held.callback(place.close)
        plan = planned(settings, watcher, scenes)
        for label_set in (one.label_set for one in classifiers):
            if mosaic := mosaics.get(label_set.name):
                maps = [of_label_set(one, label_set, len(classifiers)) for one in plan.outputs]
                make_way(mosaic, maps, settings, overwrite=overwrite)
        for mosaic in former:
            withdraw_mosaic(mosaic)
            watcher.say(
                f"{mosaic} is taken away, since maps of it are made anew; -o {mosaic} makes both"
            )
        run = _Run(plan.wanted, plan.outputs, classifiers, settings, overwrite, watcher)
        failed = list(plan.failed)
        results = run.all(place, failed)
        if failed:
            raise _failure(failed, results, len(plan.wanted) + len(plan.failed))
        if plan.wanted and not results:
            raise nothing_found([str(one.path) for one in plan.wanted])
        for classifier in classifiers:
            if mosaic := mosaics.get(classifier.label_set.name):
                own = [r.map for r in results if r.label_set == classifier.label_set.name]
                mosaic_of(mosaic, own, shown_classes(classifier, settings), settings)
    return [replace(result, mosaic=mosaics.get(result.label_set)) for result in results]


def _mosaics(output: Path | None, classifiers: Sequence[Classifier]) -> dict[str, Path]:
    """Mosaics by their label sets' names."""
    if output is None or not is_mosaic(output):
        return {}
    sets = [classifier.label_set for classifier in classifiers]
    return {one.name: of_label_set(output, one, len(sets)) for one in sets}


def _former_mosaics(settings: ClassifySettings, classifiers: Sequence[Classifier]) -> list[Path]:
    """Mosaics of ours over maps in the folder that the output is, where it is one."""
    folder = settings.output
    if folder is None or is_mosaic(folder) or not folder.is_dir():
        return []
    found = _mosaics(folder.with_name(f"{folder.name}.vrt"), classifiers).values()
    return [path for path in found if path.is_file() and record_path(path).is_file()]


def _failure(
    failed: Sequence[tuple[str, Exception]], results: list[ClassifyResult], scenes: int
) -> Exception:
    """What is to be raised: a fault of ours as it is, of one scene its own error."""
    bug = next((e for _, e in failed if not isinstance(e, HsiSslError)), None)
    if bug is not None or scenes == 1:
        return bug or failed[0][1]
    return ScenesError(
        [(name, str(error)) for name, error in failed], scenes, [one.to_json() for one in results]
    )


class _Run:
    """Maps on their way."""

    def __init__(
        self,
        wanted: Sequence[Wanted],
        outputs: Sequence[Path],
        classifiers: Sequence[Classifier],
        settings: ClassifySettings,
        overwrite: bool,
        watcher: Watcher,
    ) -> None:
        self._wanted, self._outputs = wanted, outputs
        self._classifiers, self._settings = classifiers, settings
        self._overwrite, self._watcher = overwrite, watcher
        self._said: set[str] = set()

    def all(self, place: Place, failed: list[tuple[str, Exception]]) -> list[ClassifyResult]:
        """The maps of all scenes, in their order; scenes that fail are put to `failed`."""
        wanted, maps = self._wanted, dict[int, list[ClassifyResult]]()
        errors: dict[int, Exception] = {}
        tasks = map(self._task_of(place), wanted, self._outputs)
        done = 0
        self._say_if_stopped(done)
        for number, outcome in place.results(tasks, self._watcher_of):
            done += 1
            try:
                maps[number] = self._maps(outcome)
            except Exception as error:
                errors[number] = error
                if len(wanted) > 1:
                    self._watcher.say(f"{wanted[number].path}: failed; why is told at the end")
            if len(wanted) > 1:
                self._watcher.progress("scenes", done, len(wanted))
            self._say_if_stopped(done)
        failed += [(str(wanted[number].path), errors[number]) for number in sorted(errors)]
        return [one for number in sorted(maps) for one in maps[number]]

    def _say_if_stopped(self, done: int) -> None:
        if self._among:
            self._watcher.if_stopped(
                f"{done} of {len(self._wanted)} scenes are done; the same command leaves their "
                "maps and makes the others"
            )

    def _task_of(self, place: Place) -> Callable[[Wanted, Path], Task]:
        return self._own_task if isinstance(place, Here) else self._task

    def _own_task(self, wanted: Wanted, output: Path) -> Task:
        """A task for this process, with the model that is loaded."""
        settings = wanted.settings(self._settings)
        work = partial(
            map_one, wanted.found, settings, output, self._classifiers, self._overwrite,
            self._among, scene=wanted.scene,
        )  # fmt: skip
        return Task(str(wanted.path), work)

    def _task(self, wanted: Wanted, output: Path) -> Task:
        """A task that travels."""
        settings = wanted.settings(self._settings)
        values = (
            wanted.found, settings, output, _known_by(self._classifiers), self._overwrite,
            self._among,
        )  # fmt: skip
        needs = [path for path in (wanted.path, settings.model / CARD) if path.exists()]
        return Task(str(wanted.path), map_by_run, values, tuple(needs))

    @property
    def _among(self) -> bool:
        return len(self._wanted) > 1

    def _watcher_of(self, number: int) -> Watcher:
        if not self._among:
            return self._watcher
        one = self._wanted[number]
        names = (str(one.path), one.path.name, one.name)
        return Once(self._watcher, self._said, names, steps=len(self._wanted) <= BARS)

    def _maps(self, outcome: Done) -> list[ClassifyResult]:
        """The maps of a scene that is done; none where it was left out."""
        found = value_of(outcome)
        assert isinstance(found, list)
        for one in found:
            _see(one.map)
            if one.left:
                self._watcher.say(f"left {one.map} as it is: it was made of the same before")
        return found


def _see(path: Path) -> None:
    """Wait until a map is seen that another machine may have written.

    Raises
    ------
    OutputError
        It is not.
    """
    until = time.monotonic() + SEEN_WITHIN
    while not path.exists():
        if time.monotonic() > until:
            raise OutputError(
                f"a worker has written {path}, which is not seen here: let all machines have the "
                "same folders under the same names"
            )
        time.sleep(0.1)


def map_one(
    found: Found,
    settings: ClassifySettings,
    output: Path,
    classifiers: Sequence[Classifier],
    overwrite: bool,
    among: bool,
    *,
    scene: Scene | None = None,
    watcher: Watcher,
) -> list[ClassifyResult]:
    """Map one scene, `among` others or alone, for each label set; none where it is left out."""
    reading = settings.reading
    opened = scene or open_found(found, replace(reading, mask=(), mask_out=()), watcher)
    if opened is None:
        return []

    def look() -> Scene | None:
        if scene is not None:
            return scene
        return looked_at([opened], reading, watcher, needed=not among)[0]

    try:
        area = None
        if settings.area is not None:
            area = areas(settings.area, [opened], watcher)[0]
        return made_or_left(
            opened, look, classifiers, settings, output,
            area=area, overwrite=overwrite, watcher=watcher,
        )  # fmt: skip
    finally:
        if scene is None:
            opened.close()


def map_by_run(
    found: Found,
    settings: ClassifySettings,
    output: Path,
    known_by: str,
    overwrite: bool,
    among: bool,
    *,
    watcher: Watcher,
) -> list[ClassifyResult]:
    """As `map_one`, of plain values: the model is loaded from its folder and must be `known_by`.

    Raises
    ------
    ModelError
        Another model lies there.
    """
    classifiers = _loaded(settings.model, settings.device, known_by)
    return map_one(found, settings, output, classifiers, overwrite, among, watcher=watcher)


@lru_cache(maxsize=1)
def _loaded(run: Path, device: str, known_by: str) -> Sequence[Classifier]:
    """A run's classifiers, once a process."""
    found = load_classifiers(run, device)
    if _known_by(found) != known_by:
        raise ModelError(
            f"{run} holds another model here than where the command was given, or was trained anew "
            "meanwhile: give all machines the same run folder, and the command again"
        )
    return found


def _known_by(classifiers: Sequence[Classifier]) -> str:
    return " ".join(str(one.card["weights_sha256"]) for one in classifiers)
