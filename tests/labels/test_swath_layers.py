"""Layers on swaths whose rows bend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from placed_files import write_layer
from rasterio.warp import transform
from swaths import orbital

from hsi_ssl.labels.frames import Floats, Place, between
from hsi_ssl.labels.vector_grid import on_grid
from hsi_ssl.labels.vectors import layer_facts, read_layer
from hsi_ssl.scenes.geolocation import Geolocation
from hsi_ssl.scenes.readers.cf_grid import wgs84
from hsi_ssl.scenes.scene import Grid

ROWS, COLS = 171, 128


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:6933"])
def test_long_edges_bend_with_the_swath(tmp_path: Path, crs: str) -> None:
    """A strip from edge to edge, whose borders are straight in its CRS, not in pixels."""
    located = Geolocation(*orbital(ROWS, COLS, pixel=12, lat=30.0))
    scene = Place(tmp_path / "swath.nc", ROWS, COLS, Grid(wgs84(), geolocation=located))
    west, east = transform("EPSG:4326", crs, [-2.0, 18.0], [20.0, 24.0])[0]
    south, north = transform("EPSG:4326", crs, [-2.0, 18.0], [28.0, 31.0])[1]
    box = shapely.box(west, south, east, north)
    path = write_layer(tmp_path / "strip.gpkg", [box], crs=crs)
    (found,) = on_grid(read_layer(layer_facts(path)), scene)
    assert found.is_valid
    # Every pixel's centre is within it where its place is within the box.
    cols, rows = np.meshgrid(np.arange(COLS) + 0.5, np.arange(ROWS) + 0.5)
    centres = np.stack([cols.ravel(), rows.ravel()], axis=1)
    x, y = transform("EPSG:4326", crs, *located.to_map(centres).T)
    expected = shapely.contains_xy(box, x, y)
    seen = shapely.contains_xy(found, *centres.T)
    assert 300 < expected.sum() < len(expected) / 2
    assert (expected != seen).sum() <= 3
    # As a quadrangle of its corners alone it would miss many.
    corners = located.to_pixels(
        np.stack(transform(crs, "EPSG:4326", *shapely.get_coordinates(box).T), axis=1)
    )
    plain = shapely.contains_xy(shapely.Polygon(corners), *centres.T)
    assert (expected != plain).sum() > 50


@pytest.mark.parametrize(("lon", "lat"), [(179.5, 10.0), (-170.0, 84.0)])
def test_shapes_across_the_date_line_and_over_the_pole(
    tmp_path: Path, lon: float, lat: float
) -> None:
    located = Geolocation(*orbital(ROWS, COLS, pixel=12, lon=lon, lat=lat))
    scene = Place(tmp_path / "swath.nc", ROWS, COLS, Grid(wgs84(), geolocation=located))
    shape = shapely.box(40, 60, 90, 110)
    middle = located.to_map(np.array([[64.0, 85.5]]))[0]
    crs = f"+proj=laea +lon_0={middle[0]} +lat_0={middle[1]} +datum=WGS84"
    edges = shapely.segmentize(shape, 1)

    def on_ground(xy: Floats) -> Floats:
        found: Floats = np.stack(transform("EPSG:4326", crs, *located.to_map(xy).T), axis=1)
        return found

    path = write_layer(tmp_path / "x.gpkg", [shapely.transform(edges, on_ground)], crs=crs)
    (found,) = on_grid(read_layer(layer_facts(path)), scene)
    assert shapely.symmetric_difference(found, shape).area < 0.01 * shape.area


def test_a_raster_whose_longitudes_go_on_above_180(tmp_path: Path) -> None:
    located = Geolocation(*orbital(ROWS, COLS, pixel=12, lon=179.5, lat=10.0))
    swath = Place(tmp_path / "swath.nc", ROWS, COLS, Grid(wgs84(), geolocation=located))
    step = 0.1
    for left in (160.0, -200.0):
        grid = Grid(wgs84(), (step, 0.0, left, 0.0, -step, 30.0))
        raster = Place(tmp_path / "labels.tif", 400, 400, grid)
        pixels = np.array([[20.0, 80.0], [64.0, 85.0], [110.0, 90.0]])
        lon, lat = located.to_map(pixels).T
        assert lon.min() < 0 < lon.max()
        found = between(swath, raster)(pixels)
        expected = np.stack([(lon % 360 - left % 360) / step, (30 - lat) / step], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-6)
