"""Spectra of single pixels: read here, or by tasks that open the scenes by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.bands import in_bands_of_first
from hsi_ssl.labels.finding import Found
from hsi_ssl.labels.sources import Sources, open_again
from hsi_ssl.running.places import Here, Place, values_of
from hsi_ssl.running.task import Task
from hsi_ssl.scenes.ranges import WavelengthRange
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.scene import Array, Scene, only_valid, valid_spectra
from hsi_ssl.scenes.units import physical
from hsi_ssl.settings import PrepareSettings
from hsi_ssl.watcher import SILENT, Watcher

Bools = npt.NDArray[np.bool_]
Flat = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Opening:
    """How a scene is opened once more, with the numbers that it has here, but without masks.

    `like`: the scene to whose bands it is resampled, less those in `excluded` ranges. `physical`:
    whether its numbers are brought to their physical unit.
    """

    found: Found
    reading: Reading
    like: Found | None
    excluded: tuple[WavelengthRange, ...]
    physical: bool

    def open(self) -> Scene:
        """Open it."""
        scene = open_again(self.found, self.reading)
        if self.like is not None:
            with open_again(self.like, self.reading) as first:
                scene = in_bands_of_first([first, scene], self.excluded, SILENT)[1]
        return physical(scene) if self.physical else scene


def openings_of(
    sources: Sources, before: Sequence[Scene], settings: PrepareSettings
) -> list[Opening]:
    """How the scenes of a dataset are opened once more; `before`: before units were compared."""
    found = []
    for source, raw in zip(sources.scenes, before, strict=True):
        assert source.found is not None
        like = sources.scenes[0].found if settings.resample else None
        changed = source.scene.reader is not raw.reader
        found.append(Opening(source.found, settings.reading, like, settings.excluded, changed))
    return found


class Spectra:
    """Reads the `used` bands of pixels of scenes; elsewhere, where `place` is not here."""

    def __init__(
        self, scenes: Sequence[Scene], used: Bools, place: Place, openings: Sequence[Opening] = ()
    ) -> None:
        self.scenes, self.used = scenes, used
        self._place, self._openings = place, openings

    def here(self, number: int, flat: Flat) -> tuple[Array, Bools]:
        """The valid spectra `(m, bands)` among pixels `(n,)` of a scene, and which those are."""
        return _read(self.scenes[number], self.used, flat)

    def read(self, lots: Iterable[tuple[int, Flat]]) -> Iterator[tuple[Array, Bools]]:
        """The same of many lots, in their order."""
        if isinstance(self._place, Here):
            yield from (self.here(number, flat) for number, flat in lots)
            return
        looked: dict[int, Bools] = {}

        def tasks() -> Iterator[Task]:
            for i, (number, flat) in enumerate(lots):
                scene = self.scenes[number]
                looked[i] = _looked(scene, flat)
                path = scene.path
                values = (self._openings[number], self.used, flat[looked[i]])
                needs = (path,) if path.exists() else ()
                yield Task(str(path), read_elsewhere, values, needs)

        for i, found in values_of(self._place, tasks(), in_order=True):
            spectra, good = _as_read(found)
            valid = looked.pop(i)
            valid[valid] = good
            yield spectra, valid


def _as_read(found: Any) -> tuple[Array, Bools]:
    spectra, good = found
    return spectra, good


def _looked(scene: Scene, flat: Flat) -> Bools:
    """Which pixels no mask hides."""
    if scene.looked is None:
        return np.ones(len(flat), bool)
    return scene.looked.at(*np.divmod(flat.astype(np.int64), scene.cols))


def _read(scene: Scene, used: Bools, flat: Flat) -> tuple[Array, Bools]:
    spectra = scene.pixels(*np.divmod(flat, scene.cols))
    if not used.all():
        spectra = spectra[:, used]
    good = valid_spectra(spectra, scene.nodata)
    return only_valid(spectra, good), good


_open: list[tuple[Opening, Scene]] = []
"""The scene that this process has read last; several lots of one follow each other."""


def read_elsewhere(
    opening: Opening, used: Bools, flat: Flat, *, watcher: Watcher
) -> tuple[Array, Bools]:
    """As `Spectra.here`, of a scene that is opened here."""
    del watcher
    if not _open or _open[0][0] != opening:
        for _, scene in _open:
            scene.close()
        _open[:] = [(opening, opening.open())]
    return _read(_open[0][1], used, flat)
