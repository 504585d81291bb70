"""What HDF5 and netCDF-4 products with a latitude and a longitude for each pixel share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Order, plain_text
from hsi_ssl.scenes.geolocation import Geolocation, placeable
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.layers import Layer, any_of
from hsi_ssl.scenes.measured import decoding
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.ortho import Ortho
from hsi_ssl.scenes.readers.cf import number_type
from hsi_ssl.scenes.readers.cf_grid import wgs84
from hsi_ssl.scenes.readers.hdf5 import cube_reader
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.readers.hdf5_metadata import (
    attributes_of,
    is_netcdf,
    measured_of,
    units_of_cube,
)
from hsi_ssl.scenes.readers.planes import PlanesReader
from hsi_ssl.scenes.scene import Bools, Floats, Grid, Scene
from hsi_ssl.scenes.times import Taken
from hsi_ssl.scenes.units import Kind, as_they_are
from hsi_ssl.scenes.wavelengths import LENGTHS, BandFacts, singular, with_facts

SWATH_NOTE = "in sensor geometry: pixels have latitudes and longitudes, and stay where they are"
NO_PLACE = "the file tells no place of its pixels"
FARTHEST_NORTH, FARTHEST_EAST = 90.0, 360.0
"""Degrees: beyond them a number is no latitude, no longitude."""
EARLIEST = 1e8
"""Seconds since 1970: what is less is no time of these sensors."""


class Located(NamedTuple):
    """Where pixels lie, by what, which have no place `(rows, cols)`, and what is to be told.

    `ortho`: the map grid of a lookup table, where there is one (see `seen.py`).
    """

    grid: Grid = Grid()
    origin: Origin | None = None
    notes: tuple[str, ...] = ()
    lost: Bools | None = None
    ortho: Ortho | None = None


class Cube(NamedTuple):
    """The array of a product: its file, its name there, its axes, and what says so.

    With several names each is a plane (rows, cols) of one band.
    """

    path: Path
    names: tuple[str, ...]
    axes: Order
    axes_from: Origin


def located(
    file: h5py.File, longitude: str, latitude: str, size: tuple[int, int], path: Path
) -> Located:
    """The place of `size` (rows, cols) pixels by two arrays of these names.

    Fill values, numbers that are no degrees, and 0, 0 mean that a pixel has no place.

    Raises
    ------
    SceneError
        They have another size: two products are mixed up.
    """
    planes = [file.get(name) for name in (longitude, latitude)]
    if not all(isinstance(plane, h5py.Dataset) for plane in planes):
        return Located(notes=(NO_PLACE,))
    for plane in planes:
        if plane.shape != size:
            found = " x ".join(map(str, plane.shape))
            raise SceneError(
                f"{path} holds {size[0]} x {size[1]} pixels, and {plane.name} of {found}: expected "
                "one for each pixel; get the file again"
            )
    x, y = (physical_values(plane) for plane in planes)
    nowhere = (np.abs(y) > FARTHEST_NORTH) | (np.abs(x) > FARTHEST_EAST) | ((x == 0) & (y == 0))
    lost: Bools = nowhere | np.isnan(x) | np.isnan(y)
    x[lost] = y[lost] = np.nan
    if not placeable(x, y):
        return Located(notes=("its latitudes and longitudes place no pixels",))
    notes: tuple[str, ...] = (SWATH_NOTE,)
    if lost.any():
        notes += (f"{np.count_nonzero(lost)} pixels have no latitude and longitude: left out",)
    origin = Origin(f"{longitude} and {latitude}")
    grid = Grid(wgs84(), geolocation=Geolocation(x, y))
    return Located(grid, origin, notes, lost if lost.any() else None)


def physical_values(array: h5py.Dataset) -> Floats:
    """The values of an array by its scale and offset, NaN where it declares them to be none."""
    stored = number_type(attributes_of(array), array.dtype)
    native = stored.newbyteorder("=")
    how = decoding(native, [measured_of(array, native, default=is_netcdf(array.file))])
    raw = array[()].view(stored).astype(native)
    raw = how.clean(raw[..., None])[..., 0]
    found: Floats = raw.astype(np.float64)
    if how.nodata is not None:
        found[raw == how.nodata] = np.nan
    for name, join in (("scale_factor", np.multiply), ("add_offset", np.add)):
        if name in array.attrs:
            found = join(found, float(np.ravel(array.attrs[name])[0]))
    return found


def length_of(array: object) -> str:
    """The unit of an array of wavelengths; nm, the products' own, where it tells no length."""
    told = plain_text(array.attrs.get("units", "")) if isinstance(array, h5py.Dataset) else ""
    return told if singular(told) in LENGTHS else "nm"


def first_time(file: h5py.File, *names: str) -> Taken:
    """The earliest time in the first of these arrays that is there, of seconds since 1970, UTC."""
    for name in names:
        array = file.get(name)
        if isinstance(array, h5py.Dataset) and array.dtype.kind in "iuf":
            values = physical_values(array)
            values = values[np.isfinite(values) & (values > EARLIEST)]
            if len(values):
                at = datetime.fromtimestamp(float(values.min()), UTC)
                return Taken(at, Origin(f"the array {name}"))
    return Taken()


def cube_scene(
    cube: Cube,
    form: str,
    facts: BandFacts,
    place: Located,
    *,
    kind: Kind | None = None,
    taken: Taken = Taken(),  # noqa: B008
    notes: tuple[str, ...] = (),
    layers: Mapping[str, Layer] | None = None,
    hiding: Mapping[str, Layer] | None = None,
) -> Scene:
    """The scene of a product's array, by its own attributes and what the product says.

    `kind`: what its numbers are, where its attributes do not say it. `layers`: what the product
    says of pixels; `hiding`: what hides some, in words. Pixels without a place are hidden too.
    """
    path, names, axes, axes_from = cube
    with opened(path) as file:
        arrays = [file[name] for name in names]
        first = arrays[0]
        if len(names) == 1:
            rows, cols, bands = (first.shape[axes.index(axis)] for axis in (ROWS, COLS, BANDS))
        else:
            (rows, cols), bands = first.shape, len(names)
        native = number_type(attributes_of(first), first.dtype).newbyteorder("=")
        measured = [measured_of(one, native, default=is_netcdf(file)) for one in arrays]
        how = decoding(native, measured * (bands // len(arrays)))
        units = units_of_cube(first, bands) or (None if kind is None else as_they_are(bands))
    if units is not None and units.kind is None:
        units = replace(units, kind=kind)
    reader = cube_reader(path, names[0], axes) if len(names) == 1 else PlanesReader(path, names)
    scene = Scene(
        path,
        form,
        rows,
        cols,
        bands,
        how.dtype,
        how.through(reader),
        nodata=how.nodata,
        units=units,
        grid=place.grid,
        ortho=place.ortho,
        acquired=taken.at,
        block=reader.piece[:2],
        layers=dict(layers or {}),
        notes=(*place.notes, *notes),
        origins=Origins(
            axes=axes_from,
            nodata=how.origin,
            crs=place.origin,
            transform=place.origin,
            acquired=taken.origin,
        ),
    )
    planes = dict(hiding or {})
    if place.lost is not None:
        lost = place.lost
        planes["missing latitudes and longitudes"] = Layer(lambda: lost, "")
    return without(with_facts(scene, facts), any_of(planes.values()), tuple(planes))
