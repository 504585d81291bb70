"""EMIT, L2A reflectance and L1B radiance: netCDF-4 in sensor geometry, with a lookup table.

By JPL's own writers (emit-sds-l2a, emit-utils) and the EMIT L2A User Guide, read beside NASA's
EMIT-Data-Resources, SpectralUtil, HyTools and EnMAP-Box. `/reflectance` or `/radiance` is
(downtrack, crosstrack, bands) float32, -9999 where nothing was measured;
`/sensor_band_parameters` holds `wavelengths`, `fwhm` and, of reflectance, `good_wavelengths`: bands
with 0, in which water absorbs everything, are -0.01. `/location` holds `lon` and `lat` of pixels,
`glt_x` and `glt_y` (`lookup.py`), whose grid the attributes `geotransform` (GDAL's order) and
`spatial_ref` of the file place.

Beside it lie, called alike, EMIT_L2A_MASK (`/mask`, whose bands `mask_bands` names: flags of
clouds, cirrus, water, spacecraft, clouds dilated, all together; AOD550, H2O), EMIT_L2A_RFLUNCERT
and EMIT_L1B_OBS.

Where sources disagree
----------------------
Place: EnMAP-Box lays the map between `easternmost_longitude` as its left and
`westernmost_longitude` as its right edge; all others count by `geotransform`, as is done here.
The aggregate flag also counts water and haze (AOD550), which are no clouds: `--quality strict`
takes clouds, dilated clouds and cirrus by themselves. `band_mask`, bits of single bands that were
interpolated, hides no pixel.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import PLAIN
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.lookup import ortho_of, refuse_apart
from hsi_ssl.scenes.measured import decoding
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.ortho import Ortho
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.bad_bands import without_empty_bands
from hsi_ssl.scenes.products.emit_members import (
    BANDS_AT,
    CUBES,
    cube_beside,
    cube_in,
    flags_of,
    mask_beside,
    member_in,
)
from hsi_ssl.scenes.products.located import grid_told, located_in, table_in, wgs84
from hsi_ssl.scenes.readers.hdf5 import cube_reader, opened
from hsi_ssl.scenes.readers.hdf5_metadata import measured_of
from hsi_ssl.scenes.scene import Grid, Scene
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.units import Kind, units_of
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts

KINDS: dict[str, Kind] = {"reflectance": "reflectance", "radiance": "radiance"}
LEVELS = {"reflectance": "L2A", "radiance": "L1B"}
NOTHING = -9999.0


def main(candidate: Candidate) -> Path | None:
    """The file of the cube: itself, that beside a mask, or the only one in a granule's folder."""
    if candidate.is_folder:
        if not candidate.path.resolve().name.upper().startswith("EMIT_L"):
            return None
        found = [path for name in CUBES.values() for path in candidate.members(f"EMIT_{name}_*.nc")]
        if len(found) != 1:
            raise SceneError(
                f"{candidate.path} is called as an EMIT granule and holds {len(found)} files of "
                "reflectance or radiance; expected one: give the file itself"
            )
        return found[0]
    if f"{BANDS_AT}wavelengths" in candidate.hdf5 and cube_in(candidate.hdf5):
        return candidate.path
    member = member_in(candidate.hdf5)
    return None if member is None else cube_beside(candidate.path, member)


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open reflectance or radiance, with the mask that lies beside it.

    Raises
    ------
    SceneError
        The cube has other wavelengths than bands; its lookup table or its mask is of another scene.
    """
    with opened(path) as file:
        name = cube_in(frozenset(file))
        cube = file.get(name or "")
        if not isinstance(cube, h5py.Dataset) or cube.ndim != len(PLAIN):
            raise SceneError(
                f"{path} holds no cube (downtrack, crosstrack, bands) of EMIT; get it again"
            )
        assert name is not None
        rows, cols, bands = cube.shape
        facts = _facts(file, bands, path)
        measured = decoding(cube.dtype.newbyteorder("="), [measured_of(cube, cube.dtype)] * bands)
        taken = time_among(file.attrs)
        located, notes = located_in(file, "location/lon", "location/lat", (rows, cols))
        ortho_grid = _ortho_grid(file)
    grid = Grid(wgs84(), geolocation=located) if located is not None else Grid()
    ortho, more = _ortho(path, ortho_grid, grid, (rows, cols))
    reader = cube_reader(path, name, PLAIN)
    where = None if located is None else Origin("location/lon and location/lat")
    scene = Scene(
        path,
        f"EMIT {LEVELS[name]}",
        rows,
        cols,
        bands,
        measured.dtype,
        measured.through(reader),
        facts.wavelengths_nm,
        facts.fwhm_nm,
        np.ones(bands, bool) if facts.good is None else facts.good,
        nodata=NOTHING if measured.nodata is None else measured.nodata,
        units=units_of(bands, kind=KINDS[name], source=""),
        grid=grid,
        ortho=ortho,
        acquired=taken.at,
        block=reader.piece[:2],
        notes=(*facts.notes, *notes, *more),
        origins=Origins(
            axes=Origin("EMIT's layout", "downtrack, crosstrack, bands"),
            wavelengths=facts.wavelengths_from,
            bad_bands=facts.good_from,
            nodata=measured.origin or Origin("EMIT's layout"),
            crs=where,
            transform=where,
            acquired=taken.origin,
        ),
    )
    try:
        if facts.good is None and name == "reflectance":
            scene = without_empty_bands(scene)
        return _without_flagged(scene, wanted)
    except BaseException:
        scene.close()
        raise


def _facts(file: h5py.File, bands: int, path: Path) -> BandFacts:
    def listed(name: str) -> Any:
        found = file.get(BANDS_AT + name)
        return found[()] if isinstance(found, h5py.Dataset) else None

    good = listed("good_wavelengths")
    facts = band_facts(
        bands,
        where=path.name,
        wavelengths=listed("wavelengths"),
        units="nm",
        fwhm=listed("fwhm"),
        bad_band_list=None if good is None else (np.asarray(good) == 1).astype(int),
        wavelengths_from=f"{BANDS_AT}wavelengths",
        good_from=f"{BANDS_AT}good_wavelengths",
    )
    if facts.wavelengths_nm is None:
        raise SceneError(
            f"{path} tells {np.size(listed('wavelengths'))} wavelengths for {bands} bands; "
            "expected one for each: get the file again"
        )
    return facts


def _ortho_grid(file: h5py.File) -> Grid | None:
    """The grid of the lookup table; None where the file tells none."""
    if not {"location/glt_x", "location/glt_y"} <= {
        f"location/{n}" for n in file.get("location", ())
    }:
        return None
    return grid_told(file.attrs.get("geotransform", ()), file.attrs.get("spatial_ref", ""))


def _ortho(
    path: Path, told: Grid | None, grid: Grid, size: tuple[int, int]
) -> tuple[Ortho | None, tuple[str, ...]]:
    if told is None:
        return None, ("it has no lookup table with a place: maps of it stay in sensor geometry",)
    table = table_in(path, "location/glt_y", "location/glt_x", "its lookup table")
    ortho, notes = ortho_of(table, told, size)
    refuse_apart(table, ortho, grid)
    return ortho, notes


def _without_flagged(scene: Scene, wanted: Wanted) -> Scene:
    """Without what the mask beside the cube flags, where there is one."""
    mask = mask_beside(scene.path)
    if mask is None:
        if wanted.quality == "strict":
            note = f"no EMIT_L2A_MASK beside {scene.path.name}: --quality strict hides nothing"
            return replace(scene, notes=(*scene.notes, note))
        return scene
    flags = flags_of(mask, scene.path, (scene.rows, scene.cols), wanted.quality)
    if not flags.names:
        note = f"{mask.name} has no flag of {' or '.join(flags.wanted)}: nothing is hidden"
        return replace(scene, notes=(*scene.notes, note))
    return without(scene, flags.plane, flags.names)


PRODUCT = Product("EMIT", main, open_cube, tuple(CUBES))
