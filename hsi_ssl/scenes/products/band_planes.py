"""netCDF-4 with a variable a band, as ACOLITE and SNAP write it.

ACOLITE (`output/nc_write.py`) makes files of many sensors, PRISMA, EnMAP, DESIS and EMIT among
them: `rhot_443`, `rhos_443`, of several detectors `rhos_vnir_443`, each (y, x) with an attribute
`wavelength` in nm. SNAP's CF writer calls it `radiation_wavelength`, beside `bandwidth`. Names of
one quantity differ in numbers and detectors only. Pixels lie by the coordinates x and y and a grid
mapping where there is one, else by the planes `lon` and `lat`.

Where several quantities are in a file, reflectance at the surface counts, which is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import COLS, PLAIN, ROWS, Asked, Dimension, decide, plain_text
from hsi_ssl.scenes.listing import settled
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.swaths import NO_PLACE, Cube, Located, cube_scene, located
from hsi_ssl.scenes.readers.cf_grid import Placed, UpsideDown, placed
from hsi_ssl.scenes.readers.hdf5_file import objects_in, opened
from hsi_ssl.scenes.readers.hdf5_metadata import dimensions_of, grid_mapping_of
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.times import Taken, time_among, time_of
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts

LEAST = 4
"""Planes of one quantity that make a scene."""
BEST = ("rhos", "rhow", "Rrs", "rrs", "rhorc", "rhot", "Lt")
"""Quantities, the one that counts first where a file has several."""
WAVELENGTHS = ("radiation_wavelength", "wavelength")
WIDTHS = ("bandwidth", "fwhm", "width")
UNITS = ("radiation_wavelength_unit", "radiation_wavelength_units", "wavelength_units")
OF_BAND = re.compile(r"[ _]?(?:(?:vnir|swir|nir)[ _]?)?\d+(?:\.\d+)?(?:nm)?", re.IGNORECASE)
"""What of a name tells the band, not the quantity."""
PLACES = (("lon", "lat"), ("longitude", "latitude"))
PLANE = 2


class Plane(NamedTuple):
    """One band: its name in the file, its size and type, its wavelength."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    wavelength: float


def main(candidate: Candidate) -> Path | None:
    """The file itself, where it holds planes with wavelengths and no cube."""
    numbered = sum(OF_BAND.search(name) is not None for name in candidate.hdf5)
    if numbered < LEAST:
        return None
    state = candidate.path.stat()
    look = _planes if settled(state.st_mtime_ns) else _planes.__wrapped__
    try:
        found = look(candidate.path.resolve(), state.st_mtime_ns)
    except (OSError, SceneError):  # whoever reads it says what is wrong
        return None
    return candidate.path if found else None


@lru_cache(maxsize=64)
def _planes(path: Path, changed: int) -> Mapping[str, tuple[Plane, ...]]:
    """The planes of each quantity by wavelength; none where the file holds a cube."""
    del changed
    each: dict[str, list[Plane]] = {}
    with opened(path) as file:
        for name, item in objects_in(file).items():
            if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf":
                continue
            if item.ndim == len(PLAIN):
                return {}
            wave = _number(item, WAVELENGTHS)
            if item.ndim == PLANE and wave is not None and OF_BAND.search(name):
                plane = Plane(name, item.shape, str(item.dtype), wave)
                each.setdefault(_quantity(name), []).append(plane)
    return {
        quantity: tuple(sorted(planes, key=lambda plane: plane.wavelength))
        for quantity, planes in each.items()
        if len(planes) >= LEAST
    }


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open the planes of one quantity as a cube.

    Raises
    ------
    SceneError
        Several quantities may be meant, or none of the name asked for is there; its planes differ
        in size or type.
    """
    every = _planes.__wrapped__(path, 0)
    quantity = _chosen(every, wanted.variable, path)
    planes = every[quantity]
    for plane in planes:
        if plane[1:3] != planes[0][1:3]:
            sizes = [f"{one.name} {one.shape} {one.dtype}" for one in (planes[0], plane)]
            raise SceneError(
                f"{path} holds {sizes[0]} and {sizes[1]}: expected bands of one size and type; "
                "resample them to one (in SNAP: Raster, Geometric, Resampling)"
            )
    names = tuple(plane.name for plane in planes)
    with opened(path) as file:
        facts = _bands(file, planes, path)
        place, gridded = _place(file, names[0], path)
        taken = _time(file)
        writer = plain_text(file.attrs.get("generated_by", "")).strip()
    notes = []
    if len(every) > 1 and wanted.variable is None:
        others = ", ".join(name for name in every if name != quantity)
        notes.append(f"bands are those of {quantity}; --variable chooses another: {others}")
    if wanted.quality == "strict":
        notes.append(f"{path.name} has no quality layers: --quality strict hides nothing")
    said = Origin("a variable a band", f"{quantity}, sorted by wavelength")
    cube = Cube(path, names, PLAIN, said)
    form = f"netCDF of {writer}" if writer else "netCDF, a variable a band"
    scene = cube_scene(cube, form, facts, place, taken=taken, notes=tuple(notes))
    if gridded is not None:
        origins = replace(scene.origins, transform=gridded.transform_from)
        scene = replace(scene, origins=origins)
        if gridded.upside_down:
            scene = replace(scene, reader=UpsideDown(scene.reader, scene.rows))
    return scene


def _quantity(name: str) -> str:
    return OF_BAND.sub("", name, count=1).strip("_ ") or name


def _chosen(every: Mapping[str, tuple[Plane, ...]], variable: str | None, path: Path) -> str:
    there = ", ".join(f"{name} ({len(planes)} bands)" for name, planes in every.items())
    if variable is not None:
        if variable.strip("/") in every:
            return variable.strip("/")
        raise SceneError(f"{path} holds no bands of {variable}; it holds those of {there}")
    known = [name for name in BEST if name in every]
    if known or len(every) == 1:
        return known[0] if known else next(iter(every))
    raise SceneError(f"{path} holds bands of several quantities: {there}; choose with --variable")


def _number(item: h5py.Dataset, names: tuple[str, ...]) -> float | None:
    """The first of these attributes that is one number above 0."""
    for name in names:
        try:
            value = float(np.ravel(item.attrs[name])[0])
        except (KeyError, IndexError, TypeError, ValueError, OSError):
            continue
        if np.isfinite(value) and value > 0:
            return value
    return None


def _bands(file: h5py.File, planes: tuple[Plane, ...], path: Path) -> BandFacts:
    first = file[planes[0].name]
    units = next((plain_text(first.attrs[name]) for name in UNITS if name in first.attrs), "nm")
    widths = [_number(file[plane.name], WIDTHS) for plane in planes]
    return band_facts(
        len(planes),
        where=path.name,
        wavelengths=[plane.wavelength for plane in planes],
        units=units,
        fwhm=None if None in widths else widths,
        wavelengths_from="the attribute of each variable",
    )


def _place(file: h5py.File, name: str, path: Path) -> tuple[Located, Placed | None]:
    """By coordinates of rows and columns, which is told too, else by those of pixels."""
    plane = file[name]
    dimensions = dimensions_of(plane)
    if all(one.role in (ROWS, COLS) for one in dimensions):
        dimensions = [*dimensions, Dimension(1, "band")]
        decided = decide((*plane.shape, 1), Asked(), of=name, path=path, dimensions=dimensions)
        if decided.order == PLAIN:
            found = placed(dimensions, decided, grid_mapping_of(plane))
            if found.grid.placed:
                return Located(found.grid, found.crs_from, found.notes), found
    group = name.rpartition("/")[0]
    for longitude, latitude in PLACES:
        lon, lat = (f"{group}/{one}".strip("/") for one in (longitude, latitude))
        if lon in file and lat in file:
            return located(file, lon, lat, plane.shape, path), None
    return Located(notes=(NO_PLACE,)), None


def _time(file: h5py.File) -> Taken:
    if "isodate" in file.attrs:
        return time_of(plain_text(file.attrs["isodate"]), "the attribute isodate")
    return time_among(file.attrs)


PRODUCT = Product("netCDF, a variable a band", main, open_cube, None)
