"""How far apart colours look, to most eyes and to those that miss one kind of cone.

Colours as dichromats see them are those of Machado, Oliveira and Fernandes (2009, IEEE TVCG 15(6),
1291-1298), severity 1, on linear sRGB. Distances are Euclidean in OKLab (Ottosson 2020), in which
0.02 is about what is just seen side by side (CSS Color 4, section on gamut mapping).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIGHTS: dict[str, Floats] = {
    "most": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
"""What each eye makes of linear red, green and blue."""
CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
CLEAR = 0.1
"""Distance from which two classes are told apart on a map: five times what is just seen."""


def oklab(rgb: npt.ArrayLike, sight: str = "most") -> Floats:
    """OKLab `(..., 3)` of sRGB `(..., 3)` from 0 to 1, as an eye of `SIGHTS` sees it."""
    coded = np.asarray(rgb, np.float64)
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004
    found = np.clip(linear @ SIGHTS[sight].T, 0, 1)
    return np.asarray(np.cbrt(found @ CONES.T) @ OPPONENTS.T)


def seen(colours: Sequence[str]) -> Floats:
    """Colours `#rrggbb` as each eye sees them, OKLab `(eyes, n, 3)`."""
    parts = np.array([list(bytes.fromhex(colour[1:])) for colour in colours]).reshape(-1, 3)
    return np.stack([oklab(parts / 255, sight) for sight in SIGHTS])


def distances(one: Floats, other: Floats) -> Floats:
    """Between each of n and each of m colours as `seen`, the least of all eyes' `(n, m)`."""
    apart = one[:, :, None] - other[:, None]
    return np.asarray(np.sqrt((apart**2).sum(axis=-1)).min(axis=0))


def nearest_two(colours: Sequence[str]) -> tuple[float, int, int]:
    """The smallest distance between any two of at least two colours, and which they are."""
    found = seen(colours)
    apart = distances(found, found)
    np.fill_diagonal(apart, np.inf)
    i, j = np.unravel_index(int(apart.argmin()), apart.shape)
    return float(apart[i, j]), int(min(i, j)), int(max(i, j))
