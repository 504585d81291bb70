"""Tanager, basic and ortho, surface reflectance and radiance: one HDF-EOS5 file (`.h5`).

By Planet's Tanager Product Specification (November 2025, 3.6 "HDF5 product components and format"),
read beside the public readers HyTools, HyperCoast and i.hyper.import of GRASS. `HDFEOS/GRIDS/HYP`
(ortho, on a map grid) or `HDFEOS/SWATHS/HYP` (basic, in sensor geometry) hold in `Data Fields` the
cube `surface_reflectance` or `toa_radiance`, (bands, rows, cols) float32, whose attributes are
`wavelengths`, `fwhm` and, of reflectance, `good_wavelengths`, 0 for bands that water vapour spoils.
Beside it lie planes of 0 and 1: `nodata_pixels`, `beta_cloud_mask`, `beta_cirrus_mask`.

Where sources disagree
----------------------
Cloud masks: the specification's table calls them pixels "which are clear" and says in brackets that
1 is cloud; readers take 1 for cloud, and so it counts. 255, their fill value, is no cloud.
Corners: `UpperLeftPointMtrs` and `LowerRightMtrs` of `StructMetadata.0` are edges of the outermost
pixels whatever `PixelRegistration` says: in the specification's example (LowerRight - UpperLeft) /
XDim is 30 m, the size of a pixel.
Zones: `epsg_code` is an attribute of the grid; HyTools takes `ZoneCode`, negative in the south,
of which writers leave out the sign. It counts where there is no `epsg_code`.
Scale: some programs multiply reflectance by 0.0001. The specification's is without a unit, in
floats: it is taken as it is, unless the file tells a `scale_factor`.
Groups are called `Data Fields`; one reader also knows `Data_Fields`.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Order, plain_text
from hsi_ssl.scenes.layers import CIRRUS, CLOUD, DOUBTFUL, Layer
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.located import crs_told
from hsi_ssl.scenes.products.swaths import (
    Cube,
    Located,
    cube_scene,
    first_time,
    located,
)
from hsi_ssl.scenes.readers.hdf5_file import names_in, opened
from hsi_ssl.scenes.readers.hdf5_metadata import listed
from hsi_ssl.scenes.readers.hdfeos import grid_facts
from hsi_ssl.scenes.scene import Bools, Grid, Scene
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts

AXES: Order = (BANDS, ROWS, COLS)
AXES_FROM = Origin("Planet's specification", "bands, rows, cols")
CUBES = ("surface_reflectance", "toa_radiance")
CUBE = re.compile(rf"(HDFEOS/(GRIDS|SWATHS)/HYP/)(Data[ _]Fields/)({'|'.join(CUBES)})")
MEMBER = re.compile(r"(\d{8}_\d{6}_\d{2}_[0-9a-z]{4})(_.*)?\.(h5|tiff?|json|xml)", re.IGNORECASE)
"""Names of files as they are delivered: the scene, what it is, the suffix."""
FILES = ("ortho_sr_hdf5", "ortho_radiance_hdf5", "basic_sr_hdf5", "basic_radiance_hdf5")
"""What delivered cubes are called, the one that others belong to first."""
ZONES = {True: 32600, False: 32700}
"""EPSG codes of UTM's zones on WGS 84, north and south, less the zone's number."""
EMPTY, TRUE = "nodata_pixels", 1
MASKS = {EMPTY: EMPTY, "beta_cloud_mask": CLOUD, "beta_cirrus_mask": CIRRUS}
"""Planes of 0 and 1, and what 1 means."""
PAIR = re.compile(r"\(\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\)")


def main(candidate: Candidate) -> Path | None:
    """A file that holds a cube; for a folder, or what lies beside a cube, the scene's only one."""
    if candidate.is_folder:
        cubes = [path for end in FILES for path in candidate.members(f"*_{end}.h5")]
        scenes = {match[1] for path in cubes if (match := MEMBER.fullmatch(path.name))}
        return cubes[0] if len(scenes) == 1 == len(cubes) else None
    if any(CUBE.fullmatch(name) for name in candidate.hdf5):
        return candidate.path
    named = MEMBER.fullmatch(candidate.path.name)
    if named is None or candidate.path.suffix.lower() == ".h5":
        return None
    beside = (path for end in FILES for path in candidate.members(f"{named[1]}_{end}.h5"))
    return next(beside, None)


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open the cube that the user names, else reflectance, else radiance.

    Raises
    ------
    SceneError
        Wavelengths, masks, latitudes or the grid's description are those of another cube.
    """
    with opened(path) as file:
        group, fields, name = _names(file, wanted.variable, path)
        cube = file[group + fields + name]
        if not isinstance(cube, h5py.Dataset) or cube.ndim != len(AXES):
            raise SceneError(f"{path} holds no cube {name} (bands, rows, cols); get the file again")
        facts, told = _bands(cube, path)
        size = cube.shape[1:]
        places = group + fields.replace("Data", "Geolocation")
        if "GRIDS" in group:
            place = _on_grid(file, group.strip("/"), size, path)
        else:
            place = located(file, f"{places}Longitude", f"{places}Latitude", size, path)
        times = (f"{places}Time", f"{group}{fields}time", f"{group}{fields}Time")
        taken = first_time(file, *times)
        masks = _masks(file, group + fields, size, path)
    return cube_scene(
        Cube(path, (group + fields + name,), AXES, AXES_FROM),
        f"Tanager {'ortho' if 'GRIDS' in group else 'basic'}",
        facts,
        place,
        taken=taken,
        notes=told,
        layers={name: layer for name, layer in masks.items() if name != EMPTY},
        hiding={
            f"{layer.source} (--quality strict)" if name in DOUBTFUL else layer.source: layer
            for name, layer in masks.items()
            if name == EMPTY or wanted.quality == "strict"
        },
    )


def _names(file: h5py.File, variable: str | None, path: Path) -> tuple[str, str, str]:
    """Where the cube lies: grid or swath, its fields, its name."""
    wanted = None if variable is None else variable.strip("/").split("/")[-1]
    cubes = [match for name in names_in(file) if (match := CUBE.fullmatch(name))]
    cubes = [match for match in cubes if wanted in {None, match[4]}]
    if not cubes:
        raise SceneError(
            f"{path} is a Tanager product without {wanted}; leave --variable out for the cube that "
            "it has"
        )
    best = min(cubes, key=lambda match: CUBES.index(match[4]))
    return best[1], best[3], best[4]


def _bands(cube: h5py.Dataset, path: Path) -> tuple[BandFacts, tuple[str, ...]]:
    """What the cube's attributes say of its bands, and what is to be told."""
    bands = cube.shape[0]
    said = {
        name: np.ravel(listed(cube.attrs[name]))
        for name in ("wavelengths", "fwhm", "good_wavelengths")
        if name in cube.attrs
    }
    for name, values in said.items():
        if len(values) != bands:
            raise SceneError(
                f"{path} holds {bands} bands (bands, rows, cols) and {len(values)} {name}: "
                "expected one for each; get the file again"
            )
    facts = band_facts(
        bands,
        where=path.name,
        wavelengths=said.get("wavelengths"),
        units=plain_text(cube.attrs.get("wavelengths_units", "nm")),
        fwhm=said.get("fwhm"),
        bad_band_list=said.get("good_wavelengths"),
        wavelengths_from="the attribute wavelengths",
        good_from="the attribute good_wavelengths",
    )
    if "wavelengths" in said:
        return facts, ()
    return facts, (
        "the file tells no wavelengths: those of its STAC item can be given with --wavelengths",
    )


def _on_grid(file: h5py.File, group: str, size: tuple[int, int], path: Path) -> Located:
    """The map grid by `StructMetadata.0`, and its CRS."""
    facts = grid_facts(file, group.rpartition("/")[2])
    corners = [PAIR.fullmatch(facts.get(f"{name}Mtrs", "")) for name in (
        "UpperLeftPoint", "LowerRight")]  # fmt: skip
    told = facts.get("YDim", ""), facts.get("XDim", "")
    if corners[0] is None or corners[1] is None:
        return Located(notes=("the file tells no place of its pixels",))
    if told != tuple(map(str, size)):
        raise SceneError(
            f"{path} holds {size[0]} x {size[1]} pixels, and its StructMetadata.0 tells of "
            f"{' x '.join(told)}; get the file again"
        )
    (left, top), (right, bottom) = ((float(pair[1]), float(pair[2])) for pair in corners if pair)
    across, down = (right - left) / size[1], (bottom - top) / size[0]
    origin = facts.get("GridOrigin", "HE5_HDFE_GD_UL")
    if origin.endswith(("LL", "LR")):
        top, down = bottom, -down
    if origin.endswith(("UR", "LR")):
        left, across = right, -across
    code, said = _epsg(file[group], facts, path)
    crs = None if code is None else crs_told(f"EPSG:{code}")
    notes = () if crs is not None else ("the file tells no CRS that is known",)
    grid = Grid(crs, (across, 0.0, left, 0.0, down, top))
    return Located(grid, Origin(f"{said} and StructMetadata.0"), notes)


def _epsg(group: h5py.Group, facts: dict[str, str], path: Path) -> tuple[int | None, str]:
    """The EPSG code of a grid, and what says it."""
    zone = int(facts["ZoneCode"]) if re.fullmatch(r"-?\d+", facts.get("ZoneCode", "")) else 0
    told = re.fullmatch(r"(?:EPSG:)?(\d+)", plain_text(group.attrs.get("epsg_code", "")))
    if told is not None:
        code = int(told[1])
        if zone and code // 100 in {326, 327} and code % 100 != abs(zone):
            raise SceneError(
                f"{path} has epsg_code {code}, and zone {zone} in its StructMetadata.0: two grids "
                "are mixed up; get the file again"
            )
        return code, "the attribute epsg_code"
    if not zone or "UTM" not in facts.get("Projection", ""):
        return None, "no CRS"
    return ZONES[zone > 0] + abs(zone), "ZoneCode"


def _masks(file: h5py.File, fields: str, size: tuple[int, int], path: Path) -> dict[str, Layer]:
    """What the product says of pixels: clouds, cirrus, and under `EMPTY` that there is nothing."""
    found = {}
    for plane, name in MASKS.items():
        array = file.get(fields + plane)
        if not isinstance(array, h5py.Dataset):
            continue
        if array.shape != size:
            raise SceneError(
                f"{path} holds {size[0]} x {size[1]} pixels, and {plane} of "
                f"{' x '.join(map(str, array.shape))}; get the file again"
            )
        found[name] = Layer(partial(_plane, path, fields + plane), plane)
    return found


def _plane(path: Path, name: str) -> Bools:
    """Which pixels a plane tells of: of `nodata_pixels` those with its fill value too."""
    with opened(path) as file:
        values = file[name][()]
    found: Bools = values != 0 if name.endswith(EMPTY) else values == TRUE
    return found


PRODUCT = Product("Tanager", main, open_cube, CUBES)
