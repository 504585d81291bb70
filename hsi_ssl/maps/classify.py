"""From a scene and a trained classifier to a class map.

By windows, several at once, each read and classified by one thread: nobody waits for anybody, and
memory does not grow with the scene.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import xlogy

from hsi_ssl.errors import SceneError, SettingsError, VectorError
from hsi_ssl.maps.area import Area, areas
from hsi_ssl.maps.bands import BandMatch, ModelBands, match_bands
from hsi_ssl.maps.class_map import LAYERS, Layer, class_map, outputs, with_reject
from hsi_ssl.maps.mosaic import check_mosaic, is_mosaic, write_mosaic
from hsi_ssl.maps.neighbourhood import Neighbourhood, Seen
from hsi_ssl.maps.places import check_place, map_paths, of_label_set
from hsi_ssl.maps.stac import forget_item, write_item
from hsi_ssl.models.spatial import SWEEPS
from hsi_ssl.scenes.labels import UNLABELLED, LabelSet
from hsi_ssl.scenes.scene import Scene, valid_spectra
from hsi_ssl.scenes.sources import resolve
from hsi_ssl.training.classifier import Classifier, load_classifiers
from hsi_ssl.training.discovered import MapClasses, load_discovered, map_classes
from hsi_ssl.training.novelty import Measure, Novelty
from hsi_ssl.training.precision import quick_products
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings

T = TypeVar("T")
Look = Callable[[slice, slice], Seen]
Raw = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

CPU_BLOCK = 512
"""Spectra that one core takes through the network at a time."""
MOST_THREADS = 16
"""More would hold more windows in memory and read no faster."""


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
    mosaic: Path | None = None
    """Of which the map is a part."""

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        found = {**vars(self), "map": str(self.map), "mosaic": self.mosaic and str(self.mosaic)}
        return {key: value for key, value in found.items() if key != "mosaic" or value}


@dataclass(frozen=True)
class Classified:
    """One window done: class indices `(r, c)`, -1 where there is none; layers, NaN there.

    `free`: how many pixels are in free slots that are no class of the map; they have layers.
    """

    rows: slice
    cols: slice
    indices: npt.NDArray[np.int64]
    layers: dict[Layer, Floats]
    free: int


def asked_layers(settings: ClassifySettings) -> tuple[Layer, ...]:
    """The layers that the settings ask for beside the map."""
    return tuple(layer for layer in LAYERS if getattr(settings, layer))


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
    BandsError, OutputError, LabelError
        As `classify_scene`.
    """
    if not settings.scenes:
        raise SettingsError(
            "no scene to classify; name files, folders or data sets of the catalog, "
            "or put them into [classify] as scenes"
        )
    classifiers = load_classifiers(settings.model, settings.device)
    for classifier in classifiers:
        _check_novelty(classifier, settings)
    with resolve(
        settings.scenes,
        variable=settings.variable,
        wavelengths=settings.wavelengths,
        labelled=False,
        watcher=watcher,
    ) as sources:
        scenes = [source.scene for source in sources.scenes]
        parts: list[Area | None] = [None] * len(scenes)
        if settings.area is not None:
            of_scenes = zip(scenes, areas(settings.area, scenes, watcher), strict=True)
            scenes, parts = map(list, zip(*(p for p in of_scenes if p[1]), strict=True))
        maps = map_paths(scenes, settings.output, settings.format)
        jobs = [
            (scene, classifier, of_label_set(path, classifier.label_set, len(classifiers)), part)
            for scene, path, part in zip(scenes, maps, parts, strict=True)
            for classifier in classifiers
        ]
        inputs = [scene.path for scene in scenes]
        inputs += [path for path in (settings.wavelengths, settings.area) if path is not None]
        for scene, classifier, path, _ in jobs:
            _matched(scene, classifier, settings)
            check_place(
                path, asked_layers(settings), scene.grid, inputs,
                stac=settings.stac, overwrite=overwrite,
            )  # fmt: skip
        mosaics: dict[str, Path] = {}
        if settings.output is not None and is_mosaic(settings.output):
            for label_set in (classifier.label_set for classifier in classifiers):
                path = of_label_set(settings.output, label_set, len(classifiers))
                check_mosaic(path, scenes, asked_layers(settings), overwrite=overwrite)
                mosaics[label_set.name] = path
        results = [
            classify_scene(
                scene, classifier, settings, path, area=area, overwrite=overwrite, watcher=watcher
            )
            for scene, classifier, path, area in jobs
        ]
    for classifier in classifiers:
        if mosaic := mosaics.get(classifier.label_set.name):
            _write_mosaic(mosaic, classifier, results, settings, overwrite=overwrite)
    return [replace(result, mosaic=mosaics.get(result.label_set)) for result in results]


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
        {code: sum(result.counts[code] for result in own) for code in own[0].counts},
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
    kept, measure, samples = _novelty_asked(classifier, settings)
    if kept is not None and (settings.p_value or settings.reject is not None):
        kept.check(measure, samples, settings.reject)


def _novelty_asked(
    classifier: Classifier, settings: ClassifySettings
) -> tuple[Novelty | None, Measure, int]:
    """What novelty is told by, None where none is asked for; the measure, the samples."""
    asked = settings.novelty or settings.p_value or settings.reject is not None
    kept = classifier.novelty_kept if asked else None
    own = kept.samples if kept is not None else 1
    return kept, settings.novelty_by, settings.samples or own


def classify_scene(
    scene: Scene,
    classifier: Classifier,
    settings: ClassifySettings,
    output: Path,
    *,
    area: Area | None = None,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> ClassifyResult:
    """Write the class map of a scene, or of an area in it, to `output`, and its layers beside it.

    Pixels without measurement, ones on which the model gives no finite answer, and ones in free
    slots in which nothing was discovered are 0; the layers hold the last ones' values, and the
    probabilities of the classes then sum to less than 1. Pixels to
    reject get the next code above all classes, unless they lie in a group that was discovered.

    Raises
    ------
    BandsError
        The scene's bands are not the model's and cannot or may not be resampled.
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
    match = _matched(scene, classifier, settings)
    if match.note is not None:
        watcher.say(match.note)
    classes = map_classes(classifier.label_set, load_discovered(settings.model, classifier.card))
    label_set, layers = classes.label_set, asked_layers(settings)
    strength = settings.spatial
    if strength == "learnt":
        strength = float(classifier.card["spatial_strength"])
        watcher.say(f"neighbours agree with strength {strength:.2f}")
    pixels, done, free = scene.rows * scene.cols, 0, 0
    places = list(scene.windows(settings.window))
    near = area.grown(SWEEPS) if area is not None and strength else area
    if near is not None:
        places = list(near.windows(places))
        if not places:
            raise VectorError(
                f"the area of {settings.area} holds the centre of no pixel of {scene.path}; draw "
                "larger polygons"
            )
    with class_map(
        output,
        rows=scene.rows,
        cols=scene.cols,
        grid=scene.grid,
        label_set=label_set,
        layers=layers,
        reject=settings.reject is not None,
        tags={
            "SCENE": scene.path.name,
            "MODEL": str(settings.model),
            "MODEL_SHA256": classifier.card["weights_sha256"],
            "LABEL_SET": label_set.name,
            "SETTINGS": json.dumps(settings.model_dump(mode="json")),
        },
        overwrite=overwrite,
    ) as written:
        # The prior's strength was learnt beside probabilities that nobody had calibrated.
        alone = classifier.uncalibrated if strength else classifier
        seen = partial(_seen, scene, match, alone, settings, near)
        decided = partial(_decided, classifier, classes, settings)
        if strength:
            slots = classifier.model.architecture.classes
            neighbourhood = Neighbourhood(
                output.parent, (scene.rows, scene.cols), slots, strength, classifier.device
            )
            found = _heard(scene, neighbourhood, places, area, seen, decided, watcher)
        else:
            found = in_threads(partial(decided, seen), places, classifier.device)
        # Closing waits for the threads, so that nobody closes the scene under their hands.
        with quick_products(classifier.device), contextlib.closing(found) as windows:
            for window in windows:
                written.write(window.rows, window.cols, window.indices, window.layers)
                done += window.indices.size
                free += window.free
                watcher.progress(f"classify {scene.name}", done, pixels)
        if done < pixels:  # what lies outside the area needs no work
            watcher.progress(f"classify {scene.name}", pixels, pixels)
        counts = written.counts
        # Their code is the last, above all classes.
        rejected = counts[max(counts)] if settings.reject is not None else None
        if counts[0] == pixels and not free:
            where = "" if area is None else f" in the area of {settings.area}"
            raise SceneError(
                f"{scene.path} has no valid pixel{where}: in each some used band is nodata or not "
                "finite, or all are zero; check the scene's nodata value and its bands"
            )
    if settings.stac:
        shown = _shown(classifier, settings)
        write_item(
            output, scene, classifier, settings.model, shown, counts, layers,
            overwrite=overwrite, watcher=watcher,
        )  # fmt: skip
    elif overwrite:
        forget_item(output)
    if free:
        watcher.say(
            f"{free:,} pixels lie in free slots that hold no group: 0 on the map; "
            f"`hsi-ssl discover {settings.model} {scene.path}` looks for groups"
        )
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
    )


def _matched(scene: Scene, classifier: Classifier, settings: ClassifySettings) -> BandMatch:
    bands = ModelBands(classifier.bands, classifier.used_bands, classifier.wavelengths_nm)
    return match_bands(scene, bands, resample=settings.resample)


def peak_memory_mb() -> float:
    """The most memory in MiB that this process has held at once."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux; there ru_maxrss also counts what the parent held at the fork
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def in_threads(
    task: Callable[[slice, slice], T],
    places: Iterable[tuple[slice, slice]],
    device: torch.device,
) -> Generator[T]:
    """Do the task at each place, a few at once; results come in the order of the places.

    On a CPU each thread computes on one core: a matrix product shared by all cores makes each
    wait for the slowest, and reading would take cores away from it. Beside a GPU, one thread
    reads while the other feeds it.
    """
    cores = torch.get_num_threads()
    on_cpu = device.type == "cpu"
    threads = min(cores, MOST_THREADS) if on_cpu else 2
    alone = partial(torch.set_num_threads, 1) if on_cpu else None
    try:
        with ThreadPoolExecutor(threads, initializer=alone) as pool:
            pending: deque[Future[T]] = deque()
            try:
                for place in places:
                    pending.append(pool.submit(task, *place))
                    if len(pending) > threads:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for future in pending:
                    future.cancel()
    finally:
        torch.set_num_threads(cores)


def _heard(
    scene: Scene,
    neighbourhood: Neighbourhood,
    places: Sequence[tuple[slice, slice]],
    area: Area | None,
    seen: Look,
    decided: Callable[[Look, slice, slice], Classified],
    watcher: Watcher,
) -> Generator[Classified]:
    """Squares of the scene, done when all of its pixels are seen and their neighbours are heard.

    With an `area`, the pixels in it; at `places` are those that they hear from.
    """
    device, done = neighbourhood.device, 0
    squares, hear = neighbourhood.squares(), neighbourhood.hear
    if area is not None:
        squares, hear = area.windows(squares), partial(_only, area, hear)

    def tell(rows: slice, cols: slice) -> int:
        found = seen(rows, cols)
        neighbourhood.tell(rows, cols, found)
        return found.valid.size

    with (
        neighbourhood,
        contextlib.closing(in_threads(tell, places, device)) as told,
    ):
        for pixels in told:
            done += pixels
            watcher.progress(f"look at {scene.name}", done, scene.rows * scene.cols)
        yield from in_threads(partial(decided, hear), squares, device)


def _only(area: Area, look: Look, rows: slice, cols: slice) -> Seen:
    """What is seen of the pixels of an area."""
    seen, mask = look(rows, cols), area.mask(rows, cols)
    kept = mask[seen.valid]
    novelty = seen.novelty[kept] if seen.novelty.size else seen.novelty
    return Seen(seen.valid & mask, seen.p[kept], novelty)


def _seen(
    scene: Scene,
    match: BandMatch,
    classifier: Classifier,
    settings: ClassifySettings,
    area: Area | None,
    rows: slice,
    cols: slice,
) -> Seen:
    """Read a window: what its pixels, those in the area, are by themselves."""
    spectra = match.select(scene.read(rows, cols))
    valid = valid_spectra(spectra, scene.nodata)
    if area is not None:
        valid &= area.mask(rows, cols).ravel()
    spectra = match.interpolate(spectra[valid])
    p = by_blocks(classifier.posterior, spectra, classifier.device)
    kept, measure, samples = _novelty_asked(classifier, settings)
    novelty = np.empty(0, np.float32)
    if kept is not None:
        told = partial(classifier.novelty_score, measure=measure, samples=samples)
        novelty = by_blocks(told, spectra, classifier.device)
    shape = (rows.stop - rows.start, cols.stop - cols.start)
    return Seen(valid.reshape(shape), p, novelty)


def _decided(
    classifier: Classifier,
    classes: MapClasses,
    settings: ClassifySettings,
    look: Look,
    rows: slice,
    cols: slice,
) -> Classified:
    """Decide on the classes of a window."""
    seen = look(rows, cols)
    p, score, shape = seen.p, seen.novelty, seen.valid.shape
    valid = seen.valid.ravel()
    best = p.argmax(1)
    confidence = p[np.arange(len(p)), best]
    found: dict[Layer, Floats] = {}
    kept, measure, _ = _novelty_asked(classifier, settings)
    p_value = score if kept is None else kept.p_values(score, measure)
    for layer in asked_layers(settings):
        if layer == "confidence":
            found[layer] = confidence
        elif layer == "probabilities":
            found[layer] = p[:, classes.columns]
        elif layer == "entropy":
            found[layer] = -xlogy(p, p).sum(1)
        else:
            found[layer] = score if layer == "novelty" else p_value
    indices = np.full(valid.shape, UNLABELLED, np.int64)
    sure = np.isfinite(confidence)
    known = np.where(sure, classes.indices(best), UNLABELLED)
    if settings.reject is not None:
        discovered = known >= len(classifier.label_set)
        known[sure & ~discovered & (p_value <= settings.reject)] = len(classes.label_set)
    indices[valid] = known
    free = int(sure.sum() - (indices >= 0).sum())
    planes = {layer: _plane(values, valid, shape) for layer, values in found.items()}
    return Classified(rows, cols, indices.reshape(shape), planes, free)


def by_blocks(apply: Callable[[Raw], Floats], spectra: Raw, device: torch.device) -> Floats:
    """`apply` to spectra; on a CPU to so few at a time that what it computes stays in the cache."""
    if device.type != "cpu" or len(spectra) <= CPU_BLOCK:
        return apply(spectra)
    starts = range(0, len(spectra), CPU_BLOCK)
    return np.concatenate([apply(spectra[first : first + CPU_BLOCK]) for first in starts])


def _plane(values: Floats, valid: npt.NDArray[np.bool_], shape: tuple[int, ...]) -> Floats:
    """Values `(n,)` or `(n, K)` of the valid pixels on their window `(r, c[, K])`, else NaN."""
    plane = np.full((len(valid), *values.shape[1:]), np.nan, np.float32)
    plane[valid] = values
    return plane.reshape(*shape, *values.shape[1:])
