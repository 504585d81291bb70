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
takes clouds, dilated so that their shadows are in them, and cirrus by themselves. `band_mask`, bits
of single bands that were interpolated, hides no pixel.
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
from hsi_ssl.scenes.layers import any_of, doubtful
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.product import Candidate, Product, Wanted
from hsi_ssl.scenes.products.bad_bands import with_nothing, without_empty_bands
from hsi_ssl.scenes.products.emit_members import (
    BANDS_AT,
    CUBES,
    SPACECRAFT,
    cube_beside,
    cube_in,
    layers_of,
    mask_beside,
    member_in,
)
from hsi_ssl.scenes.products.located import grid_told, table_in
from hsi_ssl.scenes.products.seen import seen_at
from hsi_ssl.scenes.products.swaths import Cube, Located, cube_scene, length_of, located
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.units import Kind
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
        facts, place = _facts(file, bands, path), _place(file, path, (rows, cols))
        taken, told = time_among(file.attrs), "_FillValue" in cube.attrs
    axes_from = Origin("EMIT's layout", "downtrack, crosstrack, bands")
    scene = cube_scene(
        Cube(path, (name,), PLAIN, axes_from), f"EMIT {LEVELS[name]}", facts, place,
        kind=KINDS[name], taken=taken,
    )  # fmt: skip
    scene = scene if told else with_nothing(scene, NOTHING)
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
        units=length_of(file.get(f"{BANDS_AT}wavelengths")),
        fwhm=listed("fwhm"),
        bad_band_list=None if good is None else (np.asarray(good) == 1).astype(int),
        wavelengths_from=f"{BANDS_AT}wavelengths",
        good_from=f"{BANDS_AT}good_wavelengths",
    )
    if facts.wavelengths_nm is None:
        raise SceneError(
            f"{path} tells {np.size(listed('wavelengths'))} wavelengths for {bands} bands; "
            "expected one, in nm, for most of them: get the file again"
        )
    return facts


def _place(file: h5py.File, path: Path, size: tuple[int, int]) -> Located:
    """Where pixels lie, by their own coordinates, and the map grid of the lookup table."""
    own = located(file, "location/lon", "location/lat", size, path)
    grid = grid_told(file.attrs.get("geotransform", ()), file.attrs.get("spatial_ref", ""))
    table = None
    if "location/glt_x" in file:
        table = table_in(path, "location/glt_y", "location/glt_x", "its lookup table")
    return seen_at(own, table, grid, size)


def _without_flagged(scene: Scene, wanted: Wanted) -> Scene:
    """Without what the mask beside the cube flags, where there is one."""
    mask = mask_beside(scene.path)
    if mask is None:
        if wanted.quality == "strict":
            note = f"no EMIT_L2A_MASK beside {scene.path.name}: --quality strict hides nothing"
            return replace(scene, notes=(*scene.notes, note))
        return scene
    layers = layers_of(mask, scene.path, (scene.rows, scene.cols))
    hiding = {name: one for name, one in layers.items() if name == SPACECRAFT}
    if wanted.quality == "strict":
        hiding |= doubtful(layers)
    names = tuple(layer.source for layer in hiding.values())
    return without(replace(scene, layers=layers), any_of(hiding.values()), names)


def members(path: Path) -> list[Path]:
    """The mask beside a cube."""
    mask = mask_beside(path)
    return [] if mask is None else [mask]


PRODUCT = Product("EMIT", main, open_cube, tuple(CUBES), members=members)
