"""Long straight lines of one material from end to end of a scene: where trays may run.

A tray's walls and floors run along beside sticks of core. So along some direction, columns or rows
and a little tilted, there are lines of which all pixels have one spectrum, and broader strips of
anything between them, about as broad as each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from hsi_ssl.masks.sketch import Bools, Bytes, Floats, brightness, noise_of, shapes

Ints = npt.NDArray[np.int64]
Plane = npt.NDArray[Any]

ALONG = 96
"""Pixels of a line that are looked at."""
ACROSS = 512
"""Places across, at most, at which tilts are compared."""
TILT = 0.1
"""Steepest tilt against columns or rows, as rise over run."""
TILTS = 81
"""Tilts that are tried, at most."""
ALIKE = 2.5
"""Shapes up to so far apart, in units of noise, are of one material: root of the mean square."""
ALIKE_LIGHT = 0.35
"""And within a line brightness differs by no more, in ln."""
PURE = 0.75
"""Share of a line's pixels that are alike, at least."""
INSIDE = 0.5
"""Share of a tilted line that is inside the scene, at least."""
NARROWEST_STRIP = 4
"""Pixels across a stick of core, at least."""
LEAST = 0.3
"""Share of the lines that sticks take, at least."""
UNEVEN = 0.35
"""Sticks side by side differ in width by no more, as a share of their width."""


@dataclass(frozen=True)
class Lanes:
    """Lines of one material side by side, and where they run.

    `down`: along columns, else along rows. `tilt`: columns that a line goes to the right in a row
    (rows downwards a column). `lane (lines,)` flags lines that are lanes, counted across the middle
    of the scene; `strips` are first and last line, exclusive, of what lies between two lanes.
    """

    down: bool
    tilt: float
    lane: Bools
    strips: tuple[tuple[int, int], ...]

    def painted(self, by_line: Plane, rows: int) -> Plane:
        """A plane `(rows, cols)` in which each pixel has the value of its line; beyond, the last's.

        Rows and columns are those of the scene turned so that lines run down it.
        """
        plane = np.broadcast_to(by_line, (rows, len(by_line)))
        return _slid(plane, _shift(np.arange(rows), rows, -self.tilt))

    def straight(self, plane: Plane) -> Plane:
        """A plane `(rows, cols)` of pixels by line, `(rows, lines)`; beyond the scene, its ends."""
        return _slid(plane, _shift(np.arange(len(plane)), len(plane), self.tilt))

    def cols_of(self, rows: slice, lines: slice, length: int) -> Ints:
        """The columns `(rows, lines)` of some pixels by line, of `length` rows in all."""
        return _lines(np.arange(length)[rows], length, len(self.lane), self.tilt)[:, lines]


def turned(plane: Bytes, down: bool) -> Bytes:
    """A plane `(rows, cols, ...)` such that lines that run `down`, or along rows, run down it."""
    return plane if down else plane.swapaxes(0, 1)


def find_lanes(seen: Bytes, valid: Bools) -> Iterator[Lanes]:
    """All sets of lanes that might be a tray's, those with several sticks between them first.

    The longer side of the scene is looked along first: sticks are laid that way.
    """
    single: list[Lanes] = []
    longer = valid.shape[0] >= valid.shape[1]
    for down in (longer, not longer):
        plane, there = turned(seen, down), turned(valid.view(np.uint8), down).view(np.bool_)
        if min(plane.shape[:2]) <= 2 * NARROWEST_STRIP:
            continue
        for lanes in _along(plane, there, down):
            if len(lanes.strips) > 1:
                yield lanes
            else:
                single.append(lanes)
    yield from sorted(single, key=lambda lanes: -float(lanes.lane.mean()))


def _along(seen: Bytes, valid: Bools, down: bool) -> Iterator[Lanes]:
    """Sets of lanes that run down a plane."""
    length, width = valid.shape
    rows = np.linspace(0, length - 1, min(length, ALONG)).round().astype(np.int64)
    thin, there = seen[rows], valid[rows]
    tilt = _tilt(thin, rows, length)
    lines = _lines(rows, length, width, tilt)
    inside = np.abs(np.arange(width) + _shift(rows, length, tilt)[:, None] - lines) < 1
    here = np.take_along_axis(there, lines, 1) & inside
    pixels = np.take_along_axis(thin, lines[..., None], 1)
    light, shape = brightness(pixels), shapes(pixels)
    light[~here], shape[~here] = np.nan, np.nan
    enough = here.mean(axis=0) >= INSIDE
    middle_light = np.full(width, np.nan, np.float32)
    middle = np.full((width, shape.shape[-1]), np.nan, np.float32)
    median = np.median if here[:, enough].all() else np.nanmedian
    middle_light[enough] = median(light[:, enough], axis=0)
    middle[enough] = median(shape[:, enough], axis=0)
    away = np.sqrt(((shape - middle) ** 2).mean(axis=-1)) / noise_of(middle_light)
    alike = (away < ALIKE) & (np.abs(light - middle_light) < ALIKE_LIGHT)
    share = np.where(here, alike, False).sum(axis=0) / np.maximum(here.sum(axis=0), 1)
    pure = enough & (share >= PURE)
    for group in _groups(middle, middle_light, pure):
        strips = _strips(group)
        if strips:
            yield Lanes(down, tilt, group, strips)


def _slid(plane: Plane, shift: Ints) -> Plane:
    """A plane of which each row goes to the left by its shift; from beyond come its ends."""
    found = np.empty(plane.shape, plane.dtype)
    edges = np.flatnonzero(np.diff(shift)) + 1
    for first, last in itertools.pairwise((0, *edges.tolist(), len(shift))):
        by = max(-plane.shape[1] + 1, min(int(shift[first]), plane.shape[1] - 1))
        to, of = found[first:last], plane[first:last]
        if by < 0:  # from the right, what goes to the right
            to, of = to[:, ::-1], of[:, ::-1]
        kept = plane.shape[1] - abs(by)
        to[:, :kept] = of[:, abs(by) :]
        to[:, kept:] = of[:, -1:]
    return found


def _shift(rows: Ints, length: int, tilt: float) -> Ints:
    return np.asarray(np.round(tilt * (rows - (length - 1) / 2)), np.int64)


def _lines(rows: Ints, length: int, width: int, tilt: float) -> Ints:
    """Columns `(rows, width)` of the pixels of each line; beyond the scene, its ends repeated."""
    place = np.arange(width) + _shift(rows, length, tilt)[:, None]
    return np.asarray(np.clip(place, 0, width - 1))


def _tilt(seen: Bytes, rows: Ints, length: int) -> float:
    """The tilt along which lines differ most from each other."""
    width = seen.shape[1]
    most = max(1, min(TILTS // 2, int(TILT * length / 2)))
    rows, step = rows[::2], -(-width // ACROSS)
    planes = seen[::2, :, :3].astype(np.float32)
    if step > 1:
        planes = planes[:, : width // step * step].reshape(len(rows), -1, step, planes.shape[2])
        planes = planes.mean(axis=2)
    planes -= planes.mean(axis=(0, 1))
    planes /= planes.std(axis=(0, 1)) + 1e-6
    tilts = sorted(np.linspace(-TILT, TILT, 2 * most + 1).tolist(), key=abs)
    shifts = np.stack([_shift(rows, length, tilt) // step for tilt in tilts])
    means = _means(planes, shifts)
    best, found = -1.0, 0.0
    for tilt, score in zip(tilts, means.var(axis=1).sum(axis=1).tolist(), strict=True):
        if score > best * 1.02:
            best, found = score, tilt
    return found


def _means(planes: Floats, shifts: Ints) -> Floats:
    """Mean over rows of planes `(rows, cols, k)`, for each of the `shifts (n, rows)` of those."""
    width = planes.shape[1]
    most = int(np.abs(shifts).max())
    wide = np.pad(planes, ((0, 0), (most, most), (0, 0)), mode="edge")
    total = np.zeros((len(shifts), width, planes.shape[2]), np.float32)
    for row, by in zip(wide, shifts.T, strict=True):
        # All places at which a row may begin, as views: rows that are moved are copied whole.
        total += sliding_window_view(row, width, axis=0).swapaxes(1, 2)[by + most]
    total /= len(planes)
    return total


def _groups(middle: Floats, light: Floats, pure: Bools) -> Iterator[Bools]:
    """Sets of pure lines of one shape; brightness may differ, as walls and floors do."""
    left = pure.copy()
    while left.any():
        first = int(np.flatnonzero(left)[0])
        group = np.zeros(len(pure), bool)
        group[first] = True
        while True:
            centre = np.median(middle[group], axis=0)
            away = np.sqrt(((middle - centre) ** 2).mean(axis=-1)) / noise_of(light)
            grown = left & (away < ALIKE)
            grown[first] = True
            if (grown == group).all():
                break
            if (grown & ~group).sum() == 0:
                break
            group |= grown
        left &= ~group
        yield group


def _strips(lane: Bools) -> tuple[tuple[int, int], ...]:
    """What lies between two lanes, if it may be sticks of core side by side; else nothing.

    Parts of sticks beside the first and the last lane come along.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], lane.astype(np.int8), [0]))))
    runs = edges.reshape(-1, 2)
    gaps = [(int(a), int(b)) for a, b in zip(runs[:-1, 1], runs[1:, 0], strict=True)]
    strips = [(a, b) for a, b in gaps if b - a >= NARROWEST_STRIP]
    if not strips:
        return ()
    widths = np.array([b - a for a, b in strips])
    if np.ptp(widths) > UNEVEN * np.median(widths):
        return ()
    # Lanes between sticks are narrower than those; margins may be of any width.
    between = np.array([b[0] - a[1] for a, b in itertools.pairwise(strips)])
    if len(between) and np.median(between) > np.median(widths):
        return ()
    parts = [(0, int(runs[0, 0])), (int(runs[-1, 1]), len(lane))]
    strips += [(a, b) for a, b in parts if b - a >= NARROWEST_STRIP]
    if sum(b - a for a, b in strips) < LEAST * len(lane):
        return ()
    return tuple(sorted(strips))
