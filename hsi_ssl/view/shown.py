"""From a map, or a run, to all that is shown: scene, layers, legend, model and dataset.

A map names what it was made of in its tags; files are looked for as they are named there, from the
current folder, and from the folder of the map or run and those above it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import rasterio

from hsi_ssl.datasets.store import Dataset, open_dataset
from hsi_ssl.errors import DatasetError, HsiSslError, ModelError, SceneError, SceneNotFoundError
from hsi_ssl.files import fingerprint
from hsi_ssl.maps.class_map import Layer, named_as_map
from hsi_ssl.maps.legend import CLASSES_TAG, tagged_names
from hsi_ssl.maps.mosaic import is_mosaic
from hsi_ssl.maps.rasters import unlocated
from hsi_ssl.scenes.catalog import entries
from hsi_ssl.scenes.labels import UNLABELLED_CODE, LabelClass
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.sources import resolve
from hsi_ssl.training.checkpoint import CARD
from hsi_ssl.training.classifier import Classifier, load_classifiers
from hsi_ssl.training.extractor import check_bands
from hsi_ssl.watcher import SILENT, Watcher

MEASURES: tuple[Layer, ...] = ("confidence", "entropy", "novelty", "p_value")
"""Layers of one band beside a map."""
FOLDERS_ABOVE = 3
"""Runs lie in `runs/` of a project, maps in it or in a folder of it."""


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
class Shown:
    """What is shown. Close it, or use it in a `with`.

    `classes` are those of maps and labels together; `spatial` says that neighbours had their say in
    the maps.
    """

    title: str
    scenes: tuple[ShownScene, ...]
    classes: tuple[LabelClass, ...]
    classifier: Classifier | None
    dataset: Dataset | None
    spatial: bool = False

    def close(self) -> None:
        """Release all files."""
        for one in self.scenes:
            for raster in (one.scene, one.map, *(r for _, r in one.measures)):
                if raster is not None:
                    raster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def shown(
    targets: Sequence[Path],
    *,
    scene: Path | None = None,
    model: Path | None = None,
    label_set: str | None = None,
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
        return _of_run(run, scene, label_set, watcher)
    return _of_maps(targets, scene, model, label_set, watcher)


def _of_run(run: Path, scene: Path | None, label_set: str | None, watcher: Watcher) -> Shown:
    classifier = _classifier(run, label_set)
    bases = _bases(run)
    dataset = _dataset(classifier, run, bases, watcher)
    with ExitStack() as on_error:
        if scene is not None:
            paths = [scene]
        elif dataset is None:
            raise DatasetError(
                f"the dataset that {run} learnt from is not there, so its scenes are not known; "
                "name one with --scene"
            )
        else:
            paths = _sources(dataset, bases, watcher)
        scenes = []
        for path in paths:
            opened = on_error.enter_context(_opened_scene(path, {}, dataset, watcher))
            scenes.append(ShownScene(opened, _number(opened, dataset)))
        on_error.pop_all()
    return Shown(str(run), tuple(scenes), classifier.label_set.classes, classifier, dataset)


def _of_maps(
    maps: Sequence[Path],
    scene: Path | None,
    model: Path | None,
    label_set: str | None,
    watcher: Watcher,
) -> Shown:
    maps = [one for path in maps for one in _parts(path)]
    tags = [_tags(path) for path in maps]
    if len({one.get("MODEL_SHA256") for one in tags}) > 1:
        raise SceneError("the maps are of several models: view those of one model at a time")
    bases = _bases(maps[0])
    classifier, dataset = _model_of(tags[0], model, label_set, bases, watcher)
    classes = {} if classifier is None else {c.code: c for c in classifier.label_set.classes}
    scenes, spatial = [], False
    with ExitStack() as on_error:
        for path, about in zip(maps, tags, strict=True):
            settings = json.loads(about.get("SETTINGS") or "{}")
            spatial = spatial or bool(settings.get("spatial"))
            raster = on_error.enter_context(_opened_map(path))
            beside = [(m, path.with_name(f"{path.stem}_{m}{path.suffix}")) for m in MEASURES]
            measures = [
                (name, on_error.enter_context(open_scene(there)))
                for name, there in beside
                if there.exists()
            ]
            name = about.get("SCENE")
            places = [scene] if scene else _places(name, settings, dataset, _bases(path))
            if not places:
                raise SceneNotFoundError(
                    f"the scene that {path} was made of, {name or 'which it does not name'}, is "
                    "not there; name it with --scene"
                )
            opened = on_error.enter_context(_opened_scene(places[0], settings, dataset, watcher))
            _check_same_grid(path, raster, opened)
            legend, counts = _legend(path)
            classes |= {c.code: c for c in legend}
            number = _number(opened, dataset)
            scenes.append(ShownScene(opened, number, raster, tuple(measures), counts))
        on_error.pop_all()
    return Shown(
        maps[0].name if len(maps) == 1 else f"{len(maps)} maps",
        tuple(scenes),
        tuple(classes[code] for code in sorted(classes)),
        classifier,
        dataset,
        spatial,
    )


def _parts(path: Path) -> list[Path]:
    """The maps that a mosaic shows together, or the map itself."""
    if not is_mosaic(path) or not path.is_file():
        return [path]
    with unlocated(), rasterio.open(path) as raster:
        found = [Path(name) for name in raster.files if named_as_map(Path(name))]
    return found or [path]


def _bases(target: Path) -> list[Path]:
    """Folders from which relative paths may have been meant."""
    return [Path(), *target.resolve().parents[:FOLDERS_ABOVE]]


def _first(path: Path | str, bases: Iterable[Path]) -> Path | None:
    """The first of the bases' files or folders of that name that is there."""
    return next((base / path for base in bases if (base / path).exists()), None)


def _model_of(
    tags: dict[str, str],
    model: Path | None,
    label_set: str | None,
    bases: list[Path],
    watcher: Watcher,
) -> tuple[Classifier | None, Dataset | None]:
    """The classifier that made a map, and what it learnt from, as far as they can be found."""
    named = tags.get("MODEL")
    run = model or (_first(Path(named) / CARD, bases) if named else None)
    if run is None:
        watcher.warn(
            f"the model {named or 'of this map'} is not there, so no probabilities and no training "
            "pixels are shown; name it with --model"
        )
        return None, None
    run = run if model is not None else run.parent
    classifier = _classifier(run, label_set or tags.get("LABEL_SET"))
    if (
        tags.get("MODEL_SHA256", classifier.card["weights_sha256"])
        != (classifier.card["weights_sha256"])
    ):
        watcher.warn(f"the map was made by another model than the one that is now in {run}")
    return classifier, _dataset(classifier, run, [*bases, *_bases(run)], watcher)


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
    classifier: Classifier, run: Path, bases: list[Path], watcher: Watcher
) -> Dataset | None:
    """What a run learnt from, if it is still there and still the same."""
    path = Path(classifier.card["dataset"]["path"])
    found = _first(path, bases)
    try:
        if found is None:
            raise DatasetError(f"the dataset {path} is not there")
        dataset = open_dataset(found, classifier.label_set.name)
        check_bands(classifier.card, dataset, run)
        if dataset.label_set.classes != classifier.label_set.classes:
            raise DatasetError(f"{found} has other classes than the model in {run}")
    except HsiSslError as error:
        watcher.warn(f"no labels and no training pixels are shown: {error}")
        return None
    return dataset


def _sources(dataset: Dataset, bases: list[Path], watcher: Watcher) -> list[Path]:
    """The scenes that a dataset was made of, those that are there."""
    found = []
    for source in dataset.meta["sources"]:
        path = _first(source["path"], bases)
        if path is None or not path.is_file():
            watcher.warn(f"left out: the scene {source['path']} is not there")
        else:
            found.append(path)
    if not found:
        raise SceneNotFoundError(
            f"none of the scenes of {dataset.path} is there; name one with --scene"
        )
    return found


def _places(
    name: str | None, settings: dict[str, Any], dataset: Dataset | None, bases: list[Path]
) -> list[Path]:
    """Files that may be the scene `name` of a map: as classified, beside the map, as learnt."""
    if not name:
        return []
    given = [Path(s) for s in settings.get("scenes", ())]
    wanted = [path for path in given if _is_called(path, name)]
    wanted += [*(path / name for path in given), Path(name)]
    if dataset is not None:
        sources = (Path(source["path"]) for source in dataset.meta["sources"])
        wanted += [path for path in sources if _is_called(path, name)]
    found = (_first(path, bases) for path in wanted)
    places = [path for path in found if path is not None and path.is_file()]
    if not places:
        for source in set(settings.get("scenes", ())) & entries().keys():
            with resolve([source], labelled=False) as known:
                places += [s.scene.path for s in known.scenes if _is_called(s.scene.path, name)]
    return places


def _is_called(path: Path, name: str) -> bool:
    """Whether a file has that name, with or without what follows the first dot."""
    return name in (path.name, path.name.split(".")[0])


def _opened_map(path: Path) -> Scene:
    """A class map as a raster of one band."""
    raster = open_scene(path)
    if raster.bands == 1 and raster.dtype.kind in "iu":
        return raster
    raster.close()
    raise SceneError(
        f"{path} is no class map: expected one band of codes, found {raster.bands} of "
        f"{raster.dtype}; `hsi-ssl classify` makes one"
    )


def _opened_scene(
    path: Path, settings: dict[str, Any], dataset: Dataset | None, watcher: Watcher
) -> Scene:
    """A scene, with the variable and wavelengths that it was opened with before."""
    meta = {} if dataset is None else dataset.meta["settings"]
    wavelengths = settings.get("wavelengths")
    return (
        resolve(
            [str(path)],
            variable=settings.get("variable") or meta.get("variable"),
            wavelengths=Path(wavelengths) if wavelengths and Path(wavelengths).exists() else None,
            labelled=False,
            watcher=watcher,
        )
        .scenes[0]
        .scene
    )


def _check_same_grid(path: Path, raster: Scene, scene: Scene) -> None:
    """Refuse a scene that the map is not of."""
    if (raster.rows, raster.cols) != (scene.rows, scene.cols):
        raise SceneError(
            f"{path} has {raster.rows} x {raster.cols} pixels, {scene.path} has {scene.rows} x "
            f"{scene.cols}: it was made of another scene; name that one with --scene"
        )


def _number(scene: Scene, dataset: Dataset | None) -> int | None:
    """A scene's number in the dataset, by its content."""
    if dataset is None or not scene.path.is_file():
        return None
    prints = [source["fingerprint"] for source in dataset.meta["sources"]]
    own = fingerprint(scene.path)
    return prints.index(own) if own in prints else None


def _tags(path: Path) -> dict[str, str]:
    with _opened_map(path), unlocated(), rasterio.open(path) as raster:
        found: dict[str, str] = raster.tags()
        return found


def _legend(path: Path) -> tuple[list[LabelClass], dict[int, int] | None]:
    """A map's classes and pixels by code: of the CSV beside it, else of its palette."""
    try:
        with path.with_suffix(".csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        counts = {int(row["code"]): int(row["pixels"]) for row in rows}
        named = [row for row in rows if int(row["code"]) != UNLABELLED_CODE]
        return [LabelClass(int(r["code"]), r["name"], r["colour"]) for r in named], counts
    except (OSError, KeyError, ValueError):
        pass
    with unlocated(), rasterio.open(path) as raster:
        names = tagged_names(raster.tags().get(CLASSES_TAG, "{}"))
        try:
            palette = raster.colormap(1)
        except ValueError:
            return [], None
    return [
        LabelClass(
            code, names.get(code, f"class {code}"), "#{:02x}{:02x}{:02x}".format(*colour[:3])
        )
        for code, colour in palette.items()
        if code != UNLABELLED_CODE and (code in names or any(colour[:3]))
    ], None
