"""What HDF5 files say of a cube: in attributes, in vectors beside it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from hsi_ssl.scenes.axes import Dimension, names_wavelengths, plain_text
from hsi_ssl.scenes.measured import Measured
from hsi_ssl.scenes.readers import cf, hdfeos
from hsi_ssl.scenes.readers.hdf5_file import objects_in
from hsi_ssl.scenes.units import Units, kind_in, units_of
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts, unit_in

NODATA_NAMES = ("data_ignore_value", "nodata", "no_data")
"""Beside those of netCDF, which `cf.py` knows."""
GOOD_BANDS_NAMES = ("bbl", "goodwavelengths", "goodbands")
WAVELENGTH_UNITS = ("wavelength_units", "wavelength_unit", "wavelength units")
UNITS = ("units", "unit", *WAVELENGTH_UNITS)
"""Attributes of the vector of wavelengths; on the cube, `units` are those of its values."""
COORDINATE = ("standard_name", "units", "axis", "long_name")
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"


class _Found(NamedTuple):
    values: npt.NDArray[Any]
    unit: str | None
    where: str


def measured_of(array: h5py.Dataset, dtype: np.dtype[Any], *, default: bool = False) -> Measured:
    """What values of an array, read as `dtype`, are measurements, by its attributes.

    `default` as in `measured_values`: where HDF5 was told to fill space that nobody writes.
    """
    found = attributes_of(array)
    default = default and array.id.get_create_plist().get_fill_time() != h5py.h5d.FILL_TIME_NEVER
    measured = cf.measured_values(found, dtype, default=default)
    others = {
        name: np.ravel(value)[0].item()
        for name, value in found.items()
        if name.lower() in NODATA_NAMES and np.size(value) and np.asarray(value).dtype.kind in "iuf"
    }
    return replace(
        measured,
        fills=(*others.values(), *measured.fills),
        said_by=(*(f"the attribute {name}" for name in others), *measured.said_by),
    )


def attributes_of(array: h5py.Dataset) -> dict[str, Any]:
    """The attributes that say something of what is data."""
    names = [name for name in array.attrs if cf.counts(name) or name.lower() in NODATA_NAMES]
    return {name: array.attrs[name] for name in names}


def is_netcdf(file: h5py.File) -> bool:
    """Whether netCDF's library wrote the file (`_NCProperties`), or by its conventions (CF)."""
    conventions = plain_text(file.attrs.get("Conventions", ""))
    return "_NCProperties" in file.attrs or conventions.startswith("CF")


def units_of_cube(cube: h5py.Dataset, bands: int) -> Units | None:
    """What attributes say of the cube's numbers, by CF's conventions."""
    said = {name.lower(): value for name, value in cube.attrs.items()}
    names = ("units", "unit", "long_name", "standard_name", "description")
    texts = [plain_text(said[name]) for name in names if name in said]
    scale, offset = said.get("scale_factor"), said.get("add_offset")
    kind = kind_in(cube.name.split("/")[-1], *texts)
    return units_of(bands, scale=scale, offset=offset, kind=kind, source="scale_factor")


def dimensions_of(array: h5py.Dataset, *, reverse: bool = False) -> list[Dimension]:
    """What the file says of the axes of an array, in the order in which they are named.

    HDF5's dimension labels and scales, which netCDF's dimensions are; names in xarray's attribute
    or in HDF-EOS5's description of the file.
    """
    names = [plain_text(name) for name in np.ravel(array.attrs.get("_ARRAY_DIMENSIONS", ()))]
    names = names or hdfeos.dimension_names(array)
    found = []
    for i, size in enumerate(array.shape):
        name = names[i] if len(names) == array.ndim else ""
        dimension = Dimension(size, name)
        with contextlib.suppress(OSError, RuntimeError, KeyError, ValueError):
            dimension = _dimension(array.dims[i], size, name)
        found.append(dimension)
    return found[::-1] if reverse else found


def _dimension(dim: Any, size: int, name: str) -> Dimension:
    """One axis; the scale of a netCDF dimension without a variable has a name only."""
    scale = dim[0] if len(dim) else None
    name = dim.label or ((scale.name or "").split("/")[-1] if scale is not None else name)
    if scale is None:
        return Dimension(size, name)
    attributes = {key: scale.attrs[key] for key in COORDINATE if key in scale.attrs}
    said = plain_text(scale.attrs.get("NAME", ""))
    whole = scale.shape == (size,) and scale.dtype.kind in "iuf"
    if not whole or said.startswith(NO_VARIABLE):
        return Dimension(size, name, attributes)
    return Dimension(size, name, attributes, np.asarray(scale[()], np.float64))


def grid_mapping_of(cube: h5py.Dataset) -> dict[str, Any]:
    """The attributes of the grid mapping that a cube names, searched for in its groups upwards."""
    named = plain_text(cube.attrs.get("grid_mapping", "")).split(":")[0].strip()
    for group in _groups(cube)[1:] if named else ():
        if named in group:
            return dict(group[named].attrs)
    return {}


def wavelength_vectors(
    file: h5py.File, cube: h5py.Dataset, arrays: dict[str, tuple[int, ...]]
) -> list[tuple[str, int]]:
    """Names and lengths of all that holds wavelengths, the nearest to the cube first."""
    found = [
        (name, np.size(listed(value)))
        for group in _groups(cube)
        for name, value in group.attrs.items()
        if names_wavelengths(name)
    ]
    for name, size in _vectors(file, cube, arrays).items():
        if names_wavelengths(name):
            found.append((name, size))
    return [(name, size) for name, size in found if size > 1]


def listed(value: Any) -> Any:
    """A list of numbers or of their texts; one text with commas or spaces in between is a list."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, bytes | str):
        return re.split(r"[,;\s]+", plain_text(value).strip(" {}[]()\n\t,;"))
    return value


def band_facts_of(
    file: h5py.File,
    cube: h5py.Dataset,
    arrays: dict[str, tuple[int, ...]],
    bands: int,
    dimension: Dimension | None = None,
) -> BandFacts:
    """Facts from the bands' own coordinate, attributes of the cube and its groups, and vectors."""
    groups = _groups(cube)
    vectors = [name for name, size in _vectors(file, cube, arrays).items() if size == bands]

    def find(names: Callable[[str], bool]) -> _Found | None:
        for group in groups:
            for name, value in group.attrs.items():
                if names(name) and np.size(listed(value)) == bands:
                    found = np.asarray(listed(value))
                    unit = _unit(group.attrs, WAVELENGTH_UNITS, name)
                    return _Found(found, unit, f"the attribute {name} of {group.name}")
        for name in vectors:
            if names(name.split("/")[-1]):
                found = np.asarray(listed(file[name][()]))
                unit = _unit(file[name].attrs, UNITS, name)
                return _Found(found, unit, f"the array {name}")
        return None

    def starting(*words: str) -> Callable[[str], bool]:
        return lambda name: _plain(name).startswith(words)

    centres = None
    if dimension is not None and dimension.wavelengths is not None:
        unit = _unit(dimension.attributes, UNITS, dimension.name)
        centres = _Found(dimension.wavelengths, unit, f"the coordinate {dimension}")
    centres = centres or find(names_wavelengths)
    widths, good = find(starting("fwhm")), find(starting(*GOOD_BANDS_NAMES))
    return band_facts(
        bands,
        where=Path(file.filename).name,
        wavelengths=None if centres is None else centres.values,
        units=None if centres is None else centres.unit,
        fwhm=None if widths is None else widths.values,
        bad_band_list=None if good is None else good.values,
        wavelengths_from="" if centres is None else centres.where,
        good_from="" if good is None else good.where,
    )


def _groups(cube: h5py.Dataset) -> list[Any]:
    """The cube, the group that it is in, and so on up to the file."""
    groups = [cube]
    while groups[-1].name != "/":
        groups.append(groups[-1].parent)
    return groups


def _vectors(
    file: h5py.File, cube: h5py.Dataset, arrays: dict[str, tuple[int, ...]]
) -> dict[str, int]:
    """Name -> length of vectors of numbers or texts, those first that share most of the path."""
    found = {
        name: max(shape)
        for name, shape in arrays.items()
        if max(shape, default=0) == np.prod(shape) and not _text_of(file[name], "NAME").startswith(
            NO_VARIABLE
        )
    }  # fmt: skip

    for name, item in objects_in(file).items():
        if isinstance(item, h5py.Dataset) and h5py.check_string_dtype(item.dtype) is not None:
            named = name.rsplit("/", maxsplit=1)[-1]
            if names_wavelengths(named) or _plain(named).startswith(("fwhm", *GOOD_BANDS_NAMES)):
                found[name] = np.size(listed(item[()]))
    return dict(sorted(found.items(), key=lambda pair: -_shared(pair[0], cube.name.strip("/"))))


def _text_of(item: Any, name: str) -> str:
    return plain_text(item.attrs.get(name, ""))


def _unit(attributes: Any, keys: tuple[str, ...], name: str) -> str | None:
    """The unit said by one of the attributes `keys`, or by the end of the array's own name."""
    for key, value in attributes.items():
        if key.lower() in keys:
            return plain_text(value)
    return unit_in(name)


def _plain(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


def _shared(name: str, cube: str) -> int:
    return sum(1 for a, b in zip(name.split("/"), cube.split("/"), strict=False) if a == b)
