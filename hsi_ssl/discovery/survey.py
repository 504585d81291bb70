"""One pass over scenes or a dataset: each pixel's slot, and the sums over slots."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Dataset
from hsi_ssl.discovery.tally import Tally, empty_tally, tally
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.inference.precision import quick_products
from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.maps.bands import BandMatch, ModelBands
from hsi_ssl.maps.fitting import all_fitted
from hsi_ssl.maps.windows import Raw, by_blocks, in_threads
from hsi_ssl.scenes.ortho import Ortho
from hsi_ssl.scenes.scene import Grid, Scene
from hsi_ssl.watcher import Watcher

if TYPE_CHECKING:
    from hsi_ssl.settings import DiscoverSettings


@dataclass(frozen=True)
class Surveyed:
    """A scene's pixels by their slot: `plane (rows, cols)` int16, -1 where there is none.

    `ortho`: the map grid on which its map is written, where it has one of its own.
    """

    name: str
    grid: Grid
    plane: npt.NDArray[np.int16] = field(repr=False)
    ortho: Ortho | None = None


@dataclass(frozen=True)
class Survey:
    """All scenes, the sums over their slots, and the bands' full widths where the files tell."""

    tally: Tally
    scenes: tuple[Surveyed, ...]
    fwhm_nm: npt.NDArray[np.float64] | None


def survey_scenes(
    scenes: Sequence[Scene],
    classifiers: Sequence[Classifier],
    settings: DiscoverSettings,
    watcher: Watcher,
) -> Survey:
    """Take scenes, by windows, through the first of `classifiers`, and the others to compare.

    Raises
    ------
    BandsError
        A scene's bands are not the models' and cannot or may not be resampled.
    """
    first = classifiers[0]
    bands = ModelBands.from_card(first.card)
    matches = all_fitted(
        scenes, bands, resample=settings.resample, force=settings.force, watcher=watcher
    )
    total = _nothing(classifiers)
    found = []
    for scene, match in zip(scenes, matches, strict=True):
        plane = np.full((scene.rows, scene.cols), UNLABELLED, np.int16)

        def window(
            rows: slice, cols: slice, read: Raw, scene: Scene = scene, match: BandMatch = match
        ) -> tuple[slice, slice, Tally, npt.NDArray[np.int16]]:
            return rows, cols, *_window(scene, match, classifiers, read)

        with (
            quick_products(first.device),
            contextlib.closing(
                in_threads(scene.read, window, scene.windows(settings.window), first.device)
            ) as windows,
        ):
            for rows, cols, counted, slots in windows:
                total += counted
                plane[rows, cols] = slots
                watcher.progress(f"survey {scene.name}", rows.stop, scene.rows)
        found.append(Surveyed(scene.name, scene.grid, plane, scene.ortho))
    fwhm, match = scenes[0].fwhm_nm, matches[0]
    if fwhm is not None:
        fwhm = fwhm[match.bands] if match.weights is None else None
    return Survey(total, tuple(found), fwhm)


def survey_dataset(
    dataset: Dataset,
    classifiers: Sequence[Classifier],
    settings: DiscoverSettings,
    watcher: Watcher,
) -> Survey:
    """Take all pixels of a dataset through the classifiers; planes are -1 where it has none."""
    total = _nothing(classifiers)
    slots = np.empty(len(dataset), np.int16)
    for first in range(0, len(dataset), settings.window):
        rows = np.arange(first, min(first + settings.window, len(dataset)))
        counted, slots[rows] = _classified(dataset.spectra(rows), classifiers)
        total += counted
        watcher.progress("survey", int(rows[-1]) + 1, len(dataset))
    found = []
    for number, source in enumerate(dataset.meta["sources"]):
        here = dataset.scene == number
        plane = np.full((source["rows"], source["cols"]), UNLABELLED, np.int16)
        plane[tuple(dataset.pixel[here].T)] = slots[here]
        found.append(Surveyed(source["name"], Grid(), plane))
    fwhm = dataset.meta["fwhm_nm"]
    return Survey(total, tuple(found), None if fwhm is None else np.asarray(fwhm))


def _nothing(classifiers: Sequence[Classifier]) -> Tally:
    slots = [len(c.label_set) + c.free_slots for c in classifiers]
    return empty_tally(slots[0], len(classifiers[0].used_bands), slots[1:])


def _window(
    scene: Scene, match: BandMatch, classifiers: Sequence[Classifier], window: Raw
) -> tuple[Tally, npt.NDArray[np.int16]]:
    """The sums over one window `(r, c, bands)`, and its slots `(r, c)`."""
    spectra, valid = match.brought(window, scene.nodata)
    slots = np.full(len(valid), UNLABELLED, np.int16)
    counted, slots[valid] = _classified(spectra, classifiers)
    return counted, slots.reshape(window.shape[:2])


def _classified(
    spectra: npt.NDArray[Any], classifiers: Sequence[Classifier]
) -> tuple[Tally, npt.NDArray[np.int64]]:
    own, *others = [by_blocks(c.posterior, spectra, c.device) for c in classifiers]
    return tally(spectra, own, others, classifiers[0].wavelengths_nm)
