"""Scenes in sensor geometry: map coordinates a pixel, and both ways between the two.

Swaths come with an array of longitudes and one of latitudes (CF conventions 1.11, section 5.2
"Two-Dimensional Latitude, Longitude, Coordinate Variables"), those of pixel centres. Between the
centres coordinates are bilinear, beyond the outermost they go on as straight lines, both in a plane
in which neither the date line nor the poles are special (`flat.py`). Pixel coordinates are
x = column, y = row; the centre of pixel (r, c) is (c + 0.5, r + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from hsi_ssl.scenes.flat import AsItIs, Stereographic, completed, with_neighbours

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_NODES = 2**17
"""Pixels that a first guess is sought among."""
STEPS = 12
"""Of Newton's method, at most."""
ENOUGH = 2**12
"""Pixels that tell where the middle is."""
STRIP = 64
"""Rows that are brought into the plane together."""
NEAR = 1e-4
"""Pixels: so near a step ends."""


@dataclass(frozen=True, eq=False)
class Geolocation:
    """Coordinates `x` and `y` `(rows, cols)` of the centres of a scene's pixels.

    NaN where a pixel has no place: there coordinates go on from those around, so that what reaches
    over such pixels keeps its shape; who opens the scene hides them. `degrees`: they are longitudes
    and latitudes; those that are handed out lie between -180 and 180.

    Raises
    ------
    ValueError
        Too few pixels have a place of their own: see `placeable`.
    """

    x: Floats = field(repr=False)
    y: Floats = field(repr=False)
    degrees: bool = True

    def __post_init__(self) -> None:
        if not placeable(self.x, self.y):
            raise ValueError(
                "expected coordinates of two pixels or more, with a place of their own"
            )

    @cached_property
    def lost(self) -> Bools:
        """Which pixels have no place, `(rows, cols)`."""
        found: Bools = ~(np.isfinite(self.x) & np.isfinite(self.y))
        return found

    def to_map(self, xy: Floats) -> Floats:
        """Map coordinates `(n, 2)` of pixel coordinates `(n, 2)`."""
        found, _ = self._at(xy[:, 1] - 0.5, xy[:, 0] - 0.5)
        return self._plane.back(found)

    def to_pixels(self, xy: Floats) -> Floats:
        """Pixel coordinates `(n, 2)` of map coordinates `(n, 2)`; NaN where none is found.

        By Newton's method from the nearest of some centres. Where coordinates jump from pixel to
        pixel, as on steep ground, and it does not end, the nearest centre counts.
        """
        target = np.array(xy, np.float64)
        finite = np.isfinite(target).all(axis=1)
        target[~finite] = 0
        target = self._plane.onto(target)
        tree, rows, cols, apart = self._tree
        nearest = tree.query(target)[1]
        seeds = rows[nearest], cols[nearest]
        row, col = (seed.astype(np.float64) for seed in seeds)
        going = np.arange(len(target))
        for _ in range(STEPS):
            here, slopes = self._at(row[going], col[going])
            step = _solved(slopes, target[going] - here)
            row[going] += step[:, 0]
            col[going] += step[:, 1]
            going = going[np.abs(step).max(axis=1, initial=0) >= NEAR]
            if not len(going):
                break
        found = np.stack([col + 0.5, row + 0.5], axis=1)
        astray = self._astray(found, seeds, apart)
        astray[going] = True
        if astray.any():
            guessed = found[astray]
            near = self._nearby(target[astray], seeds[0][astray], seeds[1][astray], apart)
            none, outside = np.isnan(near[:, 0]), ~self._inside(guessed)
            near[none & outside] = guessed[none & outside]
            found[astray] = near
        found[~finite] = np.nan
        return found

    def net(self, most: int) -> tuple[Ints, Ints]:
        """Rows and columns of at most `most` each, the first and the last among them.

        They lie closer together towards the edges, where a scan's pixels widen most.
        """
        ends = (1 - np.cos(np.pi * np.linspace(0, 1, most))) / 2
        rows, cols = (
            np.unique(np.round(ends * (size - 1)).astype(np.int64)) for size in self.x.shape
        )
        return rows, cols

    def _inside(self, xy: Floats) -> Bools:
        """Which pixel coordinates `(n, 2)` lie among pixels, or less than one beside them."""
        near: Bools = (xy > -1) & (xy < np.array(self.x.shape[::-1]) + 1)
        return near[:, 0] & near[:, 1]

    def _astray(self, xy: Floats, seeds: tuple[Ints, Ints], apart: int) -> Bools:
        """Which points ended outside although what is nearest to them lies well within."""
        within = [
            (seed > apart) & (seed < size - 1 - apart)
            for seed, size in zip(seeds, self.x.shape, strict=True)
        ]
        found: Bools = within[0] & within[1] & ~self._inside(xy)
        return found

    def _at(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """Plane coordinates `(n, 2)` among centres; their slopes `(n, 2, 2)` by row, column."""
        high, wide = self._flat[0].shape
        r0 = np.clip(np.floor(row), 0, high - 2).astype(np.int64)
        c0 = np.clip(np.floor(col), 0, wide - 2).astype(np.int64)
        # Beyond the last cell: straight on from its edge.
        u, v = np.clip(row - r0, 0, 1), np.clip(col - c0, 0, 1)
        found, slopes = np.empty((len(row), 2)), np.empty((len(row), 2, 2))
        first = r0 * wide + c0
        for axis, plane in enumerate(self._flat):
            flat = plane.ravel()
            a, b, c, d = (flat[first + step] for step in (0, 1, wide, wide + 1))
            down = (c - a) * (1 - v) + (d - b) * v
            across = (b - a) * (1 - u) + (d - c) * u
            value = (a * (1 - v) + b * v) * (1 - u) + (c * (1 - v) + d * v) * u
            value += down * (row - r0 - u) + across * (col - c0 - v)
            found[:, axis], slopes[:, axis, 0], slopes[:, axis, 1] = value, down, across
        return found, slopes

    def _nearby(self, target: Floats, rows: Ints, cols: Ints, apart: int) -> Floats:
        """The centre nearest to each target about a first guess; NaN where it is not its pixel."""
        found = np.full((len(target), 2), np.nan)
        high, wide = self.x.shape
        steps = np.arange(-apart - 1, apart + 2)
        down, across = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
        for i, (goal, r, c) in enumerate(zip(target, rows, cols, strict=True)):
            near_rows, near_cols = np.clip(r + down, 0, high - 1), np.clip(c + across, 0, wide - 1)
            places = np.stack([plane[near_rows, near_cols] for plane in self._flat], axis=1)
            far = np.linalg.norm(places - goal, axis=1)
            best = int(far.argmin())
            row, col = int(near_rows[best]), int(near_cols[best])
            _, slopes = self._at(np.array([float(row)]), np.array([float(col)]))
            if far[best] <= np.linalg.norm(slopes[0], axis=0).max():
                found[i] = col + 0.5, row + 0.5
        return found

    @cached_property
    def _plane(self) -> Stereographic | AsItIs:
        if not self.degrees:
            return AsItIs()
        known = np.flatnonzero(~self.lost)
        some = known[:: max(1, len(known) // ENOUGH)]
        return Stereographic.about(self.x.ravel()[some], self.y.ravel()[some])

    @cached_property
    def _flat(self) -> tuple[Floats, Floats]:
        """The pixels' places in the plane, two rows and columns at least."""
        u, v = np.empty_like(self.x, np.float64), np.empty_like(self.x, np.float64)
        for first in range(0, len(u), STRIP):
            rows = slice(first, first + STRIP)
            xy = np.stack([self.x[rows].ravel(), self.y[rows].ravel()], axis=1)
            placed = self._plane.onto(xy).T
            u[rows], v[rows] = (axis.reshape(-1, u.shape[1]) for axis in placed)
        u, v = (completed(axis, ~self.lost) for axis in (u, v))
        return with_neighbours(u, v)

    @cached_property
    def _tree(self) -> tuple[KDTree, Ints, Ints, int]:
        """Some of the places, their rows and columns, and how many pixels they are apart."""
        share = min(1.0, float(np.sqrt(MOST_NODES / self.x.size)))
        rows, cols = (
            np.unique(np.linspace(0, n - 1, max(2, int(n * share))).round().astype(np.int64))
            for n in self.x.shape
        )
        down, along = (grid.ravel() for grid in np.meshgrid(rows, cols, indexing="ij"))
        known = ~self.lost[down, along]
        if not known.any():
            down, along = np.nonzero(~self.lost)
        else:
            down, along = down[known], along[known]
        places = np.stack([plane[down, along] for plane in self._flat], axis=1)
        apart = max(int(np.diff(axis).max(initial=1)) for axis in (rows, cols))
        return KDTree(places), down, along, apart


def placeable(x: Floats, y: Floats) -> bool:
    """Whether coordinates `(rows, cols)`, NaN for none, are enough to place a scene.

    Two pixels or more of some row or column must have a place, and so in a second one where there
    is one; they must not all have the same.
    """
    known = np.isfinite(x) & np.isfinite(y)
    lines = any(
        (known.sum(axis=axis) > 1).sum() >= min(2, known.shape[1 - axis]) for axis in (0, 1)
    )
    return lines and bool(np.ptp(x[known]) > 0 or np.ptp(y[known]) > 0)


def _solved(slopes: Floats, wanted: Floats) -> Floats:
    """Steps (row, column) `(n, 2)` that change coordinates by what is wanted."""
    (a, b), (c, d) = slopes[:, 0].T, slopes[:, 1].T
    size = a * d - b * c
    with np.errstate(divide="ignore", invalid="ignore"):
        row = (wanted[:, 0] * d - wanted[:, 1] * b) / size
        col = (wanted[:, 1] * a - wanted[:, 0] * c) / size
    found = np.stack([row, col], axis=1)
    found[~np.isfinite(found)] = 0
    return found
