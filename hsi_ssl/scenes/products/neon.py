"""NEON's Airborne Observation Platform: reflectance and radiance, flight lines and mosaics, HDF5.

By NEON.DOC.000761 and .001288 (algorithm documents), NEON-Data-Skills and HyTools. Products
DP1.30006 and DP3.30006, revision .001 (directional) and .002 (bidirectional, 2022 and later, from
2024 on): `SITE/Reflectance/Reflectance_Data` (rows, cols, bands) int16, whose `Scale_Factor`
divides and whose `Data_Ignore_Value` is -9999, with `Metadata/Spectral_Data/{Wavelength,FWHM}`.
DP1.30008, radiance in uW/(cm2 nm sr): `SITE/Radiance/RadianceIntegerPart` plus
`RadianceDecimalPart` divided by its `Scale_Factor`, or both as `Radiance_Data`.
Place, windows of bad bands, days and weather: see `neon_metadata.py`.

Where sources disagree
----------------------
Radiance: some public converters add both parts as they are; NEON's own code divides the decimal
part, which is of 50,000ths, and so do most.
Bad bands: `Band_Window_1_Nanometers` and `..._2_...` of the group; where a file has none, numbers
in the windows of water vapour (1340 to 1445 and 1790 to 1955 nm) are -100 or noise all the same
(Google Earth Engine's catalog of revision .002), so that these windows count, which is said.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import BANDS, PLAIN
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.layers import Layer
from hsi_ssl.scenes.measured import decoding
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.product import Candidate, Product, Quality, Wanted
from hsi_ssl.scenes.products.neon_metadata import (
    WEATHER,
    clouded,
    good_bands,
    place_of,
    taken_at,
    weather_in,
)  # fmt: skip
from hsi_ssl.scenes.products.neon_radiance import SummedReader
from hsi_ssl.scenes.readers.hdf5 import cube_reader, numeric_arrays
from hsi_ssl.scenes.readers.hdf5_file import names_in, opened
from hsi_ssl.scenes.readers.hdf5_metadata import band_facts_of, measured_of
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.units import Kind, Units, units_of
from hsi_ssl.scenes.wavelengths import with_facts

CUBE = re.compile(
    r"(?:.*/)?(?:Reflectance/Reflectance_Data|Radiance/(?:Radiance_Data|RadianceIntegerPart))"
)
INTEGERS, DECIMALS = "RadianceIntegerPart", "RadianceDecimalPart"
VARIABLES = ("Reflectance_Data", "Radiance_Data", INTEGERS)
NOTHING = -9999.0
DECIMAL_SCALE = 50_000.0
"""By which decimals are divided, where they do not say it."""
OVERCAST = "cloudy sky"
"""Layer: a tenth of the sky or more was under clouds. It is no cloud in the pixel."""


def main(candidate: Candidate) -> Path | None:
    """The file itself, where it holds one cube of NEON's."""
    return candidate.path if sum(map(_is_cube, candidate.hdf5)) == 1 else None


def open_cube(path: Path, wanted: Wanted) -> Scene:
    """Open reflectance or radiance with all that its metadata say.

    Raises
    ------
    SceneError
        It is no cube (rows, cols, bands), or radiance without its decimals.
    """
    with opened(path) as file:
        found = list(filter(_is_cube, names_in(file)))
        cube = file[found[0]]
        if not isinstance(cube, h5py.Dataset) or cube.ndim != len(PLAIN):
            raise SceneError(
                f"{path} holds {found[0]} that is no cube (rows, cols, bands); get it again"
            )
        scene = _radiance(path, cube) if cube.name.endswith(INTEGERS) else _plain(path, cube)
        try:
            facts = band_facts_of(file, cube, numeric_arrays(file), scene.bands)
            scene = with_facts(scene, facts, good_bands(cube.parent, facts))
            place, taken = place_of(cube.parent), taken_at(cube.parent, path)
            weather = weather_in(cube.parent, (scene.rows, scene.cols))
            scene = replace(
                scene,
                grid=place.grid,
                acquired=taken.at,
                notes=(*scene.notes, *place.notes, *taken.notes),
                origins=replace(
                    scene.origins,
                    crs=place.crs_from,
                    transform=place.transform_from,
                    acquired=taken.origin,
                ),
            )
            return _with_weather(scene, weather, wanted.quality)
        except BaseException:
            scene.close()
            raise


def _is_cube(name: str) -> bool:
    return CUBE.fullmatch(name) is not None


def _plain(path: Path, cube: h5py.Dataset) -> Scene:
    """A cube of one array, reflectance as a rule."""
    kind: Kind = "radiance" if "Radiance" in cube.name else "reflectance"
    rows, cols, bands = cube.shape
    axes = _axes(cube)
    native = cube.dtype.newbyteorder("=")
    how = decoding(native, [measured_of(cube, native)] * bands)
    factor = _attribute(cube, "Scale_Factor")
    units = units_of(
        bands, scale=1 / factor if factor else None, kind=kind, source="Scale_Factor, which divides"
    )
    reader = cube_reader(path, cube.name.strip("/"), PLAIN)
    return Scene(
        path,
        "NEON HDF5",
        rows,
        cols,
        bands,
        how.dtype,
        how.through(reader),
        nodata=how.nodata,
        units=units,
        block=reader.piece[:2],
        origins=Origins(axes=axes, nodata=how.origin),
    )


def _radiance(path: Path, integers: h5py.Dataset) -> Scene:
    """Radiance of two arrays, whose sum counts."""
    decimals = integers.parent.get(DECIMALS)
    if not isinstance(decimals, h5py.Dataset) or decimals.shape != integers.shape:
        raise SceneError(
            f"{path} holds {INTEGERS} without {DECIMALS} of the same shape; expected both: get the "
            "file again"
        )
    rows, cols, bands = integers.shape
    axes = _axes(integers)
    scale = _attribute(decimals, "Scale_Factor")
    parts = [cube_reader(path, one.name.strip("/"), PLAIN) for one in (integers, decimals)]
    fills = tuple(_attribute(one, "Data_Ignore_Value") for one in (integers, decimals))
    notes = () if scale else (f"{path.name}: {DECIMALS} tell no Scale_Factor: divided by 50,000",)
    return Scene(
        path,
        "NEON radiance HDF5",
        rows,
        cols,
        bands,
        np.dtype(np.float32),
        SummedReader(parts[0], parts[1], scale or DECIMAL_SCALE, fills, NOTHING),
        nodata=NOTHING,
        units=Units(np.ones(bands), np.zeros(bands), "radiance", "both parts together"),
        block=parts[0].piece[:2],
        notes=notes,
        origins=Origins(axes=axes, nodata=Origin("the attributes Data_Ignore_Value")),
    )


def _axes(cube: h5py.Dataset) -> Origin:
    """What is known of the axes; refused where the wavelengths are no other axis's."""
    nm = cube.parent.get("Metadata/Spectral_Data/Wavelength")
    size = cube.shape[PLAIN.index(BANDS)]
    if isinstance(nm, h5py.Dataset) and nm.size not in {0, size}:
        raise SceneError(
            f"{cube.file.filename} has {size} bands and {nm.size} wavelengths; expected as many: "
            "get the file again"
        )
    return Origin("NEON's documents", "rows,cols,bands")


def _attribute(item: h5py.Dataset, name: str) -> float | None:
    value = np.ravel(item.attrs.get(name, ()))
    try:
        return float(value[0]) if len(value) else None
    except ValueError:
        return None


def _with_weather(scene: Scene, weather: str | None, quality: Quality) -> Scene:
    """With the weather while pixels were measured; strict leaves out those under a cloudy sky."""
    if weather is None:
        if quality == "lenient":
            return scene
        note = f"{scene.path.name} tells no weather: --quality strict leaves nothing more out"
        return replace(scene, notes=(*scene.notes, note))
    layer = Layer(partial(clouded, scene.path, weather), WEATHER)
    scene = replace(scene, layers={OVERCAST: layer})
    if quality == "lenient":
        return scene
    names = (f"more than a tenth of clouds in {WEATHER} (--quality strict)",)
    return without(scene, layer.read, names)


PRODUCT = Product("NEON", main, open_cube, VARIABLES)
