"""Floors of trays, seen between pieces of core and at a box's ends: flat where core is round.

A floor may lie in a film of water or in light of another colour, so that the shape of its spectrum
is farther from the walls' than some mineral's. But light falls off towards the flanks of a stick of
core, and does not on a flat floor. So lines across a stick, at any slant, are compared with the
usual fall of light there: where even light explains a line far better, and it is about as bright as
the lanes and not too far from their shape, it is floor. Pixels beside such lines are floor as well
where they are like it. Pieces of any form that look like the tray are judged by their light alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hsi_ssl.masks.lanes import Lanes
from hsi_ssl.masks.sketch import Bools, Bytes, Floats, brightness, noise_of, shapes

BLOCK = 3
"""Pixels across and along a stick that are taken together."""
FRINGE = 2
"""Pixels beside a lane that may be its edge."""
FEWEST_BLOCKS, IN_DOUBT_FEWEST = 5, 9
"""Blocks across a stick that tell flat from round, at least."""
ROUND = 0.06
"""Spread of ln brightness, root mean square, of a stick's usual fall of light, at least."""
STEEPEST, SLANTS = 0.6, 25
"""Slants of lines, as rise over run, and how many are tried."""
INSIDE = 0.9
"""Share of a line that is inside the scene and valid, at least."""
LIKE, MOST_LIKE = 3.0, 0.02
"""Distance of shapes up to which core looks like the lanes; where a larger share of it does, lines
of floor must be told more surely."""
UNEVEN, IN_DOUBT_UNEVEN, MOST_UNEVEN = 1.8, 1.4, 0.065
"""Spread of ln brightness along a floor over that along lanes, at most; the same in such doubt; and
that spread itself."""
SOME = 0.6
"""Share of a block that is valid, at least."""
FLATTER, IN_DOUBT_FLATTER = 0.5, 0.4
"""The same over what is left of a line when the usual fall of light has been taken out."""
EVENER = 0.8
"""The same of a piece of any form, pixel by pixel."""
OUTLIER = 0.3
"""Bound of each block's deviation in ln brightness."""
LIT = 0.15
"""How much darker and brighter than the lanes, in ln, a line may be."""
NEAR, NEARER, NOT_SO_NEAR = 10.0, 0.9, 14.0
"""Mean distance of a line's shapes from the lanes', in units of those' spread, at most; where core
is farther away, this share of its distance, but no more than the last."""
OF_CORE = 0.15
"""Share of a strip that is nearer to the lanes than its core is taken to be."""
THICK = 2
"""Lines side by side that a floor takes, at least."""
BESIDE = 5
"""Pixels beside a line that may be floor too."""
LOCAL = 3.0
"""Pixels over which the floor beside is averaged."""
ON_LINES, OFF_LINES = (2.5, 0.25), (1.2, 0.06)
"""Pixels on lines of floor, and medians of those beside, are like the floor there up to such
distances of shape, in units of noise, and of ln brightness."""


@dataclass(frozen=True)
class Even:
    """What lines of floor must be.

    `lit` so, in ln, at least and at most; their ln brightness spread by `uneven` at most, and by
    `flatter` of what it is without the usual fall of light; their shapes no farther than `near`
    from the lanes'; of `fewest` blocks or more.
    """

    lit: tuple[float, float]
    uneven: float
    flatter: float
    near: float
    fewest: int


@dataclass(frozen=True)
class Floors:
    """Floor in strips between lanes, `found (rows, cols)`.

    `alike`: share of the core that looks like the tray.
    """

    found: Bools
    alike: float

    @property
    def doubt(self) -> bool:
        """Whether so much core looks like the tray that light alone tells them apart."""
        return self.alike > MOST_LIKE


def find_floors(seen: Bytes, valid: Bools, rock: Bools, away: Floats, lanes: Lanes) -> Floors:
    """Which pixels in strips between lanes are floor.

    The scene is turned so that lanes run down it; `rock` is what is taken for core so far, and lies
    not beside tray; `away` is how far shapes are from the lanes'.
    """
    rows = np.arange(len(seen))[:, None]
    col, line = lanes.col_of(len(seen)), lanes.line_of(len(seen))
    light = brightness(seen)
    dark, bright = np.quantile(light[lanes.lane[line] & valid], [0.05, 0.95]).tolist()
    lit = dark - LIT, bright + LIT
    alike = float((away[rock] < LIKE).mean()) if rock.any() else 1.0
    doubt = alike > MOST_LIKE
    in_strips = np.concatenate([np.ravel(away[rows, col[:, a:b]]) for a, b in lanes.strips])
    near = NEARER * float(np.quantile(in_strips, OF_CORE))
    uneven = _unevenness(light[rows, col[:, lanes.lane]])
    like = Even(
        lit,
        min(MOST_UNEVEN, (IN_DOUBT_UNEVEN if doubt else UNEVEN) * uneven),
        IN_DOUBT_FLATTER if doubt else FLATTER,
        float(np.clip(near, NEAR, NOT_SO_NEAR)),
        IN_DOUBT_FEWEST if doubt else FEWEST_BLOCKS,
    )
    found = np.zeros(valid.shape, bool)
    for first, last in lanes.strips:
        at = rows, col[:, first:last]
        sure = _lines_of_floor(light[at], valid[at], away[at], like)
        for some in _runs(np.any(sure, axis=1)):
            of = rows[some], col[some, first:last]
            found[of] = _beside(seen[of], light[of], valid[of], sure[some])
    return Floors(found, alike)


def _unevenness(light: Floats) -> float:
    """Spread of blocks' ln brightness along lanes `(rows, lines)`."""
    away = ndimage.uniform_filter(light - np.median(light, axis=0), BLOCK)
    return 1.48 * float(np.median(np.abs(away)))


def _runs(flags: Any) -> list[slice]:
    """Rows that are flagged and those beside, run by run."""
    wide = ndimage.maximum_filter1d(flags, 2 * (BESIDE + BLOCK) + 1, mode="constant")
    return [rows for (rows,) in ndimage.find_objects(ndimage.label(wide)[0])]


def _lines_of_floor(light: Floats, valid: Bools, away: Floats, like: Even) -> Bools:
    """Pixels `(rows, cols)` of a strip that lie on lines of floor."""
    rows, cols = light.shape
    blocks = (cols - 2 * FRINGE) // BLOCK
    found = np.zeros(light.shape, bool)
    if blocks < like.fewest:
        return found
    start = (cols - blocks * BLOCK) // 2

    def blocked(plane: Any) -> Floats:
        part = plane[:, start : start + blocks * BLOCK].reshape(rows, blocks, BLOCK)
        found = ndimage.uniform_filter1d(part.mean(axis=2), BLOCK, axis=0, mode="nearest")
        return np.asarray(found, np.float32)

    light, away, whole = blocked(light), blocked(away), blocked(valid) > SOME
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
            & (level > like.lit[0])
            & (level < like.lit[1])
            & (even < like.uneven)
            & (even < like.flatter * _spread(of_line - fall, weight)[1])
            & ((away[row, block] * weight).sum(axis=1) < like.near)
        )
        flat = ndimage.binary_opening(flat, np.ones(THICK, bool))
        (at,) = np.nonzero(ndimage.maximum_filter1d(flat, BLOCK))
        to = at[:, None] + np.round(slant * place).astype(np.int64)
        r, c = np.nonzero((to >= 0) & (to < rows))
        found[to[r, c], c] = True
    return found


def lit_as(seen: Bytes, lanes: Lanes, label: npt.NDArray[Any], n: int) -> tuple[Bools, Bools]:
    """Which pieces `(n + 1,)` of `label (rows, cols)` are lit evenly, and which as round core.

    A piece may be neither; where core is not round all are lit evenly.
    """
    light, fall = brightness(seen), _fall_of_light(seen, lanes)
    place = np.flatnonzero((label.ravel() > 0) & np.isfinite(fall.ravel()))
    of = label.ravel()[place]
    count = np.maximum(np.bincount(of, minlength=n + 1), 1)

    def spread(values: Floats) -> Floats:
        away = values - (np.bincount(of, values, minlength=n + 1) / count)[of]
        squared = np.clip(away, -OUTLIER, OUTLIER) ** 2
        return np.asarray(np.sqrt(np.bincount(of, squared, minlength=n + 1) / count))

    bright = light.ravel()[place]
    as_floor, as_core = spread(bright), spread(bright - fall.ravel()[place])
    return (as_floor < EVENER * as_core) | (as_core == 0), as_core < EVENER * as_floor


def _fall_of_light(seen: Bytes, lanes: Lanes) -> Floats:
    """How ln brightness falls off across sticks `(rows, cols)`; NaN in lanes and if it does not."""
    rows, col = np.arange(len(seen))[:, None], lanes.col_of(len(seen))
    light = brightness(seen)
    fall = np.full(light.shape, np.nan, np.float32)
    for first, last in lanes.strips:
        at = rows, col[:, first:last]
        of = ndimage.uniform_filter1d(np.median(light[at], axis=0), BLOCK, mode="nearest")
        of -= of.mean()
        if np.sqrt((of**2).mean()) >= ROUND:
            fall[at] = of
    return fall


def _spread(light: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Mean of each line `(lines, blocks)`, and root mean square around it, outliers bounded."""
    level = (light * weight).sum(axis=1)
    away = np.clip(light - level[:, None], -OUTLIER, OUTLIER)
    return level, np.sqrt((away**2 * weight).sum(axis=1))


def _beside(seen: Bytes, light: Floats, valid: Bools, sure: Bools) -> Bools:
    """Pixels `(rows, cols)` on the lines or beside them that are like the floor there."""
    shape, noise = shapes(seen), noise_of(light)

    def around(plane: Any) -> Floats:
        plane = np.asarray(plane, np.float32)
        return np.asarray(ndimage.gaussian_filter(plane, LOCAL, mode="constant", truncate=3))

    def differences(known: Bools) -> tuple[Floats, Floats]:
        weight = np.maximum(around(known), 1e-6)
        size = np.zeros(light.shape, np.float32)
        for k in range(shape.shape[-1]):
            size += ((shape[..., k] - around(shape[..., k] * known) / weight) / noise) ** 2
        return np.sqrt(size / shape.shape[-1]), np.abs(light - around(light * known) / weight)

    known = sure & valid
    for _ in range(2):  # dead detector elements and rock are left out the second time
        size, lit = differences(known)
        known = sure & valid & (size < ON_LINES[0]) & (lit < ON_LINES[1])
    found = ndimage.binary_dilation(sure, np.ones((3, 3), bool), iterations=BESIDE) & ~sure
    found &= ndimage.median_filter(size, 3) < OFF_LINES[0]
    found &= ndimage.median_filter(lit, 3) < OFF_LINES[1]
    found |= known
    # A dead detector element cuts floor in two; what is between is lit as the floor is.
    between = ndimage.binary_closing(found, np.ones((1, 3), bool)) & (lit < ON_LINES[1])
    return np.asarray((found | between) & valid)
