"""AVIRIS-3, AVIRIS-5 and AVIRIS-NG as netCDF-4: L2A reflectance on a grid, L1B radiance as seen.

By ORNL DAAC's user guides of these collections and JPL's SpectralUtil, read beside HyTools and
HyperCoast. `/reflectance/reflectance`, of files that end in RFL_ORT, is (wavelength, northing,
easting) float32, -9999 where nothing was measured; `/radiance/radiance`, of files that end in RDN,
is (wavelength, lines, samples) in sensor geometry. `wavelength` and `fwhm`, in nm, lie in the same
group. `/transverse_mercator` places the grid by `GeoTransform` (GDAL's order) and `crs_wkt` or
`spatial_ref`; `/easting` and `/northing` are its coordinates. Radiance has `/lon` and `/lat` of its
pixels and `/geolocation_lookup_table/{line, sample}` (`lookup.py`), whose grid it is. Beside them
lie the uncertainty (UNC_ORT) and geometry (OBS), called by the same flight.

Where sources disagree
----------------------
Grid: one reader takes `easting[0]` and `northing[0]` for the corner of a pixel, CF for its middle.
GeoTransform counts, of which nobody doubts that it is a corner; without one CF does.
Bad bands: none are listed. Readers have lists of water bands of their own; here bands count as bad
that hold nothing, or -0.01, in all pixels looked at.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Order
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.aviris_place import place_of
from hsi_ssl.scenes.products.bad_bands import with_nothing, without_empty_bands
from hsi_ssl.scenes.products.swaths import Cube, cube_scene, length_of
from hsi_ssl.scenes.readers.hdf5_file import names_in, opened
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.units import Kind
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts

AXES: Order = (BANDS, ROWS, COLS)
KINDS: dict[str, Kind] = {"reflectance": "reflectance", "radiance": "radiance"}
LEVELS = {"reflectance": "L2A", "radiance": "L1B"}
SENSORS = {"AV3": "AVIRIS-3", "AV5": "AVIRIS-5", "ANG": "AVIRIS-NG", "PRM": "PRISM"}
FLIGHT = re.compile(r"(AV3|AV5|ANG|PRM)\d{8}t\d{6}(_\d{3}(?=_))?", re.IGNORECASE)
MEMBERS = {
    "uncertainty": ("uncertainty/uncertainty", ("reflectance",)),
    "geometry": ("observation_parameters", ("radiance", "reflectance")),
    "band mask": ("band_mask", ("radiance", "reflectance")),
}
"""Files without a cube: what is in them, and the cubes they belong to, the first that is there."""
QUICK_LOOK = re.compile(r".*_(RFL|RDN)(_ORT)?_QL\.tif", re.IGNORECASE)
NOTHING = -9999.0


def main(candidate: Candidate) -> Path | None:
    """The file of the cube: itself, that beside its uncertainty or geometry, or in its folder."""
    if candidate.is_folder:
        return _in_folder(candidate)
    if _cube_in(candidate.hdf5) is not None:
        return candidate.path
    flight = FLIGHT.match(candidate.path.name)
    if flight is None:
        return None
    for member, (inside, kinds) in MEMBERS.items():
        if inside in candidate.hdf5:
            return _beside(candidate, flight[0], member, kinds)
    if QUICK_LOOK.fullmatch(candidate.path.name):  # a picture by itself where nothing is beside
        cubes = _cubes(candidate, flight[0])
        return next(iter(cubes)) if len(cubes) == 1 else None
    return None


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open reflectance or radiance.

    Raises
    ------
    SceneError
        The cube has other wavelengths than bands; its coordinates contradict its grid; its lookup
        table is of another scene.
    """
    del wanted  # no flags come with it
    with opened(path) as file:
        name = _cube_in(frozenset(names_in(file)))
        cube = None if name is None else file[name]
        if name is None or not isinstance(cube, h5py.Dataset) or cube.ndim != len(AXES):
            raise SceneError(f"{path} holds no cube (wavelength, rows, columns); get it again")
        bands, rows, cols = cube.shape
        kind = name.split("/")[-1]
        facts, place = _facts(file, name, bands, path), place_of(file, cube, path, (rows, cols))
        taken, told = time_among(file.attrs), "_FillValue" in cube.attrs
    axes_from = Origin("the product's layout", "wavelength, rows, columns")
    sensor = SENSORS.get(path.name[:3].upper(), "AVIRIS")
    scene = cube_scene(
        Cube(path, (name,), AXES, axes_from), f"{sensor} {LEVELS[kind]}", facts, place,
        kind=KINDS[kind], taken=taken,
    )  # fmt: skip
    scene = scene if told else with_nothing(scene, NOTHING)
    try:
        return scene if facts.good is not None else without_empty_bands(scene)
    except BaseException:
        scene.close()
        raise


def _cube_in(names: frozenset[str]) -> str | None:
    """The cube of a file, in a group of its own or, beside its coordinates, in none."""
    for kind in KINDS:
        if {f"{kind}/{kind}", f"{kind}/wavelength"} <= names:
            return f"{kind}/{kind}"
        if {kind, "wavelength", "easting", "northing"} <= names and f"{kind}/{kind}" not in names:
            return kind
    return None


def _in_folder(candidate: Candidate) -> Path | None:
    if FLIGHT.match(candidate.path.resolve().name) is None:
        return None
    files = candidate.members("*.nc")
    found = [path for path in files if _cube_in(Candidate(path).hdf5) is not None]
    if not files:
        return None
    if len(found) != 1:
        raise SceneError(
            f"{candidate.path} is called as a flight line of AVIRIS and holds {len(found)} files "
            "of reflectance or radiance; expected one: give the file itself"
        )
    return found[0]


def _cubes(candidate: Candidate, flight: str) -> dict[Path, str]:
    """Files of a flight in the same folder that hold a cube, and which."""
    return {
        path: cube.split("/")[-1]
        for path in candidate.members(f"{flight}*.nc")
        if (cube := _cube_in(Candidate(path).hdf5)) is not None
    }


def _beside(candidate: Candidate, flight: str, member: str, kinds: tuple[str, ...]) -> Path:
    """The only cube of a flight in the same folder."""
    cubes = _cubes(candidate, flight)
    for kind in kinds:
        found = [path for path, one in cubes.items() if one == kind]
        if len(found) == 1:
            return found[0]
        if found:
            raise SceneError(
                f"{candidate.path} may belong to {found[0].name} or {found[1].name}; give one of "
                "these"
            )
    raise SceneError(
        f"{candidate.path} is the {member} of the flight {flight}, whose {kinds[0]} is not beside "
        "it; get that file too"
    )


def _facts(file: h5py.File, name: str, bands: int, path: Path) -> BandFacts:
    at = name.rpartition("/")[0]

    def listed(*names: str) -> Any:
        for one in names:
            found = file.get(f"{at}/{one}")
            if isinstance(found, h5py.Dataset):
                return found[()]
        return None

    facts = band_facts(
        bands,
        where=path.name,
        wavelengths=listed("wavelength"),
        units=length_of(file.get(f"{at}/wavelength")),
        fwhm=listed("fwhm"),
        bad_band_list=listed("good_wavelengths", "bbl"),
        wavelengths_from=f"{at}/wavelength".lstrip("/"),
        good_from="its list of good bands",
    )
    if facts.wavelengths_nm is None:
        raise SceneError(
            f"{path} tells {np.size(listed('wavelength'))} wavelengths for {bands} bands; "
            "expected one, in nm, for most of them: get the file again"
        )
    return facts


PRODUCT = Product("AVIRIS", main, open_cube, tuple(KINDS), flags=False)
