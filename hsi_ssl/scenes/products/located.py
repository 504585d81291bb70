"""Places that HDF5 files of swaths hold: coordinates of pixels, and lookup tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import plain_text
from hsi_ssl.scenes.geolocation import Geolocation, placeable
from hsi_ssl.scenes.hidden import without
from hsi_ssl.scenes.lookup import Numbers, Table, ortho_of
from hsi_ssl.scenes.lookup_places import located_by
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.ortho import Ortho
from hsi_ssl.scenes.readers.hdf5 import opened
from hsi_ssl.scenes.scene import Bools, Floats, Grid, Scene

FARTHEST = 1e7
"""Metres: coordinates beyond are none."""
MOST_DEGREES, NOTHING = 360.0, -9999.0


class Place(NamedTuple):
    """A grid, the map grid of its lookup table, what tells them, and what is to be said."""

    grid: Grid = Grid()
    ortho: Ortho | None = None
    where: Origin | None = None
    notes: tuple[str, ...] = ()


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
    """Coordinates of pixels by two arrays, as `located`; None also where there are none.

    Raises
    ------
    SceneError
        They have other pixels than the cube.
    """
    arrays = [file.get(name) for name in (x, y)]
    if not all(isinstance(one, h5py.Dataset) for one in arrays):
        return None, ()
    for one in arrays:
        if one.shape != size:
            raise SceneError(
                f"{file.filename} holds {size[0]} x {size[1]} pixels, and {one.name} of "
                f"{' x '.join(map(str, one.shape))}; expected one for each: get the file again"
            )
    first, second = (np.asarray(one[()], np.float64) for one in arrays)
    return located(first, second, f"{x} and {y}", degrees=degrees)


def located(
    x: Floats, y: Floats, name: str, *, degrees: bool
) -> tuple[Geolocation | None, tuple[str, ...]]:
    """Pixels by planes of coordinates, and what is to be said; None where they tell no place.

    `name` is what people are told of the planes. Pixels without coordinates are NaN: see
    `without_lost`.
    """
    farthest = MOST_DEGREES if degrees else FARTHEST
    known: Bools = (x != NOTHING) & (y != NOTHING)
    with np.errstate(invalid="ignore"):
        known &= (np.abs(x) <= farthest) & (np.abs(y) <= farthest)
    x, y = (np.where(known, one, np.nan) for one in (x, y))
    if not placeable(x, y):
        return None, (f"{name} place no pixels: they are not used",)
    lost = int(np.count_nonzero(~known))
    notes = (f"{lost:,} pixels have no place by {name}: left out",) if lost else ()
    return Geolocation(x, y, degrees), notes


def seen_at(
    own: Grid,
    own_from: str,
    table: Table | None,
    grid: Grid | None,
    size: tuple[int, int],
    notes: tuple[str, ...] = (),
) -> Place:
    """The place of `size` rows and columns of a scene in sensor geometry.

    `own`: by coordinates of its pixels, from `own_from`, where there are any; else they lie by the
    table alone, whose cells `grid` places.

    Raises
    ------
    SceneError
        The table is of another scene.
    """
    ortho, where = None, Origin(own_from)
    if table is not None and (grid is None or grid.transform is None):
        notes = (*notes, f"{table.name} tells no place of its cells: it is not used")
    elif table is not None and grid is not None:
        ortho, more = ortho_of(table, grid, size, own)
        notes = (*notes, *more)
        if own.geolocation is None:
            found = located_by(table, grid, size, degrees=is_degrees(grid.crs))
            own, where = Grid(grid.crs, geolocation=found), Origin(table.name)
    if own.geolocation is None:
        return Place(notes=(*notes, "the file tells no place of its pixels"))
    return Place(own, ortho, where, notes)


def without_lost(scene: Scene) -> Scene:
    """The scene without its pixels that have no place."""
    located = scene.grid.geolocation
    if located is None or not located.lost.any():
        return scene
    return without(scene, lambda: located.lost, ("missing coordinates",))


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


def wgs84() -> str:
    """Longitudes and latitudes, as WKT."""
    from rasterio.crs import CRS

    return str(CRS.from_epsg(4326).to_wkt())
