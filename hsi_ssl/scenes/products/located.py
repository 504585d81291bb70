"""What files say of places: lookup tables in HDF5, map grids, coordinate systems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import plain_text
from hsi_ssl.scenes.lookup import Numbers, Table
from hsi_ssl.scenes.readers.hdf5_file import opened
from hsi_ssl.scenes.scene import Grid


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


def grid_told(transform: Any, crs: Any) -> Grid | None:
    """A map grid by GDAL's six numbers, a list or a text, and a text that names a CRS."""
    told = np.ravel(transform)
    if told.size == 1:  # netCDF's strings come as arrays of one
        told = np.array(plain_text(told).split())
    wkt = crs_told(crs)
    try:
        c, a, b, f, d, e = told.astype(float).tolist()
    except ValueError:
        return None
    return Grid(wkt, (a, b, c, d, e, f)) if wkt is not None and a * e - b * d else None


def crs_told(text: Any) -> str | None:
    """The CRS that a text names, as WKT; None where PROJ knows none."""
    from rasterio import Env
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        with Env():  # in which GDAL says nothing itself
            return str(CRS.from_user_input(plain_text(text)).to_wkt()) or None
    except CRSError:
        return None


def is_degrees(crs: str | None) -> bool:
    """Whether coordinates of a CRS are longitudes and latitudes."""
    from rasterio.crs import CRS

    return crs is not None and bool(CRS.from_wkt(crs).is_geographic)
