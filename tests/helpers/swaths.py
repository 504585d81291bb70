"""A wide swath as seen from an orbit: curved scan lines, pixels that grow towards the edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
EARTH = 6371.0
"""Kilometres."""
HEIGHT, TILT, INCLINATION = 676.5, 20.0, 98.0
"""Kilometres of the orbit, degrees that the scan looks ahead, degrees to the equator: as PACE."""


def orbital(
    rows: int,
    cols: int,
    *,
    lon: float = 10.0,
    lat: float = 20.0,
    half: float = 56.5,
    pixel: float = 1.2,
) -> tuple[Floats, Floats]:
    """Longitudes and latitudes `(rows, cols)` of a swath about a place that the satellite passes.

    `half`: degrees that it looks to each side; `pixel`: kilometres between rows.
    """
    along = (np.arange(rows) - (rows - 1) / 2) * pixel / EARTH
    inclined = np.deg2rad(INCLINATION)
    start = np.arcsin(np.clip(np.sin(np.deg2rad(lat)) / np.sin(inclined), -1, 1))
    turn = start + along
    below = np.stack(
        [np.cos(turn), np.sin(turn) * np.cos(inclined), np.sin(turn) * np.sin(inclined)], axis=-1
    )
    ahead = np.stack(
        [-np.sin(turn), np.cos(turn) * np.cos(inclined), np.cos(turn) * np.sin(inclined)], axis=-1
    )
    aside = np.cross(below, ahead)
    scan = np.deg2rad(np.linspace(-half, half, cols))
    forward = _seen(np.deg2rad(TILT)) / np.cos(0.9 * scan)
    sideways: Floats = np.sign(scan) * _seen(np.abs(scan))
    middle = below[:, None] * np.cos(forward)[:, None] + ahead[:, None] * np.sin(forward)[:, None]
    x, y, z = np.moveaxis(
        middle * np.cos(sideways)[:, None] + aside[:, None] * np.sin(sideways)[:, None], -1, 0
    )
    turned = np.rad2deg(np.arctan2(y, x)) - np.rad2deg(along)[:, None] * (99 / 1436)
    around: Floats = (turned + lon - turned[rows // 2, cols // 2] + 180) % 360 - 180
    north: Floats = np.rad2deg(np.arctan2(z, np.hypot(x, y)))
    return around, north


def _seen(angle: npt.ArrayLike) -> Floats:
    """The angle at the Earth's centre of what is seen at an angle to the vertical."""
    far = np.clip((EARTH + HEIGHT) / EARTH * np.sin(angle), -1, 1)
    found: Floats = np.arcsin(far) - np.asarray(angle, np.float64)
    return found
