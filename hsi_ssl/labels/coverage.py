"""Which pixels polygons cover, lines touch and points lie in: exactly, and for any number of them.

Geometries are given in pixel coordinates: x is the column, y the row, and pixel (r, c) is the unit
square from (c, r) to (c + 1, r + 1). What is found are pairs of a geometry and a pixel, in lots
that bound the memory. Edges are cut where they cross the grid; what lies to the right of them,
summed along a row with the sign of their direction, is what the polygon covers of each pixel (the
scan conversion with exact areas of font renderers).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Geometries = npt.NDArray[Any]

LOT = 2_000_000
"""Pixels looked at together."""
ROUNDING = 1e-6
"""A polygon drawn along the edges of pixels covers them but for so much."""
COST = 8
"""Pixels that a vertex weighs in a lot."""
LINE, AREA = 1, 2
"""Dimensions of geometries."""


class Covered(NamedTuple):
    """Pairs `(n,)`: number of the geometry, and place `row * cols + col`."""

    owner: Ints
    flat: Ints


class Edges(NamedTuple):
    """Straight pieces from (x0, y0) to (x1, y1), and numbers of their geometries, all `(n,)`."""

    x0: Floats
    y0: Floats
    x1: Floats
    y1: Floats
    owner: Ints


class Steps(NamedTuple):
    """By how much what is covered changes at a pixel, from the one on its left, all `(n,)`."""

    row: Ints
    col: Ints
    change: Floats
    owner: Ints


def pixels_of(geometries: Geometries, shape: tuple[int, int], least: float) -> Iterator[Covered]:
    """Pixels of each geometry on a grid of `shape (rows, cols)`, lot by lot.

    Polygons have the pixels of which they cover a share of `least` or more; with 0 those whose
    centre they hold. Lines have the pixels that they pass through, points the one that they lie
    in. A geometry of several kinds has the pixels of all its parts, some perhaps twice.

    Parameters
    ----------
    geometries
        Valid, of two dimensions; None and empty ones have no pixels.
    """
    parts, owner = parts_of(geometries)
    kind = shapely.get_dimensions(parts)
    bounds = shapely.bounds(parts)
    out = (bounds[:, :2] < 0).any(axis=1) | (bounds[:, 2:] > [shape[1], shape[0]]).any(axis=1)
    out &= kind > 0
    parts[out] = shapely.intersection(parts[out], shapely.box(0, 0, shape[1], shape[0]))
    for dimension, pixels in ((LINE, _touched), (AREA, _filled)):
        some, which = parts_of(parts[kind == dimension])
        which = owner[kind == dimension][which]
        proper = shapely.get_dimensions(some) == dimension  # not where it only touches the frame
        if proper.any():
            yield from pixels(some[proper], which[proper], shape, least)
    xy, which = shapely.get_coordinates(parts[kind == 0], return_index=True)
    yield _within(xy[:, 1], xy[:, 0], owner[kind == 0][which], shape)


def parts_of(geometries: Geometries) -> tuple[Geometries, Ints]:
    """Points, lines and polygons of all geometries, and the number of the geometry of each."""
    parts, owner = shapely.get_parts(geometries, return_index=True)
    while (shapely.get_type_id(parts) > shapely.GeometryType.POLYGON).any():
        parts, of = shapely.get_parts(parts, return_index=True)
        owner = owner[of]
    there = ~shapely.is_empty(parts)
    return parts[there], owner[there].astype(np.int64)


def _lots(weights: npt.NDArray[Any]) -> Iterator[slice]:
    """Runs of things whose weights are `LOT` together, or little more."""
    lot = (np.cumsum(weights) - weights) // LOT
    bounds = np.flatnonzero(np.diff(lot, prepend=-1, append=np.inf))
    yield from map(slice, bounds[:-1].tolist(), bounds[1:].tolist())


def _within(rows: Floats, cols: Floats, owner: Ints, shape: tuple[int, int]) -> Covered:
    """The pairs of pixels that these places lie in, each once."""
    rows, cols = np.floor(rows), np.floor(cols)
    on = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    flat = rows[on].astype(np.int64) * shape[1] + cols[on].astype(np.int64)
    keys = np.unique(owner[on] * (shape[0] * shape[1]) + flat)
    return Covered(*np.divmod(keys, shape[0] * shape[1]))


def _touched(
    lines: Geometries, owner: Ints, shape: tuple[int, int], least: float
) -> Iterator[Covered]:
    """Pixels that lines pass through, whatever `least`."""
    for lot in _lots(2 * shapely.length(lines) + COST * shapely.get_num_coordinates(lines)):
        pieces = _cut(_edges(lines[lot], owner[lot]))
        middle = (pieces.y0 + pieces.y1) / 2, (pieces.x0 + pieces.x1) / 2
        yield _within(*middle, pieces.owner, shape)


def _filled(
    polygons: Geometries, owner: Ints, shape: tuple[int, int], least: float
) -> Iterator[Covered]:
    """Pixels of polygons; parts of one geometry, side by side, cover a pixel together.

    Each geometry's box of pixels is laid out row after row in one long line, with one more at a
    row's end, where the sum is zero again; so one running sum does for many. A box too large for a
    lot is looked at in strips.
    """
    polygons = shapely.orient_polygons(polygons)
    number = np.cumsum(np.diff(owner, prepend=owner[0]) != 0)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    bounds = shapely.bounds(polygons)
    left, top = np.floor(np.minimum.reduceat(bounds[:, :2], first)).astype(np.int64).T
    right, bottom = np.ceil(np.maximum.reduceat(bounds[:, 2:], first)).astype(np.int64).T
    wide = right - left + 1
    high = np.clip(LOT // wide, 1, np.maximum(bottom - top, 1))
    strips = -(-(bottom - top) // high)
    of = np.repeat(np.arange(len(first)), strips)
    first_strip = np.cumsum(strips) - strips
    above = top[of] + (np.arange(len(of)) - first_strip[of]) * high[of]
    cells = np.minimum(high[of], bottom[of] - above) * wide[of]
    vertices = np.bincount(number, shapely.get_num_coordinates(polygons))
    for lot in _lots(cells + COST * vertices[of]):
        begin, end = np.searchsorted(number, [of[lot.start], of[lot.stop - 1] + 1])
        edges = _edges(polygons[begin:end], number[begin:end])
        steps = _area_steps(edges) if least > 0 else _centre_steps(edges)
        k = steps.owner
        row = np.clip(steps.row, top[k], bottom[k] - 1)
        strip = first_strip[k] + (row - top[k]) // high[k]
        here = (strip >= lot.start) & (strip < lot.stop)
        k, row, strip = k[here], row[here], strip[here]
        start = np.cumsum(cells[lot]) - cells[lot]
        place = np.clip(steps.col[here] - left[k], 0, wide[k] - 1)
        place += start[strip - lot.start] + (row - above[strip]) * wide[k]
        size = int(cells[lot].sum())
        share = np.abs(np.cumsum(np.bincount(place, steps.change[here], minlength=size)))
        found = np.flatnonzero(share >= (least or 1.0) - ROUNDING)
        strip = np.searchsorted(start, found, side="right") - 1
        k = of[lot.start + strip]
        row, col = np.divmod(found - start[strip], wide[k])
        row += above[lot.start + strip]
        col += left[k]
        yield Covered(owner[first[k]], row * shape[1] + col)


def _edges(geometries: Geometries, owner: Ints) -> Edges:
    """All edges of lines, or of the rings of polygons."""
    if shapely.get_dimensions(geometries[0]) == AREA:
        geometries, of = shapely.get_rings(geometries, return_index=True)
        owner = owner[of]
    xy, of = shapely.get_coordinates(geometries, return_index=True)
    joined = of[1:] == of[:-1]
    (x0, y0), (x1, y1) = xy[:-1][joined].T, xy[1:][joined].T
    return Edges(x0, y0, x1, y1, owner[of[1:][joined]])


def _cut(edges: Edges) -> Edges:
    """Edges cut at the lines between pixels, so that each piece lies in one."""
    along, number = [np.zeros(len(edges.x0))], [np.arange(len(edges.x0))]
    for a, b in ((edges.x0, edges.x1), (edges.y0, edges.y1)):
        low = np.floor(np.minimum(a, b)) + 1
        n = np.maximum(np.ceil(np.maximum(a, b)) - low, 0).astype(np.int64)
        which = np.repeat(np.arange(len(a)), n)
        line = low[which] + np.arange(len(which)) - np.repeat(np.cumsum(n) - n, n)
        along.append((line - a[which]) / (b - a)[which])
        number.append(which)
    t, which = np.concatenate(along), np.concatenate(number)
    order = np.lexsort((t, which))
    t, which = t[order], which[order]
    end = np.append(t[1:], 1.0)
    end[np.append(which[1:] != which[:-1], True)] = 1.0
    dx, dy = (edges.x1 - edges.x0)[which], (edges.y1 - edges.y0)[which]
    x0, y0 = edges.x0[which], edges.y0[which]
    return Edges(x0 + t * dx, y0 + t * dy, x0 + end * dx, y0 + end * dy, edges.owner[which])


def _area_steps(edges: Edges) -> Steps:
    """What polygons cover of each pixel, as changes: within the edge's pixel and in the next."""
    pieces = _cut(edges)
    row = np.floor((pieces.y0 + pieces.y1) / 2)
    middle = (pieces.x0 + pieces.x1) / 2
    col = np.floor(middle)
    down, passed = pieces.y1 - pieces.y0, middle - col
    return Steps(
        np.concatenate([row, row]).astype(np.int64),
        np.concatenate([col, col + 1]).astype(np.int64),
        np.concatenate([down * (1 - passed), down * passed]),
        np.concatenate([pieces.owner, pieces.owner]),
    )


def _centre_steps(edges: Edges) -> Steps:
    """Whether polygons hold each pixel's centre, as changes: 1 from the first centre past an edge.

    A centre that lies on an edge counts for the polygon on its right or below, as in GDAL.
    """
    low, high = np.minimum(edges.y0, edges.y1), np.maximum(edges.y0, edges.y1)
    first = np.ceil(low - 0.5)
    n = np.maximum(np.ceil(high - 0.5) - first, 0).astype(np.int64)
    which = np.repeat(np.arange(len(n)), n)
    row = first[which] + np.arange(len(which)) - np.repeat(np.cumsum(n) - n, n)
    x0, y0 = edges.x0[which], edges.y0[which]
    dx, dy = edges.x1[which] - x0, edges.y1[which] - y0
    x = x0 + (row + 0.5 - y0) / dy * dx
    return Steps(
        row.astype(np.int64), np.ceil(x - 0.5).astype(np.int64), np.sign(dy), edges.owner[which]
    )
