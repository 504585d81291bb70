"""Coverage of pixels, against areas that shapely measures pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio.features
import shapely

from hsi_ssl.labels import coverage
from hsi_ssl.labels.coverage import pixels_of

ROWS, COLS = 23, 31
SHAPE = ROWS, COLS
BOXES = shapely.box(*np.mgrid[:COLS, :ROWS], *np.mgrid[1 : COLS + 1, 1 : ROWS + 1]).T
"""The pixels, `(rows, cols)`."""


def found(geometries: list[Any], least: float = 0.5) -> npt.NDArray[np.bool_]:
    """Planes `(geometries, rows, cols)`."""
    planes = np.zeros((len(geometries), ROWS * COLS), bool)
    for owner, flat in pixels_of(np.array(geometries, object), SHAPE, least):
        planes[owner, flat] = True
    return planes.reshape(-1, ROWS, COLS)


def shapes(seed: int, n: int = 30) -> list[Any]:
    """Polygons with holes and without, of several parts, many of them partly off the grid."""
    rng = np.random.default_rng(seed)
    made: list[Any] = []
    for i in range(n):
        centre, size = rng.uniform(-3, 33, 2), rng.uniform(0.3, 9)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
        radii = size * rng.uniform(0.3, 1, len(angles))
        star = shapely.make_valid(
            shapely.Polygon(centre + np.c_[radii * np.cos(angles), radii * np.sin(angles)])
        )
        if i % 3 == 1:
            star = star.difference(shapely.Point(centre).buffer(size / 3))
        if i % 3 == 2:
            star = star.union(shapely.box(*(centre + 4), *(centre + 4.7 + size / 4)))
        made.append(star)
    return made


@pytest.mark.parametrize("lot", [40, 900, coverage.LOT])
@pytest.mark.parametrize("seed", range(3))
def test_share_is_the_area_in_the_pixel(
    seed: int, lot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "LOT", lot)
    polygons = shapes(seed)
    area = np.array([shapely.area(shapely.intersection(BOXES, p)) for p in polygons])
    for least in (0.05, 0.5, 0.999, 1.0):
        planes = found(polygons, least)
        assert planes.any()
        away = np.abs(area - least) > 2e-6
        assert (planes == (area >= least))[away].all()


@pytest.mark.parametrize("lot", [40, coverage.LOT])
@pytest.mark.parametrize("seed", range(3))
def test_without_a_share_the_centre_decides(
    seed: int, lot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "LOT", lot)
    polygons = shapes(seed)
    for polygon, plane in zip(polygons, found(polygons, 0), strict=True):
        if polygon.is_empty:
            continue
        theirs = rasterio.features.rasterize([polygon], SHAPE).astype(bool)
        assert (plane == theirs).all()


def test_polygons_that_share_edges_leave_no_centre_out_and_take_none_twice() -> None:
    x, y = np.meshgrid(np.arange(0, 32, 2.5), np.arange(0, 24, 2.5))
    tiles = list(shapely.box(x, y, x + 2.5, y + 2.5).ravel())
    assert (found(tiles, 0).sum(axis=0) == 1).all()


def test_pixel_edges_are_whole_pixels() -> None:
    block = shapely.box(3, 4, 9, 11)
    for least in (0, 0.5, 1):
        plane = found([block], least)[0]
        assert plane.sum() == 42
        assert plane[4:11, 3:9].all()


@pytest.mark.parametrize("seed", range(3))
def test_lines_have_the_pixels_that_they_pass_through(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = [shapely.LineString(rng.uniform(-5, 35, (k, 2))) for k in (2, 3, 8)]
    for line, plane in zip(lines, found(lines), strict=True):
        length = shapely.length(shapely.intersection(BOXES, line))
        assert (plane == (length > 0))[(length == 0) | (length > 1e-9)].all()


def test_points_have_the_pixel_that_they_lie_in() -> None:
    points = [shapely.Point(2.2, 3.9), shapely.MultiPoint([(0, 0), (30.99, 22.99), (31, 5)])]
    one, many = found(points)
    assert np.argwhere(one).tolist() == [[3, 2]]
    assert np.argwhere(many).tolist() == [[0, 0], [22, 30]]


def test_parts_of_one_geometry_cover_together_and_kinds_mix() -> None:
    halves = shapely.MultiPolygon([shapely.box(4, 4, 4.3, 5), shapely.box(4.7, 4, 5, 5)])
    mixed = shapely.GeometryCollection(
        [shapely.Point(1.5, 1.5), shapely.MultiLineString([[(8.5, 2.5), (10.5, 2.5)]]), halves]
    )
    one, two, nothing, empty = found([halves, mixed, None, shapely.Polygon()], 0.6)
    assert np.argwhere(one).tolist() == [[4, 4]]
    assert np.argwhere(two).tolist() == [[1, 1], [2, 8], [2, 9], [2, 10], [4, 4]]
    assert not nothing.any()
    assert not empty.any()


def test_what_only_touches_the_grid_has_no_pixel() -> None:
    outside = [
        shapely.box(-4, -4, 0, 30),
        shapely.box(COLS, 0, COLS + 3, 4),
        shapely.box(90, 90, 91, 91),
    ]
    assert not found(outside, 0.001).any()
