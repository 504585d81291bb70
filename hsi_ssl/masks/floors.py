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
from hsi_ssl.masks.neighbours import highest, lowest, mean_of_nine
from hsi_ssl.masks.sketch import Bools, Bytes, Floats, brightness, in_threads, noise_of, shapes

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
AT_A_TIME = 5
"""Rows of a stick that tell together how a piece is lit there."""
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


def find_floors(
    seen: Bytes, valid: Bools, rock: Bools, away: Bytes, steps: float, lanes: Lanes
) -> Floors:
    """Which pixels in strips between lanes are floor.

    The scene is turned so that lanes run down it; `rock` is what is taken for core so far, and lies
    not beside tray; `away` is how far shapes are from the lanes', in so many `steps` a unit.
    """
    length = len(seen)
    of_lane = seen[..., 0][lanes.painted(lanes.lane, length) & valid]
    dark, bright = _ln(np.quantile(of_lane, [0.05, 0.95])).tolist()
    alike = float((away[rock] < LIKE * steps).mean()) if rock.any() else 1.0
    doubt = alike > MOST_LIKE
    # From here on pixels are taken line by line.
    light, there, distance = (lanes.straight(plane) for plane in (seen[..., 0], valid, away))
    in_strips = np.concatenate([distance[:, a:b].ravel() for a, b in lanes.strips])
    near = NEARER * float(np.quantile(in_strips, OF_CORE)) / steps
    uneven = _unevenness(_ln(light[:, lanes.lane]))
    like = Even(
        (dark - LIT, bright + LIT),
        min(MOST_UNEVEN, (IN_DOUBT_UNEVEN if doubt else UNEVEN) * uneven),
        IN_DOUBT_FLATTER if doubt else FLATTER,
        float(np.clip(near, NEAR, NOT_SO_NEAR)),
        IN_DOUBT_FEWEST if doubt else FEWEST_BLOCKS,
    )

    def look(strip: slice) -> list[tuple[tuple[Any, Any], Bools]]:
        far = distance[:, strip].astype(np.float32) / np.float32(steps)
        lit = _ln(light[:, strip])
        sure = _lines_of_floor(lit, there[:, strip], far, like)
        parts = []
        for some in _runs(np.any(sure, axis=1)):
            of = np.arange(length)[some, None], lanes.cols_of(some, strip, length)
            parts.append((of, _beside(seen[of], lit[some], valid[of], sure[some])))
        return parts

    found = np.zeros(valid.shape, bool)

    def write(parts: list[tuple[tuple[Any, Any], Bools]]) -> None:
        for of, floor in parts:
            found[of] = floor

    in_threads(look, [slice(*strip) for strip in lanes.strips], write)
    return Floors(found, alike)


def _ln(light: npt.NDArray[Any]) -> Floats:
    """ln brightness of bytes of it."""
    return brightness(light[..., None])


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
        """Means of blocks `(blocks, rows)`."""
        part = np.asarray(plane[:, start : start + blocks * BLOCK].T, np.float32, order="C")
        mean = part.reshape(blocks, BLOCK, rows).mean(axis=1)
        return np.asarray(ndimage.uniform_filter1d(mean, BLOCK, mode="nearest"))

    light, away, whole = blocked(light), blocked(away), blocked(valid) > SOME
    fall = np.median(light, axis=1, keepdims=True)
    fall -= fall.mean()
    if np.sqrt((fall**2).mean()) < ROUND:
        return found
    across = (np.arange(blocks) - (blocks - 1) / 2) * BLOCK
    place = np.arange(cols) - (cols - 1) / 2
    # Lines are sums of blocks, each of which is moved along the strip; beyond it nothing counts.
    beyond = int(STEEPEST * cols / 2) + 1
    planes = np.stack([whole, light * whole, away * whole]).astype(np.float32)
    planes = np.pad(planes, ((0, 0), (0, 0), (beyond, beyond)))
    marked = np.zeros((cols, rows + 2 * beyond), bool)
    for slant in np.linspace(-STEEPEST, STEEPEST, SLANTS):
        moved = beyond + np.round(slant * across).astype(np.int64)
        total = np.zeros((3, rows), np.float32)
        for block, by in enumerate(moved.tolist()):
            total += planes[:, block, by : by + rows]
        count = np.maximum(total[0], 1)
        level = total[1] / count
        likely = (
            (total[0] >= INSIDE * blocks)
            & (level > like.lit[0])
            & (level < like.lit[1])
            & (total[2] / count < like.near)
        )
        (line,) = np.nonzero(likely)
        if not len(line):
            continue
        inside, of_line = planes[:2, np.arange(blocks)[:, None], line + moved[:, None]]
        weight = inside / count[line]
        even = _spread(of_line, weight)
        likely[line] = (even < like.uneven) & (
            even < like.flatter * _spread(of_line - fall, weight)
        )
        if likely.any():
            flat = ndimage.binary_opening(likely, np.ones(THICK, bool))
            wide = highest(flat[None], 1, BLOCK)[0]
            for col, by in enumerate((beyond + np.round(slant * place)).astype(np.int64).tolist()):
                marked[col, by : by + rows] |= wide
    return np.asarray(marked[:, beyond:-beyond].T)


def lit_as(seen: Bytes, lanes: Lanes, label: npt.NDArray[Any], n: int) -> tuple[Bools, Bools]:
    """Which pixels `(rows, cols)` of pieces, `label` 1 to n, are lit evenly, and as round core.

    A few rows of pieces are judged at a time, since core that looks like the tray may lie beside a
    gap; then what is left of a piece as a whole. Pixels may be neither; where core is not round all
    are lit evenly.
    """
    light, length = seen[..., 0], len(seen)
    strip = np.zeros(light.shape[1], np.int64)
    for i, (first, last) in enumerate(lanes.strips):
        strip[first:last] = i
    place = np.flatnonzero(label)
    fall = lanes.painted(_fall_of_light(light, lanes), length).take(place)
    even = np.zeros(label.shape, bool)
    even.ravel()[place[np.isnan(fall)]] = True
    place, fall = place[np.isfinite(fall)], fall[np.isfinite(fall)]
    bright = _ln(light.take(place))
    # Rows of strip after strip, with empty ones between, so that none is beside another strip's.
    rows = length + AT_A_TIME
    row = lanes.painted(strip, length).take(place) * rows + place // light.shape[1]
    floor_here, core_here = _lit(bright, fall, row, rows * len(lanes.strips), AT_A_TIME)
    piece = np.where(core_here, 0, label.take(place))
    as_floor, as_core = _lit(bright, fall, piece, n + 1, 1)
    even.ravel()[place] = as_floor & floor_here
    round_ = np.zeros(label.shape, bool)
    round_.ravel()[place] = as_core | core_here
    return even, round_


def _lit(
    bright: Floats, fall: Floats, of: npt.NDArray[Any], n: int, beside: int
) -> tuple[Bools, Bools]:
    """Which pixels are in sets, of `n`, that even light explains best, and which the fall of light.

    Each set is taken together with those beside it, so many in all.
    """

    def total(values: Any = None) -> Floats:
        sums = np.bincount(of, values, minlength=n).astype(float)
        return sums if beside == 1 else np.convolve(sums, np.ones(beside), "same")

    count = np.maximum(total(), 1)

    def spread(values: Floats) -> Floats:
        away = values - (total(values) / count)[of]
        return np.asarray(np.sqrt(total(np.clip(away, -OUTLIER, OUTLIER) ** 2) / count))

    even, round_ = spread(bright), spread(bright - fall)
    evenly = (even < EVENER * round_) | (round_ == 0)
    return evenly[of], ((round_ < EVENER * even) & ~evenly)[of]


def _fall_of_light(light: Bytes, lanes: Lanes) -> Floats:
    """How ln brightness falls off across sticks, by line; NaN in lanes and if it does not."""
    by_line = lanes.straight(light)
    fall = np.full(light.shape[1], np.nan, np.float32)

    def look(strip: slice) -> None:
        of = np.median(_ln(by_line[:, strip]), axis=0)
        of = ndimage.uniform_filter1d(of, BLOCK, mode="nearest")
        of -= of.mean()
        if np.sqrt((of**2).mean()) >= ROUND:
            fall[strip] = of

    in_threads(look, [slice(*strip) for strip in lanes.strips])
    return fall


def _spread(light: Floats, weight: Floats) -> Floats:
    """Root mean square `(lines,)` around the mean of each line `(blocks, lines)`, bounded."""
    away = np.clip(light - (light * weight).sum(axis=0), -OUTLIER, OUTLIER)
    return np.asarray(np.sqrt((away**2 * weight).sum(axis=0)))


def _beside(seen: Bytes, light: Floats, valid: Bools, sure: Bools) -> Bools:
    """Pixels `(rows, cols)` on the lines or beside them that are like the floor there."""
    planes = np.stack([light, *np.moveaxis(shapes(seen), -1, 0)])
    noise = noise_of(light)

    def around(known: Bools) -> Floats:
        """Of each plane, the mean over known pixels."""
        total = np.stack([known, *(planes * known)]).astype(np.float32)
        total = ndimage.gaussian_filter(total, LOCAL, mode="constant", truncate=3, axes=(1, 2))
        return np.asarray(total[1:] / np.maximum(total[0], np.float32(1e-6)))

    def differences(known: Bools) -> tuple[Floats, Floats]:
        away = np.abs(planes - around(known))
        return np.sqrt(((away[1:] / noise) ** 2).mean(axis=0)), away[0]

    known = sure & valid
    for _ in range(2):  # dead detector elements and rock are left out the second time
        size, lit = differences(known)
        known = sure & valid & (size < ON_LINES[0]) & (lit < ON_LINES[1])
    found = highest(sure, 2 * BESIDE + 1, 2 * BESIDE + 1) & ~sure
    found &= _most(size < OFF_LINES[0]) & _most(lit < OFF_LINES[1])
    found |= known
    # A dead detector element cuts floor in two; what is between is lit as the floor is.
    between = lowest(highest(found, 1, 3), 1, 3) & (lit < ON_LINES[1])
    between[:, [0, -1]] = False
    return np.asarray((found | between) & valid)


def _most(flags: Bools) -> Bools:
    """Where most of nine pixels are flagged: where their median is below what flags are below."""
    return mean_of_nine(flags.astype(np.float32)) > np.float32(0.5)
