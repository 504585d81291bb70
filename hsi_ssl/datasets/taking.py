"""Taking: reads the pixels that draws name, scene by scene, and writes the valid ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.reading import Spectra
from hsi_ssl.datasets.sampling import Draw, Places, TilePool, joined
from hsi_ssl.datasets.store import DatasetWriter, Part
from hsi_ssl.errors import SceneError
from hsi_ssl.labels.label_set import UNLABELLED
from hsi_ssl.watcher import Watcher

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

BLOCK = 16_384
"""Pixels read and written at a time."""


@dataclass(frozen=True)
class Rows:
    """What the dataset says of its rows, arrays as in `Dataset`."""

    label: npt.NDArray[np.int16]
    """Class indices `(n, sets)`."""
    part: npt.NDArray[np.uint8]
    scene: npt.NDArray[np.int16]
    pixel: npt.NDArray[np.int32]


class Taker:
    """Reads pixels, writes the valid ones, and remembers which they were."""

    def __init__(
        self,
        spectra: Spectra,
        writer: DatasetWriter,
        watcher: Watcher,
        classes: Sequence[int],
    ) -> None:
        """`classes`: how many each label set has."""
        self._first = np.cumsum([0, *classes])
        self._spectra = spectra
        self._scenes = scenes = spectra.scenes
        self._writer = writer
        self._watcher = watcher
        self._asked = np.zeros(len(scenes), np.int64)
        self._found = np.zeros(len(scenes), np.int64)
        self._done: list[tuple[Places, npt.NDArray[np.uint8]]] = []
        self._labels: list[tuple[Ints, Ints]] = []
        """Keys of pixels, and numbers of the classes that they were drawn for."""

    def take_draws(self, draws: Sequence[Draw]) -> None:
        """Take as many valid pixels as each draw wants, or has.

        A pixel that several label sets draw becomes one row; it has the labels that it was drawn
        for, so that no class has more pixels than its draw wants.
        """
        missing = np.array([draw.wanted for draw in draws])
        while True:
            lots = [draw.more(n) for draw, n in zip(draws, missing.tolist(), strict=True)]
            sizes = [len(lot) for lot in lots]
            if not any(sizes):
                break
            label = np.repeat(np.array([draw.label for draw in draws]), sizes)
            part = np.repeat(np.array([draw.part for draw in draws], np.uint8), sizes)
            places = joined(lots)
            keys, one, which = np.unique(places.keys, return_index=True, return_inverse=True)
            there = np.isin(keys, self._keys())
            new = one[~there]
            there[~there] = self._take(places[new], part[new], "reading labelled pixels")
            valid = there[which]
            self._labels.append((places.keys[valid], label[valid]))
            owner = np.repeat(np.arange(len(draws)), sizes)
            missing -= np.bincount(owner[valid], minlength=len(draws))

    def take_pool(self, pool: TilePool, wanted: int) -> None:
        """Take `wanted` valid pixels, or all there are."""
        if not wanted or not pool.start(self._valid):
            return
        while wanted and len(places := pool.more(wanted)):
            part = np.full(len(places), Part.POOL, np.uint8)
            wanted -= int(self._take(places, part, "reading unlabelled pixels").sum())

    @property
    def taken(self) -> int:
        """How many pixels were valid and are written."""
        return int(self._found.sum())

    def rows(self) -> Rows:
        """All rows written."""
        places = joined([places for places, _ in self._done])
        keys = places.keys
        order = np.argsort(keys)
        label = np.full((len(places), len(self._first) - 1), UNLABELLED, np.int16)
        for drawn, number in self._labels:
            row = order[np.searchsorted(keys, drawn, sorter=order)]
            label_set = np.searchsorted(self._first, number, side="right") - 1
            label[row, label_set] = number - self._first[label_set]
        cols = np.array([scene.cols for scene in self._scenes])[places.scene]
        return Rows(
            label=label,
            part=np.concatenate([part for _, part in self._done]),
            scene=places.scene,
            pixel=np.stack(np.divmod(places.flat, cols), axis=1).astype(np.int32),
        )

    def refuse_empty_scenes(self) -> None:
        """Raise `SceneError` if a scene holds no measurement at all."""
        for i in np.flatnonzero((self._asked > 0) & (self._found == 0)).tolist():
            scene = self._scenes[i]
            # Not one of those taken is valid; one of the others may be.
            if not any(
                scene.valid(scene.read(*window), self._spectra.used).any()
                for window in scene.windows(BLOCK)
            ):
                raise SceneError(
                    f"{scene.path} holds no measurement: every pixel has a band that is nodata, "
                    "NaN or infinite, or is zero in all bands; leave this scene out"
                )

    def _keys(self) -> Ints:
        """Of the rows written."""
        return joined([places for places, _ in self._done]).keys

    def _take(self, places: Places, part: npt.NDArray[np.uint8], what: str) -> Bools:
        """Read and write these pixels; which of them are valid, `(n,)`."""
        valid = np.zeros(len(places), bool)
        done = 0
        blocks = list(self._blocks(places))
        read = self._spectra.read((number, places.flat[some]) for number, some in blocks)
        for (number, some), (spectra, good) in zip(blocks, read, strict=True):
            self._writer.append(spectra)
            valid[some] = good
            kept = some[good]
            self._done.append((places[kept], part[kept]))
            self._asked[number] += len(some)
            self._found[number] += len(kept)
            done += len(some)
            self._watcher.progress(what, done, len(places))
        return valid

    def _valid(self, places: Places) -> Bools:
        """Which of these pixels are valid."""
        valid = np.zeros(len(places), bool)
        for number, some in self._blocks(places):
            valid[some] = self._spectra.here(number, places.flat[some])[1]
        return valid

    def _blocks(self, places: Places) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
        """Scene by scene, numbers of places in the order of the file."""
        order = np.lexsort((places.flat, places.scene))
        bounds = np.searchsorted(places.scene[order], np.arange(len(self._scenes) + 1))
        for number, (start, stop) in enumerate(itertools.pairwise(bounds.tolist())):
            for first in range(start, stop, BLOCK):
                yield number, order[first : min(first + BLOCK, stop)]
