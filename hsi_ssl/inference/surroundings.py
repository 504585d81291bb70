"""How strange the surroundings of a pixel are: the median score of the 5 x 5 pixels about it.

A tray is contiguous. What hides one of its pixels, noise or a dead detector element, seldom hides
half of those about it; what makes a lone pixel of rock look strange seldom makes half of them so.
Where half lie beyond a straight edge the other side has 10 of 25, so that no edge moves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

RADIUS = 2
"""Pixels up, down, left and right that count, diagonal ones included."""
LEAST = 3
"""Pixels, the middle one among them, that are surroundings at all."""
BLOCK = 2**18
"""Pixels whose surroundings are held at once: 26 MB."""


def medians_on_grid(scores: Floats) -> Floats:
    """Median of the surroundings of each pixel of `scores (r, c)`, of equal size.

    NaN stands for pixels that do not count, and is given where a pixel does not count or has no
    surroundings. Of an even number of pixels the upper of the two in the middle is taken: half or
    more are as strange as that.
    """
    rows, cols = scores.shape
    framed = np.pad(scores, RADIUS, constant_values=np.nan)
    side = 2 * RADIUS + 1
    about = np.lib.stride_tricks.sliding_window_view(framed, (side, side))
    found = np.empty_like(scores)
    step = max(1, BLOCK // max(1, cols))
    for row in range(0, rows, step):
        some = about[row : row + step].reshape(-1, side**2)
        found[row : row + step] = _upper_medians(some).reshape(-1, cols)
    found[np.isnan(scores)] = np.nan
    return found


def medians_among(
    scene: npt.NDArray[Any], pixel: npt.NDArray[Any], scores: npt.ArrayLike
) -> Floats:
    """Median of the surroundings of each of some pixels, among these alone, `(n,)`.

    `scene (n,)` and `pixel (n, 2)`, row and column, as in `Dataset`; no pixel twice. NaN where a
    pixel has no surroundings.
    """
    values = np.append(np.asarray(scores, np.float32), np.float32(np.nan))
    n = len(values) - 1
    found = np.full(n, np.nan, np.float32)
    if not n:
        return found
    place = pixel.astype(np.int64) + RADIUS
    high, wide = place.max(axis=0) + RADIUS + 1
    key = (scene.astype(np.int64) * high + place[:, 0]) * wide + place[:, 1]
    order = np.argsort(key)
    ordered = key[order]
    steps = np.arange(-RADIUS, RADIUS + 1)
    steps = (steps[:, None] * wide + steps).ravel()
    for first in range(0, n, BLOCK):
        asked = key[first : first + BLOCK, None] + steps
        at = np.searchsorted(ordered, asked).clip(max=n - 1)
        rows = np.where(ordered[at] == asked, order[at], n)  # the last value stands for nobody
        found[first : first + BLOCK] = _upper_medians(values[rows])
    return found


def _upper_medians(about: Floats) -> Floats:
    """Of each row of `(n, m)`, NaN not counting; NaN where there are fewer than `LEAST`."""
    ordered = np.sort(about, axis=1)  # NaN come last
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    middle = np.minimum(count // 2, ordered.shape[1] - 1)
    found: Floats = ordered[np.arange(len(ordered)), middle]
    found[count < LEAST] = np.nan
    return found
