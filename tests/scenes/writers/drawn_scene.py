"""A scene drawn at random, and what is true of it however it is written.

Everything here is in the terms of the fields' standards, never in those of the package: so what
the readers say can be held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from rasterio.transform import Affine

Array = npt.NDArray[Any]
T = TypeVar("T")

EVERY_TYPE = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
UP_TO_32_BITS = tuple(dtype for dtype in EVERY_TYPE if dtype not in {"i8", "u8"})
DEFAULT_FILLS = (-32767, 65535, -2147483647, 4294967295, 9.969209968386869e36)
"""What netCDF's library writes where nobody does: no number of a drawn scene."""
PLACES = ("north up", "south up", "mirrored", "turned", "sheared", "nowhere")
CRSS = {
    "EPSG:32633": (300_000.0, 5_000_000.0, 30.0),
    "EPSG:32733": (400_000.0, 7_300_000.0, 4.5),
    "EPSG:3035": (4_500_000.0, 2_700_000.0, 100.0),
    "EPSG:4326": (13.25, 51.5, 0.001),
}
"""Where a scene in that CRS may begin, and about how wide a pixel is; axes of two of them are
declared northing first, which no raster's transform follows."""
UNITS = {
    "nm": 1.0, "Nanometers": 1.0, "um": 1e-3, "Micrometers": 1e-3, "micrometre": 1e-3,
    "Angstroms": 10.0, "m": 1e-9,
}  # fmt: skip
"""Unit of wavelength -> how many of them a nanometre is."""


class Draw:
    """Choices at random that remember what was chosen, so that a failure can be told."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.said: dict[str, object] = {"seed": seed}

    def pick(self, what: str, options: Sequence[T]) -> T:
        """One of the options."""
        found = options[int(self.random.integers(len(options)))]
        self.said[what] = found
        return found

    def yes(self, what: str) -> bool:
        """True or False."""
        return self.pick(what, (False, True))


@dataclass(frozen=True)
class DrawnScene:
    """A cube `(rows, cols, bands)` of raw numbers and what a file should say of it.

    `transform` brings columns and rows to map coordinates. `nodata` is None where no value is
    declared. `scale` and `offset` make raw numbers reflectance; None where nothing is to be said.
    """

    cube: Array = field(repr=False)
    wavelengths: Array
    fwhm: Array
    good: Array
    valid: Array
    nodata: float | None
    transform: Affine | None
    crs: str | None
    scale: float | None
    offset: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, bands."""
        rows, cols, bands = self.cube.shape
        return rows, cols, bands

    def on_map(self, cols: Array, rows: Array) -> tuple[Array, Array]:
        """Map coordinates of pixel coordinates; QGIS's where the scene lies nowhere."""
        a, b, c, d, e, f = tuple(self.transform or Affine(1, 0, 0, 0, -1, 0))[:6]
        return a * cols + b * rows + c, d * cols + e * rows + f


@dataclass(frozen=True)
class Written:
    """The file, and what a user gives with it to `open_scene`."""

    path: Path
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Way:
    """A way to write a scene, and what can be said in it at all.

    `tells` are some of `nodata`, `wavelengths`, `fwhm`, `good`, `scale`, `offset`.
    """

    write: Callable[[Path, DrawnScene, Draw], Written]
    dtypes: tuple[str, ...] = EVERY_TYPE
    places: tuple[str, ...] = PLACES
    crss: tuple[str, ...] = tuple(CRSS)
    tells: tuple[str, ...] = ("nodata", "wavelengths", "fwhm", "good", "scale", "offset")


def drawn_scene(draw: Draw, way: Way, *, two_alike: bool = False) -> DrawnScene:
    """A scene of which all can be written in that way; with as many rows or columns as bands."""
    rows, cols, bands = map(int, draw.random.choice(np.arange(4, 22), 3, replace=False))
    if two_alike:
        bands = draw.pick("bands", (rows, cols))
    draw.said["rows, cols, bands"] = (rows, cols, bands)
    dtype = np.dtype(draw.pick("dtype", way.dtypes))
    cube = _numbers(draw, (rows, cols, bands), dtype)
    nodata = _nodata(draw, dtype) if "nodata" in way.tells and draw.yes("nodata?") else None
    if nodata is None and dtype.kind == "f":
        nothing: float | None = np.nan
    else:
        nothing = nodata
    draw.said["nodata"] = nodata
    good = np.ones(bands, bool)
    if "good" in way.tells and draw.yes("bad bands?"):
        good[draw.random.choice(bands, max(1, bands // 4), replace=False)] = False
    valid = _with_holes(draw, cube, good, nothing)
    transform, crs = _place(draw, way)
    told = "scale" in way.tells and dtype.kind in "iu" and draw.yes("scale?")
    return DrawnScene(
        cube,
        _wavelengths(draw, bands),
        (draw.random.integers(300, 2000, bands) / 100),
        good,
        valid,
        nodata,
        transform,
        crs,
        1e-4 if told else None,
        -0.1 if told and "offset" in way.tells and draw.yes("offset?") else 0.0,
    )


def _numbers(draw: Draw, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> Array:
    """Numbers over all of the type, none of them 0 or a usual fill value."""
    if dtype.kind == "f":
        cube = draw.random.normal(0.3, 0.1, shape).astype(dtype)
    else:
        kind = np.iinfo(dtype)
        cube = draw.random.integers(kind.min, kind.max, shape, dtype=dtype, endpoint=True)
        usual = [0, kind.min, kind.max, *_fitting(DEFAULT_FILLS, dtype), *_fitting((-9999,), dtype)]
        cube[np.isin(cube, usual)] = 7
    return cube


def _fitting(values: Sequence[float], dtype: np.dtype[Any]) -> list[float]:
    kind = np.iinfo(dtype)
    return [value for value in values if kind.min <= value <= kind.max]


def _nodata(draw: Draw, dtype: np.dtype[Any]) -> float:
    if dtype.kind == "f":
        return draw.pick("nodata", (-9999.0, np.nan, 0.0, float(np.finfo(np.float32).min)))
    kind = np.iinfo(dtype)
    # GDAL writes those of 64 bits as floating-point numbers, and reads no more than some.
    ends = (kind.min, kind.max) if dtype.itemsize < 8 else ()
    options: tuple[float, ...] = (0, *ends, *_fitting((-9999,), dtype))
    return draw.pick("nodata", options)


def _with_holes(draw: Draw, cube: Array, good: Array, nothing: float | None) -> Array:
    """Which pixels hold a measurement, once some have been made to hold none.

    Nothing in all bands, in one good band, or 0 in all good ones; what a bad band lacks costs
    nothing.
    """
    rows, cols, _ = cube.shape
    some = draw.random.permutation(rows * cols)
    valid = np.ones((rows, cols), bool)
    where = [np.unravel_index(part, (rows, cols)) for part in np.split(some[:8], [3, 6, 7])]
    lone, bad = np.flatnonzero(good), np.flatnonzero(~good)
    if nothing is not None:
        cube[where[0]] = nothing
        cube[(*where[1], draw.random.choice(lone, 3))] = nothing
        valid[where[0]] = valid[where[1]] = False
        if len(bad):
            cube[(*where[2], bad[:1])] = nothing
    cube[np.ix_(*where[3], lone)] = 0
    valid[where[3]] = False
    return valid


def _wavelengths(draw: Draw, bands: int) -> Array:
    """Of hundredths of nanometres, in rising order, falling or with overlapping detectors."""
    found = np.sort(draw.random.choice(np.arange(40_000, 250_000), bands, replace=False)) / 100
    order = draw.pick("order of bands", ("rising", "falling", "overlapping"))
    if order == "falling":
        return found[::-1].copy()
    return np.concatenate([found[::2], found[1::2]]) if order == "overlapping" else found


def _place(draw: Draw, way: Way) -> tuple[Affine | None, str | None]:
    place = draw.pick("place", way.places)
    if place == "nowhere":
        return None, None
    crs = draw.pick("crs", way.crss)
    x, y, size = CRSS[crs]
    wide, high = size, size * draw.pick("height of a pixel", (1.0, 0.5, 1.75))
    at = Affine.translation(x, y)
    if place == "turned":
        angle = draw.pick("turned by", (17.5, -70.0, 90.0, 135.25, -90.0, 180.0))
        return at @ Affine.rotation(angle) @ Affine.scale(wide, -high), crs
    if place == "sheared":
        return at @ Affine(wide, 0.3 * wide, 0, 0.1 * high, -high, 0), crs
    signs = {"north up": (1, -1), "south up": (1, 1), "mirrored": (-1, -1)}[place]
    return at @ Affine.scale(wide * signs[0], high * signs[1]), crs
