"""A scene as an `xarray.DataArray`: nothing is read before it is wanted.

Dimensions are `(y, x, band)`; wavelengths are a coordinate along `band`. Where pixels lie is said
as rioxarray does: a coordinate `spatial_ref` with `crs_wkt` and GDAL's `GeoTransform`; of scenes in
sensor geometry by planes of coordinates `(y, x)`, as CF has them.
`readers/data_array.py` is the way back.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hsi_ssl.errors import HsiSslError, HsiSslWarning

if TYPE_CHECKING:
    import xarray

    from hsi_ssl.scenes.scene import Array, Grid, Scene

DIMENSIONS = ("y", "x", "band")
WAVELENGTH, WIDTH, GOOD, PLACE = "wavelength", "fwhm", "good", "spatial_ref"
SCALE, OFFSET = "scale_factor", "add_offset"
"""Names of coordinates."""
SEEN = {True: ("longitude", "latitude"), False: ("projected_x", "projected_y")}
"""Those of planes `(y, x)`, by whether they are degrees."""
STANDARD = {
    "longitude": "longitude", "latitude": "latitude",
    "projected_x": "projection_x_coordinate", "projected_y": "projection_y_coordinate",
}  # fmt: skip
"""Their standard names."""


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
    if scene.ortho is not None:
        warnings.warn(
            f"{scene.path.name} has a lookup table, which xarray has no place for: maps of the "
            "array stay in sensor geometry",
            HsiSslWarning,
            stacklevel=4,
        )
    if grid.geolocation is not None:
        return _seen(grid)
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


def _seen(grid: Grid) -> dict[str, Any]:
    """Planes of coordinates, and the CRS that they are of."""
    place = grid.geolocation
    assert place is not None
    told = {} if grid.crs is None else {"crs_wkt": grid.crs, "spatial_ref": grid.crs}
    found: dict[str, Any] = {PLACE: ((), 0, told)}
    for name, plane in zip(SEEN[place.degrees], (place.x, place.y), strict=True):
        found[name] = (DIMENSIONS[:2], plane, {"standard_name": STANDARD[name]})
    return found


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
