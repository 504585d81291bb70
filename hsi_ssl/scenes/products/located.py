"""Places that HDF5 files of swaths hold: coordinates of pixels, and lookup tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import plain_text
from hsi_ssl.scenes.geolocation import Geolocation
from hsi_ssl.scenes.lookup import Numbers, Table
from hsi_ssl.scenes.lookup_places import smooth
from hsi_ssl.scenes.readers.hdf5 import opened
from hsi_ssl.scenes.scene import Bools, Floats, Grid

FARTHEST = 1e7
"""Metres: coordinates beyond are none."""
MOST_DEGREES, NOTHING = 360.0, -9999.0
LEAST_KNOWN = 0.5
"""Share of pixels that must have coordinates."""


def table_in(path: Path, lines: str, samples: str, name: str) -> Table:
    """The lookup table of two arrays of an HDF5 file.

    Raises
    ------
    SceneError
        They are no two planes of one size.
    """
    with opened(path) as file:
        shapes = [getattr(file.get(one), "shape", None) for one in (lines, samples)]
        if shapes[0] is None or shapes[0] != shapes[1] or len(shapes[0]) != 2:  # noqa: PLR2004
            raise SceneError(
                f"{path} holds a lookup table of {lines} {shapes[0]} and {samples} {shapes[1]}; "
                "expected two planes of one size: get the file again"
            )
        fill = np.ravel(file[lines].attrs.get("_FillValue", ()))
    rows, cols = shapes[0]

    def read(rows: slice, cols: slice) -> tuple[Numbers, Numbers]:
        with opened(path) as file:
            return file[lines][rows, cols], file[samples][rows, cols]

    return Table(path, name, rows, cols, read, float(fill[0]) if len(fill) else None)


def located_in(
    file: h5py.File, x: str, y: str, size: tuple[int, int], *, degrees: bool = True
) -> tuple[Geolocation | None, tuple[str, ...]]:
    """Coordinates of pixels by two arrays, as `located`; None also where there are none."""
    arrays = [file.get(name) for name in (x, y)]
    if not all(isinstance(one, h5py.Dataset) and one.shape == size for one in arrays):
        return None, ()
    first, second = (np.asarray(one[()], np.float64) for one in arrays)
    return located(first, second, f"{x} and {y}", degrees=degrees)


def located(
    x: Floats, y: Floats, name: str, *, degrees: bool
) -> tuple[Geolocation | None, tuple[str, ...]]:
    """Pixels by planes of coordinates, and what is to be said; None where they tell no place.

    Pixels without coordinates lie among their neighbours, which is said; none counts where half of
    them have none. `name` is what people are told of the planes.
    """
    farthest = MOST_DEGREES if degrees else FARTHEST
    known: Bools = (x != NOTHING) & (y != NOTHING)
    with np.errstate(invalid="ignore"):
        known &= (np.abs(x) <= farthest) & (np.abs(y) <= farthest)
    if known.mean() < LEAST_KNOWN or min(np.ptp(x[known]), np.ptp(y[known])) == 0:
        return None, (f"{name} tell no place of most pixels: they are not used",)
    if known.all():
        return Geolocation(x, y, degrees), ()
    lacking = int(np.count_nonzero(~known))
    note = f"{name} lack coordinates of {lacking:,} pixels: taken from their neighbours"
    x, y = (np.where(known, one, smooth(np.where(known, one, 0), known)) for one in (x, y))
    return Geolocation(x, y, degrees), (note,)


def grid_told(transform: Any, crs: Any) -> Grid | None:
    """A map grid by GDAL's six numbers, a list or a text, and a text that names a CRS."""
    told = plain_text(transform).split() if isinstance(transform, bytes | str) else transform
    wkt = crs_told(crs)
    try:
        c, a, b, f, d, e = np.ravel(told).astype(float).tolist()
    except ValueError:
        return None
    return Grid(wkt, (a, b, c, d, e, f)) if wkt is not None and a * e - b * d else None


def crs_told(text: Any) -> str | None:
    """The CRS that a text names, as WKT; None where PROJ knows none."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        found = CRS.from_user_input(plain_text(text))
    except CRSError:
        return None
    return str(found.to_wkt()) or None


def wgs84() -> str:
    """Longitudes and latitudes, as WKT."""
    from rasterio.crs import CRS

    return str(CRS.from_epsg(4326).to_wkt())
