"""Scenes made of an `xarray.DataArray`: nothing is read before it is wanted.

What `as_xarray.py` makes reads as what it was; other arrays by their names and coordinates, as
netCDF does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.as_xarray import (
    DIMENSIONS,
    GOOD,
    OFFSET,
    PLACE,
    SCALE,
    SEEN,
    STANDARD,
    WIDTH,
)
from hsi_ssl.scenes.axes import (
    BANDS,
    COLS,
    ROWS,
    Asked,
    Decided,
    Dimension,
    decide,
    names_wavelengths,
    order_of,
)
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.products.seen import by_coordinates
from hsi_ssl.scenes.products.swaths import Located
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.cf_grid import UpsideDown, placed, wgs84
from hsi_ssl.scenes.scene import Array, CubeReader, Grid, Scene
from hsi_ssl.scenes.units import kind_in, units_of
from hsi_ssl.scenes.wavelengths import band_facts, with_facts

if TYPE_CHECKING:
    import xarray

SIX = 6


def from_xarray(array: xarray.DataArray, *, axes: str | None = None) -> Scene:
    """A scene made of a `DataArray` of three dimensions, read when it is wanted.

    Which dimension holds the bands is told by names and coordinates, as in netCDF; or by `axes`,
    `bands,rows,cols` say. Wavelengths are a coordinate along the bands (nm where it has no unit,
    below 100 micrometres). Where pixels lie is said by `spatial_ref`, by regular coordinates, or by
    planes of longitudes and latitudes over rows and columns. `_FillValue`, `scale_factor` and
    `add_offset` among the attributes count as in files.

    Raises
    ------
    SceneError
        It has other dimensions, or holds no numbers; which one holds the bands remains open.
    """
    path = Path(str(array.encoding.get("source") or array.name or "the array"))
    if array.ndim != len(DIMENSIONS) or array.dtype.kind not in "iuf":
        raise SceneError(
            f"a DataArray of dimensions {tuple(array.dims)} and type {array.dtype}; expected "
            "numbers over rows, columns and bands"
        )
    asked = Asked(None if axes is None else order_of(axes))
    decided, dimensions = _decided(array, asked, path)
    rows, cols, bands = decided.sizes(array.shape)
    names = [str(array.dims[decided.order.index(axis)]) for axis in (ROWS, COLS, BANDS)]
    ordered = array.transpose(*names)
    reader: CubeReader = DataArrayReader(ordered)
    seen = _seen_place(array, names)
    place = _own_place(array) if seen is None else seen.grid
    if place is None:
        found = placed(dimensions, decided, _mapping(array))
        reader = UpsideDown(reader, rows) if found.upside_down else reader
        grid, notes = found.grid, found.notes
    else:
        grid, notes = place, () if seen is None else seen.notes
    attributes = array.attrs
    fill = attributes.get("_FillValue")  # in `encoding` it has been decoded, and is NaN by now
    along = _along_bands(array, names[-1])
    scene = Scene(
        path=path,
        format="xarray",
        rows=rows,
        cols=cols,
        bands=bands,
        dtype=array.dtype.newbyteorder("="),
        reader=reader,
        nodata=None if fill is None else float(fill),
        units=units_of(
            bands,
            scale=attributes.get(SCALE, along.pop(SCALE, None)),
            offset=attributes.get(OFFSET, along.pop(OFFSET, None)),
            kind=kind_in(attributes.get("units"), attributes.get("long_name"), array.name),
            source="scale_factor",
        ),
        grid=grid,
        notes=(*decided.notes, *notes),
    )
    scene = with_facts(scene, band_facts(bands, where=path.name, **along))
    lost = None if seen is None else seen.lost
    return scene if lost is None else without(scene, lambda: lost, ("missing coordinates",))


def bands_last(spectra: Any) -> tuple[Any, Array | None]:
    """Spectra with bands on the last axis, and their wavelengths in nm where they tell them.

    A `DataArray` of three dimensions is turned as its names say; all else is left as it is.
    """
    if not (
        hasattr(spectra, "dims") and hasattr(spectra, "coords") and spectra.ndim == len(DIMENSIONS)
    ):
        return spectra, None
    scene = from_xarray(spectra)
    values = scene.read()
    if scene.nodata is not None and not np.isnan(scene.nodata):
        values = np.ma.masked_equal(values, scene.nodata)
    return values, scene.wavelengths_nm


class DataArrayReader(BoxReader):
    """A cube `(rows, cols, bands)` that a `DataArray` holds or knows how to read."""

    def __init__(self, array: xarray.DataArray) -> None:
        rows, cols, bands = array.shape
        super().__init__((rows, cols, bands), array.dtype.newbyteorder("="), (1, 1, bands))
        self._array = array.variable

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        found = np.asarray(self._array[rows, cols, bands].values)
        return np.ascontiguousarray(found, self.dtype)

    def close(self) -> None:
        """Leave the array to whom it belongs."""


def _own_place(array: xarray.DataArray) -> Grid | None:
    """The grid by `spatial_ref`, where it has GDAL's transform and that of all pixels.

    Coordinates go before it once pixels have been cut out: xarray leaves the transform as it was.
    """
    mapping = _mapping(array)
    numbers = str(mapping.get("GeoTransform", "")).split()
    if len(numbers) != SIX:
        return None
    c, a, b, f, d, e = map(float, numbers)
    for name, first, step in (("x", c, a), ("y", f, e)):
        if name in array.coords and array.coords[name].ndim == 1:
            values = array.coords[name].values
            expected = first + step * (np.arange(len(values)) + 0.5)
            if not np.allclose(values, expected, rtol=0, atol=abs(step) / 100):
                return None
    crs = str(mapping.get("crs_wkt") or mapping.get("spatial_ref") or "") or None
    return Grid(crs, (a, b, c, d, e, f))


def _seen_place(array: xarray.DataArray, names: list[str]) -> Located | None:
    """The place of pixels by planes of coordinates over rows and columns, where there are both."""
    for pair in SEEN.values():
        planes = []
        for name in pair:
            for called, one in array.coords.items():
                told = one.attrs.get("standard_name", called)
                if told in (STANDARD[name], name) and set(one.dims) == set(names[:2]):
                    planes.append(one.transpose(*names[:2]).values.astype(np.float64))
                    break
        if len(planes) == len(pair):
            mapping = _mapping(array)
            crs = str(mapping.get("crs_wkt") or mapping.get("spatial_ref") or "") or None
            crs = wgs84() if crs is None and pair == SEEN[True] else crs
            return by_coordinates(planes[0], planes[1], crs, " and ".join(pair))
    return None


def _mapping(array: xarray.DataArray) -> dict[str, Any]:
    """Attributes of the grid mapping, none where there is no such coordinate."""
    name = array.attrs.get("grid_mapping", array.encoding.get("grid_mapping", PLACE))
    return dict(array.coords[name].attrs) if name in array.coords else {}


def _decided(array: xarray.DataArray, asked: Asked, path: Path) -> tuple[Decided, list[Dimension]]:
    dimensions = []
    for name, size in zip(array.dims, array.shape, strict=True):
        coordinate = array.coords.get(name)
        values, attributes = None, {}
        if coordinate is not None and coordinate.dtype.kind in "iuf":
            values, attributes = coordinate.values.astype(np.float64), dict(coordinate.attrs)
        dimensions.append(Dimension(size, str(name), attributes, values))
    first, second, third = array.shape
    vectors = [
        (str(name), coordinate.size)
        for name, coordinate in array.coords.items()
        if coordinate.ndim == 1 and names_wavelengths(str(name))
    ]
    decided = decide(
        (first, second, third),
        asked,
        of=str(array.name or "the array"),
        path=path,
        dimensions=dimensions,
        vectors=vectors,
    )
    return decided, dimensions


def _along_bands(array: xarray.DataArray, dimension: str) -> dict[str, Any]:
    """What coordinates along the bands say: as `band_facts` takes it, and scales and offsets."""
    found: dict[str, Any] = {}
    for name, coordinate in array.coords.items():
        if coordinate.dims != (dimension,):
            continue
        called, values = str(name), coordinate.values
        if called in (SCALE, OFFSET, WIDTH):
            found[called] = values
        elif called in (GOOD, "good_bands", "good_wavelengths"):
            found["bad_band_list"] = values.astype(np.int64)
        elif values.dtype.kind in "iuf":
            numbers = values.astype(np.float64)
            if Dimension(len(values), called, coordinate.attrs, numbers).wavelengths is not None:
                found["wavelengths"], found["units"] = values, coordinate.attrs.get("units")
    return found
