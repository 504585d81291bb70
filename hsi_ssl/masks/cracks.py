"""Deep cracks in core: thin, long, and much darker than the same rock on either side.

A dark mineral is as thin here and there, where its patches end or as a vein. But its spectrum has
not the shape of what is beside, and beside its thin parts there are often broader ones.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hsi_ssl.masks.neighbours import highest, lowest, opened
from hsi_ssl.masks.sketch import PER_LN, Bools, Bytes, Floats, brightness, noise_of, shapes

DEEP = float(np.log(0.6))
"""ln of the light in a crack over that beside it, at most."""
CLOSED = 5
"""Pixels: places that are dark over so many across and along are no cracks."""
LONGEST, BROAD = 8, 3.0
"""Pixels that a crack is long, at least, and broad on average, at most."""
SAME = 2.0
"""Root mean square distance, in units of noise, of a shape in a crack from those between the shapes
on either side, at most."""
BODY, AROUND, SOLID, BY_BODY = float(np.log(0.5)), 31, 4, 2
"""Rock is a dark mineral's where it gets so much less light, in ln, than within so many pixels both
along and across, over a square of so many pixels; what is so near to that is not a crack."""


def find_cracks(seen: Bytes, rock: Bools) -> Bools:
    """Which pixels `(rows, cols)` of the rock lie in cracks."""
    light = seen[..., 0] * rock
    beside = _closed(light, CLOSED, CLOSED)
    deep: Bools = rock & _darker(light, beside, DEEP)
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
    kept = crack[of] & ~_beside_a_body(light, rock)[rows, cols]
    rows, cols, of = rows[kept], cols[kept], of[kept]
    same = _as_beside(seen, rock & ~deep, rows, cols)
    # A piece is of the rock beside, or not, as most of it is.
    most = np.bincount(of, same, minlength=n + 1) > 0.5 * np.bincount(of, minlength=n + 1)
    found = np.zeros(rock.shape, bool)
    found[rows, cols] = most[of] & same
    return found


def _closed(light: Bytes, high: int, wide: int) -> Bytes:
    return lowest(highest(light, high, wide), high, wide)


def _darker(light: Bytes, beside: Bytes, by: float) -> Bools:
    """Where bytes of light are so much below others, which are nowhere lower."""
    return np.asarray((beside - light) > int(-by * PER_LN))


def _beside_a_body(light: Bytes, rock: Bools) -> Bools:
    """Which pixels `(rows, cols)` lie in broad patches of something dark, or beside them.

    Across a stick its flanks are dark, along it they are not.
    """
    along, across = _closed(light, AROUND, 1), _closed(light, 1, AROUND)
    body = rock & _darker(light, np.minimum(along, across), BODY)
    return highest(opened(body, SOLID), 2 * BY_BODY + 1, 2 * BY_BODY + 1)


def _as_beside(
    seen: Bytes, lit: Bools, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]
) -> Bools:
    """Whether shapes lie between those of the lit pixels on both sides, across or along."""
    here = shapes(seen[rows, cols])
    noise = np.sqrt(noise_of(brightness(seen[rows, cols])))
    away = CLOSED // 2 + 1

    def beside(down: int, right: int) -> tuple[Floats, Bools]:
        r = np.clip(rows + down, 0, lit.shape[0] - 1)
        c = np.clip(cols + right, 0, lit.shape[1] - 1)
        return shapes(seen[r, c]), lit[r, c]

    def distance(down: int, right: int) -> Floats:
        (one, one_lit), (other, other_lit) = beside(-down, -right), beside(down, right)
        step = other - one
        share = ((here - one) * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-6)
        between = one + np.clip(share, 0, 1)[:, None] * step
        found = np.sqrt(((here - between) ** 2).mean(axis=1)) / noise
        return np.asarray(np.where(one_lit & other_lit, found, np.inf))

    return np.asarray(np.minimum(distance(away, 0), distance(0, away)) < SAME)
