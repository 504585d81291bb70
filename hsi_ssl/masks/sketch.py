"""A scene in a few bytes a pixel: how bright each is, and the shape of its spectrum.

A spectrum's shape is the spectrum over its own mean, so that light and shadow cancel, at a few
bands spread over the range. Of its directions those are kept in which pixels differ most beside how
much neighbours differ (Green et al. 1988, minimum noise fraction), in units of that difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import linalg

from hsi_ssl.masks.codes import NO_DATA
from hsi_ssl.masks.highlights import Highlights
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.watcher import Watcher

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Item = TypeVar("Item")
Result = TypeVar("Result")

BANDS = 24
"""Bands that a sketch looks at."""
SHAPES = 5
"""Directions of shape that it keeps."""
WINDOW, LARGEST_WINDOW = 2**13, 2**16
"""Pixels read at a time: few stay in a core's cache; more where the file hands out more at once."""
SAMPLE_PIECES, FEWEST_PIECES, SAMPLE_WINDOW = 16, 4, 2**10
"""Places all over the scene that a sketch is fitted to, most and fewest, and pixels of each."""
THREADS = 4
MIDDLE = 128
"""Byte of the scene's middle brightness, and of the mean of each shape."""
PER_LN, PER_NOISE = 32.0, 2.0
"""Steps of a byte in one unit of ln brightness, and in one unit of noise of a shape."""
LEAST = 1e-30
"""Of a spectrum over its mean: of numbers as far apart as that nothing is told."""
LARGEST = 1e30
"""Number that is told from larger ones: of any more, sums would be infinite."""
FEW = 64
"""Valid pixels that are needed to fit a sketch."""


@dataclass(frozen=True)
class Eye:
    """How a scene is looked at: fitted to a sample of it.

    `bands` are indices of bands; `middle` is the median of the spectra's means; `usual (bands,)`
    the median shape; `axes (bands, shapes)` whitened by noise; `centre (shapes,)`.
    """

    bands: npt.NDArray[np.int64]
    middle: float
    usual: Floats
    axes: Floats
    centre: Floats

    def look(self, spectra: Floats, mean: Floats) -> Bytes:
        """Brightness and shapes `(1 + shapes, n)` as bytes.

        Of spectra `(bands, n)`, which are used up, and of their means `(n,)`.
        """
        mean = np.maximum(mean, np.float32(self.middle * 1e-3))
        spectra /= mean
        found = np.empty((1 + self.axes.shape[1], len(mean)), np.float32)
        np.log(mean / np.float32(self.middle), out=found[0])
        found[0] *= PER_LN
        np.matmul(self._scaled, spectra, out=found[1:])
        found[1:] -= self._offset
        found += MIDDLE + 0.5
        np.clip(found, 0, 255, out=found)
        return found.astype(np.uint8)

    @cached_property
    def _scaled(self) -> Floats:
        return np.ascontiguousarray((self.axes / self.usual[:, None] * PER_NOISE).T, np.float32)

    @cached_property
    def _offset(self) -> Floats:
        return (self.centre * PER_NOISE).astype(np.float32)[:, None]


@dataclass(frozen=True)
class Sketch:
    """A scene as its eye sees it.

    `seen (rows, cols, 1 + shapes)` bytes: brightness, then shapes, each a plane in memory; `mask
    (rows, cols)` with the codes no data and look at so far; `eye`, None where too few pixels are
    valid.
    """

    seen: Bytes
    mask: Bytes
    eye: Eye | None


def brightness(seen: Bytes) -> Floats:
    """ln of brightness over the scene's middle, of what an eye saw `(..., 1 + shapes)`."""
    return (seen[..., 0].astype(np.float32) - MIDDLE) / np.float32(PER_LN)


def shapes(seen: Bytes) -> Floats:
    """Shapes in units of noise `(..., shapes)`, of what an eye saw."""
    return (seen[..., 1:].astype(np.float32) - MIDDLE) / np.float32(PER_NOISE)


def noise_of(ln_brightness: npt.ArrayLike) -> Floats:
    """How much noisier than usual shapes are at this brightness: dark spectra are."""
    return np.exp(np.clip(-np.asarray(ln_brightness, np.float32), 0, 2.5))


def window_pixels(scene: Scene) -> int:
    """Pixels to read at a time: many where the file hands out tiles, several of them at once."""
    return WINDOW if scene.block[0] == 1 else LARGEST_WINDOW


def pieces_of(scene: Scene) -> Iterator[Array]:
    """Raw windows `(r, c, bands)` all over the scene, of few of its blocks."""
    windows = list(scene.windows(SAMPLE_WINDOW))
    blocks = -(-scene.rows // scene.block[0]) * -(-scene.cols // scene.block[1])
    pieces = min(len(windows), SAMPLE_PIECES, max(FEWEST_PIECES, blocks // 12))
    for i in np.linspace(0, len(windows) - 1, pieces).round().astype(int):
        yield scene.read(*windows[i])


def fit_eye(scene: Scene, pieces: list[Array], valid: list[Bools]) -> Eye | None:
    """Fit an eye to raw windows of a scene, `valid` there; None where next to nothing is."""
    if sum(int(v.sum()) for v in valid) < FEW:
        return None
    bands = _bands(scene, pieces, valid)
    spectra = [numbers(piece[..., bands]) for piece in pieces]
    means = [x.mean(axis=-1) for x in spectra]
    some = np.concatenate([m[v] for m, v in zip(means, valid, strict=True)])
    middle = float(np.median(some))
    if not middle > 0:
        return None
    normal = [
        x / np.maximum(m, middle * 1e-3)[..., None] for x, m in zip(spectra, means, strict=True)
    ]
    every = np.concatenate([n[v] for n, v in zip(normal, valid, strict=True)])
    usual = np.median(every, axis=0)
    if not usual.max() > LEAST:
        return None
    usual = np.maximum(usual, 1e-3 * usual.max()).astype(np.float32)
    every = np.clip(every / usual, -1, 4)
    differences = np.concatenate(
        [_steps(n / usual, m, v) for n, m, v in zip(normal, means, valid, strict=True)]
    )
    axes = _axes(every, differences)
    return Eye(bands, middle, usual, axes, np.median(every @ axes, axis=0).astype(np.float32))


def _bands(scene: Scene, pieces: list[Array], valid: list[Bools]) -> npt.NDArray[np.int64]:
    """Good bands spread over the range in which something is measured."""
    good = np.flatnonzero(scene.good)
    some = np.concatenate(
        [p[v][:: max(1, len(p[v]) // 64)] for p, v in zip(pieces, valid, strict=True)]
    )
    level = np.median(numbers(some[:, good]), axis=0)
    kept = good[level > 0] if (level > 0).any() else good
    chosen = np.linspace(0, len(kept) - 1, min(BANDS + 2, len(kept))).round().astype(int)
    if len(chosen) == BANDS + 2:  # the sensor's ends are its noisiest
        chosen = chosen[1:-1]
    return np.asarray(kept[chosen], np.int64)


def _steps(normal: Floats, means: Floats, valid: Bools) -> Floats:
    """Half of the differences `(n, bands)` of neighbours in a row, alike in brightness."""
    both = valid[:, 1:] & valid[:, :-1]
    a, b = means[:, 1:], means[:, :-1]
    both &= (np.abs(a - b) < 0.1 * (np.abs(a) + np.abs(b))) & (a > 0)
    steps = (normal[:, 1:] - normal[:, :-1])[both] / np.sqrt(2)
    return np.asarray(np.clip(steps, -4, 4), np.float32)


def _axes(shapes_: Floats, steps: Floats) -> Floats:
    """Directions `(bands, shapes)` of most spread over noise, each scaled to unit noise."""
    bands = shapes_.shape[1]
    keep = min(SHAPES, max(1, bands - 1))
    if len(steps) > bands:
        # Borders and dead detector elements are no noise: leave the largest steps out.
        size = np.abs(steps) / (np.median(np.abs(steps), axis=0) + 1e-6)
        worst = size.max(axis=1)
        steps = steps[worst <= np.quantile(worst, 0.7)]
        noise = steps.T @ steps / len(steps) * 1.3
    else:
        noise = np.zeros((bands, bands), np.float32)
    spread = np.cov(shapes_.T).reshape(bands, bands)
    floor = 1e-6 + 1e-3 * float(np.trace(noise) + np.trace(spread) * 1e-2) / bands
    noise = noise.astype(np.float64) + floor * np.eye(bands)
    _, vectors = linalg.eigh(spread.astype(np.float64), noise)
    return np.asarray(vectors[:, ::-1][:, :keep], np.float32)


def in_threads(
    task: Callable[[Item], Result], items: Iterable[Item], say: Callable[[Result], object] = id
) -> None:
    """Do a task with each item, several at a time; `say` hears the results, in order."""
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
        for result in pool.map(task, items):
            say(result)


def sketch(scene: Scene, eye: Eye, highlights: Highlights, watcher: Watcher) -> Sketch:
    """Look at all of the scene, by windows; pixels far brighter than others go to `highlights`."""
    planes = np.full((1 + eye.axes.shape[1], scene.rows, scene.cols), MIDDLE, np.uint8)
    mask = np.zeros((scene.rows, scene.cols), np.uint8)
    all_rows_cols = scene.rows * scene.cols
    windows = list(scene.windows(window_pixels(scene)))
    look = partial(_look_at, scene, eye, highlights, planes, mask)
    done = 0

    def say(pixels: int) -> None:
        nonlocal done
        done += pixels
        watcher.progress(f"mask of {scene.name}", done, all_rows_cols)

    in_threads(lambda window: look(*window), windows, say)
    return Sketch(planes.transpose(1, 2, 0), mask, eye)


def _look_at(
    scene: Scene,
    eye: Eye,
    highlights: Highlights,
    planes: Bytes,
    mask: Bytes,
    rows: slice,
    cols: slice,
) -> int:
    """Look at one window."""
    raw = scene.read(rows, cols)
    shape = raw.shape[:2]
    flat = raw.reshape(-1, raw.shape[-1])
    some = flat.T[eye.bands]  # band by band from here on: all sums run over long rows
    valid = _valid(scene, flat, some)
    spectra = numbers(some)
    if not valid.all():
        spectra[:, ~valid] = eye.middle
    mean = spectra.mean(axis=0)
    codes = highlights.look(flat, spectra, mean, valid, rows, cols)
    np.copyto(codes, NO_DATA, where=~valid)
    planes[:, rows, cols] = eye.look(spectra, mean).reshape(-1, *shape)
    mask[rows, cols] = codes.reshape(shape)
    return valid.size


def numbers(raw: Array) -> Floats:
    """Raw numbers as floats of 32 bits that can be added and compared, however large they are."""
    if np.issubdtype(raw.dtype, np.floating):
        raw = np.clip(raw, -LARGEST, LARGEST)
    return raw.astype(np.float32)


def _valid(scene: Scene, flat: Array, some: Array) -> Bools:
    """`scene.valid` of spectra `(n, bands)`, of which `some (few bands, n)` tell most.

    Integers that differ among few bands are a measurement without a look at the others.
    """
    if scene.nodata is not None or np.issubdtype(flat.dtype, np.floating):
        return scene.valid(flat)
    valid = np.asarray((some != some[0]).any(axis=0))
    doubtful = np.flatnonzero(~valid)
    if len(doubtful):
        valid[doubtful] = scene.valid(flat[doubtful])
    return np.asarray(valid)
