"""Coordinates of a swath's pixels in a plane of their own, whole and smooth.

Longitudes jump at the date line and run together at the poles. In the stereographic projection of
the sphere about the middle of a swath (J. P. Snyder, "Map Projections: A Working Manual", USGS
Professional Paper 1395, 1987, chapter 21) they do neither, and angles stay what they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

OPPOSITE = 1e-6
"""Of 2: so near to the point opposite to the middle everything lies equally far off."""
REACH = 8
"""Known values that tell how a line goes on beyond its end."""


class AsItIs:
    """A plane that map coordinates are in already."""

    def onto(self, xy: Floats) -> Floats:
        """Plane coordinates `(n, 2)` of map coordinates."""
        return xy

    def back(self, uv: Floats) -> Floats:
        """Map coordinates `(n, 2)` of plane coordinates."""
        return uv


@dataclass(frozen=True, eq=False)
class Stereographic:
    """The plane that touches a sphere of radius 1 at `middle (3,)`, with `axes (2, 3)`."""

    middle: Floats
    axes: Floats

    @classmethod
    def about(cls, lon: Floats, lat: Floats) -> Stereographic:
        """About the mean of places on the Earth; east and north there are the axes."""
        mean = _on_sphere(lon, lat).mean(axis=1)
        size = float(np.linalg.norm(mean))
        middle = mean / size if size > OPPOSITE else np.array([1.0, 0, 0])
        east = np.cross([0.0, 0, 1], middle)
        east = np.array([0.0, 1, 0]) if np.linalg.norm(east) < OPPOSITE else east
        east /= np.linalg.norm(east)
        return cls(middle, np.stack([east, np.cross(middle, east)]))

    def onto(self, xy: Floats) -> Floats:
        """Plane coordinates `(n, 2)` of longitudes and latitudes `(n, 2)` in degrees."""
        points = _on_sphere(xy[:, 0], xy[:, 1])
        u, v, deep = (_along(axis, points) for axis in (*self.axes, self.middle))
        near = 2 / np.maximum(1 + deep, OPPOSITE)
        return np.stack([u * near, v * near], axis=1)

    def back(self, uv: Floats) -> Floats:
        """Longitudes, between -180 and 180, and latitudes `(n, 2)` of plane coordinates."""
        u, v = uv.T
        square = (u * u + v * v) / 4
        basis = zip(self.middle, *self.axes, strict=True)
        x, y, z = ((m * (1 - square) + a * u + b * v) / (1 + square) for m, a, b in basis)
        found: Floats = np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], axis=1)
        return np.rad2deg(found)


def completed(plane: Floats, known: Bools) -> Floats:
    """A plane `(rows, cols)` whose unknown values go on from the known ones, along straight lines.

    Along columns in which two values or more are known, then along rows between those; the other
    way round where more rows are of that kind than columns.
    """
    if known.all():
        return plane
    lines, rows = (known.sum(axis=axis) > 1 for axis in (0, 1))
    if lines.mean() < rows.mean():
        return completed(plane.T, known.T).T
    found = plane.copy()
    for col in np.flatnonzero(lines & ~known.all(axis=0)):
        found[:, col] = _line(plane[:, col], known[:, col])
    if not lines.all():
        for row in found:
            row[:] = _line(row, lines)
    return found


def with_neighbours(u: Floats, v: Floats) -> tuple[Floats, Floats]:
    """Planes of two rows and columns at least: a line of pixels gets one beside, square to it."""
    if u.shape[0] == 1 and u.shape[1] > 1:
        across = np.gradient(u[0]), np.gradient(v[0])
        return np.stack([u[0], u[0] + across[1]]), np.stack([v[0], v[0] - across[0]])
    if u.shape[1] == 1:
        down = np.gradient(u[:, 0]), np.gradient(v[:, 0])
        beside = u[:, 0] - down[1], v[:, 0] + down[0]
        return np.stack([u[:, 0], beside[0]], axis=1), np.stack([v[:, 0], beside[1]], axis=1)
    return u, v


def _line(values: Floats, known: Bools) -> Floats:
    """Values `(n,)` with those between known ones, and beyond the outermost, on straight lines."""
    at = np.flatnonzero(known)
    if len(at) < 2:  # noqa: PLR2004
        return np.full(len(values), values[at[0]])
    found = np.interp(np.arange(len(values)), at, values[at])
    for end, inner, beyond in (
        (at[0], at[min(REACH, len(at)) - 1], slice(0, at[0])),
        (at[-1], at[-min(REACH, len(at))], slice(at[-1] + 1, len(values))),
    ):
        slope = (values[inner] - values[end]) / (inner - end)
        found[beyond] = values[end] + slope * (np.arange(len(values))[beyond] - end)
    return found


def _along(axis: Floats, points: Floats) -> Floats:
    """Coordinates along an axis, the same wherever a point stands among others.

    Products of matrices round by where numbers stand, and a ring would no longer be closed.
    """
    found: Floats = axis[0] * points[0] + axis[1] * points[1] + axis[2] * points[2]
    return found


def _on_sphere(lon: Floats, lat: Floats) -> Floats:
    """Unit vectors `(3, n)` of longitudes and latitudes `(n,)` in degrees."""
    lon, lat = np.deg2rad(lon), np.deg2rad(lat)
    flat = np.cos(lat)
    return np.stack([flat * np.cos(lon), flat * np.sin(lon), np.sin(lat)])
