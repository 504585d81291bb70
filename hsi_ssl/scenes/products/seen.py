"""Scenes as their sensors saw them: by coordinates of pixels, and by lookup tables."""

from __future__ import annotations

import numpy as np

from hsi_ssl.scenes.geolocation import Geolocation, placeable
from hsi_ssl.scenes.lookup import Table, ortho_of
from hsi_ssl.scenes.lookup_places import located_by
from hsi_ssl.scenes.origins import Origin
from hsi_ssl.scenes.products.located import is_degrees
from hsi_ssl.scenes.products.swaths import NO_PLACE, Located
from hsi_ssl.scenes.scene import Floats, Grid

NOTHING = -9999.0
"""Of coordinates."""


def by_coordinates(x: Floats, y: Floats, crs: str | None, name: str) -> Located:
    """Pixels by planes of coordinates `(rows, cols)` in a CRS, which the file `name` tells."""
    lost = ~np.isfinite(x) | ~np.isfinite(y) | (x == NOTHING) | (y == NOTHING)
    x, y = (np.where(lost, np.nan, one) for one in (x, y))
    if not placeable(x, y):
        return Located(notes=(f"{name} places no pixels: it is not used",))
    grid = Grid(crs, geolocation=Geolocation(x, y, is_degrees(crs)))
    notes: tuple[str, ...] = (
        f"in sensor geometry: pixels have coordinates by {name}, and stay where they are",
    )
    if lost.any():
        notes += (f"{np.count_nonzero(lost)} pixels have no place by {name}: left out",)
    return Located(grid, Origin(name), notes, lost if lost.any() else None)


def seen_at(own: Located, table: Table | None, grid: Grid | None, size: tuple[int, int]) -> Located:
    """The place of `size` rows and columns by coordinates of their own, with their lookup table.

    Where they have none they lie by the table alone, whose cells `grid` places.

    Raises
    ------
    SceneError
        The table is of another scene.
    """
    if table is None:
        return own
    if grid is None or grid.transform is None:
        note = f"{table.name} tells no place of its cells: it is not used"
        return own._replace(notes=(*own.notes, note))
    ortho, notes = ortho_of(table, grid, size, own.grid)
    if own.grid.geolocation is not None:
        return own._replace(ortho=ortho, notes=(*own.notes, *notes))
    found = located_by(table, grid, size, degrees=is_degrees(grid.crs))
    told = tuple(note for note in own.notes if note != NO_PLACE)
    note = f"in sensor geometry: pixels lie where the cells of {table.name} show them"
    placed = Grid(grid.crs, geolocation=found)
    return Located(placed, Origin(table.name), (*told, note, *notes), ortho=ortho)
