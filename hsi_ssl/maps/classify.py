"""From scenes and a trained classifier to class maps, and what goes with them."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hsi_ssl.claims import claimed
from hsi_ssl.errors import SceneError, SettingsError
from hsi_ssl.inference.classifier import Classifier, load_classifiers
from hsi_ssl.inference.dataset_prior import strength_of
from hsi_ssl.inference.discovered import load_discovered, map_classes
from hsi_ssl.inference.precision import quick_products
from hsi_ssl.labels.area import Area, areas
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.looking import MASKED_TAG
from hsi_ssl.labels.sources import resolve
from hsi_ssl.maps.bands import BandMatch, ModelBands
from hsi_ssl.maps.class_map import MapWriter, class_map, outputs, with_reject
from hsi_ssl.maps.fitting import all_fitted
from hsi_ssl.maps.map_grid import say_where
from hsi_ssl.maps.mosaic import check_mosaic, is_mosaic, withdraw_mosaic, write_mosaic
from hsi_ssl.maps.places import check_place, claims_of, map_paths, of_label_set
from hsi_ssl.maps.stac import former_item, item_path, write_item
from hsi_ssl.maps.windows import Windows, asked_layers, novelty_asked
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings


@dataclass(frozen=True)
class ClassifyResult:
    """What was made and how fast. `counts` are pixels by code, 0 = not classified.

    `in_free_slots`: those among the latter whose most probable slot is free; `rejected`: those that
    no class explains, None if nothing was to be rejected.
    """

    map: Path
    label_set: str
    pixels: int
    classified: int
    seconds: float
    pixels_per_second: float
    peak_memory_mb: float
    """Of the whole process since it began."""
    counts: dict[int, int]
    in_free_slots: int
    rejected: int | None
    masked: int | None = None
    """Pixels that a mask left out, which are not classified; None without a mask."""
    cells: dict[int, int] | None = None
    """Of a map on a grid of its own, by a lookup table: cells by code. The rest is of pixels."""
    mosaic: Path | None = None
    """Of which the map is a part."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        found = {**vars(self), "map": str(self.map), "mosaic": self.mosaic and str(self.mosaic)}
        optional = {"mosaic", "masked", "cells"}
        return {k: value for k, value in found.items() if k not in optional or value is not None}


def classify(
    settings: ClassifySettings, *, overwrite: bool = False, watcher: Watcher = SILENT
) -> list[ClassifyResult]:
    """Map every scene that the settings name, by catalog name, folder or file.

    A model of several label sets makes a map of each, `<map>_<label set>.tif`. Over the maps of
    scenes in one CRS goes a mosaic if the output is named `.vrt`.

    All that can be known to fail is found out before the first map is begun.

    Raises
    ------
    SettingsError
        No scene is named, or several would be written to one file.
    SceneNotFoundError, SceneError, CatalogError, FetchError
        A scene is not there or cannot be read; no mosaic can hold it.
    VectorError
        The layer of the area is broken, or holds nothing of the scenes.
    ModelError, DeviceError
        The model is not there, or the device; p-values are asked for that it cannot give.
    BandsError, UnitsError, OutputError, LabelError
        As `classify_scene`.
    """
    if not settings.scenes:
        raise SettingsError(
            "no scene to classify; name files, folders or data sets of the catalog, "
            "or put them into [classify] as scenes"
        )
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
    with resolve(
        settings.scenes,
        reading=settings.reading,
        labelled=False,
        watcher=watcher,
    ) as sources:
        scenes = [source.scene for source in sources.scenes]
        return classify_scenes(scenes, classifiers, settings, overwrite=overwrite, watcher=watcher)


def classify_scenes(
    scenes: Sequence[Scene],
    classifiers: Sequence[Classifier],
    settings: ClassifySettings,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> list[ClassifyResult]:
    """As `classify_sources`, of scenes that are open."""
    for classifier in classifiers:
        _check_novelty(classifier, settings)
    parts: list[Area | None] = [None] * len(scenes)
    if settings.area is not None:
        of_scenes = zip(scenes, areas(settings.area, scenes, watcher), strict=True)
        scenes, parts = map(list, zip(*(p for p in of_scenes if p[1]), strict=True))
    maps = map_paths(scenes, settings.output, settings.format)
    label_sets = [classifier.label_set for classifier in classifiers]
    mosaics: dict[str, Path] = {}
    if settings.output is not None and is_mosaic(settings.output):
        output, several = settings.output, len(label_sets)
        mosaics = {one.name: of_label_set(output, one, several) for one in label_sets}
    places = [of_label_set(path, one, len(label_sets)) for path in maps for one in label_sets]
    with claimed(*claims_of(places, asked_layers(settings)), *mosaics.values()):
        return _classified(
            scenes, parts, maps, classifiers, mosaics, settings,
            overwrite=overwrite, watcher=watcher,
        )  # fmt: skip


def _classified(
    scenes: Sequence[Scene],
    parts: Sequence[Area | None],
    maps: Sequence[Path],
    classifiers: Sequence[Classifier],
    mosaics: Mapping[str, Path],
    settings: ClassifySettings,
    *,
    overwrite: bool,
    watcher: Watcher,
) -> list[ClassifyResult]:
    """Make the maps, which are claimed; `mosaics` by their label sets' names."""
    # Label sets share the bands and numbers that their model learnt from.
    matches = _fitted(scenes, classifiers[0], settings, watcher)
    jobs = [
        _Job(
            scene,
            classifier,
            match,
            of_label_set(path, classifier.label_set, len(classifiers)),
            part,
        )
        for scene, match, path, part in zip(scenes, matches, maps, parts, strict=True)
        for classifier in classifiers
    ]
    inputs = [scene.path for scene in scenes]
    inputs += [path for path in (settings.wavelengths, settings.area) if path is not None]
    inputs += [*settings.mask, *settings.mask_out]
    for job in jobs:
        check_place(
            job.output, asked_layers(settings), job.scene.map_grid, inputs,
            stac=settings.stac, overwrite=overwrite,
        )  # fmt: skip
    for path in mosaics.values():
        check_mosaic(path, scenes, asked_layers(settings), inputs, overwrite=overwrite)
    results = []
    for job in jobs:
        made = classify_scene(
            job.scene,
            job.classifier,
            settings,
            job.output,
            match=job.match,
            area=job.area,
            mosaics=tuple(mosaics.values()),
            overwrite=overwrite,
            watcher=watcher,
        )
        results.append(made)
        watcher.if_stopped(
            f"{len(results)} of {len(jobs)} maps are done; name the other scenes, or pass "
            "--overwrite to make all again"
        )
    for classifier in classifiers:
        if mosaic := mosaics.get(classifier.label_set.name):
            _write_mosaic(mosaic, classifier, results, settings, overwrite=overwrite)
    return [replace(result, mosaic=mosaics.get(result.label_set)) for result in results]


class _Job(NamedTuple):
    """One map to make."""

    scene: Scene
    classifier: Classifier
    match: BandMatch
    output: Path
    area: Area | None


def _write_mosaic(
    path: Path,
    classifier: Classifier,
    results: Sequence[ClassifyResult],
    settings: ClassifySettings,
    *,
    overwrite: bool,
) -> None:
    """The mosaic of the maps of one label set."""
    own = [result for result in results if result.label_set == classifier.label_set.name]
    layers = asked_layers(settings)
    write_mosaic(
        path,
        [result.map for result in own],
        _shown(classifier, settings),
        layers={layer: [outputs(r.map, layers)[layer] for r in own] for layer in layers},
        overwrite=overwrite,
    )


def _shown(classifier: Classifier, settings: ClassifySettings) -> LabelSet:
    """All classes that a map shows, those that were discovered and the rejected among them."""
    discovered = load_discovered(settings.model, classifier.card)
    label_set = map_classes(classifier.label_set, discovered).label_set
    return with_reject(label_set) if settings.reject is not None else label_set


def _check_novelty(classifier: Classifier, settings: ClassifySettings) -> None:
    """Refuse what the run cannot tell of novelty."""
    kept, measure, samples = novelty_asked(classifier, settings)
    if kept is not None and (settings.p_value or settings.reject is not None):
        kept.check(measure, samples, settings.reject)


def classify_scene(
    scene: Scene,
    classifier: Classifier,
    settings: ClassifySettings,
    output: Path,
    *,
    match: BandMatch | None = None,
    area: Area | None = None,
    mosaics: Sequence[Path] = (),
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> ClassifyResult:
    """Write the class map of a scene, or of an area in it, to `output`, and its layers beside it.

    `match` is how the scene is brought to the model, where that is known already; older `mosaics`
    of the map go before it comes to its place.

    Pixels without measurement, ones on which the model gives no finite answer, and ones in free
    slots in which nothing was discovered are 0; the layers hold the last ones' values, and the
    probabilities of the classes then sum to less than 1. Pixels to
    reject get the next code above all classes, unless they lie in a group that was discovered.

    Raises
    ------
    BandsError, UnitsError
        The scene's bands or numbers are not the model's and cannot or may not be brought to them.
    OutputError
        As `class_map`.
    SceneError
        The scene is broken, or none of its pixels (in the area) is valid.
    VectorError
        The area is smaller than a pixel.
    ModelError
        What was discovered with the model cannot be read.
    """
    started = time.perf_counter()
    match = match or _fitted([scene], classifier, settings, watcher)[0]
    classes = map_classes(classifier.label_set, load_discovered(settings.model, classifier.card))
    label_set, layers = classes.label_set, asked_layers(settings)
    strength = _said_strength(scene, classifier, settings, watcher)
    pixels = scene.rows * scene.cols
    work = Windows(scene, match, classifier, classes, settings, strength, area)
    say_where(scene, watcher)
    watcher.detail(f"{scene.name}: {len(work.places)} windows to read")
    with class_map(
        output,
        rows=scene.rows,
        cols=scene.cols,
        grid=scene.grid,
        ortho=scene.ortho,
        label_set=label_set,
        layers=layers,
        reject=settings.reject is not None,
        tags=_tags(scene, classifier, settings, label_set, strength),
        also=[item_path(output)] if settings.stac else (),
        without=former_item(output) if overwrite and not settings.stac else (),
        overwrite=overwrite,
    ) as written:
        free = _write_windows(work, written, output.parent, watcher)
        counts = written.counts
        # Their code is the last, above all classes.
        rejected = counts[max(counts)] if settings.reject is not None else None
        if counts[0] == pixels and not free:
            raise _nothing_valid(scene, None if area is None else settings.area)

        def finish(made: Path) -> None:
            if settings.stac:
                shown = _shown(classifier, settings)
                write_item(
                    output, made, scene, classifier, settings.model, shown, written.cells, layers,
                    watcher=watcher,
                )  # fmt: skip
            for mosaic in mosaics:
                withdraw_mosaic(mosaic)

        written.finish = finish
    if free:
        watcher.say(_free_in_words(free, settings.model, scene.path))
    seconds = time.perf_counter() - started
    return ClassifyResult(
        map=output,
        label_set=label_set.name,
        pixels=pixels,
        classified=pixels - counts[0] - (rejected or 0),
        seconds=seconds,
        pixels_per_second=pixels / seconds,
        peak_memory_mb=peak_memory_mb(),
        counts=counts,
        in_free_slots=free,
        rejected=rejected,
        masked=written.masked,
        cells=None if scene.ortho is None else written.cells,
    )


def _free_in_words(free: int, run: Path, scene: Path) -> str:
    return (
        f"{free:,} pixels lie in free slots that hold no group: 0 on the map; "
        f"`hsi-ssl discover {run} {scene}` looks for groups"
    )


def _nothing_valid(scene: Scene, area: Path | None) -> SceneError:
    where = "" if area is None else f" in the area of {area}"
    if scene.looked is not None:
        where += " that its masks leave"
    return SceneError(
        f"{scene.path} has no valid pixel{where}: in each some used band is nodata or not "
        "finite, or all are zero; check the scene's nodata value and its bands"
    )


def _said_strength(
    scene: Scene, classifier: Classifier, settings: ClassifySettings, watcher: Watcher
) -> float:
    """Strength of the spatial prior; what is to be said before a map is begun is said."""
    masks = classifier.card["dataset"].get("masks", ())
    if masks and scene.looked is None:
        watcher.say(
            f"the model learnt under a mask ({listed(masks, len(masks))}) and {scene.path.name} is "
            "mapped without: what its mask left out is mapped too; give --mask, or --mask auto"
        )
    strength = strength_of(classifier.card, settings.spatial)
    if isinstance(settings.spatial, str):
        watcher.say(f"spatial prior of strength {strength:.2f}, {settings.spatial}")
    return strength


def _tags(
    scene: Scene,
    classifier: Classifier,
    settings: ClassifySettings,
    label_set: LabelSet,
    strength: float,
) -> dict[str, str]:
    """What a map says of how it was made."""
    return {
        "SCENE": scene.path.name,
        "MODEL": str(settings.model),
        "MODEL_SHA256": classifier.card["weights_sha256"],
        "LABEL_SET": label_set.name,
        "SPATIAL_PRIOR": f"{strength:g}",
        "SETTINGS": json.dumps(settings.model_dump(mode="json")),
        **({MASKED_TAG: ", ".join(scene.looked.names)} if scene.looked else {}),
    }


def _write_windows(work: Windows, written: MapWriter, folder: Path, watcher: Watcher) -> int:
    """Classify and write window by window; gives how many pixels lie in free slots."""
    scene, done, free = work.scene, 0, 0
    pixels = scene.rows * scene.cols
    # Closing waits for the threads, so that nobody closes the scene under their hands.
    found = work.classified(folder, watcher)
    with quick_products(work.classifier.device), contextlib.closing(found) as windows:
        for window in windows:
            written.write(window.rows, window.cols, window.indices, window.layers)
            done += window.indices.size
            free += window.free
            if scene.looked is not None:
                hidden = ~scene.looked.mask(window.rows, window.cols)
                written.masked = (written.masked or 0) + int(np.count_nonzero(hidden))
            watcher.progress(f"classify {scene.name}", done, pixels)
    if done < pixels:  # what lies outside the area needs no work
        watcher.progress(f"classify {scene.name}", pixels, pixels)
    return free


def _fitted(
    scenes: Sequence[Scene], classifier: Classifier, settings: ClassifySettings, watcher: Watcher
) -> list[BandMatch]:
    return all_fitted(
        scenes, ModelBands.from_card(classifier.card), resample=settings.resample,
        force=settings.force, watcher=watcher,
    )  # fmt: skip


def peak_memory_mb() -> float:
    """The most memory in MiB that this process has held at once."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; there ru_maxrss also counts what the parent held at the fork
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
