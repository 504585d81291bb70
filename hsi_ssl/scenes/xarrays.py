"""Scenes as `xarray.DataArray` and back: nothing is read before it is wanted.

Dimensions are `(y, x, band)`; wavelengths are a coordinate along `band`. Where pixels lie is said
as rioxarray does: a coordinate `spatial_ref` with `crs_wkt` and GDAL's `GeoTransform`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hsi_ssl.errors import HsiSslError, HsiSslWarning, SceneError
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
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.cf_grid import UpsideDown, placed
from hsi_ssl.scenes.scene import Array, CubeReader, Grid, Scene
from hsi_ssl.scenes.units import kind_in, units_of
from hsi_ssl.scenes.wavelengths import band_facts, with_facts

if TYPE_CHECKING:
    import xarray

DIMENSIONS = ("y", "x", "band")
WAVELENGTH, WIDTH, GOOD, PLACE = "wavelength", "fwhm", "good", "spatial_ref"
SCALE, OFFSET = "scale_factor", "add_offset"
"""Names of coordinates."""
SIX = 6


def to_xarray(scene: Scene) -> xarray.DataArray:
    """See `Scene.to_xarray`."""
    try:
        import xarray
        from xarray.core.indexing import LazilyIndexedArray
    except ImportError as error:
        raise HsiSslError(
            "to_xarray needs the package xarray: install it, or hsi-ssl[xarray]"
        ) from error

    coordinates: dict[str, Any] = {"band": ("band", np.arange(1, scene.bands + 1))}
    if scene.wavelengths_nm is not None:
        coordinates[WAVELENGTH] = ("band", scene.wavelengths_nm, {"units": "nm"})
    if scene.fwhm_nm is not None:
        coordinates[WIDTH] = ("band", scene.fwhm_nm, {"units": "nm"})
    coordinates[GOOD] = ("band", scene.good)
    coordinates |= _place(scene)
    attributes: dict[str, Any] = {} if PLACE not in coordinates else {"grid_mapping": PLACE}
    if scene.nodata is not None:
        attributes["_FillValue"] = scene.nodata
    of_units, by_band = _units(scene)
    attributes |= of_units
    coordinates |= by_band
    lazy = LazilyIndexedArray(_lazy(scene))
    found = xarray.DataArray(
        xarray.Variable(DIMENSIONS, lazy, attributes), coordinates, name=scene.name
    )
    found.encoding["source"] = str(scene.path)
    return found


def from_xarray(array: xarray.DataArray, *, axes: str | None = None) -> Scene:
    """A scene made of a `DataArray` of three dimensions, read when it is wanted.

    Which dimension holds the bands is told by names and coordinates, as in netCDF; or by `axes`,
    `bands,rows,cols` say. Wavelengths are a coordinate along the bands (nm where it has no unit,
    below 100 micrometres); `spatial_ref`, or regular coordinates, say where pixels lie;
    `_FillValue`, `scale_factor` and `add_offset` among the attributes count as in files.

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
    place = _own_place(array)
    if place is None:
        found = placed(dimensions, decided, _mapping(array))
        reader = UpsideDown(reader, rows) if found.upside_down else reader
        grid, notes = found.grid, found.notes
    else:
        grid, notes = place, ()
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
    return with_facts(scene, band_facts(bands, where=path.name, **along))


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


def _lazy(scene: Scene) -> Any:
    """The scene as an array of one of xarray's backends."""
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class SceneArray(BackendArray):  # type: ignore[misc, unused-ignore]
        """A scene that xarray reads window by window."""

        def __init__(self) -> None:
            self.shape = (scene.rows, scene.cols, scene.bands)
            self.dtype = scene.dtype

        def __getitem__(self, key: Any) -> Any:
            how = indexing.IndexingSupport.OUTER
            return indexing.explicit_indexing_adapter(key, self.shape, how, self._read)

        def _read(self, key: tuple[Any, ...]) -> Array:
            rows, cols = (_span(k, n) for k, n in zip(key[:2], self.shape[:2], strict=True))
            window = scene.read(rows.window, cols.window)
            # One axis after the other, since arrays of indices are meant to cross.
            found = window[..., key[2]]
            found = np.take(found, cols.inside, axis=1)
            taken: Array = np.take(found, rows.inside, axis=0)
            return taken

    return SceneArray()


@dataclass(frozen=True)
class _Span:
    """A window along an axis, and what is wanted of it."""

    window: slice
    inside: Any


def _span(key: Any, size: int) -> _Span:
    if isinstance(key, slice):
        wanted = np.arange(size)[key]
    else:
        wanted = np.arange(size)[np.asarray(key)]
    if wanted.ndim == 0:
        return _Span(slice(int(wanted), int(wanted) + 1), 0)
    if not len(wanted):
        return _Span(slice(0, 0), wanted)
    first = int(wanted.min())
    return _Span(slice(first, int(wanted.max()) + 1), wanted - first)


def _place(scene: Scene) -> dict[str, Any]:
    """The coordinates that say where pixels lie."""
    grid = scene.grid
    if grid.control_points or grid.rpcs:
        warnings.warn(
            f"{scene.path.name} lies by control points or RPCs, which xarray has no place for: the "
            "array has none",
            HsiSslWarning,
            stacklevel=4,
        )
    if grid.transform is None:
        return {}
    a, b, c, d, e, f = grid.transform
    attributes = {"GeoTransform": " ".join(map(repr, map(float, (c, a, b, f, d, e))))}
    if grid.crs is not None:
        attributes |= {"crs_wkt": grid.crs, "spatial_ref": grid.crs}
    found: dict[str, Any] = {PLACE: ((), 0, attributes)}
    if b == d == 0:
        found["x"] = ("x", c + a * (np.arange(scene.cols) + 0.5))
        found["y"] = ("y", f + e * (np.arange(scene.rows) + 0.5))
    return found


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


def _mapping(array: xarray.DataArray) -> dict[str, Any]:
    """Attributes of the grid mapping, none where there is no such coordinate."""
    name = array.attrs.get("grid_mapping", array.encoding.get("grid_mapping", PLACE))
    return dict(array.coords[name].attrs) if name in array.coords else {}


def _units(scene: Scene) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes and coordinates that say what raw numbers mean: bands may differ."""
    units = scene.units
    if units is None:
        return {}, {}
    kind = {} if units.kind is None else {"long_name": units.kind}
    if not units.said:
        return kind, {}
    if np.ptp(units.scale) or np.ptp(units.offset):
        return kind, {SCALE: ("band", units.scale), OFFSET: ("band", units.offset)}
    return kind | {SCALE: float(units.scale[0]), OFFSET: float(units.offset[0])}, {}


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
