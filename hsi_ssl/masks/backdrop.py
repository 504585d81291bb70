"""Trays, and what is seen of them through gaps: one material that runs along in lanes.

Lanes give examples of what may be a tray, the strips between them examples of what is not. A
Gaussian over shapes for the one, groups of the other and the brightness of both tell how much
likelier each pixel is tray than rock. Then place decides: in a strip a pixel is tray where it
belongs to a piece that reaches from side to side, as gaps do, or to the ends of a box; patches
within a stick are a mineral, however much they look like the tray. Last, light does: what it falls
off on as on round core is core (`floors`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.cluster.vq import vq

from hsi_ssl.masks.floors import find_floors, lit_as
from hsi_ssl.masks.lanes import Lanes, turned
from hsi_ssl.masks.neighbours import between, highest, lowest, mean_of_nine
from hsi_ssl.masks.sketch import (
    MIDDLE,
    PER_LN,
    Bools,
    Bytes,
    Floats,
    brightness,
    in_threads,
    noise_of,
    shapes,
)

Ints = npt.NDArray[np.int64]

LEARNT = 6_000
"""Pixels of lanes, and of strips, that are learnt from."""
GROUPS, TURNS = 12, 8
"""Groups of spectra in the strips, and turns of k-means that find them."""
ROUNDS = 1
"""Times that the tray is learnt anew, with what was found of it in the strips."""
SOFT = 0.3
"""Variance that shapes have beyond what was measured, in units of noise squared."""
NEAREST, FARTHEST = 2.5, 7.0
"""Root mean square distance from the lanes' shapes up to which a pixel may be like them: at least
and at most."""
EMPTY = 0.02
"""Share of the strips at about such a distance above which rock begins there."""
WIDE, TIGHT = (0.2, 0.25), (0.1, 0.1)
"""How much darker and brighter than the lanes, in ln, that may be; less where rock is as near."""
BEYOND = (0.3, 0.35)
"""How much darker and brighter than the tray, in ln, nothing is tray."""
FILLED = 0.6
"""Share of a strip's row that is like the lanes where a box ends."""
END = 1.4
"""In ends shapes may be so many times as far away."""
FARTHER = 1.2
"""Times `FARTHEST` beyond which pixels are not weighed at all."""
SURE = 12.0
"""Bound of each pixel's log odds, so that a neighbourhood can overrule it."""
BY_PLACE = 3.0
"""Log odds that place adds in lanes, and takes in strips."""
DARKER = 0.2
"""Share of a tray that may be in deeper shadow than its lanes are."""
FRINGE = 2
"""Pixels beside a lane that are its edge rather than core."""
LOOSE = 0.15
"""Pieces within sticks, over those at their sides, above which a mineral looks like the tray."""
SOME_LIKE = 0.001
"""Share of the core that looks like the tray where a mineral does."""
PIECE = 2**13
"""Pixels that are weighed at a time."""
STEPS = 16.0
"""Steps of a byte in one unit of distance."""

FEW = 100
"""Pixels of tray, and of rock, that there must be."""
MOST_TRAY = 0.65
"""Share of the scene that a tray may take."""
TRAY_IN_LANES = 0.8
"""Share of the lanes' pixels that must look like tray."""
TRAY_IN_STRIPS = 0.45
"""Share of a strip that may, gaps included."""
TRAY_AT_PLACE = 0.8
"""Share of the pixels that look like tray that must be in lanes, gaps and ends."""

NOISE = noise_of((np.arange(256) - MIDDLE) / PER_LN)
"""How noisy shapes are, by byte of brightness."""


@dataclass(frozen=True)
class Backdrop:
    """A tray: its pixels `(rows, cols)`, the lanes in which it runs, its share that lies right.

    `doubt`: some core is so much like it that what shows through gaps is told by its light alone.
    """

    tray: Bools
    lanes: Lanes
    at_place: float
    doubt: bool


def find_backdrop(seen: Bytes, valid: Bools, candidates: Iterable[Lanes]) -> Backdrop | None:
    """The tray in the first of the candidates that holds, None where none does."""
    judged = (_judged(seen, valid, lanes) for lanes in candidates)
    return next((one for one in judged if one is not None), None)


def _judged(seen: Bytes, valid: Bools, lanes: Lanes) -> Backdrop | None:
    """The tray that runs in these lanes; None if it is none."""
    planes, valid = _planes(seen, lanes.down), _turned(valid, lanes.down)
    seen = planes.transpose(1, 2, 0)
    place = _places(lanes, valid.shape)
    in_lanes = (place == 0) & valid
    if in_lanes.sum() < FEW:
        return None
    lane_light, away = _distances(planes, valid, in_lanes)
    near, place = _near(planes[0], valid, place, away, lane_light)
    in_lanes = (place == 0) & valid
    core = _core(place)
    tray, _ = _by_place(near, core)
    tray |= in_lanes
    some = between(away, -1, FARTHER * FARTHEST * STEPS) | in_lanes
    for _ in range(ROUNDS):
        rock = valid & (place > 0) & ~tray
        if min(tray.sum(), rock.sum()) < FEW:
            return None
        model = _learn(_some(seen, tray), _some(seen, rock))
        odds = _by_pieces(partial(_weigh, model=model), planes, some, -SURE)
        around = mean_of_nine(odds)
        odds *= np.float32(0.5)
        odds += around
        looks = odds > np.where(place == 0, np.float32(-BY_PLACE), np.float32(BY_PLACE))
        looks &= valid
        tray, at_place = _by_place(looks, core)
    parts = [place == i for i in range(len(lanes.strips) + 1)]
    share = [int((looks & part).sum()) / max(1, int((valid & part).sum())) for part in parts]
    if (
        share[0] < TRAY_IN_LANES
        or max(share[1:]) > TRAY_IN_STRIPS
        or at_place < TRAY_AT_PLACE
        or tray.sum() > MOST_TRAY * valid.sum()
    ):
        return None
    tray, doubt = _by_fall_of_light(seen, valid, tray, away, lanes)
    return Backdrop(_turned(tray, lanes.down), lanes, at_place, doubt)


def _by_fall_of_light(
    seen: Bytes, valid: Bools, tray: Bools, away: Bytes, lanes: Lanes
) -> tuple[Bools, bool]:
    """A tray without what is lit as round core, with floors; whether light alone tells it there.

    Where a mineral looks like the tray, pieces that do not reach across a stick must be lit evenly;
    where much of the core does, all must reach across and be, and so must what is left of them
    beyond lines of floor do the one or the other: core beside a gap is no part of it.
    """
    core = _core(_places(lanes, valid.shape))
    label, n = ndimage.label(tray & core, np.ones((3, 3)))
    even, as_core = lit_as(seen, lanes, label, n)
    # Before it is asked how much core looks like the tray, or core that was taken for it is missed.
    tray = tray & ~as_core
    rock = valid & core & ~_wider(tray, FRINGE)
    floors = find_floors(seen, valid, rock, away, STEPS, lanes)
    if floors.alike > SOME_LIKE:
        beside = ~core | _wider(floors.found, FRINGE)
        kept = _reaching(label, n, core)
        if floors.doubt:
            label, n = ndimage.label(tray & ~beside, np.ones((3, 3)))
            kept &= even & (_reaching(label, n, core) | lit_as(seen, lanes, label, n)[0])
        else:
            kept |= even
        tray &= beside | kept
    return np.asarray(tray | floors.found), floors.doubt


def _reaching(label: npt.NDArray[Any], n: int, core: Bools) -> Bools:
    """Pixels of those pieces `label`, 1 to n, that reach across a stick."""
    across = _touching(label, n, core, -1) & _touching(label, n, core, +1)
    across[0] = False
    return np.asarray(across[label])


def _wider(plane: Bools, by: int) -> Bools:
    return highest(plane, 2 * by + 1, 2 * by + 1)


def _turned(plane: Bools, down: bool) -> Bools:
    return plane if down else plane.T


def _planes(seen: Bytes, down: bool) -> Bytes:
    """What an eye saw `(1 + shapes, rows, cols)`, turned so that lines run down; row by row."""
    return np.ascontiguousarray(turned(seen, down).transpose(2, 0, 1))


def _places(lanes: Lanes, shape: tuple[int, ...]) -> Bytes:
    """0 in lanes and outside of them, else the number of the strip from 1 on."""
    by_line = np.zeros(shape[1], np.uint8)
    for i, (first, last) in enumerate(lanes.strips):
        by_line[first:last] = min(i + 1, 255)
    return lanes.painted(by_line, shape[0])


@dataclass(frozen=True)
class Cloud:
    """Shapes of one material: their middle, axes that whiten them, and log density there."""

    middle: Floats
    axes: Floats
    level: float

    def squared(self, shape: Floats, noise: Floats) -> Floats:
        """Squared distance `(n,)` from the middle, of shapes `(shapes, n)` with noise `(n,)`."""
        away = shape - self.middle[:, None]
        away /= noise
        return _length(self.axes.T @ away)


def _cloud(pixels: Bytes) -> Cloud:
    shape = shapes(pixels)
    middle = np.median(shape, axis=0)
    away = (shape - middle) / noise_of(brightness(pixels))[:, None]
    size = (away**2).mean(axis=1)
    axes, level = _whitening(_covariance(away[size <= np.quantile(size, 0.97)] * 1.05))
    return Cloud(middle, axes, level)


def _distances(planes: Bytes, valid: Bools, in_lanes: Bools) -> tuple[tuple[float, float], Bytes]:
    """How dark and bright lanes are, in bytes, and how far pixels' shapes are from theirs.

    Distances `(rows, cols)` are bytes in `STEPS`, 255 for pixels that are lit otherwise.
    """
    of_lane = _some(planes.transpose(1, 2, 0), in_lanes)
    cloud = _cloud(of_lane)
    dark, bright = (float(q) for q in np.quantile(of_lane[:, 0], [0.05, 0.95]))

    def distances(seen: Bytes) -> Floats:
        squared = cloud.squared(_shapes(seen), NOISE[seen[0]])
        squared /= cloud.axes.shape[1]
        return np.minimum(np.sqrt(squared) * STEPS, 255)

    lit = between(planes[0], dark - BEYOND[0] * PER_LN, bright + BEYOND[1] * PER_LN) & valid
    return (dark, bright), _by_pieces(distances, planes, lit, 255, np.uint8)


def _near(
    light: Bytes,
    valid: Bools,
    place: Bytes,
    away: Bytes,
    lane_light: tuple[float, float],
) -> tuple[Bools, Bytes]:
    """What is like the lanes to begin with, and places with a box's ends among the lanes.

    Shapes may be as far from the lanes' as one can go before many pixels are met that are neither
    in a gap nor in an end.
    """
    dark, bright = lane_light

    def lit(below: float, above: float) -> Bools:
        return between(light, dark - below * PER_LN, bright + above * PER_LN) & valid

    def closer(gate: float) -> Bools:
        return between(away, -1, gate * STEPS)

    alike = lit(*WIDE)
    strips = [place == 1 + i for i in range(int(place.max()))]
    sizes = [FILLED * _by_row(strip) for strip in strips]

    def filled(gate: float) -> list[Bools]:
        """Flags `(rows,)` of each strip."""
        hits = alike & closer(gate)
        return [_by_row(hits & s) > size for s, size in zip(strips, sizes, strict=True)]

    rest = (place > 0) & valid
    for strip, full in zip(strips, filled(FARTHEST), strict=True):
        rest[full] &= ~strip[full]
    counts = np.bincount(away[rest & alike], minlength=256) / max(1, int(rest.sum()))
    gates = np.geomspace(NEAREST, FARTHEST, 24)
    steps = np.arange(256) / STEPS
    rock = [counts[(steps > 0.85 * g) & (steps < 1.2 * g)].sum() > EMPTY for g in gates]
    if rock[0]:
        return lit(*TIGHT) & closer(NEAREST), place
    gate = gates[[*rock, True].index(True) - 1]
    place = place.copy()
    for strip, full in zip(strips, filled(END * gate), strict=True):
        ends = np.logical_and.accumulate(full)
        ends |= np.logical_and.accumulate(full[::-1])[::-1]
        place[ends] *= ~strip[ends]
    return alike & closer(gate), place


def _by_row(flags: Bools) -> npt.NDArray[np.uint32]:
    """Flagged pixels `(rows,)` of each row."""
    return np.asarray(np.add.reduce(flags.view(np.uint8), axis=1, dtype=np.uint32))


@dataclass(frozen=True)
class Model:
    """Tray and rock: a cloud; groups whitened alike; log odds by byte of brightness `(256,)`."""

    tray: Cloud
    groups: Floats
    axes: Floats
    levels: Floats
    by_light: Floats


def _learn(tray: Bytes, rock: Bytes) -> Model:
    """Learn from pixels of either."""
    shape = shapes(rock)
    centres, group = _groups(shape)
    within = (shape - centres[group]) / noise_of(brightness(rock))[:, None]
    size = (within**2).mean(axis=1)
    axes, level = _whitening(_covariance(within[size <= np.quantile(size, 0.95)]))
    share = np.log(np.bincount(group, minlength=len(centres)) / len(group))
    levels = np.asarray(share + level, np.float32)
    return Model(_cloud(tray), centres @ axes, axes, levels, _by_light(tray[:, 0], rock[:, 0]))


def _groups(shape: Floats) -> tuple[Floats, Ints]:
    """Centres `(groups, shapes)` that differ, by k-means, and the group of each pixel."""
    count = min(GROUPS, max(1, len(shape) // 20))
    # Each starts where the ones before are farthest away, but for the very strangest pixels.
    centres = shape[:1]
    for _ in range(count - 1):
        _, away = vq(shape, centres)
        place = int(np.argsort(away)[int(0.995 * (len(away) - 1))])
        centres = np.concatenate([centres, shape[place][None]])
    for _ in range(TURNS):
        group = vq(shape, centres)[0]
        present = np.unique(group)
        centres = np.stack([shape[group == k].mean(axis=0) for k in present])
    present, number = np.unique(vq(shape, centres)[0], return_inverse=True)
    return np.asarray(centres[present], np.float32), np.asarray(number, np.int64)


def _by_pieces(
    values: Callable[[Bytes], Floats],
    planes: Bytes,
    flags: Bools,
    rest: float,
    dtype: type[np.generic] = np.float32,
) -> npt.NDArray[Any]:
    """Values `(n,)` of what an eye saw `(1 + shapes, n)` at flagged pixels, else `rest`.

    Of so many pixels at a time as caches hold.
    """
    found = np.full(flags.shape, rest, dtype)
    step = max(1, PIECE // flags.shape[1])

    def fill(row: int) -> None:
        rows = slice(row, row + step)
        at = np.flatnonzero(flags[rows])
        seen = planes[:, rows].reshape(len(planes), -1)
        found[rows].reshape(-1)[at] = values(seen.take(at, axis=1))

    in_threads(fill, range(0, len(flags), step))
    return found


def _some(seen: Bytes, flags: Bools) -> Bytes:
    """Flagged pixels `(n, 1 + shapes)`, not more than can be learnt from."""
    place = np.flatnonzero(flags)
    rows, cols = np.divmod(place[:: max(1, len(place) // LEARNT)], flags.shape[1])
    return np.asarray(seen[rows, cols])


def _covariance(away: Floats) -> Floats:
    return np.asarray(away.T @ away / len(away) + SOFT * np.eye(away.shape[1]), np.float32)


def _whitening(covariance: Floats) -> tuple[Floats, float]:
    """Axes that whiten, and minus half of the log determinant."""
    values, vectors = np.linalg.eigh(covariance.astype(np.float64))
    axes = np.asarray(vectors / np.sqrt(values), np.float32)
    return axes, float(-0.5 * np.log(values).sum())


def _by_light(tray: Bytes, rock: Bytes) -> Floats:
    """Log odds `(256,)` that brightness alone gives tray over rock."""

    def density(light: Bytes) -> Floats:
        counts = np.bincount(light, minlength=256).astype(float)
        counts = ndimage.gaussian_filter1d(counts, PER_LN * 0.1, mode="nearest")
        return np.asarray(counts / counts.sum())

    dark, middle, bright = np.quantile(tray, [0.05, 0.5, 0.95])
    light = np.arange(256)
    darker = (light < middle) & (light > dark - 0.5 * PER_LN)
    of_tray = (1 - DARKER) * density(tray) + DARKER * darker / max(1, darker.sum())
    odds = np.clip(np.log(of_tray + 1e-4) - np.log(density(rock) + 1e-4), -6, 4)
    odds[(light < dark - BEYOND[0] * PER_LN) | (light > bright + BEYOND[1] * PER_LN)] = -3 * SURE
    return np.asarray(odds, np.float32)


def _weigh(seen: Bytes, model: Model) -> Floats:
    """Log odds `(n,)` of tray over rock, of what an eye saw `(1 + shapes, n)`."""
    shape, noise = _shapes(seen), NOISE[seen[0]]
    from_tray = model.tray.squared(shape, noise)
    # Squared distances from all groups at once.
    quieter = 1 / noise
    shape *= quieter
    y = model.axes.T @ shape
    cross = model.groups @ y
    cross *= quieter
    cross -= 0.5 * quieter**2 * (model.groups**2).sum(axis=1)[:, None]
    cross += model.levels[:, None]
    rock = cross.max(axis=0) - 0.5 * _length(y)
    odds = model.tray.level - 0.5 * from_tray - rock + model.by_light[seen[0]]
    odds[from_tray > FARTHEST**2 * len(shape)] = -SURE
    return np.asarray(np.clip(odds, -SURE, SURE))


def _shapes(seen: Bytes) -> Floats:
    """Shapes in units of noise `(shapes, n)`, of what an eye saw `(1 + shapes, n)`."""
    return np.ascontiguousarray(shapes(seen.T).T)


def _length(z: Floats) -> Floats:
    """Squared length `(n,)` of columns."""
    return np.asarray(np.einsum("ij,ij->j", z, z))


def _core(place: Bytes) -> Bools:
    """What lies in strips, `FRINGE` pixels from lanes and more."""
    core = place > 0
    lane = ~core
    for away in range(1, FRINGE + 1):
        core[:, away:] &= ~lane[:, :-away]
        core[:, :-away] &= ~lane[:, away:]
    return core


def _by_place(looks: Bools, core: Bools) -> tuple[Bools, float]:
    """Of what looks like tray, what lies where a tray does, and its share."""
    # Dead detector elements and noise must not cut a gap in two.
    whole = lowest(highest(looks, 3, 5), 3, 5)
    label, n = ndimage.label(whole & core, np.ones((3, 3)))
    tray = looks & ~core
    if n:
        at = np.flatnonzero(looks)
        of = label.take(at)
        left, right = _touching(label, n, core, -1), _touching(label, n, core, +1)
        end = np.zeros(n + 1, bool)
        end[label[0]] = end[label[-1]] = True
        sizes = np.bincount(of, minlength=n + 1)
        across = left & right
        beside = (left | right | end) & ~across
        sizes[0], across[0], beside[0] = 0, False, False
        kept = across
        if sizes[~(across | beside)].sum() < LOOSE * sizes[across | beside].sum():
            kept = across | beside
        tray.ravel()[at[kept[of]]] = True
    return tray, float(tray.sum() / max(1, int(looks.sum())))


def _touching(label: npt.NDArray[Any], n: int, core: Bools, side: int) -> Bools:
    """Which pieces `(n + 1,)` have a pixel whose neighbour on that side is not of the core."""
    edge = core.copy()
    if side < 0:
        edge[:, 1:] &= ~core[:, :-1]
    else:
        edge[:, :-1] &= ~core[:, 1:]
    found = np.zeros(n + 1, bool)
    found[label.take(np.flatnonzero(edge))] = True
    return found
