"""Deep cracks in core: thin, long, and much darker than the same rock on either side."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hsi_ssl.masks.neighbours import highest, lowest
from hsi_ssl.masks.sketch import PER_LN, Bools, Bytes, Floats, brightness, noise_of, shapes

DEEP = float(np.log(0.5))
"""ln of the light in a crack over that beside it, at most."""
CLOSED = 5
"""Pixels: places that are dark over so many across and along are no cracks."""
LONGEST, BROAD = 8, 3.0
"""Pixels that a crack is long, at least, and broad on average, at most."""
SAME = 3.0
"""Root mean square distance, in units of noise, of shapes of one rock in light and shadow."""


def find_cracks(seen: Bytes, rock: Bools) -> Bools:
    """Which pixels `(rows, cols)` of the rock lie in cracks.

    A dark mineral may be as thin and long now and then, a vein; but its spectrum has not the shape
    of what is beside.
    """
    light = seen[..., 0] * rock
    beside = lowest(highest(light, CLOSED, CLOSED), CLOSED, CLOSED)
    deep: Bools = rock & ((beside - light) > int(-DEEP * PER_LN))
    label, n = ndimage.label(deep, np.ones((3, 3)))
    if not n:
        return deep
    rows, cols = np.nonzero(deep)
    of = label[rows, cols]
    sizes = np.bincount(of, minlength=n + 1)
    long = np.array(
        [0, *(max(s.stop - s.start for s in box) for box in ndimage.find_objects(label))]
    )
    crack = (long >= LONGEST) & (sizes <= BROAD * np.maximum(long, 1))
    rows, cols, of = rows[crack[of]], cols[crack[of]], of[crack[of]]
    same = _as_beside(seen, rock & ~deep, rows, cols)
    # A piece is of the rock beside, or not, as most of it is.
    most = np.bincount(of, same, minlength=n + 1) > 0.5 * np.bincount(of, minlength=n + 1)
    found = np.zeros(rock.shape, bool)
    found[rows, cols] = most[of] & same
    return found


def _as_beside(
    seen: Bytes, lit: Bools, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]
) -> Bools:
    """Whether spectra have the shape of the lit pixels on both sides, across or along."""
    here = shapes(seen[rows, cols])
    noise = np.sqrt(noise_of(brightness(seen[rows, cols])))
    away = CLOSED // 2 + 1

    def distance(down: int, right: int) -> Floats:
        r = np.clip(rows + down, 0, lit.shape[0] - 1)
        c = np.clip(cols + right, 0, lit.shape[1] - 1)
        found = np.sqrt(((here - shapes(seen[r, c])) ** 2).mean(axis=1)) / noise
        return np.asarray(np.where(lit[r, c], found, np.inf))

    across = np.maximum(distance(-away, 0), distance(away, 0))
    along = np.maximum(distance(0, -away), distance(0, away))
    return np.asarray(np.minimum(across, along) < SAME)
