"""netCDF-3: read past GDAL, whose driver knows one order of axes, so that all netCDF is one truth.

The variable that is a cube, wavelengths beside it, where it lies (see `cf_grid.py`) and what of it
is data (see `cf.py`), as for netCDF-4 in `hdf5.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import (
    PLAIN,
    Asked,
    Decided,
    Dimension,
    decide,
    names_wavelengths,
    plain_text,
)
from hsi_ssl.scenes.format import Format
from hsi_ssl.scenes.measured import decoding
from hsi_ssl.scenes.origins import Origins
from hsi_ssl.scenes.readers import cf
from hsi_ssl.scenes.readers.cf_grid import Placed, UpsideDown, placed, turned
from hsi_ssl.scenes.readers.choosing import CUBE, PLANE, choose
from hsi_ssl.scenes.readers.classic import MAGIC, Header, Variable, header_of, values_of
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.readers.hdf5_metadata import listed
from hsi_ssl.scenes.scene import Array, CubeReader, Scene
from hsi_ssl.scenes.times import time_among
from hsi_ssl.scenes.units import Units, kind_in, units_of
from hsi_ssl.scenes.wavelengths import BandFacts, band_facts, unit_in, with_facts

UNIT_NAMES = ("units", "unit", "wavelength_units", "wavelength_unit")
WIDTHS = ("fwhm", "bandwidth", "sensor_band_fwhm")
GOOD = ("bbl", "good_wavelengths", "good_bands", "goodbands")


def open_cube(path: Path, variable: str | None = None, asked: Asked = Asked()) -> Scene:  # noqa: B008
    """Open the cube `variable`, by default the only one; of one band, where there are planes only.

    Raises
    ------
    SceneError
        The file is broken; it holds no cube or several; evidence leaves two orders of its axes.
    SceneNotFoundError
        It holds no `variable`.
    """
    header = header_of(path)
    arrays = _numeric(header)
    try:
        name = choose(arrays, variable, path=path, dimensions=CUBE)
    except SceneError:
        if any(len(shape) == CUBE for shape in arrays.values()) and variable is None:
            raise
        name = choose(arrays, variable, path=path, dimensions=PLANE)
    cube = header.variables[name]
    if len(cube.shape) == PLANE:
        asked = Asked(PLAIN)
        cube = Variable(
            name, (*cube.dimensions, ""), (*cube.shape, 1), cube.dtype, cube.attributes,
            cube.offset, cube.step,
        )  # fmt: skip
    dimensions = _dimensions(path, header, cube)
    decided = _decided(path, header, cube, dimensions, asked)
    rows, cols, bands = decided.sizes(cube.shape)
    where = _placed(header, cube, dimensions, decided)
    stored = cf.number_type(cube.attributes, cube.dtype)
    native = stored.newbyteorder("=")
    how = decoding(native, [cf.measured_values(cube.attributes, native, default=True)] * bands)
    reader = FlatReader(
        path, (rows, cols, bands), stored, offset=cube.offset, axes=decided.order, step=cube.step
    )
    inner: CubeReader = UpsideDown(reader, rows) if where.upside_down else reader
    planes = [
        n
        for n, v in header.variables.items()
        if n.lower() == "labels" and sorted(v.shape) == sorted((rows, cols))
    ]
    taken = time_among(header.attributes)
    scene = Scene(
        path=path,
        format="netCDF",
        rows=rows,
        cols=cols,
        bands=bands,
        dtype=how.dtype,
        reader=how.through(inner),
        nodata=how.nodata,
        units=_units(cube, bands),
        grid=where.grid,
        acquired=taken.at,
        block=reader.piece[:2],
        label_reader=partial(read_plane, path, planes[0]) if planes else None,
        notes=(*decided.notes, *where.notes),
        origins=Origins(
            axes=decided.origin,
            nodata=how.origin,
            crs=where.crs_from,
            transform=where.transform_from,
            acquired=taken.origin,
        ),
    )
    return with_facts(scene, _band_facts(path, header, cube, dimensions, decided))


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label plane, north up, and its nodata value.

    Raises
    ------
    SceneError, SceneNotFoundError
        As for cubes.
    """
    header = header_of(path)
    name = choose(_numeric(header), variable, path=path, dimensions=PLANE, shape=shape)
    plane = header.variables[name]
    values = values_of(path, plane)
    values = values.view(cf.number_type(plane.attributes, values.dtype))
    # No default fill value: of labels it would say that their 0 is a class.
    how = decoding(
        values.dtype, [cf.measured_values(plane.attributes, values.dtype, default=False)]
    )
    values = how.clean(values[..., None])[..., 0]
    if values.ndim == PLANE:
        dimensions = [*_dimensions(path, header, plane), Dimension(1, "band")]
        decided = decide((*values.shape, 1), Asked(), of=name, path=path, dimensions=dimensions)
        where = placed(dimensions, decided, None)
        values = turned(values, decided, upside_down=where.upside_down)
    return values, how.nodata


def _numeric(header: Header) -> dict[str, tuple[int, ...]]:
    return {
        name: variable.shape
        for name, variable in header.variables.items()
        if variable.dtype.kind in "iuf" and np.prod(variable.shape)
    }


def _dimensions(path: Path, header: Header, variable: Variable) -> list[Dimension]:
    found = []
    for name, size in zip(variable.dimensions, variable.shape, strict=True):
        own = header.variables.get(name)
        if own is None or own.shape != (size,) or own.dtype.kind not in "iuf":
            found.append(Dimension(size, name))
        else:
            values = values_of(path, own).astype(np.float64)
            found.append(Dimension(size, name, own.attributes, values))
    return found


def _vectors(
    header: Header, cube: Variable, dimensions: list[Dimension]
) -> list[tuple[str, Variable]]:
    """Variables that hold wavelengths: the cube's own coordinate first."""
    own = {one.name for one in dimensions if one.wavelengths is not None}
    found = [
        (name, variable)
        for name, variable in header.variables.items()
        if len(variable.shape) == 1 and variable.dtype.kind in "iuf"
        and (name in own or names_wavelengths(name) or _says_wavelength(variable.attributes))
    ]  # fmt: skip
    return sorted(found, key=lambda pair: pair[0] not in cube.dimensions)


def _says_wavelength(attributes: Mapping[str, Any]) -> bool:
    return "radiation_wavelength" in plain_text(attributes.get("standard_name", ""))


def _decided(
    path: Path, header: Header, cube: Variable, dimensions: list[Dimension], asked: Asked
) -> Decided:
    first, second, third = cube.shape
    vectors = [(n, v.shape[0]) for n, v in _vectors(header, cube, dimensions)]
    vectors += [
        (name, size)
        for name, value in (*cube.attributes.items(), *header.attributes.items())
        if names_wavelengths(name) and (size := np.size(listed(value))) > 1
    ]
    planes = {n: v.shape for n, v in header.variables.items() if len(v.shape) == PLANE}
    return decide(
        (first, second, third),
        asked,
        of=cube.name,
        path=path,
        dimensions=dimensions,
        vectors=vectors,
        planes=planes,
    )


def _placed(
    header: Header, cube: Variable, dimensions: list[Dimension], decided: Decided
) -> Placed:
    named = plain_text(cube.attributes.get("grid_mapping", "")).split(":")[0].strip()
    mapping = header.variables.get(named)
    return placed(dimensions, decided, mapping.attributes if mapping is not None else {})


def _band_facts(
    path: Path, header: Header, cube: Variable, dimensions: list[Dimension], decided: Decided
) -> BandFacts:
    bands = decided.sizes(cube.shape)[2]
    widths, _ = _beside(path, header, cube, bands, WIDTHS)
    good, good_from = _beside(path, header, cube, bands, GOOD)
    centres, units, found_in = None, None, ""
    for name, variable in _vectors(header, cube, dimensions):
        if variable.shape == (bands,):
            centres, units = values_of(path, variable), _unit(variable.attributes, name)
            found_in = f"the variable {name}"
            break
    else:
        for attributes in (cube.attributes, header.attributes):
            for name, value in attributes.items():
                if centres is None and names_wavelengths(name):
                    numbers = listed(value)
                    if np.size(numbers) == bands:
                        own = {k: v for k, v in attributes.items() if k.lower() != "units"}
                        centres, units = numbers, _unit(own, name)
                        found_in = f"the attribute {name}"
    return band_facts(
        bands,
        where=path.name,
        wavelengths=centres,
        units=units,
        fwhm=widths,
        bad_band_list=good,
        wavelengths_from=found_in,
        good_from=good_from,
    )


def _beside(
    path: Path, header: Header, cube: Variable, bands: int, names: tuple[str, ...]
) -> tuple[Array | None, str]:
    """Numbers, one a band, of a variable or an attribute of one of these names, and which it is."""
    for name, variable in header.variables.items():
        if name.lower() in names and variable.shape == (bands,):
            return values_of(path, variable), f"the variable {name}"
    for name, value in (*cube.attributes.items(), *header.attributes.items()):
        if name.lower() in names and np.size(listed(value)) == bands:
            return np.asarray(listed(value)), f"the attribute {name}"
    return None, ""


def _unit(attributes: Mapping[str, Any], name: str) -> str | None:
    said = {key.lower(): plain_text(value) for key, value in attributes.items()}
    return next((said[key] for key in UNIT_NAMES if key in said), unit_in(name))


def _units(cube: Variable, bands: int) -> Units | None:
    said = {name.lower(): value for name, value in cube.attributes.items()}
    texts = [said[name] for name in ("units", "long_name", "standard_name") if name in said]
    return units_of(
        bands,
        scale=said.get("scale_factor"),
        offset=said.get("add_offset"),
        kind=kind_in(cube.name, *texts),
        source="scale_factor",
    )


FORMAT = Format(
    "netCDF-3",
    lambda head: head.start.startswith(MAGIC),
    open_cube,
    read_plane,
    open_cube,
    by_windows=True,
)
