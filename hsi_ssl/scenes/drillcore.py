"""A virtual drill core: what lies in each pixel of a core box, before any light falls on it.

Geology is made in core space, the sticks of a box laid end to end `(depth, across)`, so that
layers and veins run on from stick to stick; then the sticks are put into their box. All numbers
are pixels: a larger box holds more core, not larger grains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hsi_ssl.scenes.minerals import MINERALS

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint16]

MINERALOGY = {
    2: "alunite",
    3: "calcite",
    4: "chlorite",
    5: "epidote",
    6: "gypsum",
    12: "kaolinite",
    21: "jarosite",
    25: "montmorillonite",
    32: "muscovite",
    39: "quartz",
    40: "goethite",
}
"""Code -> the mineral that prevails."""

LABELLED = {
    2: 447,
    3: 1823,
    4: 2965,
    5: 1446,
    6: 1265,
    12: 17649,
    21: 34,
    25: 8951,
    32: 67213,
    39: 59329,
    40: 1423,
}
"""Labelled pixels a code over a deck of ten scenes of 256 x 384: as uneven as real ones."""
DECK = 10
DECK_PIXELS = 256 * 384
SCENES_OF = {100: 3, 1000: 5, 5000: 8}
"""Codes with fewer labelled pixels than this are in so many of a deck's scenes, others in all."""

ROCKS = {
    # groundmass: shares of quartz, feldspar, mafic minerals
    "andesite": (0.05, 0.60, 0.35),
    "basalt": (0.00, 0.50, 0.50),
    "dacite": (0.20, 0.60, 0.20),
    "diorite": (0.05, 0.65, 0.30),
    "granodiorite": (0.25, 0.60, 0.15),
    "hydrothermal breccia": (0.50, 0.40, 0.10),
    "rhyolite": (0.35, 0.60, 0.05),
    "sandstone": (0.70, 0.25, 0.05),
    "shale": (0.40, 0.30, 0.30),
    "tuff": (0.20, 0.70, 0.10),
    "volcanic breccia": (0.10, 0.60, 0.30),
}
ALTERATIONS = {
    # minerals that it favours
    "propylitic": ("chlorite", "epidote", "calcite"),
    "phyllic": ("muscovite", "quartz"),
    "argillic": ("montmorillonite", "kaolinite", "gypsum"),
    "advanced argillic": ("alunite", "kaolinite", "quartz"),
    "oxidised": ("goethite", "jarosite", "hematite", "gypsum"),
}
LITHOLOGY = {
    101 + i: f"{rock}, {alteration}"
    for i, (rock, alteration) in enumerate((r, a) for r in ROCKS for a in ALTERATIONS)
}
"""Code 101-155 -> rock and alteration."""
LITHOLOGY_LABELLED = 0.14
"""Share of pixels with a lithology label."""

MATERIALS = tuple(MINERALS)
INDEX = {name: i for i, name in enumerate(MATERIALS)}
PREVAILING = {code: INDEX[name] for code, name in MINERALOGY.items()}
NOBODY_LABELS = {"hematite": 0.02}
"""Minerals that prevail in this share of the core and that no label knows."""
VEINS = ("calcite", "gypsum", "epidote")
LAYERS = ("montmorillonite", "chlorite", "goethite")

DARK = 0.85
"""Nobody labels core that gets less than this share of the light of sound core."""
FRACTURED, GAPS = 1.2, 0.2
"""Fractures open where a standard normal field is above this; share of breaks that are gaps."""
FEW = 300
"""Minerals with fewer labelled pixels lie in one or two spots, without more around."""
STICK_PITCH = 77
"""Columns from one stick of core to the next in a box."""
PURITY = (0.65, 0.2)
"""Mean and spread of the share that the prevailing mineral has of a pixel."""
ALTERED = 0.3
"""Mean share of the groundmass that alteration has replaced."""
GRAIN_SPREAD = 0.25
"""Spread of ln grain size within a box."""


@dataclass(frozen=True)
class Box:
    """A core box, planes `(rows, cols)`.

    `abundance (rows, cols, materials)` sums to one; `grain` multiplies band strength; `light` is
    what a white surface would send back there; `tilt` the slope of ln R over the range; `water`
    the film's thickness. `prevailing` is the index of the material that truly prevails; `labels`
    and `lithology` are the codes that people drew, 0 where they drew none.
    """

    abundance: Floats
    grain: Floats
    light: Floats
    tilt: Floats
    water: Floats
    prevailing: npt.NDArray[np.uint8]
    labels: Codes
    lithology: Codes


def drill(rng: np.random.Generator, rows: int, cols: int, targets: dict[int, int]) -> Box:
    """One box of core where `targets[code]` pixels of each mineralogy are labelled.

    Fewer are where the box has no room for them.
    """
    sticks = max(1, round(cols / STICK_PITCH))
    pitch = cols / sticks
    width = max(4, int(0.86 * pitch))
    left = [int(i * pitch + (pitch - width) / 2) for i in range(sticks)]
    end = min(8, max(1, rows // 64))
    shape = (sticks * rows, width)

    core, crevice = _pieces(rng, sticks, rows, width, end)
    unit, units = _units(rng, shape)
    sound = core & (crevice > DARK)
    sound[:, :2] = sound[:, -2:] = False
    prevailing = _minerals(rng, sound, unit, units, targets)
    prevailing[~core] = INDEX["wood"]
    drawn = _displaced(rng, prevailing)
    labels = _labels(rng, drawn, sound, targets)
    lithology = _lithology_labels(rng, _displaced(rng, unit), units, sound)
    abundance = _abundance(rng, prevailing, core, unit, units)

    # A cylinder lit and seen from above: its flanks are darker.
    across = np.linspace(-0.96, 0.96, width, dtype=np.float32)
    light = (0.35 + 0.65 * np.sqrt(1 - across**2)) * np.where(core, crevice, 0.4)
    light *= np.exp(0.10 * smooth(rng, shape, 14) + 0.04 * white(rng, shape))
    grain = np.exp(GRAIN_SPREAD * smooth(rng, shape, 10) + 0.06 * white(rng, shape))
    tilt = 0.08 * smooth(rng, shape, 12)
    water = np.clip(0.10 * smooth(rng, shape, 25), 0, None)

    floor = np.full((rows, cols), 0.4, np.float32)
    for col in left[1:]:
        wall = int(col - (pitch - width) / 2)
        floor[:, max(0, wall - 2) : wall + 2] = 0.9
    floor[:end] = floor[rows - end :] = 0.9
    floor *= np.exp(0.06 * white(rng, floor.shape))
    wood = np.zeros(len(MATERIALS), np.float32)
    wood[INDEX["wood"]] = 1

    def boxed(plane: npt.NDArray[Any], outside: Any) -> npt.NDArray[Any]:
        image = np.empty((rows, cols, *plane.shape[2:]), plane.dtype)
        image[:] = outside
        for i, col in enumerate(left):
            image[:, col : col + width] = plane[i * rows : (i + 1) * rows]
        return image

    return Box(
        abundance=boxed(abundance, wood),
        grain=boxed(grain, 1),
        light=np.where(boxed(core, False), boxed(light, 0), floor),
        tilt=boxed(tilt, 0),
        water=boxed(water, 0),
        prevailing=boxed(prevailing, INDEX["wood"]),
        labels=boxed(labels, 0),
        lithology=boxed(lithology, 0),
    )


def label_targets(rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Labelled pixels `(10, codes)` of a deck's ten scenes: columns sum to `LABELLED` exactly.

    Frequent classes are in every scene, those above 1000 pixels in eight, rarer ones in five or
    three; 15 to 18 % of each scene are labelled. (Iterative proportional fitting.)
    """
    totals = np.array(list(LABELLED.values()), float)
    shares = rng.uniform(0.15, 0.18, DECK)
    per_scene = shares / shares.sum() * totals.sum()
    weights = np.exp(0.5 * rng.standard_normal((DECK, len(totals))))
    for k, total in enumerate(totals):
        scenes = next((n for limit, n in SCENES_OF.items() if total < limit), DECK)
        weights[rng.permutation(DECK)[scenes:], k] = 0
    for _ in range(200):
        weights *= per_scene[:, None] / weights.sum(axis=1, keepdims=True)
        weights *= totals / weights.sum(axis=0)
    counts = np.floor(weights).astype(np.int64)
    for k, total in enumerate(totals):
        missing = int(total) - counts[:, k].sum()
        counts[np.argsort(counts[:, k] - weights[:, k])[:missing], k] += 1
    return counts


def smooth(
    rng: np.random.Generator, shape: tuple[int, int], scale: float | tuple[float, float]
) -> Floats:
    """Smooth random plane, mean 0 and variance 1, with blobs of about `scale` pixels.

    Cubic B-splines on a coarse grid of random numbers: the cost does not grow with the scale.
    """
    along, across = scale if isinstance(scale, tuple) else (scale, scale)
    coarse = white(rng, (int(shape[0] / along) + 5, int(shape[1] / across) + 5))
    offset = rng.random(2)
    plane = _spline(coarse, shape[0], along, offset[0])
    plane = _spline(np.ascontiguousarray(plane.T), shape[1], across, offset[1]).T
    centred: Floats = plane - plane.mean()
    centred /= centred.std() + np.float32(1e-6)
    return centred


def white(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Standard normal numbers."""
    return rng.standard_normal(shape, dtype=np.float32)


def _spline(knots: Floats, n: int, scale: float, offset: float) -> Floats:
    """Rows 0..n-1 `(n, m)` of the cubic B-spline along the first axis of `knots`, `scale` apart."""
    place = np.arange(n) / scale + offset
    first = place.astype(np.int64)
    t: Floats = (place - first).astype(np.float32)[:, None]
    weights: tuple[Floats, ...] = (
        (1 - t) ** 3,
        4 - 6 * t**2 + 3 * t**3,
        1 + 3 * t + 3 * t**2 - 3 * t**3,
        t**3,
    )
    rows = np.zeros((n, knots.shape[1]), np.float32)
    for i, weight in enumerate(weights):
        rows += weight * knots[first + i]
    return rows / np.float32(6)


def _pieces(
    rng: np.random.Generator, sticks: int, rows: int, width: int, end: int
) -> tuple[Bools, Floats]:
    """Where core lies, and how much light crevices leave (1 on sound rock), in core space.

    Sticks are broken across every 60 pixels or so; a fifth of the breaks are gaps. Fractures run
    along.
    """
    shape = (sticks * rows, width)
    core = np.ones(shape, bool)
    crevice = np.ones(shape, np.float32)
    ridge = np.abs(smooth(rng, shape, (60, 12))) * 12
    open_here = smooth(rng, shape, (80, 30)) > FRACTURED
    crevice[open_here] = np.clip(0.45 + 0.55 * ridge[open_here], None, 1)
    x = np.arange(width) - width / 2
    row = np.arange(rows)[:, None]
    for i in range(sticks):
        stick = slice(i * rows, (i + 1) * rows)
        at = rng.exponential(60.0)
        while at < rows:
            jagged = ndimage.gaussian_filter1d(rng.standard_normal(width), 2.0)
            edge = at + np.tan(rng.normal(0, 0.25)) * x + 1.5 * jagged
            gap = rng.uniform(4, 22) if rng.random() < GAPS else 0.0
            depth = rng.uniform(0.5, 0.8)
            broken = 1 - depth * np.exp(-(((row - edge) / rng.uniform(0.6, 1.4)) ** 2))
            crevice[stick] *= broken.astype(np.float32)
            core[stick] &= (row < edge) | (row >= edge + gap)
            at += gap + 15 + rng.exponential(45.0)
        core[stick][:end] = False
        core[stick][rows - end :] = False
    return core, crevice


def _units(
    rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[npt.NDArray[np.int16], list[int]]:
    """Rock units: the unit's number of each pixel, and each unit's lithology code.

    Units lie across the core at an angle, wavy, some 60 to 400 pixels thick; a few rocks and
    alterations are common, most are not.
    """
    length, width = shape
    rocks, alterations = len(ROCKS), len(ALTERATIONS)
    common = 1 / np.arange(1, rocks + 1)
    bounds, units, at = [], [], 0.0
    while at < length:
        at += max(20.0, np.exp(rng.normal(np.log(150), 0.6)))
        bounds.append(at)
        rock = int(rng.choice(rocks, p=common / common.sum()))
        units.append(101 + alterations * rock + int(rng.integers(alterations)))
    place = np.arange(length)[:, None] + rng.uniform(-0.6, 0.6) * np.arange(width)
    place = place + 5 * smooth(rng, shape, (30, 20))
    unit = np.searchsorted(bounds[:-1], place.clip(0, length - 1), side="right")
    return unit.astype(np.int16), units


def _minerals(
    rng: np.random.Generator,
    sound: Bools,
    unit: npt.NDArray[np.int16],
    units: list[int],
    targets: dict[int, int],
) -> npt.NDArray[np.uint8]:
    """Index of the prevailing material of each pixel.

    From the rarest mineral on, each takes the room it needs where its own random field is
    highest: veins, layers along the bedding, or patches; more so in units altered its way.
    Muscovite and quartz share the rest, layered, with veins of quartz.
    """
    shape = sound.shape
    room = {name: targets.get(code, 0) for code, name in MINERALOGY.items()}
    need = {n: int(2.2 * k + 0.002 * sound.size) if k > FEW else 2 * k for n, k in room.items()}
    need |= {name: int(share * sound.sum()) for name, share in NOBODY_LABELS.items()}
    matrix = need.pop("muscovite"), need.pop("quartz")
    favoured = _favours(units)
    dip = rng.uniform(-0.6, 0.6)

    prevailing = np.full(shape, INDEX["quartz"], np.uint8)
    free = sound.copy()
    everywhere = np.ones(shape, bool)
    for name in sorted(need, key=lambda n: (need[n], n)):
        if not need[name]:
            continue
        if name in VEINS:
            field = smooth(rng, shape, 30) - 0.35 * _from_veins(rng, shape)
        elif name in LAYERS:
            field = _layered(rng, shape, (9, 45), dip) + 0.7 * smooth(rng, shape, 25)
        else:
            field = smooth(rng, shape, 14) + 0.4 * smooth(rng, shape, 5)
        field += 0.8 * favoured[name][unit]
        taken = everywhere & (field >= _threshold(field[free], need[name]))
        prevailing[taken] = INDEX[name]
        everywhere &= ~taken
        free &= ~taken
    field = _layered(rng, shape, (16, 50), dip) + 0.6 * smooth(rng, shape, 9)
    field -= 3 * np.exp(-((_from_veins(rng, shape) / 1.5) ** 2))
    field += 0.5 * (favoured["muscovite"] - favoured["quartz"])[unit]
    rest = int(free.sum() * matrix[0] / max(1, sum(matrix)))
    prevailing[everywhere & (field >= _threshold(field[free], rest))] = INDEX["muscovite"]
    return prevailing


def _layered(
    rng: np.random.Generator, shape: tuple[int, int], scale: tuple[float, float], dip: float
) -> Floats:
    """Smooth random plane of layers that go down `dip` rows a column, a little wavy."""
    rows = np.arange(shape[0])[:, None] + dip * np.arange(shape[1]) + 4 * smooth(rng, shape, 22)
    plane = smooth(rng, shape, scale)
    return np.take_along_axis(plane, np.round(rows).astype(np.int64) % shape[0], axis=0)


def _from_veins(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Distance, in rows, from the nearest of a set of parallel, wavy veins."""
    rows = np.arange(shape[0])[:, None] + rng.uniform(-1.8, 1.8) * np.arange(shape[1])
    rows = rows + 3 * smooth(rng, shape, 18)
    low, high = rows.min(), rows.max()
    veins = low + np.cumsum(8 + rng.exponential(70, int((high - low) / 8) + 2)) - 40
    after = np.searchsorted(veins, rows).clip(1, len(veins) - 1)
    distance = np.minimum(np.abs(rows - veins[after - 1]), np.abs(rows - veins[after]))
    return np.asarray(distance, np.float32)


def _favours(units: list[int]) -> dict[str, Floats]:
    """For each mineral, 1 for the units whose alteration favours it and 0 for the others."""
    kinds = list(ALTERATIONS.values())
    return {
        name: np.array([name in kinds[(u - 101) % len(kinds)] for u in units], np.float32)
        for name in MATERIALS
    }


def _threshold(values: Floats, n: int) -> float:
    """The n-th largest of `values`; beyond their number, the smallest; infinite for none."""
    n = min(n, len(values))
    return float(np.partition(values, len(values) - n)[len(values) - n]) if n else np.inf


def _displaced(rng: np.random.Generator, plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`plane` as a hand draws it: its borders a pixel or so off, here and there."""
    down, right = (np.round(0.6 * smooth(rng, plane.shape, 7)).astype(np.int64) for _ in "xy")
    rows = (np.arange(plane.shape[0])[:, None] + down).clip(0, plane.shape[0] - 1)
    cols = (np.arange(plane.shape[1]) + right).clip(0, plane.shape[1] - 1)
    return np.asarray(plane[rows, cols])


def _labels(
    rng: np.random.Generator,
    drawn: npt.NDArray[np.uint8],
    sound: Bools,
    targets: dict[int, int],
) -> Codes:
    """Mineralogy codes: in patches, so many of each as asked for."""
    labels = np.zeros(drawn.shape, np.uint16)
    attention = smooth(rng, drawn.shape, 9) + 0.3 * smooth(rng, drawn.shape, 4)
    for code, n in targets.items():
        here = np.flatnonzero(sound & (drawn == PREVAILING[code]))
        best = np.argsort(-attention.ravel()[here], kind="stable")[:n]
        labels.ravel()[here[best]] = code
    return labels


def _lithology_labels(
    rng: np.random.Generator, unit: npt.NDArray[np.int16], units: list[int], sound: Bools
) -> Codes:
    """Lithology codes of the units: wide patches, over a seventh of the pixels."""
    attention = smooth(rng, unit.shape, 20) + 0.2 * smooth(rng, unit.shape, 6)
    seen = sound & (
        attention >= _threshold(attention[sound], int(LITHOLOGY_LABELLED * sound.size * 1.16))
    )
    return np.where(seen, np.array(units, np.uint16)[unit], 0).astype(np.uint16)


def _abundance(
    rng: np.random.Generator,
    prevailing: npt.NDArray[np.uint8],
    core: Bools,
    unit: npt.NDArray[np.int16],
    units: list[int],
) -> Floats:
    """Shares `(..., materials)` of each pixel: the prevailing mineral, its neighbours, groundmass.

    The prevailing mineral has `PURITY` of the pixel, smeared over the next pixels as optics do;
    two fifths of the rest are what prevails around, three fifths the rock's groundmass, altered
    here more, there less. Goethite stains here and there.
    """
    shape = prevailing.shape
    mean, spread = PURITY
    pure = mean + spread * (0.8 * smooth(rng, shape, 8) + 0.6 * white(rng, shape))
    pure = np.clip(pure, 0.2, 0.97)
    around, ground = 0.4 * (1 - pure), 0.6 * (1 - pure)
    fresh, altered = _groundmass(units)
    alteration = np.clip(ALTERED + 0.25 * smooth(rng, shape, 11), 0, 1)
    share = (ground * (1 - alteration))[..., None] * fresh[unit]
    share += (ground * alteration)[..., None] * altered[unit]
    for i in np.unique(prevailing):
        here = (prevailing == i).astype(np.float32)
        share[..., i] += pure * ndimage.gaussian_filter(here, 0.7)
        share[..., i] += around * ndimage.uniform_filter(here, 11)
    stain = 0.25 * np.clip(smooth(rng, shape, 18) - 0.5, 0, 1)
    share[..., INDEX["goethite"]] += np.where(core, stain, 0)
    share[~core] = 0
    share[~core, INDEX["wood"]] = 1
    share /= share.sum(axis=-1, keepdims=True)
    return np.asarray(share, np.float32)


def _groundmass(units: list[int]) -> tuple[Floats, Floats]:
    """Shares `(units, materials)` in the rocks' groundmass: when fresh, and when all altered."""
    fresh, altered = np.zeros((2, len(units), len(MATERIALS)), np.float32)
    rocks, alterations = list(ROCKS.values()), list(ALTERATIONS.values())
    for i, code in enumerate(units):
        rock, alteration = divmod(code - 101, len(alterations))
        fresh[i, [INDEX["quartz"], INDEX["feldspar"], INDEX["mafic"]]] = rocks[rock]
        minerals = [INDEX[name] for name in alterations[alteration]]
        altered[i, minerals] = 1 / len(minerals)
    return fresh, altered
