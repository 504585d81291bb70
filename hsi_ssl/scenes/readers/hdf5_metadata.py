"""What HDF5 files say of a cube: in attributes, in vectors beside it, in NEON's metadata group."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.measured import Measured
from hsi_ssl.scenes.readers import cf
from hsi_ssl.scenes.scene import Bools, Grid
from hsi_ssl.scenes.units import Units, kind_in, units_of
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts, unit_in

NODATA_NAMES = ("data_ignore_value", "nodata", "no_data")
"""Beside those of netCDF, which `cf.py` knows."""
GOOD_BANDS_NAMES = ("bbl", "goodwavelengths", "goodbands")
WAVELENGTH_UNITS = ("wavelength_units", "wavelength_unit", "wavelength units")
UNITS = ("units", "unit", *WAVELENGTH_UNITS)
"""Attributes of the vector of wavelengths; on the cube, `units` are those of its values."""
NEON_CUBE = "/Reflectance/Reflectance_Data"


class _Found(NamedTuple):
    values: npt.NDArray[Any]
    unit: str | None


def measured_of(array: h5py.Dataset, dtype: np.dtype[Any], *, default: bool = False) -> Measured:
    """What values of an array, read as `dtype`, are measurements, by its attributes.

    `default` as in `measured_values`: where HDF5 was told to fill space that nobody writes.
    """
    found = attributes_of(array)
    default = default and array.id.get_create_plist().get_fill_time() != h5py.h5d.FILL_TIME_NEVER
    measured = cf.measured_values(found, dtype, default=default)
    others = [
        np.ravel(value)[0].item()
        for name, value in found.items()
        if name.lower() in NODATA_NAMES and np.size(value) and np.asarray(value).dtype.kind in "iuf"
    ]
    return replace(measured, fills=(*others, *measured.fills)) if others else measured


def attributes_of(array: h5py.Dataset) -> dict[str, Any]:
    """The attributes that say something of what is data."""
    names = [name for name in array.attrs if cf.counts(name) or name.lower() in NODATA_NAMES]
    return {name: array.attrs[name] for name in names}


def is_netcdf(file: h5py.File) -> bool:
    """Whether netCDF's library wrote the file (`_NCProperties`), or by its conventions (CF)."""
    said = file.attrs.get("Conventions", "")
    text = said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)
    return "_NCProperties" in file.attrs or text.startswith("CF")


def units_of_cube(cube: h5py.Dataset, bands: int) -> Units | None:
    """What attributes say of the cube's numbers: those of CF multiply, NEON's factor divides."""
    said = {name.lower(): value for name, value in cube.attrs.items()}
    names = ("units", "unit", "long_name", "standard_name", "description")
    texts = [_plain_text(said[name]) for name in names if name in said]
    scale, offset = said.get("scale_factor"), said.get("add_offset")
    if scale is not None and cube.name.endswith(NEON_CUBE):
        scale = 1 / np.asarray(scale, np.float64)
    kind = kind_in(cube.name.split("/")[-1], *texts)
    return units_of(bands, scale=scale, offset=offset, kind=kind, source="scale_factor")


def band_facts_of(
    file: h5py.File, cube: h5py.Dataset, arrays: dict[str, tuple[int, ...]]
) -> BandFacts:
    """Facts from attributes of the cube and its groups, or from vectors of one number a band."""
    bands = arrays[cube.name.strip("/")][2]
    groups = [cube]
    while groups[-1].name != "/":
        groups.append(groups[-1].parent)
    vectors = [name for name, shape in arrays.items() if max(shape, default=0) == bands]
    vectors = [name for name in vectors if np.prod(arrays[name]) == bands]
    # The nearest to the cube first: those that share the most of its path.
    vectors.sort(key=lambda name: -_shared(name, cube.name.strip("/")))

    def find(*words: str) -> _Found | None:
        for group in groups:
            for name, value in group.attrs.items():
                if _plain(name).startswith(words) and np.size(value) == bands:
                    return _Found(np.asarray(value), _unit(group.attrs, WAVELENGTH_UNITS, name))
        for name in vectors:
            if _plain(name.split("/")[-1]).startswith(words):
                return _Found(file[name][()], _unit(file[name].attrs, UNITS, name))
        return None

    centres, widths, good = find("wavelength"), find("fwhm"), find(*GOOD_BANDS_NAMES)
    facts = band_facts(
        bands,
        where=Path(file.filename).name,
        wavelengths=None if centres is None else centres.values,
        units=None if centres is None else centres.unit,
        fwhm=None if widths is None else widths.values,
        bad_band_list=None if good is None else good.values,
    )
    return facts.else_from(BandFacts(good=_outside_windows(groups, facts)))


def _outside_windows(groups: list[Any], facts: BandFacts) -> Bools | None:
    """Good bands by NEON's `Band_Window_1_Nanometers`, ...: bad are those within a window."""
    if facts.wavelengths_nm is None:
        return None
    windows = [
        np.ravel(value)
        for group in groups
        for name, value in group.attrs.items()
        if re.fullmatch(r"Band_Window_\d+_Nanometers", name) and np.size(value) == 2  # noqa: PLR2004
    ]
    if not windows:
        return None
    good: Bools = np.ones(len(facts.wavelengths_nm), dtype=bool)
    for low, high in windows:
        good &= (facts.wavelengths_nm < low) | (facts.wavelengths_nm > high)
    return good


def grid_of(cube: h5py.Dataset) -> Grid:
    """NEON's coordinate system: ENVI's `map info` and the EPSG code beside the cube."""
    place = "Metadata/Coordinate_System"
    if place not in cube.parent:
        return Grid()
    texts = {
        name: _text(item)
        for name, item in cube.parent[place].items()
        if isinstance(item, h5py.Dataset) and item.size
    }
    return Grid(_crs(texts), _transform(texts.get("Map_Info", "")))


def _crs(texts: dict[str, str]) -> str | None:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    for name in ("EPSG Code", "Coordinate_System_String"):
        text = texts.get(name, "")
        try:
            crs = CRS.from_epsg(int(text)) if text.isdigit() else CRS.from_wkt(text)
            return str(crs.to_wkt())
        except CRSError:
            continue
    return None


def _transform(map_info: str) -> tuple[float, float, float, float, float, float] | None:
    """The grid of ENVI's `map info`: projection, reference column and row (from 1), x, y, sizes."""
    fields = [field.strip() for field in map_info.split(",")]
    if any(f.startswith("rotation") and float(f.split("=")[1]) != 0 for f in fields):
        return None  # NEON's mosaics are never rotated; better no grid than a guessed one
    try:
        col, row, x, y, width, height = (float(field) for field in fields[1:7])
    except ValueError:
        return None
    return (width, 0.0, x - (col - 1) * width, 0.0, -height, y + (row - 1) * height)


def _text(item: h5py.Dataset) -> str:
    return _plain_text(np.ravel(item[()])[0])


def _plain_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _unit(attributes: Any, keys: tuple[str, ...], name: str) -> str | None:
    """The unit said by one of the attributes `keys`, or by the end of the array's own name."""
    for key, value in attributes.items():
        if key.lower() in keys:
            return _plain_text(value)
    return unit_in(name)


def _plain(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


def _shared(name: str, cube: str) -> int:
    return sum(1 for a, b in zip(name.split("/"), cube.split("/"), strict=False) if a == b)
