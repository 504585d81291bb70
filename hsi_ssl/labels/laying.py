"""A label raster laid on a scene by its place: each pixel gets the class that covers most of it.

Rasters whose pixels are the scene's, shifted, cut or turned by 180 degrees are copied. All others
are weighed by area. The corners of scene pixels are brought into the raster, exactly at the nodes
of a net that is so fine that straight lines between them are true to `EXACT` of a pixel. Where all
raster pixels that a scene pixel may touch agree, that is its class; what the others hold of each
class is measured (`areas.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.areas import Corners, Shared, Tally
from hsi_ssl.labels.frames import Gridded, Mapping, between

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.uint16]
Window = Callable[[slice, slice], Numbers]
"""Class numbers `(r, c)` of a window of the raster, 0 for nothing."""

TILE = 256
"""Side in pixels of the squares of a scene that are looked at together."""
NET = 64
"""Pixels between nodes of the net, at most."""
EXACT = 1e-4
"""Raster pixels by which the net may be wrong."""
SAME = 0.01
"""Of a pixel: a raster whose pixels lie so near to the scene's has the scene's pixels."""
LARGEST_WINDOW = 2**22
"""Raster pixels that are held at a time, roughly."""


class Laying:
    """A raster on a scene's grid, window by window.

    Parameters
    ----------
    scene, raster
        Both placed.
    window
        Reads the raster.
    least
        Share of a scene pixel that its class must cover; 0: the class at its centre.
    """

    def __init__(self, scene: Gridded, raster: Gridded, window: Window, least: float) -> None:
        self._scene, self._raster = scene, raster
        self._window, self._least = window, least
        self._map = between(scene, raster)
        self._steps = _whole_steps(scene, self._map)
        self.tally = Tally()

    @property
    def copied(self) -> bool:
        """Whether each pixel of the scene is one of the raster's, or none."""
        return self._steps is not None

    def overlaps(self) -> bool:
        """Whether a part of the scene may lie in the raster, seen at a net of points."""
        ys, xs = (np.linspace(0, size, 33) for size in (self._scene.rows, self._scene.cols))
        seen = self._map(_points(ys, xs))
        seen = seen[np.isfinite(seen).all(axis=1)]
        if not len(seen):
            return False
        size = np.array([self._raster.cols, self._raster.rows])
        return bool((seen.min(axis=0) < size).all() and (seen.max(axis=0) > 0).all())

    def read(self, rows: slice, cols: slice) -> Numbers:
        """Class numbers `(r, c)` of a window of the scene, 0 where there is none."""
        found = np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.uint16)
        if self._steps is not None:
            self._copy(found, rows, cols)
            return found
        tile = TILE
        while tile > 1 and self._touched(rows, cols, tile) > LARGEST_WINDOW:
            tile //= 2
        shared = Shared(found, self._least, self.tally)
        for r in range(rows.start, rows.stop, tile):
            for c in range(cols.start, cols.stop, tile):
                shape = min(tile, rows.stop - r), min(tile, cols.stop - c)
                self._tile(r, c, shape, shared, (r - rows.start, c - cols.start))
        shared.settle()
        return found

    def _copy(self, found: Numbers, rows: slice, cols: slice) -> None:
        """Fill in the raster's own pixels."""
        assert self._steps is not None
        places, taken = [], []
        size = self._raster.rows, self._raster.cols
        for (first, step), window, end in zip(self._steps, (rows, cols), size, strict=True):
            theirs = first + step * np.arange(window.start, window.stop)
            inside = np.flatnonzero((theirs >= 0) & (theirs < end))
            if not len(inside):
                return
            places.append(slice(int(inside[0]), int(inside[-1]) + 1))
            theirs = theirs[inside]
            taken.append(slice(int(theirs.min()), int(theirs.max()) + 1))
        steps = self._steps[0][1], self._steps[1][1]
        found[places[0], places[1]] = self._window(*taken)[:: steps[0], :: steps[1]]

    def _touched(self, rows: slice, cols: slice, tile: int) -> float:
        """Raster pixels that a tile in the middle of a window touches, roughly."""
        middle = [(s.start + s.stop) / 2 + np.array([0.0, 1.0]) for s in (rows, cols)]
        spans = np.ptp(self._map(_points(*middle)), axis=0)
        return float(np.prod(spans * tile)) if np.isfinite(spans).all() else 0.0

    def _tile(
        self, row: int, col: int, shape: tuple[int, int], shared: Shared, place: tuple[int, int]
    ) -> None:
        """Fill in the pixels of a tile that are of one class, and hand the others over.

        `place` is where it begins in what is being read.
        """
        corners = _net(self._map, row, col, *shape)
        x, y = corners.x, corners.y
        seen = np.isfinite(x) & np.isfinite(y)
        if not seen.any():
            return
        left, right = int(np.floor(x[seen].min())), int(np.ceil(x[seen].max()))
        top, bottom = int(np.floor(y[seen].min())), int(np.ceil(y[seen].max()))
        down = slice(max(top, 0), min(bottom, self._raster.rows))
        across = slice(max(left, 0), min(right, self._raster.cols))
        if down.start >= down.stop or across.start >= across.stop:
            return
        values = self._window(down, across)
        whole = bool(seen.all()) and values.shape == (bottom - top, right - left)
        found = shared.found[place[0] : place[0] + shape[0], place[1] : place[1] + shape[1]]
        if (whole or values[0, 0] == 0) and (values == values[0, 0]).all():
            found[:] = values[0, 0]
            return
        corners = corners.counted_from(down.start, across.start)
        if self._least == 0:
            found[:] = corners.at_centres(values)
        else:
            shared.weigh(values, corners, place)


def _whole_steps(
    scene: Gridded, mapping: Mapping
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Which raster row, and which column, the scene's first one is, and which way they run.

    None where the scene's pixels are not the raster's: seen at some all over the scene.
    """
    rows = np.unique(np.linspace(0, scene.rows - 1, 17).round())
    cols = np.unique(np.linspace(0, scene.cols - 1, 17).round())
    ends = np.array([0.0, 1.0])
    near, far = mapping(_points(ends, ends) + 0.5)[[0, 3]]
    seen = mapping(_points(rows, cols) + 0.5).reshape(len(rows), len(cols), 2)
    if not (np.isfinite(seen).all() and np.isfinite(near).all() and np.isfinite(far).all()):
        return None
    sign = np.where(far > near, 1, -1)
    if np.abs(far - near - sign).max() > SAME:
        return None
    first = np.round(near - 0.5)
    x, y = (first[i] + 0.5 + sign[i] * along for i, along in enumerate((cols, rows)))
    if max(np.abs(seen[..., 0] - x).max(), np.abs(seen[..., 1] - y[:, None]).max()) > SAME:
        return None
    return (int(first[1]), int(sign[1])), (int(first[0]), int(sign[0]))


def _net(mapping: Mapping, row: int, col: int, high: int, wide: int) -> Corners:
    """Corners of a tile's pixels in the raster."""
    step = NET
    while step > 1:
        ys, xs = _nodes(high, step), _nodes(wide, step)
        shape = len(ys), len(xs)
        down, across = (ys[1:] + ys[:-1]) / 2, (xs[1:] + xs[:-1]) / 2
        points = [_points(row + a, col + b) for a, b in ((ys, xs), (down, xs), (ys, across))]
        cuts = np.cumsum([len(p) for p in points])[:-1]
        nodes, below, beside = np.split(mapping(np.concatenate(points)), cuts)
        nodes = nodes.reshape(*shape, 2)
        if np.isfinite(nodes).all():
            # In the middle of four nodes the errors of a conformal map cancel out.
            below, beside = below.reshape(-1, shape[1], 2), beside.reshape(shape[0], -1, 2)
            wrong = np.abs(below - (nodes[1:] + nodes[:-1]) / 2).max()
            wrong = max(wrong, np.abs(beside - (nodes[:, 1:] + nodes[:, :-1]) / 2).max())
            if wrong <= EXACT:
                by_row, by_col = _weights(high, step), _weights(wide, step).T
                x, y = (by_row @ nodes[..., axis] @ by_col for axis in (0, 1))
                return Corners(x, y, _longest(nodes, ys, xs))
        step //= 2
    ys, xs = row + np.arange(high + 1.0), col + np.arange(wide + 1.0)
    found = mapping(_points(ys, xs)).reshape(high + 1, wide + 1, 2)
    return Corners(found[..., 0], found[..., 1], _longest(found, ys, xs))


def _longest(nodes: Floats, ys: Floats, xs: Floats) -> tuple[float, float]:
    """Raster pixels that a scene pixel reaches over in x and in y, at most, by nodes of a net."""
    with np.errstate(invalid="ignore"):
        down = np.abs(np.diff(nodes, axis=0) / np.diff(ys)[:, None, None])
        across = np.abs(np.diff(nodes, axis=1) / np.diff(xs)[:, None])
    down, across = (np.where(np.isfinite(a), a, 0).reshape(-1, 2) for a in (down, across))
    x, y = down.max(axis=0) + across.max(axis=0)
    return float(x), float(y)


def _nodes(size: int, step: int) -> Floats:
    return np.unique(np.append(np.arange(0, size, step), size)).astype(np.float64)


@lru_cache(maxsize=16)
def _weights(size: int, step: int) -> Floats:
    """What each node weighs in linear interpolation at 0, 1, ..., size: `(size + 1, n)`."""
    nodes = _nodes(size, step)
    places = np.arange(nodes[-1] + 1)
    return np.stack([np.interp(places, nodes, unit) for unit in np.eye(len(nodes))], axis=1)


def _points(ys: Floats, xs: Floats) -> Floats:
    """Where rows and columns cross, `(n, 2)`, x first, row after row."""
    return np.stack([np.tile(xs, len(ys)), np.repeat(ys, len(xs))], axis=1)
