"""Where the pixels of AVIRIS's netCDF files lie: on a grid, or in sensor geometry.

What the files hold, and where sources disagree on it, is told in `aviris.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.lookup import ortho_of, refuse_apart
from hsi_ssl.scenes.lookup_places import located_by
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.ortho import Ortho
from hsi_ssl.scenes.products.located import crs_told, grid_told, located_in, table_in, wgs84
from hsi_ssl.scenes.readers.hdf5_metadata import grid_mapping_of
from hsi_ssl.scenes.scene import Grid

TABLE = "geolocation_lookup_table"
SAME_PLACE = 0.01
"""Pixels by which coordinates and transform may differ."""


class Place(NamedTuple):
    """A grid, the map grid of its lookup table, what tells them, and what is to be said."""

    grid: Grid = Grid()
    ortho: Ortho | None = None
    where: Origin | None = None
    notes: tuple[str, ...] = ()


def place_of(file: h5py.File, cube: h5py.Dataset, path: Path, size: tuple[int, int]) -> Place:
    """Where the pixels of a cube of `size` rows and columns lie.

    Raises
    ------
    SceneError
        Coordinates contradict the grid; the lookup table is of another scene.
    """
    mapping = grid_mapping_of(cube) or _mapping_in(file)
    told = mapping.get("crs_wkt", mapping.get("spatial_ref", ""))
    grid = grid_told(mapping.get("GeoTransform", ""), told)
    if TABLE in file and file[TABLE].get("line") is not None and not _on_grid(file, size):
        return _as_seen(file, path, grid, size)
    where = Origin("the GeoTransform of its grid mapping")
    across, down = (
        _line(file, cube, name, n)
        for name, n in zip(("easting", "northing"), size[::-1], strict=True)
    )
    if grid is None:
        crs = crs_told(told)
        if across is None or down is None:
            return Place(Grid(crs), notes=("the file tells no place of its pixels",))
        (x, dx), (y, dy) = across, down
        grid = Grid(crs, (dx, 0.0, x - dx / 2, 0.0, dy, y - dy / 2))
        return Place(grid, where=Origin("the coordinates easting and northing"))
    assert grid.transform is not None
    a, b, c, d, e, f = grid.transform
    if across is None or down is None or b or d:
        return Place(grid, where=where)
    (x, dx), (y, dy) = across, down
    off = max(abs((x - c) / a - 0.5), abs((y - f) / e - 0.5))
    if not (np.isclose(dx, a, rtol=1e-3) and np.isclose(dy, e, rtol=1e-3)) or off > 1:
        raise SceneError(
            f"{path} is contradictory: its GeoTransform puts the first pixel at {c:.10g}, {f:.10g} "
            f"with steps of {a:g}, {e:g}, easting and northing at {x:.10g}, {y:.10g} with steps of "
            f"{dx:g}, {dy:g}; get the file again"
        )
    notes: tuple[str, ...] = ()
    if off > SAME_PLACE:
        notes = (
            f"easting and northing lie {off:.2g} pixels beside the middles that GeoTransform "
            "tells: the latter counts",
        )
    return Place(grid, where=where, notes=notes)


def _on_grid(file: h5py.File, size: tuple[int, int]) -> bool:
    """Whether the cube is on the grid of the lookup table, and its pixels have no others."""
    return file[TABLE]["line"].shape == size and getattr(file.get("lon"), "shape", size) != size


def _as_seen(file: h5py.File, path: Path, grid: Grid | None, size: tuple[int, int]) -> Place:
    """The place of a cube in sensor geometry, by its pixels' own coordinates or by its table."""
    located, notes = located_in(file, "lon", "lat", size)
    own = Grid() if located is None else Grid(wgs84(), geolocation=located)
    where = None if located is None else Origin("lon and lat")
    if grid is None:
        said = "its lookup table tells no place: maps of it stay in sensor geometry"
        return Place(own, where=where, notes=(*notes, said))
    table = table_in(path, f"{TABLE}/line", f"{TABLE}/sample", "its lookup table")
    ortho, more = ortho_of(table, grid, size)
    if located is None:
        found = located_by(table, grid, size, degrees=False)
        own, where = Grid(grid.crs, geolocation=found), Origin("its lookup table")
    else:
        refuse_apart(table, ortho, own)
    return Place(own, ortho, where, (*notes, *more))


def _mapping_in(file: h5py.File) -> dict[str, Any]:
    """The attributes of what places a grid, where the cube does not name it."""
    for one in file.values():
        if isinstance(one, h5py.Dataset) and "GeoTransform" in one.attrs:
            return dict(one.attrs)
    return {}


def _line(file: h5py.File, cube: h5py.Dataset, name: str, size: int) -> tuple[float, float] | None:
    """First value and step of a regular coordinate."""
    found = file.get(name, cube.parent.get(name))
    if not isinstance(found, h5py.Dataset) or found.shape != (size,) or size < 2:  # noqa: PLR2004
        return None
    values = np.asarray(found[()], np.float64)
    step = float(values[-1] - values[0]) / (size - 1)
    even = np.abs(values - values[0] - step * np.arange(size)).max() <= 0.1 * abs(step)
    return (float(values[0]), step) if step and even else None
