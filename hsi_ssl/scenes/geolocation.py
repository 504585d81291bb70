"""Scenes in sensor geometry: map coordinates a pixel, and both ways between the two.

Swaths come with an array of longitudes and one of latitudes (CF conventions 1.11, section 5.2
"Two-Dimensional Latitude, Longitude, Coordinate Variables"), those of pixel centres. Between the
centres coordinates are bilinear, beyond the outermost they go on as straight lines. Pixel
coordinates are x = column, y = row; the centre of pixel (r, c) is (c + 0.5, r + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

Floats = npt.NDArray[np.float64]

MOST_NODES = 2**17
"""Pixels that a first guess is sought among."""
STEPS = 12
"""Of Newton's method, at most."""
NEAR = 1e-4
"""Pixels: so near a step ends."""
HALF_A_TURN, A_TURN = 180.0, 360.0
"""Degrees: coordinates that spread over more have the date line among them."""


@dataclass(frozen=True, eq=False)
class Geolocation:
    """Finite coordinates `x` and `y` `(rows, cols)` of the centres of a scene's pixels.

    `degrees`: they are longitudes and latitudes. Across the date line longitudes go on above 180.
    """

    x: Floats = field(repr=False)
    y: Floats = field(repr=False)
    degrees: bool = True

    def __post_init__(self) -> None:
        if self.crosses:
            object.__setattr__(self, "x", self._along(self.x))

    @cached_property
    def crosses(self) -> bool:
        """Whether the date line lies in the scene."""
        return self.degrees and float(np.ptp(self.x)) > HALF_A_TURN

    def to_map(self, xy: Floats) -> Floats:
        """Map coordinates `(n, 2)` of pixel coordinates `(n, 2)`."""
        found, _ = self._at(xy[:, 1] - 0.5, xy[:, 0] - 0.5)
        if self.crosses:
            found[:, 0] = np.where(found[:, 0] > HALF_A_TURN, found[:, 0] - A_TURN, found[:, 0])
        return found

    def to_pixels(self, xy: Floats) -> Floats:
        """Pixel coordinates `(n, 2)` of map coordinates `(n, 2)`; NaN where none is found.

        By Newton's method from the nearest of some centres.
        """
        target = np.array(xy, np.float64)
        finite = np.isfinite(target).all(axis=1)
        target[~finite] = 0
        if self.crosses:
            target[:, 0] = self._along(target[:, 0])
        tree, rows, cols = self._tree
        nearest = tree.query(target * self._stretch)[1]
        row, col = rows[nearest].astype(np.float64), cols[nearest].astype(np.float64)
        for _ in range(STEPS):
            here, slopes = self._at(row, col)
            step = _solved(slopes, target - here)
            row, col = row + step[:, 0], col + step[:, 1]
            if np.abs(step).max(initial=0) < NEAR:
                break
        here, slopes = self._at(row, col)
        off = np.abs(_solved(slopes, target - here)).max(axis=1, initial=0)
        inside = (row > -1) & (row < len(self.x)) & (col > -1) & (col < self.x.shape[1])
        found = np.stack([col + 0.5, row + 0.5], axis=1)
        found[~finite | (inside & (off > 0.5))] = np.nan  # noqa: PLR2004
        return found

    def net(self, most: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows and columns of at most `most` each, the first and the last among them."""
        rows, cols = (
            np.unique(np.linspace(0, size - 1, min(size, most)).round().astype(np.int64))
            for size in self.x.shape
        )
        return rows, cols

    def _at(self, row: Floats, col: Floats) -> tuple[Floats, Floats]:
        """Coordinates `(n, 2)` at places among centres; their slopes `(n, 2, 2)` by row, column."""
        high, wide = self.x.shape
        r0 = np.clip(np.floor(row), 0, max(high - 2, 0)).astype(np.int64)
        c0 = np.clip(np.floor(col), 0, max(wide - 2, 0)).astype(np.int64)
        r1, c1 = np.minimum(r0 + 1, high - 1), np.minimum(c0 + 1, wide - 1)
        # Beyond the last cell: straight on from its edge.
        u, v = np.clip(row - r0, 0, 1), np.clip(col - c0, 0, 1)
        found, slopes = np.empty((len(row), 2)), np.empty((len(row), 2, 2))
        for axis, plane in enumerate((self.x, self.y)):
            a, b, c, d = plane[r0, c0], plane[r0, c1], plane[r1, c0], plane[r1, c1]
            down = (c - a) * (1 - v) + (d - b) * v
            across = (b - a) * (1 - u) + (d - c) * u
            value = (a * (1 - v) + b * v) * (1 - u) + (c * (1 - v) + d * v) * u
            value += down * (row - r0 - u) + across * (col - c0 - v)
            found[:, axis], slopes[:, axis, 0], slopes[:, axis, 1] = value, down, across
        return found, slopes

    @cached_property
    def _stretch(self) -> Floats:
        """What makes a degree of longitude as long as one of latitude."""
        narrow = float(np.cos(np.deg2rad(np.clip(self.y.mean(), -89, 89)))) if self.degrees else 1.0
        return np.array([narrow, 1.0])

    @cached_property
    def _tree(self) -> tuple[KDTree, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        share = np.sqrt(MOST_NODES / self.x.size) if self.x.size > MOST_NODES else 1.0
        rows, cols = (
            np.unique(np.linspace(0, n - 1, max(2, int(n * share))).round().astype(np.int64))
            for n in self.x.shape
        )
        across = np.ix_(rows, cols)
        places = np.stack([self.x[across].ravel(), self.y[across].ravel()], axis=1)
        down, along = np.meshgrid(rows, cols, indexing="ij")
        return KDTree(places * self._stretch), down.ravel(), along.ravel()

    @staticmethod
    def _along(x: Floats) -> Floats:
        """Longitudes from 0 to 360."""
        return np.where(x < 0, x + A_TURN, x)


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
