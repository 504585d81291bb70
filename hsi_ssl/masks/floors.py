"""Floors of trays, seen between pieces of core and at a box's ends: flat where core is round.

A floor may lie in a film of water or in light of another colour, so that the shape of its spectrum
is farther from the walls' than some mineral's. But light falls off towards the flanks of a stick of
core, and does not on a flat floor. So lines across a stick, at any slant, are compared with the
usual fall of light there: where even light explains a line far better, and it is about as bright as
the lanes and not too far from their shape, it is floor. Pixels beside such lines are floor as well
where they are like it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from hsi_ssl.masks.lanes import Lanes
from hsi_ssl.masks.sketch import Bools, Bytes, Floats, brightness, noise_of, shapes

BLOCK = 3
"""Pixels across a stick that are taken together."""
FRINGE = 2
"""Pixels beside a lane that may be its edge."""
FEWEST_BLOCKS = 5
"""Blocks across a stick that tell flat from round, at least."""
ROUND = 0.06
"""Spread of ln brightness, root mean square, of a stick's usual fall of light, at least."""
STEEPEST, SLANTS = 0.6, 25
"""Slants of lines, as rise over run, and how many are tried."""
INSIDE = 0.6
"""Share of a line that is inside the scene and valid, at least."""
FLAT, FLATTER = 0.08, 0.6
"""Spread of ln brightness along a floor, at most, and over what is left of the line when the usual
fall of light has been taken out."""
OUTLIER = 0.3
"""Bound of each block's deviation in ln brightness."""
LIT = 0.15
"""How much darker and brighter than the lanes, in ln, a line may be."""
NEAR = 10.0
"""Mean distance of a line's shapes from the lanes', in units of those' spread, at most."""
THICK = 3
"""Lines side by side that a floor takes, at least."""
BESIDE = 5
"""Pixels beside a line that may be floor too."""
LOCAL = 3.0
"""Pixels over which the floor beside is averaged."""
ALIKE, ALIKE_LIGHT = 2.5, 0.25
"""Pixels are like the floor beside up to such a distance of shape and ln brightness."""


def find_floors(seen: Bytes, valid: Bools, away: Floats, lanes: Lanes) -> Bools:
    """Which pixels `(rows, cols)` in strips between lanes are floor.

    The scene is turned so that lanes run down it; `away` is how far shapes are from the lanes'.
    """
    rows = np.arange(len(seen))[:, None]
    col, line = lanes.col_of(len(seen)), lanes.line_of(len(seen))
    light = brightness(seen)
    of_lane = light[lanes.lane[line] & valid]
    dark, bright = (float(q) for q in np.quantile(of_lane, [0.05, 0.95]))
    found = np.zeros(valid.shape, bool)
    for first, last in lanes.strips:
        at = rows, col[:, first:last]
        sure = _lines_of_floor(light[at], valid[at], away[at], (dark - LIT, bright + LIT))
        if sure.any():
            found[at] = _beside(seen[at], light[at], valid[at], sure)
    return found


def _lines_of_floor(light: Floats, valid: Bools, away: Floats, lit: tuple[float, float]) -> Bools:
    """Pixels `(rows, cols)` of a strip that lie on lines of floor."""
    rows, cols = light.shape
    blocks = (cols - 2 * FRINGE) // BLOCK
    found = np.zeros(light.shape, bool)
    if blocks < FEWEST_BLOCKS:
        return found
    start = (cols - blocks * BLOCK) // 2

    def blocked(plane: Any) -> Floats:
        part = plane[:, start : start + blocks * BLOCK].reshape(rows, blocks, BLOCK)
        return np.asarray(part.mean(axis=2), np.float32)

    light, away, whole = blocked(light), blocked(away), blocked(valid) == 1
    fall = np.median(light, axis=0)
    fall -= fall.mean()
    if np.sqrt((fall**2).mean()) < ROUND:
        return found
    across = (np.arange(blocks) - (blocks - 1) / 2) * BLOCK
    place = np.arange(cols) - (cols - 1) / 2
    block = np.arange(blocks)
    for slant in np.linspace(-STEEPEST, STEEPEST, SLANTS):
        row = np.arange(rows)[:, None] + np.round(slant * across).astype(np.int64)
        inside = (row >= 0) & (row < rows)
        np.clip(row, 0, rows - 1, out=row)
        inside &= whole[row, block]
        count = inside.sum(axis=1)
        weight = inside / np.maximum(count, 1)[:, None].astype(np.float32)
        of_line = light[row, block]
        level, even = _spread(of_line, weight)
        flat = (
            (count >= INSIDE * blocks)
            & (level > lit[0])
            & (level < lit[1])
            & (even < FLAT)
            & (even < FLATTER * _spread(of_line - fall, weight)[1])
            & ((away[row, block] * weight).sum(axis=1) < NEAR)
        )
        flat = ndimage.binary_opening(np.pad(flat, THICK, mode="edge"), np.ones(THICK, bool))
        (at,) = np.nonzero(flat[THICK:-THICK])
        to = at[:, None] + np.round(slant * place).astype(np.int64)
        r, c = np.nonzero((to >= 0) & (to < rows))
        found[to[r, c], c] = True
    return found


def _spread(light: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Mean of each line `(lines, blocks)`, and root mean square around it, outliers bounded."""
    level = (light * weight).sum(axis=1)
    away = np.clip(light - level[:, None], -OUTLIER, OUTLIER)
    return level, np.sqrt((away**2 * weight).sum(axis=1))


def _beside(seen: Bytes, light: Floats, valid: Bools, sure: Bools) -> Bools:
    """Pixels `(rows, cols)` on the lines or beside them that are like the floor there."""
    known = (sure & valid).astype(np.float32)
    shape = shapes(seen)

    def around(plane: Floats) -> Floats:
        return np.asarray(ndimage.gaussian_filter(plane, LOCAL, mode="constant", truncate=3))

    near = ndimage.binary_dilation(sure, np.ones((3, 3), bool), iterations=BESIDE) & valid
    weight = np.maximum(around(known), 1e-6)
    noise = noise_of(light)
    size = np.zeros(light.shape, np.float32)
    for k in range(shape.shape[-1]):
        size += ((shape[..., k] - around(shape[..., k] * known) / weight) / noise) ** 2
    level = around(light * known) / weight
    alike = (size < ALIKE**2 * shape.shape[-1]) & (np.abs(light - level) < ALIKE_LIGHT)
    return np.asarray(near & alike)
