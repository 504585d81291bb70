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
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import xlogy

from hsi_ssl.errors import SceneError
from hsi_ssl.maps.bands import BandMatch, ModelBands, match_bands
from hsi_ssl.maps.class_map import LAYERS, Layer, class_map
from hsi_ssl.scenes.labels import UNLABELLED
from hsi_ssl.scenes.scene import Scene, valid_spectra
from hsi_ssl.training.classifier import Classifier
from hsi_ssl.watcher import SILENT, Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import ClassifySettings

Raw = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

CPU_BLOCK = 512
"""Spectra that one core takes through the network at a time."""
MOST_THREADS = 16
"""More would hold more windows in memory and read no faster."""


@dataclass(frozen=True)
class ClassifyResult:
    """What was made and how fast. `counts` are pixels by code, 0 = not classified."""

    map: Path
    pixels: int
    classified: int
    seconds: float
    pixels_per_second: float
    peak_memory_mb: float
    """Of the whole process since it began."""
    counts: dict[int, int]


@dataclass(frozen=True)
class Classified:
    """One window done: class indices `(r, c)`, -1 where there is none; layers, NaN there."""

    rows: slice
    cols: slice
    indices: npt.NDArray[np.int64]
    layers: dict[Layer, Floats]


def asked_layers(settings: ClassifySettings) -> tuple[Layer, ...]:
    """The layers that the settings ask for beside the map."""
    return tuple(layer for layer in LAYERS if getattr(settings, layer))


def classify_scene(
    scene: Scene,
    classifier: Classifier,
    settings: ClassifySettings,
    output: Path,
    *,
    overwrite: bool = False,
    watcher: Watcher = SILENT,
) -> ClassifyResult:
    """Write the class map of a scene to `output`, and the layers asked for beside it.

    Pixels without measurement, and ones on which the model gives no finite answer, are 0.

    Raises
    ------
    BandsError
        The scene's bands are not the model's and cannot or may not be resampled.
    OutputError
        As `class_map`.
    SceneError
        The scene is broken, or none of its pixels is valid.
    """
    started = time.perf_counter()
    bands = ModelBands(classifier.bands, classifier.used_bands, classifier.wavelengths_nm)
    match = match_bands(scene, bands, resample=settings.resample)
    for note in (*scene.notes, match.note):
        if note is not None:
            watcher.say(note)
    label_set, layers = classifier.label_set, asked_layers(settings)
    pixels, done = scene.rows * scene.cols, 0
    with class_map(
        output,
        rows=scene.rows,
        cols=scene.cols,
        grid=scene.grid,
        label_set=label_set,
        layers=layers,
        tags={
            "SCENE": scene.path.name,
            "MODEL": str(settings.model),
            "MODEL_SHA256": classifier.card["weights_sha256"],
            "LABEL_SET": label_set.name,
            "SETTINGS": json.dumps(settings.model_dump(mode="json")),
        },
        overwrite=overwrite,
    ) as written:

        def classified(rows: slice, cols: slice) -> Classified:
            return _classified(scene, match, classifier, layers, rows, cols)

        places = scene.windows(settings.window)
        # Closing waits for the threads, so that nobody closes the scene under their hands.
        with contextlib.closing(_in_threads(classified, places, classifier.device)) as windows:
            for window in windows:
                written.write(window.rows, window.cols, window.indices, window.layers)
                done += window.indices.size
                watcher.progress(f"classify {scene.name}", done, pixels)
        counts = written.counts
        if counts[0] == pixels:
            raise SceneError(
                f"{scene.path} has no valid pixel: in each some used band is nodata or not "
                "finite, or all are zero; check the scene's nodata value and its bands"
            )
    seconds = time.perf_counter() - started
    return ClassifyResult(
        map=output,
        pixels=pixels,
        classified=pixels - counts[0],
        seconds=seconds,
        pixels_per_second=pixels / seconds,
        peak_memory_mb=peak_memory_mb(),
        counts=counts,
    )


def peak_memory_mb() -> float:
    """The most memory in MiB that this process has held at once."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _in_threads(
    task: Callable[[slice, slice], Classified],
    places: Iterable[tuple[slice, slice]],
    device: torch.device,
) -> Generator[Classified]:
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
            pending: deque[Future[Classified]] = deque()
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


def _classified(
    scene: Scene,
    match: BandMatch,
    classifier: Classifier,
    layers: tuple[Layer, ...],
    rows: slice,
    cols: slice,
) -> Classified:
    """Read and classify one window."""
    window = scene.read(rows, cols)
    spectra = match.select(window)
    valid = valid_spectra(spectra, scene.nodata)
    if not valid.all():
        spectra = spectra[valid]
    spectra = match.interpolate(spectra)
    p = _by_blocks(classifier.posterior, spectra, classifier.device)
    best = p.argmax(1)
    confidence = p[np.arange(len(p)), best]
    found: dict[Layer, Floats] = {}
    for layer in layers:
        if layer == "confidence":
            found[layer] = confidence
        elif layer == "probabilities":
            found[layer] = p
        elif layer == "entropy":
            found[layer] = -xlogy(p, p).sum(1)
        else:
            found[layer] = _by_blocks(classifier.novelty, spectra, classifier.device)
    shape = window.shape[:2]
    indices = np.full(valid.shape, UNLABELLED, np.int64)
    indices[valid] = np.where(np.isfinite(confidence), best, UNLABELLED)
    planes = {layer: _plane(values, valid, shape) for layer, values in found.items()}
    return Classified(rows, cols, indices.reshape(shape), planes)


def _by_blocks(apply: Callable[[Raw], Floats], spectra: Raw, device: torch.device) -> Floats:
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
