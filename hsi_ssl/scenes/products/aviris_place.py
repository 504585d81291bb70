"""Where the pixels of AVIRIS's netCDF files lie: on a grid, or in sensor geometry.

What the files hold, and where sources disagree on it, is told in `aviris.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.products.located import crs_told, grid_told, table_in
from hsi_ssl.scenes.products.seen import seen_at
from hsi_ssl.scenes.products.swaths import Located, located
from hsi_ssl.scenes.readers.hdf5_metadata import grid_mapping_of
from hsi_ssl.scenes.scene import Grid

TABLE = "geolocation_lookup_table"
SAME_PLACE = 0.01
"""Pixels by which coordinates and transform may differ."""
BY_TRANSFORM = Origin("the GeoTransform of its grid mapping")
Line = tuple[float, float]
"""First value and step of a coordinate."""


def place_of(file: h5py.File, cube: h5py.Dataset, path: Path, size: tuple[int, int]) -> Located:
    """Where the pixels of a cube of `size` rows and columns lie.

    Raises
    ------
    SceneError
        Coordinates contradict the grid; the lookup table is of another scene.
    """
    mapping = grid_mapping_of(cube) or _mapping_in(file)
    told = mapping.get("crs_wkt", mapping.get("spatial_ref", ""))
    grid = grid_told(mapping.get("GeoTransform", ""), told)
    across, down = _line(file, cube, "easting", size[1]), _line(file, cube, "northing", size[0])
    if across is not None and down is not None:
        return _on_grid(path, across, down, grid or Grid(crs_told(told)))
    own = located(file, "lon", "lat", size, path)
    if own.grid.geolocation is not None or TABLE in file:
        names = f"{TABLE}/line", f"{TABLE}/sample"
        table = table_in(path, *names, "its lookup table") if TABLE in file else None
        return seen_at(own, table, grid, size)
    return own if grid is None else Located(grid, BY_TRANSFORM)


def _on_grid(path: Path, across: Line, down: Line, grid: Grid) -> Located:
    """The place of a cube whose columns and rows have coordinates."""
    (x, dx), (y, dy) = across, down
    if grid.transform is None:
        grid = replace(grid, transform=(dx, 0.0, x - dx / 2, 0.0, dy, y - dy / 2))
        return Located(grid, Origin("the coordinates easting and northing"))
    a, b, c, d, e, f = grid.transform
    if b or d:  # turned: coordinates of rows and columns are none of a map
        return Located(grid, BY_TRANSFORM)
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
    return Located(grid, BY_TRANSFORM, notes)


def _mapping_in(file: h5py.File) -> dict[str, Any]:
    """The attributes of what places a grid, where the cube does not name it."""
    for one in file.values():
        if isinstance(one, h5py.Dataset) and "GeoTransform" in one.attrs:
            return dict(one.attrs)
    return {}


def _line(file: h5py.File, cube: h5py.Dataset, name: str, size: int) -> Line | None:
    """First value and step of a regular coordinate."""
    found = file.get(name, cube.parent.get(name))
    if not isinstance(found, h5py.Dataset) or found.shape != (size,) or size < 2:  # noqa: PLR2004
        return None
    values = np.asarray(found[()], np.float64)
    step = float(values[-1] - values[0]) / (size - 1)
    even = np.abs(values - values[0] - step * np.arange(size)).max() <= 0.1 * abs(step)
    return (float(values[0]), step) if step and even else None
