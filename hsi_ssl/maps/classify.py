"""From a scene and a trained classifier to a class map.

By windows, each read while the one before is classified; memory does not grow with the scene.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
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

Floats = npt.NDArray[np.float32]


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
class Window:
    """A window read: its place, which pixels `(r, c)` are valid, and those as the model's bands."""

    rows: slice
    cols: slice
    valid: npt.NDArray[np.bool_]
    spectra: npt.NDArray[Any]


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
        # Closing waits for the reader, so that nobody closes the scene under its hands.
        with contextlib.closing(_read_ahead(scene, match, settings.window)) as windows:
            for window in windows:
                indices, planes = _classified(classifier, window, layers)
                written.write(window.rows, window.cols, indices, planes)
                done += indices.size
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


def _read_ahead(scene: Scene, match: BandMatch, pixels: int) -> Generator[Window]:
    """Read windows in a thread of their own, one ahead of the one that is being used."""
    with ThreadPoolExecutor(1) as reader:
        ahead = None
        for place in scene.windows(pixels):
            following = reader.submit(_read, scene, match, *place)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()


def _read(scene: Scene, match: BandMatch, rows: slice, cols: slice) -> Window:
    window = scene.read(rows, cols)
    spectra = match.select(window)
    valid = valid_spectra(spectra, scene.nodata)
    if not valid.all():
        spectra = spectra[valid]
    return Window(rows, cols, valid.reshape(window.shape[:2]), match.interpolate(spectra))


def _classified(
    classifier: Classifier, window: Window, layers: tuple[Layer, ...]
) -> tuple[npt.NDArray[np.int64], dict[Layer, Floats]]:
    """Class indices `(r, c)`, -1 where there are none, and the layers, NaN there."""
    p = classifier.posterior(window.spectra)
    best = p.argmax(1)
    confidence = p[np.arange(len(p)), best]
    indices = np.full(window.valid.shape, UNLABELLED, np.int64)
    indices[window.valid] = np.where(np.isfinite(confidence), best, UNLABELLED)
    planes: dict[Layer, Floats] = {}
    for layer in layers:
        if layer == "confidence":
            values = confidence
        elif layer == "probabilities":
            values = p
        elif layer == "entropy":
            values = -xlogy(p, p).sum(1)
        else:
            values = classifier.novelty(window.spectra)
        plane = np.full((*window.valid.shape, *values.shape[1:]), np.nan, np.float32)
        plane[window.valid] = values
        planes[layer] = plane
    return indices, planes
