"""A village, an outcrop and a lake, drawn from the spectral library of the USGS (splib06).

Each draws its reflectance, the camera that saw it, and the codes of its classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rendering import (
    FINE,
    Bools,
    Camera,
    Floats,
    Ground,
    Plane,
    dominant,
    fractal,
    places,
    rendered,
    shadows,
    smooth,
    softmax,
    spectra_at,
    sunlight,
)
from scipy import ndimage
from scipy.spatial import cKDTree

from hsi_ssl.catalog.entries import data_folder
from hsi_ssl.libraries.reading import open_library

LIBRARY = Path("usgs-splib06") / "s06av95a_envi.hdr"
Recipe = Mapping[str, float]
"""Beginnings of spectra's names, and the logits of their mean shares."""
Codes = npt.NDArray[np.uint8]
Drawn = tuple[Plane, Camera, Codes]
"""Reflectance, what saw it, and the classes' codes."""


def laid(
    rng: np.random.Generator, recipes: Sequence[Recipe], classes: Plane, lots: npt.NDArray[np.intp],
    *, drift: float, step: float,
) -> tuple[list[str], Plane]:  # fmt: skip
    """Names of spectra `(S,)`, and their shares `(S, rows, cols)`, of classes `(K, rows, cols)`.

    Within a class they drift from place to place, by `drift` in logits, and change by `step` from
    one of the `lots (rows, cols)` to the next.
    """
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    shares = np.zeros((len(names), *lots.shape), np.float32)
    for cover, recipe in zip(classes, recipes, strict=True):
        steps = step * rng.standard_normal((len(recipe), int(lots.max()) + 1))
        logits = np.array(list(recipe.values()))[:, None, None] + steps[:, lots]
        logits += drift * np.array([fractal(rng, lots.shape, 1.6) for _ in recipe])
        for name, share in zip(recipe, softmax(logits), strict=True):
            shares[names.index(name)] += cover * share
    return names, shares


def _bands(
    first: float, last: float, width: float, *bad: tuple[float, float]
) -> tuple[Floats, Bools]:
    """Wavelengths, and which of them lie in ranges that are bad."""
    found = np.arange(first, last + 1, width)
    return found, np.any([(found >= a) & (found <= b) for a, b in bad], axis=0)


def _one_of(codes: npt.NDArray[np.integer[Any]], count: int) -> Plane:
    """Planes of 0 and 1, `(count, rows, cols)`, of codes 0 to count - 1."""
    found: Plane = (codes == np.arange(count)[:, None, None]).astype(np.float32)
    return found


GRASS, FIELD, HEDGE, ROAD, ROOF = range(5)
VILLAGE: dict[str, Recipe] = {
    "grass": {
        "Lawn_Grass GDS91 (Green) s06": 0.0, "Grass-Smoothbrome YNP-SB-1": 0.3,
        "Grass-Fescue-Wheatg YNP-FW-1": 0.6, "Sedge YNP-SE-1": 0.0, "Grass_Golden_Dry": 0.0,
        "Rangeland L02-045": -0.8,
    },
    "bare field": {
        "Rangeland L02-045": 0.5, "Rangeland L02-043": 0.5, "Rangeland L02-061": 0.3,
        "Rangeland C04-243A": 0.0, "Stonewall_Playa CU93-52A": -0.7, "Grass_Golden_Dry": -0.7,
    },
    "hedge": {
        "Walnut_Leaf": 0.0, "Willow YNP-WI-1": 0.4, "Aspen YNP-AS-1": 0.4, "Maple_Leaves": -0.4,
        "Rabbitbrush ANP92-27": -0.2, "Grass-Fescue-Wheatg YNP-FW-1": -0.6,
    },
    "road": {
        "Asphalt GDS376": 1.0, "Concrete GDS375": 0.0, "Brick GDS348": -0.5,
        "Rangeland L02-043": -0.8,
    },
    "roof": {
        "Brick GDS353": 0.6, "Brick GDS350": 0.0, "Asphalt_Shingle GDS366": 0.0,
        "Asphalt_Shingle GDS368": 0.0, "Sheet_Metal GDS352": -0.6, "Cedar_Shake GDS361": -0.6,
    },
}  # fmt: skip
SUN = (145.0, 47.0)
"""Azimuth and elevation over the village, in degrees."""


def village(seed: int = 7301) -> Drawn:
    """140 x 120 pixels of 3 m from the air: parcels, roads and hedges of a pixel or two, houses."""
    rng = np.random.default_rng(seed)
    y, x = places(140, 120)
    codes, lots, height = _parcels(rng, y, x)
    ways = _ways(rng, y, x)
    houses = _houses(rng, ways, y, x)
    for centre, _, _ in houses:  # in its garden
        near = np.hypot(y - centre[0], x - centre[1]) < 5
        codes[near], height[near] = GRASS, 0
    for off, half in ways:
        road = off < half
        codes[road], lots[road], height[road] = ROAD, lots.max() + 1, 0
    lit = np.ones(y.shape, np.float32)
    for centre, turn, (long, wide) in houses:
        along = (y - centre[0]) * np.cos(turn) + (x - centre[1]) * np.sin(turn)
        across = (x - centre[1]) * np.cos(turn) - (y - centre[0]) * np.sin(turn)
        inside = (abs(along) < long) & (abs(across) < wide)
        codes[inside], lots[inside] = ROOF, lots.max() + 1
        height[inside] = 1.6 + 0.5 * (1 - abs(across[inside]) / wide)
        lit[inside] = 1 + 0.3 * np.sign(across[inside]) * np.sin(np.radians(SUN[0]) + turn)
    hills = sunlight(4 * smooth(rng, y.shape, 16), *SUN)
    dark = shadows(height, *SUN)
    texture = np.exp(0.07 * smooth(rng, y.shape, 0.35) + 0.06 * smooth(rng, y.shape, 5))
    classes = _one_of(codes, len(VILLAGE))
    names, shares = laid(rng, list(VILLAGE.values()), classes, lots, drift=0.7, step=0.9)
    wavelengths, bad = _bands(410, 2440, 11, (1105, 1155), (1340, 1460), (1785, 1965))
    edge = abs(wavelengths - 1300) / 1000
    camera = Camera(
        wavelengths, bad, blur=0.45, floor=0.003 * (1 + edge**3), per_signal=0.012, stripes=0.4,
        skylight=0.3, haze=0.03,
    )  # fmt: skip
    ground = Ground(
        shares * texture, classes, np.where(dark, 0, hills * lit), np.where(dark, 0.75, 1)
    )
    reflectance = rendered(ground, _library(names, wavelengths), camera, rng)
    return reflectance, camera, dominant(classes, least=0.5)


def _parcels(
    rng: np.random.Generator, y: Plane, x: Plane
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Plane]:
    """Meadows and fields with hedges along some borders: classes, lots, and heights in pixels."""
    middles = rng.uniform((-5, -5), (145, 125), (60, 2))
    where = np.stack([y, x], -1) + 2.5 * np.stack([smooth(rng, y.shape, 9) for _ in "yx"], -1)
    distances, nearest = cKDTree(middles).query(where.reshape(-1, 2), k=2)
    first, second = np.asarray(nearest).T.reshape(2, *y.shape)
    apart = np.linalg.norm(middles[first] - middles[second], axis=-1)
    near, far = np.asarray(distances).T.reshape(2, *y.shape)
    border = (far**2 - near**2) / (2 * apart)
    kinds = rng.choice([GRASS, FIELD], len(middles), p=[0.45, 0.55])
    of_pair = rng.uniform(0, 1, (len(middles), len(middles)))
    pair = of_pair[np.minimum(first, second), np.maximum(first, second)]
    hedge = border < np.where(pair < 0.4, 0.45 + pair, 0)
    hedge &= smooth(rng, y.shape, 2) > -1.1  # gaps
    for centre in rng.uniform((0, 0), (140, 120), (70, 2)):
        hedge |= np.hypot(y - centre[0], x - centre[1]) < rng.uniform(0.6, 1.6)
    height = np.where(hedge, 1 + 0.25 * smooth(rng, y.shape, 0.5), 0).astype(np.float32)
    return np.where(hedge, HEDGE, kinds[first]), first, height


def _ways(rng: np.random.Generator, y: Plane, x: Plane) -> list[tuple[Plane, float]]:
    """Roads as the distance from their middles and half their widths, in pixels."""
    found = []
    for along, across, middle, half in (
        (y, x, 45, 0.95), (x, y, 38, 0.75), (x, y, 96, 0.7), (y, x, 92, 0.6), (x, y, 66, 0.55),
    ):  # fmt: skip
        size, period, phase = rng.uniform((3, 40, 0), (8, 80, 6))
        angle = 2 * np.pi * along / period + phase
        slope = size * 2 * np.pi / period * np.cos(angle)
        found.append((abs(across - middle - size * np.sin(angle)) / np.hypot(1, slope), half))
    return found


def _houses(
    rng: np.random.Generator, ways: list[tuple[Plane, float]], y: Plane, x: Plane
) -> list[tuple[Floats, float, Floats]]:
    """Houses along the roads: middle, turn, and half of length and width, in pixels."""
    found: list[tuple[Floats, float, Floats]] = []
    nearest = np.min([off - half for off, half in ways], axis=0)
    fits = np.argwhere((nearest > 2.2) & (nearest < 5) & (np.hypot(y - 62, x - 62) < 52))
    for row, col in rng.permutation(fits):
        centre = np.array([y[row, col], x[row, col]], float)
        if all(np.linalg.norm(centre - other) > 6 for other, _, _ in found):
            half = rng.uniform((1.4, 0.9), (2.4, 1.5))
            found.append((centre, rng.uniform(0, np.pi), half))
    return found


HOST: Recipe = {"Quartz HS32.4B": 0.3, "Quartz GDS74 Sand": -0.2, "Albite GDS30": -0.2}
STAIN: Recipe = {"Goethite WS220": -2.2, "Illite IMt-1.a": -2.0}
OUTCROP: dict[str, Recipe] = {
    "quartz-rich host": {**HOST, "Kaolinite CM9": -2.6, "Chlorite SMR-13.d": -2.8, **STAIN},
    "alunite": {
        **HOST, "Alunite GDS83": 0.1, "Alunite GDS84": -0.2, "Kaolinite CM9": -1.8, **STAIN,
    },
    "kaolinite": {
        **HOST, "Kaolinite CM9": 0.0, "Kaolinite KGa-2": 0.0, "Alunite GDS83": -1.9, **STAIN,
    },
    "muscovite": {
        **HOST, "Muscovite GDS107": 0.2, "Muscovite GDS116": 0.0, "Montmorillonite SWy-1": -1.6,
        **STAIN,
    },
    "montmorillonite": {
        **HOST, "Montmorillonite SAz-1": 0.1, "Montmorillonite SWy-1": 0.0,
        "Muscovite GDS107": -1.8, **STAIN,
    },
    "calcite": {
        **HOST, "Calcite WS272": 0.5, "Calcite HS48.3B": 0.3, "Montmorillonite SAz-1": -2.0,
        "Chlorite SMR-13.d": -2.2, **STAIN,
    },
    "chlorite": {
        **HOST, "Chlorite SMR-13.d": 0.1, "Clinochlore GDS158": -0.5, "Calcite WS272": -0.6,
        **STAIN,
    },
    "jarosite": {
        **HOST, "Jarosite GDS24": -0.1, "Jarosite JR2501": 0.0, "Alunite GDS84": -1.9, **STAIN,
    },
}  # fmt: skip


def outcrop(seed: int = 4127) -> Drawn:
    """160 x 130 pixels of 2 m in the short-wave infrared: folded, faulted layers, and talus."""
    rng = np.random.default_rng(seed)
    y, x = places(160, 130)
    relief = fractal(rng, y.shape, 1.9)
    classes = _talus(rng, _layers(rng, y, x))
    lots = np.zeros(y.shape, np.intp)
    names, shares = laid(rng, list(OUTCROP.values()), classes, lots, drift=0.5, step=0.0)
    wavelengths, bad = _bands(1000, 2480, 8, (1345, 1425), (1795, 1955))
    edge = abs(wavelengths - 1700) / 750
    camera = Camera(
        wavelengths, bad, blur=0.5, floor=0.002 * (1 + 3 * edge**4), per_signal=0.005, stripes=0.3,
        skylight=0.25,
    )  # fmt: skip
    direct = sunlight(5 * relief + 0.25 * fractal(rng, y.shape, 1.2), 230, 40)
    ground = Ground(shares, classes, direct, np.ones_like(direct))
    spectra = _library(names, wavelengths)
    reflectance = rendered(ground, spectra, camera, rng, intimate=True)
    return reflectance, camera, dominant(classes)


def _layers(rng: np.random.Generator, y: Plane, x: Plane) -> Plane:
    """Shares of the classes in folded layers with gradual borders, broken by a fault."""
    dip = np.radians(28)
    across, along = y * np.cos(dip) + x * np.sin(dip), x * np.cos(dip) - y * np.sin(dip)
    depth = across + 9 * np.sin(2 * np.pi * along / 75 + 0.7) + 3 * np.sin(2 * np.pi * along / 31)
    depth += 1.2 * smooth(rng, y.shape, 6)
    depth += np.where(x - 85 - 0.25 * y > 2 * smooth(rng, y.shape, 10), 11, 0)
    count = len(OUTCROP)
    order: list[int] = []
    while len(order) < 10 * count:
        some = rng.permutation(count)
        if not order or some[0] != order[-1]:
            order.extend(some.tolist())
    thick = np.clip(rng.lognormal(np.log(4), 0.8, len(order)), 1.1, 15)
    tops = float(depth.min()) - 5 + np.cumsum(thick)
    softness = rng.uniform(0.1, 1.2, len(order))
    passed = np.ones(y.shape, np.float32)
    shares = np.zeros((count, *y.shape), np.float32)
    for number, top, soft in zip(order, tops, softness, strict=True):
        beyond = np.minimum(1 / (1 + np.exp(-np.clip((depth - top) / soft, -50, 50))), passed)
        shares[number] += passed - beyond
        passed = beyond
        if not passed.any():
            break
    shares /= shares.sum(axis=0)
    return shares


def _talus(rng: np.random.Generator, classes: Plane) -> Plane:
    """The classes with slopes of debris, which mixes what lies above it."""
    field = fractal(rng, classes.shape[1:], 1.8)
    debris = 0.8 / (1 + np.exp(-6 * (field - 0.9)))
    spread = (0, 5 * FINE, 2 * FINE)
    above = ndimage.shift(classes, (0, 6 * FINE, 0), order=0, mode="nearest")
    mixed = ndimage.gaussian_filter(above, spread, mode="nearest")
    found: Plane = ((1 - debris) * classes + debris * mixed).astype(np.float32)
    return found


WATER, TREES, SOIL, LANE = range(4)
LAKE: dict[str, Recipe] = {
    "water": {
        "Seawater_Coast_Chl": 0.5, "Seawater_Open_Ocean": 0.3, "Water+Montmor SWy-2+0.5g/l": -1.0,
    },
    "trees": {
        "Lodgepole-Pine YNP-LP s06": 0.5, "Douglas-Fir YNP-DF-2": 0.5, "Aspen YNP-AS-1": 0.0,
        "Willow YNP-WI-1": -0.3,
    },
    "soil": {
        "Rangeland L02-043": 0.3, "Rangeland C04-243A": 0.3, "Rangeland L02-061": 0.0,
        "Cheatgrass ANP92-11A": -0.5, "Willow YNP-WI-1": -1.2,
    },
    "road": {"Asphalt GDS376": 0.8, "Concrete GDS375": 0.0, "Rangeland L02-043": -0.6},
}  # fmt: skip


def lake(seed: int = 9049) -> Drawn:
    """90 x 90 pixels of 10 m, visible and near infrared: a lake with a stream, woods, a lane."""
    rng = np.random.default_rng(seed)
    y, x = places(90, 90)
    rough = fractal(rng, y.shape, 2.2)
    codes = np.where(fractal(rng, y.shape, 1.9) > 0.3, SOIL, TREES)
    shore = np.hypot((y - 48) / 1.25, x - 38) + 4.5 * rough
    middle = 45 + 9 * np.sin(y / 11) + 3 * np.sin(y / 4.3)
    codes[(shore < 21) | ((y < 40) & (abs(x - middle) < 0.9))] = WATER
    codes[(shore > 15) & (shore < 16.5) & (rough > 0.9)] = TREES  # islands
    codes[abs(shore - 27) < 0.75] = LANE
    codes[(abs(x - 0.3 * y - 62) < 0.65) & (shore > 27)] = LANE
    classes = _one_of(codes, len(LAKE))
    lots = np.zeros(y.shape, np.intp)
    names, shares = laid(rng, list(LAKE.values()), classes, lots, drift=0.7, step=0.0)
    wavelengths, bad = _bands(410, 990, 8, (758, 768), (935, 955))
    edge = abs(wavelengths - 650) / 300
    camera = Camera(
        wavelengths, bad, blur=0.75, floor=0.005 * (1 + edge**2), per_signal=0.012, stripes=0.3,
        skylight=0.3, haze=0.12, reach=5,
    )  # fmt: skip
    slopes = np.where(codes == WATER, 1, sunlight(2 * smooth(rng, y.shape, 8), 160, 50))
    crowns = np.where(codes == TREES, np.exp(0.3 * smooth(rng, y.shape, 0.3)), 1)
    ground = Ground(shares, classes, (slopes * crowns).astype(np.float32), np.ones_like(rough))
    reflectance = rendered(ground, _library(names, wavelengths), camera, rng)
    return reflectance, camera, dominant(classes, least=0.5)


def _library(names: Sequence[str], wavelengths: Floats) -> npt.NDArray[np.float64]:
    return spectra_at(open_library(data_folder() / LIBRARY), names, wavelengths)
