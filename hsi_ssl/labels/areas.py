"""What the pixels of one raster cover of the pixels of another, whose corners are known in it.

A pixel is a quadrangle in the raster. Its edges are cut row by row; in a square lies what is right
of the edges that go down, less what is right of those that go up (Green's theorem).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.coverage import ROUNDING

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint16]
Bools = npt.NDArray[np.bool_]

LOT = 2**13
"""Pixels of which shares are measured together, at most."""
PAIRS = 2**18
"""The same of pairs of a pixel and a raster pixel."""
FEW = 9
"""Raster pixels about a pixel up to which each is compared with each."""
TINY = 1e-300


@dataclass
class Tally:
    """Pixels that labels touch and that have none.

    Of `short` no class covers enough, of `tied` two cover the same.
    """

    short: int = 0
    tied: int = 0


@dataclass(frozen=True)
class Corners:
    """Coordinates of the corners `(rows + 1, cols + 1)` of pixels in a raster.

    NaN or infinite where a corner lies nowhere in it. `reach`: how much of x and of y a pixel spans
    at most.
    """

    x: Floats
    y: Floats
    reach: tuple[float, float]

    def counted_from(self, row: int, col: int) -> Corners:
        """The same in a part of the raster that begins there."""
        return Corners(self.x - col, self.y - row, self.reach)

    def at_centres(self, values: Numbers) -> Numbers:
        """Values `(rows, cols)` at the middles of the pixels, 0 outside."""
        x, y = _four(self.x).mean(axis=0), _four(self.y).mean(axis=0)
        with np.errstate(invalid="ignore"):
            inside = (x >= 0) & (x < values.shape[1]) & (y >= 0) & (y < values.shape[0])
        found = np.zeros(x.shape, np.uint16)
        found[inside] = values[y[inside].astype(int), x[inside].astype(int)]
        return found

    @property
    def straight(self) -> bool:
        """Whether edges of pixels run along rows and columns of the raster."""
        across = np.ptp(self.x[[0, len(self.x) // 2, -1]], axis=0).max()
        down = np.ptp(self.y[:, [0, self.y.shape[1] // 2, -1]], axis=1).max()
        return bool(across < ROUNDING and down < ROUNDING)


class _Lot(NamedTuple):
    """Pixels `(n,)` by their places, the values `(n, k)` about them, their corners `(4, n)`."""

    at: Ints
    there: Numbers
    x: Floats
    y: Floats


class Shared:
    """Gives the pixels of a plane their class.

    Those that several may share are kept for a while: many of one kind are measured together.

    Parameters
    ----------
    found
        Class numbers `(rows, cols)`, filled in.
    least
        Share of a pixel that a class must cover.
    tally
        Counts the pixels that get none.
    """

    def __init__(self, found: Numbers, least: float, tally: Tally) -> None:
        self.found = found
        self._least, self._tally = least, tally
        self._waiting: dict[tuple[int, int, bool], list[_Lot]] = defaultdict(list)

    def weigh(self, values: Numbers, corners: Corners, place: tuple[int, int]) -> None:
        """Give classes to a part of the plane, which begins at `place`.

        `values` are those that its pixels may touch; outside there is nothing. Corners count from
        the first of `values`.
        """
        x, y = corners.x, corners.y
        unknown = ~(np.isfinite(x) & np.isfinite(y))
        if unknown.any():
            x, y = np.where(unknown, 0, x), np.where(unknown, 0, y)
        wide, high = (
            # Of a pixel that reaches over all values more would be nothing but nothing around.
            min(max(2, int(np.floor(r + 1 - ROUNDING)) + 1), size + 2)
            for r, size in zip(corners.reach, values.shape[::-1], strict=True)
        )
        values = np.pad(values, ((high, high), (wide, wide)))
        x, y = x + wide, y + high
        top = _first(y, values.shape[0] - high)
        left = _first(x, values.shape[1] - wide)
        first = top * values.shape[1] + left
        mixed = _several(values, high, wide).ravel().take(first)
        mine = self.found[place[0] : place[0] + len(top), place[1] : place[1] + top.shape[1]]
        mine[:] = values.ravel().take(first)
        if unknown.any():
            lost = _four(unknown).any(axis=0)
            mixed &= ~lost
            mine[lost] = 0
        rows, cols = np.nonzero(mixed)
        if len(rows):
            at = (rows + place[0]) * self.found.shape[1] + cols + place[1]
            self._add(at, values, _four_at(x, rows, cols), _four_at(y, rows, cols), corners)

    def _add(self, at: Ints, values: Numbers, x: Floats, y: Floats, corners: Corners) -> None:
        """Keep pixels, by the size of the box of raster pixels that each may touch."""
        top, bottom = _box(y, values.shape[0])
        left, right = _box(x, values.shape[1])
        straight = corners.straight
        high, wide = bottom - top, right - left
        size = high * (int(wide.max()) + 1) + wide
        for number in np.unique(size):
            here = np.flatnonzero(size == number)
            shape = int(high[here[0]]), int(wide[here[0]])
            inside = np.arange(shape[0])[:, None] * values.shape[1] + np.arange(shape[1])
            lot = max(1, PAIRS // inside.size)
            for some in (here[i : i + lot] for i in range(0, len(here), lot)):
                first = top[some] * values.shape[1] + left[some]
                there = values.ravel()[first[:, None] + inside.ravel()]
                waiting = self._waiting[*shape, straight]
                waiting.append(
                    _Lot(at[some], there, x[:, some] - left[some], y[:, some] - top[some])
                )
                if sum(len(one.at) for one in waiting) >= min(LOT, lot):
                    self._settle(shape, straight, waiting)
                    waiting.clear()

    def settle(self) -> None:
        """Measure what is still waiting."""
        for (high, wide, straight), waiting in self._waiting.items():
            if waiting:
                self._settle((high, wide), straight, waiting)
        self._waiting.clear()

    def _settle(self, shape: tuple[int, int], straight: bool, lots: list[_Lot]) -> None:
        at = np.concatenate([lot.at for lot in lots])
        there = np.concatenate([lot.there for lot in lots])
        x = np.concatenate([lot.x for lot in lots], axis=1)
        y = np.concatenate([lot.y for lot in lots], axis=1)
        shares = rectangle_shares(x, y, shape) if straight else shares_of(x, y, shape)
        winner, most, second = _votes(there, shares)
        enough = most >= self._least - ROUNDING
        tied = enough & (most - second < ROUNDING)
        self._tally.short += int(np.count_nonzero(~enough & (most > ROUNDING)))
        self._tally.tied += int(np.count_nonzero(tied))
        self.found.ravel()[at] = np.where(enough & ~tied, winner, 0)


def rectangle_shares(x: Floats, y: Floats, shape: tuple[int, int]) -> Floats:
    """As `shares_of`, of quadrangles with edges along rows and columns."""
    down, across = _lengths(y, shape[0]), _lengths(x, shape[1])
    return np.stack([d * a for d in down for a in across])


def _lengths(corners: Floats, size: int) -> list[Floats]:
    """Shares of lengths that lie in 0 to 1, 1 to 2, ..."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    whole = high - low
    return [
        np.maximum(np.minimum(high, i + 1) - np.maximum(low, i), 0) / whole for i in range(size)
    ]


def shares_of(x: Floats, y: Floats, shape: tuple[int, int]) -> Floats:
    """Shares `(rows * cols, n)` of quadrangles that lie in each square of a box of `shape`.

    Corners are `(4, n)`, in squares from the box's first and within it, in order about the
    quadrangle.
    """
    high, wide = shape
    n = x.shape[1]
    found = np.zeros((high, wide, n))
    for i in range(len(x)):
        x0, y0, x1, y1 = x[i - 1], y[i - 1], x[i], y[i]
        rise = y1 - y0
        slope = (x1 - x0) / np.where(rise == 0, 1, rise)
        for row in range(high):
            begin = y0 if row == 0 else np.maximum(y0, row)
            end = y1 if row == 0 else np.maximum(y1, row)
            if row < high - 1:
                begin, end = np.minimum(begin, row + 1), np.minimum(end, row + 1)
            enters, leaves = (begin - y0) * slope + x0, (end - y0) * slope + x0
            half = (end - begin) / 2
            found[row, wide - 1] += (2 * wide - enters - leaves) * half
            if wide > 1:
                half_run = half / (np.abs(leaves - enters) + TINY)
            for col in range(wide - 1):
                # How far left of a line the edge runs, on average: where it crosses the line,
                # less what is right of it.
                u, v = col + 1 - enters, col + 1 - leaves
                crossing = np.minimum(u * v, 0) * half_run
                found[row, col] += (np.maximum(u, 0) + np.maximum(v, 0)) * half + crossing
    whole = found[:, wide - 1].sum(axis=0)
    found[:, 1:] -= found[:, :-1].copy()
    return np.asarray(np.abs(found / whole).reshape(-1, n))


def _votes(there: Numbers, shares: Floats) -> tuple[Numbers, Floats, Floats]:
    """The class `(n,)` with the largest share of each pixel, that share, and the next one's."""
    n, k = there.shape
    if k > FEW:
        return _many_votes(there, shares)
    each = np.ascontiguousarray(there.T)
    votes = shares.copy()
    for i, j in itertools.combinations(range(k), 2):
        same = each[i] == each[j]
        votes[i] += same * shares[j]
        votes[j] += same * shares[i]
    votes *= each != 0
    winner, most = each[0], votes[0]
    for i in range(1, k):
        winner = np.where(votes[i] > most, each[i], winner)
        most = np.maximum(most, votes[i])
    second = np.zeros(n)
    for i in range(k):
        second = np.maximum(second, votes[i] * (each[i] != winner))
    return winner, most, second


def _many_votes(there: Numbers, shares: Floats) -> tuple[Numbers, Floats, Floats]:
    """As `_votes`, where each with each would be too many."""
    n = len(there)
    classes, which = np.unique(there, return_inverse=True)
    if n > 1 and n * len(classes) > 8 * PAIRS:
        halves = slice(0, n // 2), slice(n // 2, n)
        parts = [_many_votes(there[half], shares[:, half]) for half in halves]
        winner, most, second = (np.concatenate(column) for column in zip(*parts, strict=True))
        return winner, most, second
    flat = which.reshape(n, -1) + len(classes) * np.arange(n)[:, None]
    votes = np.bincount(flat.ravel(), shares.T.ravel(), minlength=n * len(classes))
    votes = votes.reshape(n, len(classes))
    votes[:, classes == 0] = 0
    best, everyone = votes.argmax(axis=1), np.arange(n)
    most = votes[everyone, best]
    votes[everyone, best] = 0
    return classes[best], most, votes.max(axis=1)


def _four(corners: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The corners of each pixel in order about it, `(4, rows, cols)`."""
    return np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]])


def _four_at(corners: Floats, rows: Ints, cols: Ints) -> Floats:
    """The same of some pixels, `(4, n)`."""
    flat, width = corners.ravel(), corners.shape[1]
    first = rows * width + cols
    return np.stack([flat[first + step] for step in (0, 1, width + 1, width)])


def _first(corners: Floats, end: int) -> Ints:
    """The first raster pixel that each pixel may touch, from 0 to `end`; beyond, there is none."""
    low = np.minimum(corners[:, :-1], corners[:, 1:])
    low = np.minimum(low[:-1], low[1:])
    low += ROUNDING
    np.maximum(low, 0, out=low)
    return np.minimum(low, end, out=low).astype(np.int64)


def _several(values: Numbers, high: int, wide: int) -> Bools:
    """Where `high` x `wide` values, of which a place is the first, differ: `values`' shape."""
    down, across = values[1:] != values[:-1], values[:, 1:] != values[:, :-1]
    found: Bools = down[:, 1:] | down[:, :-1] | across[1:] | across[:-1]
    for axis, size in ((0, high), (1, wide)):
        n = found.shape[axis] - size + 2
        parts = [found[i : i + n] if axis == 0 else found[:, i : i + n] for i in range(size - 1)]
        found = np.asarray(np.logical_or.reduce(parts))
    whole = np.zeros(values.shape, bool)
    whole[: found.shape[0], : found.shape[1]] = found
    return whole


def _box(corners: Floats, size: int) -> tuple[Ints, Ints]:
    """First and last but one raster pixel that quadrangles touch, within `size`."""
    first = np.clip(np.floor(corners.min(axis=0) + ROUNDING), 0, size - 1).astype(np.int64)
    last = np.ceil(corners.max(axis=0) - ROUNDING)
    return first, np.clip(last, first + 1, size).astype(np.int64)
