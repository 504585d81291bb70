"""From a map, or a run, to all that is shown: scene, layers, legend, model and dataset.

A map names what it was made of in its tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_ssl.closing import Closes
from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.errors import DatasetError, HsiSslError, ModelError, SceneError
from hsi_ssl.inference.checkpoint import CARD
from hsi_ssl.inference.classifier import Classifier, load_classifiers
from hsi_ssl.inference.discovered import MapClasses, load_discovered, map_classes
from hsi_ssl.inference.extractor import check_bands
from hsi_ssl.inference.lineage import dataset_of
from hsi_ssl.labels.label_set import LabelClass, indices_to_codes
from hsi_ssl.maps.class_map import Layer
from hsi_ssl.maps.finding import (
    bases_of,
    first_there,
    legend_of,
    maps_in,
    number_in,
    on_pixels,
    opened_map,
    opened_scene,
    pixels_by_code,
    scene_places,
    settings_of,
    sources_of,
    tags_of,
)
from hsi_ssl.masks.codes import MASK_TAG
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

MEASURES: tuple[Layer, ...] = ("confidence", "entropy", "novelty", "p_value")
"""Layers of one band beside a map."""


@dataclass(frozen=True)
class ShownScene:
    """A scene with its map and the measures beside the map, where there are any.

    `number` is the scene's in the dataset, None where it is not in there; `counts` are the map's
    pixels by code.
    """

    scene: Scene
    number: int | None = None
    map: Scene | None = None
    measures: tuple[tuple[str, Scene], ...] = ()
    counts: dict[int, int] | None = None


@dataclass(frozen=True)
class Shown(Closes):
    """What is shown. Close it, or use it in a `with`.

    `classes` are those of maps and labels together, discovered ones too; `columns` are the codes of
    the posterior's columns, None for free slots; `spatial` says that neighbours had their say in
    the maps.
    """

    title: str
    scenes: tuple[ShownScene, ...]
    classes: tuple[LabelClass, ...]
    classifier: Classifier | None
    dataset: Dataset | None
    columns: tuple[int | None, ...] = ()
    spatial: bool = False

    def close(self) -> None:
        """Release all files."""
        for one in self.scenes:
            for raster in (one.scene, one.map, *(r for _, r in one.measures)):
                if raster is not None:
                    raster.close()


def shown(
    targets: Sequence[Path],
    *,
    scene: Path | None = None,
    model: Path | None = None,
    label_set: str | None = None,
    data: Sequence[Path] = (),
    watcher: Watcher = SILENT,
) -> Shown:
    """What is to be seen of class maps, or of the scenes that a run learnt from.

    Parameters
    ----------
    targets
        Class maps, or one run folder.
    scene, model
        In the place of those that the map names; a run with a `scene` is shown on that.
    label_set
        Which one of a run that has several.
    data
        Folders in which scenes and datasets are looked for that are not where they were.

    Raises
    ------
    SceneNotFoundError
        A map, or the scene that it was made of, is not there.
    SceneError
        A target is no class map, or not of the scene; several maps and one `scene`.
    ModelError, DatasetError
        The run that is named is not there or broken; nothing says which scenes it learnt from.
    """
    run = targets[0] if targets[0].is_dir() else None
    if len(targets) > 1 and (scene is not None or any(target.is_dir() for target in targets)):
        raise SceneError(
            f"{len(targets)} things to view: expected several maps, each with a scene of its own, "
            "or one run; name one of them"
        )
    if run is not None:
        return _of_run(run, scene, label_set, data, watcher)
    return _of_maps(targets, scene, model, label_set, data, watcher)


def _of_run(
    run: Path,
    scene: Path | None,
    label_set: str | None,
    data: Sequence[Path],
    watcher: Watcher,
) -> Shown:
    classifier = _classifier(run, label_set)
    bases = bases_of(run)
    dataset = _dataset(classifier, run, bases, data, watcher)
    with ExitStack() as on_error:
        if scene is not None:
            paths = [scene]
        elif dataset is None:
            raise DatasetError(
                f"the dataset that {run} learnt from is not there, so its scenes are not known; "
                "name one with --scene, or the folder that holds the dataset with --data"
            )
        else:
            paths = sources_of(dataset, bases, watcher)
        scenes = []
        for path in paths:
            opened = on_error.enter_context(opened_scene(path, {}, dataset, watcher))
            scenes.append(ShownScene(opened, number_in(opened, dataset)))
        on_error.pop_all()
    known = _known(classifier, run)
    return Shown(
        str(run),
        tuple(scenes),
        known.label_set.classes,
        classifier,
        dataset,
        _columns(classifier, known),
    )


def _of_maps(
    maps: Sequence[Path],
    scene: Path | None,
    model: Path | None,
    label_set: str | None,
    data: Sequence[Path],
    watcher: Watcher,
) -> Shown:
    maps = [one for path in maps for one in maps_in(path)]
    tags = [tags_of(path) for path in maps]
    if len({one.get("MODEL_SHA256") for one in tags}) > 1:
        raise SceneError("the maps are of several models: view those of one model at a time")
    bases = bases_of(maps[0])
    classifier, known, dataset = _model_of(tags[0], model, label_set, bases, data, watcher)
    classes = {} if known is None else {c.code: c for c in known.label_set.classes}
    scenes, spatial = [], False
    with ExitStack() as on_error:
        for path, about in zip(maps, tags, strict=True):
            settings = settings_of(path, about)
            spatial = spatial or bool(settings.get("spatial"))
            raster = on_error.enter_context(opened_map(path))
            beside = [(m, path.with_name(f"{path.stem}_{m}{path.suffix}")) for m in MEASURES]
            measures = [
                (name, on_error.enter_context(open_scene(there)))
                for name, there in beside
                if there.exists()
            ]
            places = scene_places(path, about, settings, scene, dataset, data)
            opened = on_error.enter_context(opened_scene(places[0], settings, dataset, watcher))
            seen = on_pixels(path, raster, opened)
            measures = [(kind, on_pixels(path, one, opened)) for kind, one in measures]
            legend, counts = legend_of(path)
            if seen is not raster:
                counts = pixels_by_code(seen)
            classes |= {c.code: c for c in legend}
            number = number_in(opened, dataset)
            scenes.append(ShownScene(opened, number, seen, tuple(measures), counts))
        on_error.pop_all()
    return Shown(
        maps[0].name if len(maps) == 1 else f"{len(maps)} maps",
        tuple(scenes),
        tuple(classes[code] for code in sorted(classes)),
        classifier,
        dataset,
        _columns(classifier, known) if classifier is not None and known is not None else (),
        spatial,
    )


def _model_of(
    tags: dict[str, str],
    model: Path | None,
    label_set: str | None,
    bases: list[Path],
    data: Sequence[Path],
    watcher: Watcher,
) -> tuple[Classifier | None, MapClasses | None, Dataset | None]:
    """The classifier that made a map, its classes, and what it learnt from, if they are there."""
    named = tags.get("MODEL")
    run = model or (first_there(Path(named) / CARD, bases) if named else None)
    if run is None and MASK_TAG in tags:
        return None, None, None  # no model made it
    if run is None:
        watcher.warn(
            f"the model {named or 'of this map'} is not there, so no probabilities and no training "
            "pixels are shown; name it with --model"
        )
        return None, None, None
    run = run if model is not None else run.parent
    classifier = _classifier(run, label_set or tags.get("LABEL_SET"))
    if (
        tags.get("MODEL_SHA256", classifier.card["weights_sha256"])
        != (classifier.card["weights_sha256"])
    ):
        watcher.warn(f"the map was made by another model than the one that is now in {run}")
    dataset = _dataset(classifier, run, [*bases, *bases_of(run)], data, watcher)
    return classifier, _known(classifier, run), dataset


def _known(classifier: Classifier, run: Path) -> MapClasses:
    """The labelled classes and those that were discovered with the model."""
    return map_classes(classifier.label_set, load_discovered(run, classifier.card))


def _columns(classifier: Classifier, known: MapClasses) -> tuple[int | None, ...]:
    """Codes of the posterior's columns."""
    slots = np.arange(len(classifier.label_set) + classifier.free_slots)
    codes = indices_to_codes(known.indices(slots), known.label_set)
    return tuple(code or None for code in codes.tolist())


def _classifier(run: Path, label_set: str | None) -> Classifier:
    """The run's classifier of that label set, or its first."""
    each = load_classifiers(run, "cpu")
    if label_set is None:
        return each[0]
    for one in each:
        if one.label_set.name == label_set:
            return one
    names = ", ".join(one.label_set.name for one in each)
    raise ModelError(f"{run} has no label set {label_set}; it has {names}")


def _dataset(
    classifier: Classifier,
    run: Path,
    bases: list[Path],
    data: Sequence[Path],
    watcher: Watcher,
) -> Dataset | None:
    """What a run learnt from, if it is still there and still the same."""
    path = Path(classifier.card["dataset"]["path"])
    try:
        found = first_there(path, bases) or dataset_of(classifier.card, run, data)
        dataset = open_dataset(found, classifier.label_set.name, data=data)
        check_bands(classifier.card, dataset, run)
        if dataset.label_set.classes != classifier.label_set.classes:
            raise DatasetError(f"{found} has other classes than the model in {run}")
    except HsiSslError as error:
        watcher.warn(f"no labels and no training pixels are shown: {error}")
        return None
    return dataset
