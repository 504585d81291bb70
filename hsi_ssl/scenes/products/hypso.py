"""HYPSO-1 and -2, levels 1A to 2: netCDF-4 in sensor geometry.

By hypso-package of NTNU's SmallSat Lab, which writes these files (its releases 2.0 and 26.5, and
the `io` module after them), read beside ACOLITE. The cube is (lines, samples, bands) float32, `Lt`
of levels 1B and 1C, `rhot` of level 1D, of level 2 what the correction calls it (`rrs`, ...), with
the attributes `wavelengths`, `wavelength_units` and `fwhm`; or a plane a band, `rhot_550` and so
on, with `wavelength`, `fwhm` and `band`. `metadata/capture_config` is in all of them.

Where sources disagree
----------------------
Groups: cubes lie in `products`, coordinates in `navigation` until early 2025, then in `geometry`;
the newest writer puts both beside each other at the root, with a plane a band by default.
Coordinates: in `navigation`, `latitude` is by the satellite's attitude alone (kilometres off) and
`latitude_indirect` by ground control points; in the others `latitude` is the better one and
`latitude_direct`, called "Indirect" in its long name, that by attitude. The better ones are taken.
Order of planes: the package's older reader takes them as they come, by name; their `band` counts.
Level 1A holds raw counts, whatever its cube is called.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import PLAIN, plain_text
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.swaths import Cube, Located, cube_scene, first_time, located
from hsi_ssl.scenes.readers.hdf5_file import objects_in, opened
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts

MARK = "metadata/capture_config"
CUBES = ("rrs", "rhos", "rhow", "rhot", "Lt")
"""What is known of their names, the one that counts first where a file has several."""
AT_HOME = re.compile(r"(products/)?([^/]+)")
PLANE = re.compile(r"(.+)_\d+")
PLACES = (
    "navigation/{}_indirect", "geometry/{}", "{}",
    "navigation/{}", "geometry/{}_direct", "{}_direct",
)  # fmt: skip
"""Names of latitudes and longitudes, the best first."""
TIMES = ("navigation/unixtime", "metadata/timing/timestamps_srv", "metadata/timing/timestamps")
RAW = "L1A"


def main(candidate: Candidate) -> Path | None:
    """The file itself, where it holds a cube or planes beside the capture's settings."""
    names = candidate.hdf5
    if MARK not in names:
        return None
    known = {match[2] for name in names if (match := AT_HOME.fullmatch(name))}
    known |= {match[1] for name in known if (match := PLANE.fullmatch(name))}
    inside = any(name.startswith("products/") for name in names)
    return candidate.path if inside or known & set(CUBES) else None


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open the cube, or its planes.

    Raises
    ------
    SceneError
        There is none, or wavelengths or places are those of another one.
    """
    with opened(path) as file:
        names = _arrays(file, wanted.variable, path)
        first = file[names[0]]
        rows, cols = first.shape[:2]
        facts = _bands(file, names, path)
        place = _place(file, (rows, cols), path)
        level = plain_text(file.attrs.get("processing_level", "")).strip() or "of no level told"
        taken = first_time(file, *TIMES)
    notes = []
    if level == RAW:
        notes.append("level 1A: raw counts, not calibrated")
    if wanted.quality == "strict":
        notes.append(f"{path.name} has no quality layers: --quality strict hides nothing")
    said = "lines, samples, bands" if len(names) == 1 else "a plane a band"
    cube = Cube(path, names, PLAIN, Origin("hypso-package's layout", said))
    return cube_scene(cube, f"HYPSO {level}", facts, place, taken=taken, notes=tuple(notes))


def _arrays(file: h5py.File, variable: str | None, path: Path) -> tuple[str, ...]:
    """The name of the cube, or those of its planes in the order of bands."""
    cubes: dict[str, str] = {}
    planes: dict[str, list[str]] = {}

    for name, item in objects_in(file).items():
        place = AT_HOME.fullmatch(name)
        if place is None or not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf":
            continue
        if item.ndim == len(PLAIN):
            cubes[place[2]] = name
        elif (plane := PLANE.fullmatch(place[2])) and "wavelength" in item.attrs:
            planes.setdefault(plane[1], []).append(name)

    asked = None if variable is None else variable.strip("/").split("/")[-1]
    found = [name for name in {**planes, **cubes} if asked in {None, name}]
    if not found:
        raise SceneError(
            f"{path} is a HYPSO product without a cube (lines, samples, bands)"
            f"{'' if asked is None else ' ' + asked}, or planes of its bands; give another file"
        )
    best = min(found, key=lambda one: CUBES.index(one) if one in CUBES else -1)
    if best in cubes:
        return (cubes[best],)
    return tuple(sorted(planes[best], key=lambda name: _order(file[name])))


def _order(plane: h5py.Dataset) -> tuple[float, float]:
    """By what planes of bands are sorted: their number, else their wavelength."""
    band, wave = (plane.attrs.get(name, np.inf) for name in ("band", "wavelength"))
    return float(np.ravel(band)[0]), float(np.ravel(wave)[0])


def _bands(file: h5py.File, names: tuple[str, ...], path: Path) -> BandFacts:
    """What the cube's attributes, or its planes', say of its bands."""
    first = file[names[0]]
    if len(names) > 1:
        bands = len(names)
        centres: Any
        widths: Any
        told = [[_one(file[n].attrs.get(key)) for n in names] for key in ("wavelength", "fwhm")]
        centres, widths = told[0], None if None in told[1] else told[1]
        where = "the attribute wavelength of each plane"
    else:
        bands = first.shape[2]
        centres, widths = (first.attrs.get(key) for key in ("wavelengths", "fwhm"))
        where = f"the attribute wavelengths of {names[0]}"
    count = bands if centres is None else len(np.ravel(centres))
    if count != bands:
        raise SceneError(
            f"{path} holds {bands} bands and {count} wavelengths: expected one for each; get the "
            "file again"
        )
    return band_facts(
        bands,
        where=path.name,
        wavelengths=centres,
        units=plain_text(first.attrs.get("wavelength_units", "nanometers")),
        fwhm=widths,
        wavelengths_from=where,
    )


def _one(value: Any) -> float | None:
    return None if value is None else float(np.ravel(value)[0])


def _place(file: h5py.File, size: tuple[int, int], path: Path) -> Located:
    """By the best of the coordinates that are there."""
    for name in PLACES:
        longitude, latitude = name.format("longitude"), name.format("latitude")
        if longitude in file and latitude in file:
            found = located(file, longitude, latitude, size, path)
            if found.grid.placed:
                return found
    return Located(notes=("the file tells no place of its pixels",))


PRODUCT = Product("HYPSO", main, open_cube, CUBES)
