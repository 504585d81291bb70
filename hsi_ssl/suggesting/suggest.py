"""From a trained classifier and a scene to the pixels that a person should label next."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hsi_ssl.errors import SceneError
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.discovered import DiscoveredSlot
from hsi_ssl.inference.precision import quick_products
from hsi_ssl.maps.bands import BandMatch, ModelBands
from hsi_ssl.maps.fitting import fitted
from hsi_ssl.maps.windows import Raw, by_blocks, in_threads
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.suggesting.choosing import choose, uncertainty
from hsi_ssl.watcher import SILENT, Watcher

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

WINDOW = 65_536
"""Pixels read and classified at a time."""
CANDIDATES = 50_000
"""Of a scene, at most about so many: the most uncertain pixel of each neighbourhood."""
SAMPLED = 4_000
"""Pixels that tell what is typical of the scene, about."""


@dataclass(frozen=True)
class Suggestion:
    """A pixel worth a label; `common`: the share of the scene whose pixels are guessed alike."""

    row: int
    col: int
    guess: str
    probability: float
    second: str
    second_probability: float
    common: float

    @property
    def reason(self) -> str:
        """Why, in words."""
        doubt = f"{self.guess} {self.probability:.0%}, {self.second} {self.second_probability:.0%}"
        return f"{doubt}; {self.common:.1%} of the scene looks like {self.guess}"


@dataclass(frozen=True)
class _Some:
    """Of a window: candidates, and pixels drawn from all; `counts (K,)` of guessed classes."""

    place: Ints
    p: Floats
    x: Floats
    drawn: Floats
    counts: Ints


def suggest(
    scene: Scene,
    classifier: Classifier,
    n: int,
    *,
    radius: int = 5,
    labelled: Ints | None = None,
    discovered: Sequence[DiscoveredSlot] = (),
    resample: bool = False,
    force: bool = False,
    seed: int = 0,
    watcher: Watcher = SILENT,
) -> list[Suggestion]:
    """At most `n` pixels of a scene to label next, the most promising first.

    Parameters
    ----------
    radius
        Two of them, and they and the pixels that are labelled already, are more than so many
        pixels apart, in rows or in columns.
    labelled
        Rows and columns `(m, 2)` of the latter.

    Raises
    ------
    BandsError
        The scene's bands are not the model's and cannot or may not be resampled.
    UnitsError
        Its numbers are in another unit, and it is not forced.
    SceneError
        The scene is broken, or has no valid pixel as far from labelled ones.
    """
    bands = ModelBands.from_card(classifier.card)
    match = fitted(scene, bands, resample=resample, force=force, watcher=watcher)
    pixels, done = scene.rows * scene.cols, 0
    side = max(radius + 1, math.ceil(math.sqrt(pixels / CANDIDATES)))
    near = _Near(np.empty((0, 2), np.int64) if labelled is None else labelled, radius)
    look = partial(_look, scene, match, classifier, near, side, min(1.0, SAMPLED / pixels), seed)
    found: list[_Some] = []
    with (
        quick_products(classifier.device),
        contextlib.closing(
            in_threads(scene.read, look, scene.windows(WINDOW), classifier.device)
        ) as each,
    ):
        for some, size in each:
            found.append(some)
            done += size
            watcher.progress(f"look at {scene.name}", done, pixels)
    place, p, x, drawn = (
        np.concatenate([getattr(some, name) for some in found])
        for name in ("place", "p", "x", "drawn")
    )
    counts = np.sum([some.counts for some in found], axis=0)
    if not len(place):
        raise SceneError(
            f"{scene.path} has no valid pixel more than {radius} pixels from the labelled ones: "
            "take a smaller --radius, or another scene"
        )
    # The equal spread at which networks see components, or distances would be those of brightness.
    spread = np.sqrt(np.maximum(drawn.std(axis=0), 1e-6)) if len(drawn) else np.ones(x.shape[1])
    chosen = choose(
        p, x / spread, (drawn if len(drawn) else x) / spread, place, n, radius=radius, seed=seed
    )
    names = column_names(classifier, discovered)
    return [_suggestion(place[i], p[i], counts, names) for i in chosen]


class _Near:
    """Which places are within `radius` rows and columns of labelled pixels."""

    def __init__(self, labelled: Ints, radius: int) -> None:
        self._labelled, self._radius = labelled, radius

    def mask(self, rows: slice, cols: slice) -> npt.NDArray[np.bool_]:
        """`(r, c)` of a window."""
        reach, shape = self._radius, (rows.stop - rows.start, cols.stop - cols.start)
        wide = np.zeros([side + 2 * reach for side in shape], np.uint8)
        place = self._labelled - np.array([rows.start - reach, cols.start - reach])
        place = place[((place >= 0) & (place < wide.shape)).all(axis=1)]
        wide[tuple(place.T)] = 1
        found = ndimage.maximum_filter(wide, 2 * reach + 1)
        inside: npt.NDArray[np.bool_] = (
            found[reach : reach + shape[0], reach : reach + shape[1]] > 0
        )
        return inside


def _look(
    scene: Scene,
    match: BandMatch,
    classifier: Classifier,
    near: _Near,
    side: int,
    share: float,
    seed: int,
    rows: slice,
    cols: slice,
    window: Raw,
) -> tuple[_Some, int]:
    """The most uncertain pixel of each square of `side` pixels of a window, and some of all."""
    spectra, valid = match.brought(window, scene.nodata)
    p = by_blocks(classifier.posterior, spectra, classifier.device)
    shape = window.shape[:2]
    here = np.flatnonzero(valid)
    place = np.stack(np.divmod(here, shape[1]), axis=1) + np.array([rows.start, cols.start])
    doubt = uncertainty(p)
    doubt[near.mask(rows, cols).ravel()[valid] | ~np.isfinite(doubt)] = -1
    square = (place // side) @ np.array([scene.cols // side + 1, 1])
    order = np.lexsort((-doubt, square))
    _, first = np.unique(square[order], return_index=True)
    best = order[first]
    best = best[doubt[best] >= 0]
    rng = np.random.default_rng((seed, rows.start, cols.start))
    drawn = np.flatnonzero(rng.random(len(here)) < share)
    scaled: Any = classifier.scaler.transform
    counts = np.bincount(p.argmax(1), minlength=p.shape[1]) if len(p) else np.zeros(p.shape[1])
    some = _Some(
        place[best], p[best], scaled(spectra[best]), scaled(spectra[drawn]), counts.astype(np.int64)
    )
    return some, valid.size


def column_names(classifier: Classifier, discovered: Sequence[DiscoveredSlot]) -> list[str]:
    """Of the posterior's columns."""
    names = [*classifier.label_set.names]
    names += [f"free slot {k + 1}" for k in range(classifier.free_slots)]
    for one in discovered:
        names[one.slot] = one.label.name
    return names


def _suggestion(place: Ints, p: Floats, counts: Ints, names: list[str]) -> Suggestion:
    order = np.argsort(-p, kind="stable")
    best, second = int(order[0]), int(order[min(1, len(order) - 1)])
    return Suggestion(
        int(place[0]),
        int(place[1]),
        names[best],
        float(p[best]),
        names[second],
        float(p[second]),
        float(counts[best] / max(1, counts.sum())),
    )
