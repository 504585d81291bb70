"""Core boxes drawn by other rules than the simulator's: other spectra, other geometry.

Spectra are splines with Gaussian absorptions from 950 to 2500 nm; sticks are half-cylinders between
walls, with rounded ends and rubble, at a small angle to the scene. Everything is drawn on a finer
grid of points and averaged, so that pixels at edges are mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import interpolate, ndimage

from hsi_ssl.scenes.scene import Scene

NM = np.linspace(950.0, 2500.0, 112)
ROCKS = {
    "dolomite": ((0.52, 0.55, 0.57, 0.50), ((2320, 60, 0.35), (1870, 60, 0.06), (2140, 60, 0.05))),
    "sericite": ((0.40, 0.48, 0.52, 0.42), ((1410, 35, 0.25), (2195, 40, 0.35), (2345, 50, 0.2))),
    "silica": ((0.60, 0.60, 0.59, 0.58), ((1920, 90, 0.04),)),
    "biotite": ((0.16, 0.20, 0.24, 0.22), ((2330, 70, 0.12), (2250, 40, 0.06))),
    "talc": ((0.58, 0.61, 0.60, 0.52), ((1392, 18, 0.30), (2312, 30, 0.40), (2290, 25, 0.2))),
}
DARK = {"sulphide": ((0.10, 0.105, 0.11, 0.115), ())}
WOOD, LIGHT_WOOD = (0.42, 0.40, 0.33, 0.22), (0.97, 0.93, 0.80, 0.62)
PLASTIC = ((1210, 30, 0.1), (1730, 45, 0.25), (2310, 70, 0.3))
TRAYS = {
    # Spectrum, and how bright floors and walls are
    "timber": ((WOOD, ((1460, 110, 0.25), (1935, 110, 0.35), (2100, 90, 0.2))), 0.3, 0.75),
    "black plastic": (((0.085, 0.085, 0.08, 0.08), ((1730, 40, 0.12), (2310, 60, 0.15))), 0.8, 1.3),
    "white plastic": (((0.88, 0.86, 0.84, 0.78), PLASTIC), 0.85, 1.0),
    "grey plastic": (((0.6, 0.6, 0.6, 0.6), ()), 0.85, 1.0),
    "grey paint": (((0.78, 0.79, 0.80, 0.80), ()), 0.95, 1.05),
    "light wood": (
        (LIGHT_WOOD, ((1460, 110, 0.2), (1935, 110, 0.28), (2100, 90, 0.15))),
        0.85,
        1.0,
    ),
}
TRAY = 0
DEEP, SOUND = 0.5, 0.65
"""Share of sound rock's light below which a pixel lies in a crack, and above which in none."""
FINE = 3
"""Points across a pixel."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Core:
    """A scene and what is in it.

    `material (rows, cols)` has 0 for tray and what is seen of it through gaps, 1... for `names`;
    `mixed` flags pixels of more than one; `shadow` those in deep cracks, with less than `DEEP` of
    the light, `sound` those with more than `SOUND`: edges of cracks are neither.
    """

    scene: Scene
    material: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    mixed: npt.NDArray[np.bool_]
    shadow: npt.NDArray[np.bool_]
    sound: npt.NDArray[np.bool_]


class Held:
    """A cube in memory, as a reader."""

    def __init__(self, cube: npt.NDArray[Any]) -> None:
        self.cube = cube

    def window(self, row0: int, row1: int, col0: int, col1: int) -> npt.NDArray[Any]:
        return self.cube[row0:row1, col0:col1].copy()

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        return np.asarray(self.cube[rows, cols])

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Any
    ) -> npt.NDArray[Any]:
        return np.asarray(self.cube[np.ix_(rows, cols, bands)])

    def close(self) -> None: ...


def held(cube: npt.NDArray[Any], nm: Floats | None = None, **more: Any) -> Scene:
    """A cube in memory as a scene."""
    rows, cols, bands = cube.shape
    return Scene(
        Path("held.tif"), "memory", rows, cols, bands, cube.dtype, Held(cube),
        wavelengths_nm=nm, block=(1, cols), **more,
    )  # fmt: skip


def spectrum(recipe: Any, nm: Floats = NM) -> Floats:
    """Reflectance of a spline through four levels, less Gaussian absorptions."""
    levels, absorptions = recipe
    spline = interpolate.CubicSpline(np.linspace(nm[0], nm[-1], len(levels)), levels)
    found: Floats = np.asarray(spline(nm))
    for centre, width, depth in absorptions:
        found = found * (1 - depth * np.exp(-0.5 * ((nm - centre) / (width / 2.35)) ** 2))
    return found


def core(
    seed: int,
    *,
    rows: int = 150,
    cols: int = 190,
    tray: str = "timber",
    sticks: int = 4,
    tilt: float = 0.0,
    dark: bool = False,
    noise: float = 0.006,
    horizontal: bool = False,
    crop: tuple[slice, slice] | None = None,
    ends: bool = True,
    gaps: bool = True,
    rocks: tuple[str, ...] = tuple(ROCKS),
    film: float = 0.0,
) -> Core:
    """A box of core; `tilt` is columns a row, `dark` puts a dark, flat mineral into the sticks.

    `ends`: the box has ends in view; `gaps`: sticks are broken apart here and there. `film`: the
    slope of ln R, root mean square, that floors in gaps and at ends have beside the rest of the
    tray, as films of water and coloured light give it.
    """
    rng = np.random.default_rng(seed)
    fine = (rows * FINE, cols * FINE)
    y, x = (a.astype(float) / FINE for a in np.indices(fine))
    along, across = y - tilt * (x - cols / 2), x + tilt * (y - rows / 2)

    def field(size: float) -> Floats:
        plane = ndimage.gaussian_filter(rng.standard_normal(fine), size * FINE, mode="wrap")
        return np.asarray(plane / plane.std())

    # Rock: bands across the sticks and patches, each mineral where its own field is highest.
    names = (*rocks, *(DARK if dark else ()))
    rank = np.stack([field(rng.uniform(4, 9)) + 0.5 * rng.standard_normal() for _ in rocks])
    material = rank.argmax(axis=0).astype(np.uint8) + 1
    if dark:
        material[field(3.5) > 1.6] = len(names)

    pitch = (cols - 8) / sticks
    place = (across - 4) / pitch
    stick = np.clip(np.floor(place), 0, sticks - 1).astype(int)
    half = 0.5 * rng.uniform(0.72, 0.84)
    ragged = 0.01 * ndimage.gaussian_filter1d(rng.standard_normal((fine[0], sticks)), 4, axis=0)
    offset = rng.uniform(-0.02, 0.02, sticks)
    from_axis = place - stick - 0.5 - offset[stick]
    inside = np.abs(from_axis) < half + np.take_along_axis(ragged, stick, 1)
    shade = np.clip(1 - (from_axis / half) ** 2, 0.09, 1) ** 0.4
    crack = np.ones(fine)
    for i in range(sticks):
        at = rng.uniform(10, 50)
        while at < rows:
            slope = rng.normal(0, 0.2)
            edge = at + slope * (from_axis * pitch) + 0.6 * np.sin(from_axis * rng.uniform(10, 30))
            if gaps and rng.random() < 0.35:
                width = rng.uniform(4, 14)
                inside &= (stick != i) | (along < edge) | (along > edge + width)
                at += width
            else:
                width = rng.uniform(0.5, 1.1)
                crack[(stick == i) & (np.abs(along - edge) < width)] = rng.uniform(0.15, 0.3)
            at += rng.uniform(12, 60)
    if ends:
        inside &= (along > 6) & (along < rows - 7)
    spectra = np.array(
        [spectrum(TRAYS[tray][0])] + [spectrum({**ROCKS, **DARK}[name]) for name in names]
    )
    _, floor, wall = TRAYS[tray]
    at_wall = np.abs(place - np.round(place)) * pitch < 1.6
    light = np.where(at_wall, wall, floor) * np.exp(0.05 * field(2))
    rim = ends & ((along < 2.5) | (along > rows - 3.5))
    light = np.where(rim, wall, light)
    light = np.where(inside, shade * crack * np.exp(0.06 * field(6)), light)
    material = np.where(inside, material, TRAY)
    cube = np.zeros((rows, cols, len(NM)))
    shares = []
    for k in range(len(spectra)):
        lit = _averaged(light * (material == k))
        shares.append(_averaged((material == k).astype(float)))
        seen = spectra[k]
        if film and k == TRAY:
            between = ndimage.zoom(np.abs(from_axis), 1 / FINE, order=1) < half
            slope = film * ndimage.zoom(field(12), 1 / FINE, order=1) * between
            seen = seen * np.exp(slope[..., None] * (NM - NM.mean()) / np.ptp(NM) * 2)
        cube += lit[..., None] * seen
    share = np.stack(shares)
    texture = np.exp(0.05 * rng.standard_normal((rows, cols, 1)))
    cube = cube * texture + noise * (0.3 + np.sqrt(cube)) * rng.standard_normal(cube.shape)
    raw = np.clip(cube * 4000, 0, None).astype(np.uint16)
    truth = share.argmax(axis=0).astype(np.uint8)
    mixed = share.max(axis=0) < 0.99
    left = _averaged(np.where(inside, crack, 1))
    planes = [raw, truth, mixed, left < DEEP, left > SOUND]
    if horizontal:
        planes = [plane.swapaxes(0, 1) for plane in planes]
    if crop is not None:
        planes = [plane[crop] for plane in planes]
    raw, truth, mixed, shadow, sound = (np.ascontiguousarray(plane) for plane in planes)
    return Core(held(raw, NM), truth, names, mixed, shadow, sound)


def _averaged(plane: Floats) -> Floats:
    """Means of the points of each pixel."""
    rows, cols = plane.shape
    return np.asarray(plane.reshape(rows // FINE, FINE, cols // FINE, FINE).mean(axis=(1, 3)))
