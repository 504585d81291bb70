"""Sampling: which pixels to read, in an order drawn from the label planes alone.

Whether a pixel holds a measurement is known only once it is read. So every draw is an order, not
a set: take the first of it, read them, and take the next ones for those that turned out invalid.
What is kept is then a uniform draw among the valid pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.datasets.store import Part

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STARTS, LOTS = 64, 8
"""Random pixels looked at together for a valid one to start the pool at, and how often."""


@dataclass(frozen=True)
class Places:
    """Pixels of several scenes: number of the scene and `row * cols + col`, both `(n,)`."""

    scene: npt.NDArray[np.int16]
    flat: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.flat)

    def __getitem__(self, which: slice | Ints | Bools) -> Places:
        return Places(self.scene[which], self.flat[which])

    @property
    def keys(self) -> Ints:
        """One number a pixel, ascending with scene and place."""
        return self.scene.astype(np.int64) << 32 | self.flat


Valid = Callable[[Places], Bools]
"""Reads pixels and tells which of them hold a measurement."""


def joined(places: Sequence[Places]) -> Places:
    """All of them in one."""
    return Places(
        np.concatenate([np.empty(0, np.int16), *(p.scene for p in places)]),
        np.concatenate([np.empty(0, np.int32), *(p.flat for p in places)]),
    )


@dataclass
class Draw:
    """Pixels of one class for one part in random order, of which the first `wanted` are taken.

    `label` is the class's number, which of several label sets runs on from set to set.
    """

    part: Part
    label: int
    order: Places
    wanted: int
    taken: int = field(default=0, init=False)

    def more(self, missing: int) -> Places:
        """The next `missing` pixels of the order, fewer at its end."""
        found = self.order[self.taken : self.taken + missing]
        self.taken += len(found)
        return found


def labelled_draws(
    labels: Sequence[npt.NDArray[Any]],
    planes: Sequence[npt.NDArray[np.uint8]],
    classes: int,
    most: dict[Part, int | None],
    rng: np.random.Generator,
) -> list[Draw]:
    """One draw a class and part, over all scenes jointly: every pixel equally likely.

    `labels` hold indices, and `planes` the parts that labelled pixels may go to, both as in
    `splits`; `most` how many pixels a class each part takes, None for all. Draws for several label
    sets prefer the same pixels, so that many of these come with all their labels.
    """
    found = []
    for scene, (label, plane) in enumerate(zip(labels, planes, strict=True)):
        flat = np.flatnonzero(plane <= Part.TEST)
        found.append((scene, flat, label.reshape(-1, plane.size)[:, flat], plane.ravel()[flat]))
    places = joined(
        [Places(np.full(len(f), s, np.int16), f.astype(np.int32)) for s, f, _, _ in found]
    )
    # Numbers of 16 bits are sorted by their digits, in linear time.
    nothing = (Part.TEST + 1) * classes
    number = np.dtype(np.int32 if nothing > np.iinfo(np.int16).max else np.int16)
    label = np.concatenate([label for _, _, label, _ in found], axis=1)
    part = np.concatenate([part for _, _, _, part in found])
    group = np.multiply(part, classes, dtype=number) + label.astype(number, copy=False)
    group[label < 0] = nothing
    group = group.ravel()
    rank = rng.permutation(len(places)) if len(label) > 1 else None
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange((Part.TEST + 1) * classes + 1))
    draws = []
    for of in (Part.TRAIN, Part.VALIDATION, Part.TEST):
        for k in range(classes):
            g = of * classes + k
            pixels = order[ends[g] : ends[g + 1]] % max(1, len(places))
            limit = most[of]
            if limit is not None:  # all of them need no order
                pixels = rng.permutation(pixels) if rank is None else pixels[rank[pixels].argsort()]
            if len(pixels):
                wanted = len(pixels) if limit is None else min(limit, len(pixels))
                draws.append(Draw(of, k, places[pixels], wanted))
    return draws


class TilePool:
    """The unlabelled pool's order: the eligible pixels of whole tiles, tile after tile.

    Tiles are squares of a fixed grid in each scene. They lie on a circle in random order; the
    pool is as many consecutive pixels as wanted from a random eligible and valid one on. So every
    valid pixel is equally likely, whatever its tile holds besides, and at most two tiles are cut.
    """

    def __init__(self, eligible: Sequence[Bools], tile: int, rng: np.random.Generator) -> None:
        self._eligible = eligible
        self._tile = tile
        self._rng = rng
        counts = [_tile_counts(plane, tile) for plane in eligible]
        self._grids = [c.shape for c in counts]
        self._first = np.cumsum([0, *(c.size for c in counts)])
        """Number of the first tile of each scene."""
        self._counts = np.concatenate([np.empty(0, np.int32), *(c.ravel() for c in counts)])
        self._next = 0
        """Place on the circle of the next pixel."""
        self._tiles = self._sizes = self._ends = np.empty(0, np.int64)
        self._skip = 0
        """Pixels of the first tile that come last, where the circle closes."""

    @property
    def size(self) -> int:
        """Eligible pixels."""
        return int(self._counts.sum(dtype=np.int64))

    def start(self, valid: Valid) -> bool:
        """Find the pixel to start at; False if there is no valid one."""
        ends = np.cumsum(self._counts, dtype=np.int64)
        for ranks in self._random_ranks():
            tiles = np.searchsorted(ends, ranks, side="right")
            within = ranks - (ends[tiles] - self._counts[tiles])
            good = np.flatnonzero(valid(self._pixels(tiles, within, within + 1)))
            if len(good):
                tile, self._skip = tiles[good[0]], int(within[good[0]])
                others = np.flatnonzero(self._counts)
                others = self._rng.permutation(others[others != tile])
                self._tiles = np.concatenate([[tile], others, [tile]])
                self._sizes = self._counts[self._tiles].astype(np.int64)
                self._sizes[0] -= self._skip
                self._sizes[-1] = self._skip
                self._ends = np.cumsum(self._sizes)
                return True
        return False

    def more(self, missing: int) -> Places:
        """The next `missing` pixels on the circle, fewer once it is closed."""
        begin, end = self._next, min(self._next + missing, int(self._sizes.sum()))
        if begin >= end:
            return joined([])
        self._next = end
        first, last = np.searchsorted(self._ends, [begin, end - 1], side="right")
        some = slice(first, last + 1)
        before = self._ends[some] - self._sizes[some]
        skip = np.where(np.arange(first, last + 1) == 0, self._skip, 0)
        start = skip + np.maximum(begin, before) - before
        stop = skip + np.minimum(end, self._ends[some]) - before
        return self._pixels(self._tiles[some], start, stop)

    def _random_ranks(self) -> Iterator[Ints]:
        """Uniform numbers of eligible pixels: a few lots with repeats, then each once."""
        if self.size:
            for _ in range(LOTS):
                yield self._rng.integers(self.size, size=STARTS)
            yield from np.array_split(self._rng.permutation(self.size), 1 + self.size // 65_536)

    def _pixels(self, tiles: Ints, start: Ints, stop: Ints) -> Places:
        """Eligible pixels number `start` to `stop` of each tile, tile by tile."""
        scenes = np.searchsorted(self._first, tiles, side="right") - 1
        found, order = [], []
        step = np.arange(self._tile)
        for scene in np.unique(scenes):
            here = np.flatnonzero(scenes == scene)
            plane = self._eligible[scene]
            down, across = np.divmod(tiles[here] - self._first[scene], self._grids[scene][1])
            rows = (down * self._tile)[:, None, None] + step[:, None]
            cols = (across * self._tile)[:, None, None] + step
            inside = (rows < plane.shape[0]) & (cols < plane.shape[1])
            flat = np.where(inside, rows * plane.shape[1] + cols, 0).reshape(len(here), -1)
            wanted = inside.reshape(flat.shape) & plane.ravel()[flat]
            rank = wanted.cumsum(axis=1) - 1
            wanted &= (rank >= start[here, None]) & (rank < stop[here, None])
            which, _ = np.nonzero(wanted)
            order.append(here[which])
            picked = flat[wanted].astype(np.int32)
            found.append(Places(np.full(len(picked), scene, np.int16), picked))
        return joined(found)[np.argsort(np.concatenate(order), kind="stable")]


def _tile_counts(plane: Bools, tile: int) -> npt.NDArray[np.int32]:
    """Eligible pixels in each tile of a scene's grid."""
    down = np.add.reduceat(plane, np.arange(0, plane.shape[0], tile), axis=0, dtype=np.int32)
    counts: npt.NDArray[np.int32] = np.add.reduceat(
        down, np.arange(0, plane.shape[1], tile), axis=1
    )
    return counts
