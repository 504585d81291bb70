"""Geometries from lists of numbers, many at once; x is the column, y the row of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import shapes

from hsi_ssl.labels.layers import repaired

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Geometries = npt.NDArray[Any]

RING = 4
"""Vertices of the smallest ring, the first one again at its end."""
QUARTER = 64
"""Straight pieces of a quarter of a circle: its area is right to a ten-thousandth."""
FARTHEST = 2**31
"""Coordinates of pixels, and far beyond those of any picture."""
FEW = 5000
"""Runs of a mask that are put together as boxes; of more, a noisy one, that would take minutes."""
LARGE = 2**28
"""Pixels of a mask that are laid out in memory."""
LARGEST_MASK = 2**53
"""Pixels: beyond, not even their number is exact."""


def vertices(values: Any) -> Floats:
    """Points `(n, 2)` from a list of pairs, or from one of x, y, x, y...

    Raises
    ------
    ValueError
        They are no such numbers, or lie beyond any picture.
    """
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if found.ndim == 1 and len(found) % 2 == 0:
        found = found.reshape(-1, 2)
    if found.shape[1:] != (2,):
        raise ValueError("expected pairs of numbers, x and y")
    if not (np.abs(found) < FARTHEST).all():
        raise ValueError("its coordinates lie beyond any picture")
    return found


def areas(rings: Sequence[Floats], owner: Sequence[int], n: int) -> Geometries:
    """Polygons `(n,)` of rings `(vertices, 2)`, closed or not, and the numbers of their polygons.

    Of each the first ring is the outline, others are holes. None where an outline has no three
    vertices or there is none. `owner` never falls.
    """
    found = np.full(n, None, object)
    if not len(rings):
        return found
    of = np.asarray(owner, np.int64)
    sizes = np.array([len(ring) for ring in rings])
    closed = np.array([len(r) > 0 and bool((r[0] == r[-1]).all()) for r in rings])
    proper = sizes + ~closed >= RING
    outline = np.diff(of, prepend=-1) != 0
    kept = np.flatnonzero(proper & ~np.isin(of, of[outline & ~proper]))
    if len(kept):
        xy = np.concatenate([rings[k] for k in kept.tolist()])
        linear = shapely.linearrings(xy, indices=np.repeat(np.arange(len(kept)), sizes[kept]))
        shapely.polygons(linear, indices=of[kept], out=found)
    return found


def joined(parts: Geometries, owner: Sequence[int], n: int) -> Geometries:
    """One geometry `(n,)` of all polygons with its number, their union; None where there is none.

    `owner` never falls.
    """
    found = np.full(n, None, object)
    there = ~shapely.is_missing(parts)
    parts, of = parts[there], np.asarray(owner, np.int64)[there]
    number, first, count = np.unique(of, return_index=True, return_counts=True)
    found[number[count == 1]] = parts[first[count == 1]]
    for k, i, size in zip(number, first, count, strict=True):
        if size > 1:
            some = parts[i : i + size]
            together = shapely.multipolygons(some)
            valid = shapely.is_valid(together)
            found[k] = together if valid else shapely.union_all(repaired(some))
    return found


def line(xy: Floats) -> Any:
    """A line through points `(n, 2)`; None through fewer than two."""
    return shapely.linestrings(xy) if len(xy) > 1 else None


def spots(xy: Floats) -> Any:
    """A point, or several as one geometry; None of none."""
    if len(xy) == 1:
        return shapely.points(xy[0])
    return shapely.multipoints(xy) if len(xy) else None


def rectangle(xy: Floats) -> Any:
    """The rectangle between two opposite corners `(2, 2)`."""
    return shapely.box(*xy.min(axis=0), *xy.max(axis=0))


def ellipse(centre: Floats, radii: Floats, degrees: float = 0) -> Any:
    """An ellipse, turned from x towards y: a polygon of 256 sides; None without any extent."""
    if not (radii > 0).all():
        return None
    angle = np.linspace(0, 2 * np.pi, 4 * QUARTER, endpoint=False)
    xy = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radii
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return shapely.polygons(xy @ matrix + centre)


def pixels_as_area(mask: npt.NDArray[np.bool_], left: int = 0, top: int = 0) -> Any:
    """The area of the pixels set in `(rows, cols)`, whose first one is at `left` and `top`."""
    down = np.concatenate([[False], mask.T.reshape(-1), [False]])
    edges = np.flatnonzero(down[1:] != down[:-1])
    found = runs_as_area(edges[0::2], edges[1::2], mask.shape[0])
    return shapely.transform(found, lambda xy: xy + np.array([left, top]))


def counts_as_area(counts: Ints, rows: int, cols: int) -> Any:
    """The area of a run-length encoded mask, column after column.

    Parameters
    ----------
    counts
        Lengths `(n,)` of runs of pixels outside and inside in turn, the first of them outside.

    Raises
    ------
    ValueError
        They are not as many pixels as the picture has.
    """
    size = rows * cols
    if rows < 0 or cols < 0 or size > LARGEST_MASK:
        raise ValueError(f"a picture of {rows} x {cols} pixels")
    if (counts < 0).any() or (counts > size).any() or counts.astype(float).sum() != size:
        raise ValueError(f"its runs do not add up to the {size} pixels of {rows} x {cols}")
    ends = np.cumsum(counts)
    inside = ends[1::2]
    return runs_as_area(inside - counts[1::2], inside, rows)


def runs_as_area(begin: Ints, end: Ints, rows: int) -> Any:
    """The area of runs of pixels from `begin` to before `end`, counted column after column."""
    long = end > begin
    begin, end = begin[long], end[long]
    if not len(begin):
        return None
    first, above = np.divmod(begin, rows)
    last, below = np.divmod(end - 1, rows)
    below += 1
    if len(begin) > FEW and (last.max() + 1 - first.min()) * rows <= LARGE:
        return _traced(begin - first.min() * rows, end - first.min() * rows, rows, first.min())
    one = first == last
    many = ~one
    # A run that goes on in other columns: the rest of its first, whole ones, the top of its last.
    left = np.concatenate([first, first[many] + 1, last[many]])
    right = np.concatenate([first + 1, last[many], last[many] + 1])
    top = np.concatenate([above, np.zeros(2 * many.sum(), np.int64)])
    bottom = np.concatenate([np.where(one, below, rows), np.full(many.sum(), rows), below[many]])
    wide = right > left
    return shapely.union_all(shapely.box(left[wide], top[wide], right[wide], bottom[wide]))


def _traced(begin: Ints, end: Ints, rows: int, left: int) -> Any:
    """The same, by the outlines of the pixels as GDAL traces them."""
    change = np.zeros(-(-int(end.max()) // rows) * rows + 1, np.int8)
    np.add.at(change, begin, 1)
    np.add.at(change, end, -1)
    mask = np.cumsum(change[:-1], dtype=np.int8).reshape(-1, rows).T
    outlines = [shape["coordinates"] for shape, _ in shapes(mask.view(np.uint8), mask=mask == 1)]
    rings = [np.array(ring) + np.array([left, 0]) for outline in outlines for ring in outline]
    owner = np.repeat(np.arange(len(outlines)), [len(outline) for outline in outlines])
    return shapely.multipolygons(areas(rings, owner.tolist(), len(outlines)))
