"""Where the pixels of netCDF's arrays lie: coordinate vectors and grid mappings.

CF conventions 1.11, 4.1, 4.2 (latitude and longitude), 5.6 "Horizontal coordinate reference
systems, grid mappings". Coordinates are those of pixel centres. Where there are none, the first
row of the array is the first of the scene, whatever GDAL's netCDF driver takes it for.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.cells import whole_number
from hsi_ssl.scenes.axes import COLS, ROWS, Decided, Dimension, plain_text
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.scene import Array, CubeReader, Floats, Grid

Transform = tuple[float, float, float, float, float, float]
CRS_TEXTS = ("crs_wkt", "spatial_ref", "epsg_code", "spatial_epsg")
"""Attributes of grid mappings that name a CRS: CF's, GDAL's, and what others write."""
ATTRIBUTE = re.compile("[A-Za-z][A-Za-z0-9_]*")
"""Names of attributes that describe a CRS."""
UNEVEN = 0.01
"""Steps that a coordinate may lie beside its place."""
LOST = 0.25
"""The same where the numbers' own type is no finer."""


class Placed(NamedTuple):
    """Where an array's pixels lie, read from its first row on, or its last if `upside_down`."""

    grid: Grid = Grid()
    upside_down: bool = False
    notes: tuple[str, ...] = ()
    crs_from: Origin | None = None
    transform_from: Origin | None = None


def placed(
    dimensions: Sequence[Dimension], decided: Decided, mapping: Mapping[str, Any] | None
) -> Placed:
    """The place of an array by the coordinates of its rows and columns.

    Rows whose coordinate rises are read from the last on, so that north is up. Coordinates that
    merely count pixels place nothing. `mapping` holds the attributes of the grid mapping that the
    array names; where they describe a CRS by its parameters, GDAL is asked for it. Its
    `GeoTransform` counts where rows have no other coordinate, from the first row on: so rioxarray
    places turned grids.
    """
    if not dimensions:
        return Placed()
    y, x = (dimensions[decided.order.index(axis)] for axis in (ROWS, COLS))
    crs, crs_from = _crs(mapping or {})
    if crs is None and mapping:
        crs, crs_from = _crs_by_gdal(mapping), Origin("the parameters of its grid mapping")
    if _counts(y, crs) or y.values is None or len(y.values) < 2:  # noqa: PLR2004
        transform = _geotransform(mapping or {})
        if transform is None:
            return Placed()
        mapped = Origin("the GeoTransform of its grid mapping")
        return Placed(Grid(crs, transform), crs_from=crs_from, transform_from=mapped)
    if not np.isfinite(y.values).all():
        return Placed()
    upside_down = bool((np.diff(y.values) > 0).all())
    if x.values is None or _counts(x, crs):
        return Placed(upside_down=upside_down)
    downwards, along = _line(y), _line(x)
    if downwards is None or along is None:
        note = f"the coordinates {y} and {x} are not regular: the scene has no place"
        return Placed(upside_down=upside_down, notes=(note,))
    (north, down), (west, across) = downwards, along
    if upside_down:
        north, down = north + down * (y.size - 1), -down
    if crs is None and _is_degrees(y) and _is_degrees(x):
        crs, crs_from = wgs84(), Origin(f"the units or names of the coordinates {y} and {x}")
    corner = west - across / 2, north - down / 2
    transform = (across, 0.0, corner[0], 0.0, down, corner[1])
    notes: tuple[str, ...] = ()
    if crs is None and mapping:
        called = plain_text(mapping.get("grid_mapping_name", "")) or "without a name"
        notes = (f"the grid mapping ({called}) describes no CRS that GDAL knows: left out",)
    return Placed(
        Grid(crs, transform),
        upside_down,
        notes,
        crs_from=None if crs is None else crs_from,
        transform_from=Origin(f"the coordinates {y} and {x}"),
    )


class UpsideDown:
    """A reader of `rows` rows that gives the last row first."""

    def __init__(self, reader: CubeReader, rows: int) -> None:
        self._reader = reader
        self._rows = rows

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Values `(row1 - row0, col1 - col0, bands)`."""
        found = self._reader.window(self._rows - row1, self._rows - row0, col0, col1)
        return found[::-1].copy(order="K")

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Spectra `(n, bands)` of single pixels."""
        return self._reader.pixels(self._rows - 1 - rows, cols)

    def thinned(
        self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64], bands: Sequence[int]
    ) -> Array:
        """Values `(len(rows), len(cols), len(bands))` where these rows and columns cross."""
        found = self._reader.thinned((self._rows - 1 - rows)[::-1], cols, bands)
        return np.ascontiguousarray(found[::-1])

    def close(self) -> None:
        """Release the file."""
        self._reader.close()


def turned(plane: Array, decided: Decided, *, upside_down: bool) -> Array:
    """A plane of a cube's two axes, as the file has them, as `(rows, cols)` of the scene."""
    if decided.order.index(COLS) < decided.order.index(ROWS):
        plane = plane.T
    return plane[::-1] if upside_down else plane


def _geotransform(mapping: Mapping[str, Any]) -> Transform | None:
    """GDAL's six numbers, as text: of x, then of y, offset first."""
    try:
        c, a, b, f, d, e = map(float, plain_text(mapping.get("GeoTransform", "")).split())
    except ValueError:
        return None
    return (a, b, c, d, e, f) if a * e - b * d else None


def _crs(mapping: Mapping[str, Any]) -> tuple[str | None, Origin | None]:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    for name in CRS_TEXTS:
        text = plain_text(mapping.get(name, "")).strip()
        if not text:
            continue
        try:
            code = whole_number(text)
            crs = CRS.from_user_input(text if code is None else f"EPSG:{code}")
            return str(crs.to_wkt()), Origin(f"the attribute {name} of its grid mapping")
        except (CRSError, ValueError):  # of `EPSG:` and no number
            continue
    if plain_text(mapping.get("grid_mapping_name", "")) == "latitude_longitude":
        return wgs84(), Origin("the grid_mapping_name of its grid mapping")
    return None, None


def _crs_by_gdal(mapping: Mapping[str, Any]) -> str | None:
    """The CRS of a grid mapping by its parameters.

    GDAL is shown it beside a plane of its own: of arrays it takes the last two axes for those of
    the ground, whatever they are called, and drops the mapping where they are not. Of a projection
    that it does not know it keeps the ellipsoid alone, as a CRS in degrees: that is none.
    """
    import rasterio
    from scipy.io import netcdf_file

    from hsi_ssl.scenes.readers.gdal_errors import FAILURES

    if not mapping:
        return None
    name = plain_text(mapping.get("grid_mapping_name", "latitude_longitude"))
    with tempfile.TemporaryDirectory(prefix="hsi-ssl-") as folder:
        path = Path(folder) / "plane.nc"
        with netcdf_file(path, "w") as file:
            said: dict[str, Mapping[str, Any]] = {"plane": {"grid_mapping": "crs"}}
            for axis in "yx":
                file.createDimension(axis, 2)
                file.createVariable(axis, "f8", (axis,))[:] = (0, 1)
                named = f"projection_{axis}_coordinate"
                said[axis] = {"standard_name": named, "units": "m"}
            file.createVariable("plane", "f4", ("y", "x"))
            file.createVariable("crs", "i4", ())
            for variable, attributes in (said | {"crs": mapping}).items():
                for key, value in attributes.items():
                    number = np.asarray(value)
                    if not ATTRIBUTE.fullmatch(key) or hasattr(file.variables[variable], key):
                        continue
                    if number.dtype.kind in "iuf" and number.size:
                        setattr(file.variables[variable], key, number.astype(np.float64))
                    elif number.dtype.kind in "SU" and number.size == 1:
                        text = plain_text(number).encode("ascii", "replace")
                        setattr(file.variables[variable], key, text)
        try:
            with rasterio.open(path) as dataset:
                crs = dataset.crs
                lost = not crs or (crs.is_geographic and "latitude_longitude" not in name)
                return None if lost else str(crs.to_wkt())
        except FAILURES:
            return None


def wgs84() -> str:
    """Longitudes and latitudes, as WKT."""
    from rasterio.crs import CRS

    return str(CRS.from_epsg(4326).to_wkt())


def _counts(dimension: Dimension, crs: str | None) -> bool:
    """Whether a coordinate only counts pixels: 0, 1, 2, ... of no unit and in no CRS."""
    said = {key.lower() for key in dimension.attributes}
    values = dimension.values
    if values is None or crs is not None or said & {"units", "standard_name"}:
        return False
    return bool((values == np.arange(len(values)) + values[0]).all()) and 0 <= values[0] <= 1


def _is_degrees(dimension: Dimension) -> bool:
    said = {key.lower(): plain_text(value) for key, value in dimension.attributes.items()}
    units, name = said.get("units", "").lower(), said.get("standard_name", "").lower()
    spelled = dimension.name.split("/")[-1].lower()
    return (
        units.startswith(("degrees_", "degree_"))
        or name in {"latitude", "longitude"}
        or (spelled in {"lat", "latitude", "lon", "longitude"} and units in {"", "degrees"})
    )


def _line(dimension: Dimension) -> tuple[float, float] | None:
    """First value and step, in metres where kilometres are said, of what is regular."""
    values = dimension.values
    if values is None or len(values) < 2 or not np.isfinite(values).all():  # noqa: PLR2004
        return None
    step = float(values[-1] - values[0]) / (len(values) - 1)
    even: Floats = values[0] + step * np.arange(len(values))
    coarse = float(np.spacing(np.float32(np.abs(values).max())))
    allowed = min(max(UNEVEN * abs(step), coarse), LOST * abs(step))
    if step == 0 or np.abs(values - even).max() > allowed:
        return None
    units = plain_text(dimension.attributes.get("units", "")).strip().lower()
    factor = 1000.0 if units in {"km", "kilometer", "kilometre", "kilometers"} else 1.0
    return float(values[0]) * factor, step * factor
