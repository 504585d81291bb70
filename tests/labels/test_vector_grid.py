"""Layers on grids of every sort: shapes drawn on pixels come back to them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from hearing import Hears
from rasterio.control import GroundControlPoint
from rasterio.warp import transform

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.vector_grid import on_grid
from hsi_ssl.labels.vectors import layer_facts, read_layer
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.watcher import Watcher

Write = Callable[..., Any]
ROWS, COLS = 20, 24
SHAPES = [
    shapely.box(3, 4, 9, 11),
    shapely.Polygon([(12, 2), (22, 5), (17, 19)], [[(16, 6), (18, 7), (17, 9)]]),
    shapely.Point(5.5, 17.5),
    shapely.LineString([(1, 19), (10, 15), (20, 16)]),
]


def placed(layer: Path, cube: Path, watcher: Watcher | None = None) -> Any:
    with open_scene(cube) as scene:
        return on_grid(read_layer(layer_facts(layer)), scene, watcher or Watcher())


def reprojected(geometry: Any, source: str, target: str) -> Any:
    return shapely.transform(
        geometry, lambda xy: np.stack(transform(source, target, *xy.T), axis=1)
    )


GRIDS = {
    "north up": rasterio.Affine(30, 0, 365_000, 0, -30, 5_810_000),
    "rotated": rasterio.Affine(26, 15, 365_000, 15, -26, 5_810_000),
    "south up": rasterio.Affine(30, 0, 365_000, 0, 30, 5_810_000),
}


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857", "EPSG:3035"])
@pytest.mark.parametrize("grid", list(GRIDS))
def test_shapes_come_back_from_any_crs_on_any_grid(
    grid: str, crs: str, tmp_path: Path, write_layer: Write, write_cube: Write, on_ground: Write
) -> None:
    cube = write_cube(tmp_path / "cube.tif", transform=GRIDS[grid])
    ground = [on_ground(shape, GRIDS[grid]) for shape in SHAPES]
    layer = write_layer(
        tmp_path / "x.gpkg", [reprojected(g, "EPSG:32633", crs) for g in ground], crs=crs
    )
    for found, shape in zip(placed(layer, cube), SHAPES, strict=True):
        assert shapely.hausdorff_distance(found, shape) < 1e-3
        assert shapely.is_valid(found)


def test_a_long_edge_is_straight_in_its_own_crs(
    tmp_path: Path, write_layer: Write, write_cube: Write
) -> None:
    cube = write_cube(
        tmp_path / "cube.tif",
        600,
        3000,
        transform=rasterio.Affine(30, 0, 340_000, 0, -30, 5_819_000),
    )
    parallel = shapely.LineString([(12.7, 52.4), (13.9, 52.4)])
    (found,) = placed(write_layer(tmp_path / "x.gpkg", [parallel], crs="EPSG:4326"), cube)
    along = np.linspace(12.8, 13.8, 200)
    x, y = transform("EPSG:4326", "EPSG:32633", along, np.full(200, 52.4))
    true = shapely.points((np.array(x) - 340_000) / 30, (5_819_000 - np.array(y)) / 30)
    assert shapely.distance(true, found).max() < 0.01
    chord = shapely.LineString([true[0], true[-1]])
    assert shapely.distance(true, chord).max() > 1


def test_features_far_off_are_left_out_and_wide_ones_clipped(
    tmp_path: Path, write_layer: Write, write_cube: Write
) -> None:
    cube = write_cube(tmp_path / "cube.tif")
    shapes = [
        shapely.box(-180, -90, 180, 90),
        shapely.box(100, -40, 101, -39),
        shapely.Point(0, 90),
    ]
    world, *far = placed(write_layer(tmp_path / "x.gpkg", shapes, crs="EPSG:4326"), cube)
    assert shapely.covers(world, shapely.box(0, 0, COLS, ROWS))
    assert far == [None, None]


@pytest.mark.parametrize("split", [True, False])
def test_a_scene_on_the_date_line(
    split: bool, tmp_path: Path, write_layer: Write, write_cube: Write
) -> None:
    # UTM zone 1 begins at 180 degrees; the scene reaches to its west.
    cube = write_cube(
        tmp_path / "cube.tif", 200, 200, crs="EPSG:32601",
        transform=rasterio.Affine(300, 0, 172_000, 0, -300, 3_030_000),
    )  # fmt: skip
    east, west = shapely.box(-180, 27, -179.9, 27.1), shapely.box(179.9, 27, 180, 27.1)
    shapes = [east, west] if split else [shapely.box(179.9, 27, 180.1, 27.1), None]
    layer = write_layer(tmp_path / "x.gpkg", shapes, crs="EPSG:4326")
    found = placed(layer, cube)
    area = 2 * 0.1 * 0.1 * 111_320 * np.cos(np.radians(27.05)) * 110_800 / 300**2
    assert shapely.area(shapely.union_all(found)) == pytest.approx(area, rel=0.01)
    assert shapely.within(found, shapely.box(0, 0, 200, 200)).all()


def test_control_points_alone_place_a_scene(
    tmp_path: Path, write_layer: Write, write_cube: Write, on_ground: Write
) -> None:
    bent = [
        GroundControlPoint(r, c, 365_000 + 30 * c + 0.05 * r * c, 5_810_000 - 30 * r + 0.02 * c * c)
        for r in np.linspace(0, ROWS, 4)
        for c in np.linspace(0, COLS, 4)
    ]
    cube = write_cube(tmp_path / "cube.tif", crs=None, transform=None)
    with rasterio.open(cube, "r+") as file:
        file.gcps = (bent, rasterio.CRS.from_epsg(32633))

    def to_map(xy: Any) -> Any:
        c, r = xy.T
        y = 5_810_000 - 30 * r + 0.02 * c * c
        return np.stack([365_000 + 30 * c + 0.05 * r * c, y], axis=1)

    ground = [shapely.transform(shapely.segmentize(shape, 0.5), to_map) for shape in SHAPES]
    layer = write_layer(tmp_path / "x.gpkg", ground)
    for found, shape in zip(placed(layer, cube), SHAPES, strict=True):
        assert shapely.hausdorff_distance(found, shape) < 0.02


@pytest.mark.parametrize("crs", [None, "EPSG:4326"])
def test_a_scene_that_lies_nowhere_has_its_rows_downwards_as_in_qgis(
    crs: str | None, tmp_path: Path, write_layer: Write, write_cube: Write, hears: Hears
) -> None:
    cube = write_cube(tmp_path / "cube.tif", crs=None, transform=None)
    drawn = [shapely.transform(shape, lambda xy: xy * [1, -1]) for shape in SHAPES]
    found = placed(write_layer(tmp_path / "x.gpkg", drawn, crs=crs), cube, hears)
    assert shapely.equals(found, np.array(SHAPES, object)).all()
    assert "x = column, y = -row" in hears.said[0]


def test_rows_count_downwards_too(tmp_path: Path, write_layer: Write, write_cube: Write) -> None:
    cube = write_cube(tmp_path / "cube.tif", crs=None, transform=None)
    for path, crs in (("x.gpkg", None), ("x.geojson", "EPSG:4326")):
        hears = Hears()
        found = placed(write_layer(tmp_path / path, SHAPES, crs=crs), cube, hears)
        assert shapely.equals(found, np.array(SHAPES, object)).all()
        assert hears.said[0].endswith("x = column, y = row")


def test_a_grid_without_crs_has_layers_without_crs(
    tmp_path: Path, write_layer: Write, write_cube: Write, on_ground: Write
) -> None:
    cube = write_cube(tmp_path / "cube.tif", crs=None)
    ground = [on_ground(shape) for shape in SHAPES]
    found = placed(write_layer(tmp_path / "x.gpkg", ground, crs=None), cube)
    assert shapely.hausdorff_distance(found, np.array(SHAPES, object)).max() < 1e-6
    with pytest.raises(VectorError, match=r"cube\.tif has no CRS, .* \(EPSG:32633\)"):
        placed(write_layer(tmp_path / "y.gpkg", ground), cube)


def test_what_cannot_be_placed_is_refused(
    tmp_path: Path, write_layer: Write, write_cube: Write, on_ground: Write
) -> None:
    here = [on_ground(SHAPES[0])]
    cube, nowhere = write_cube(tmp_path / "cube.tif"), tmp_path / "nowhere.tif"
    write_cube(nowhere, crs=None, transform=None)
    without = write_layer(tmp_path / "x.shp", here, kind="Polygon")
    without.with_suffix(".prj").unlink()
    with pytest.raises(VectorError, match=r"x\.shp has no CRS, .*cube\.tif \(EPSG:32633\)"):
        placed(without, cube)
    with pytest.raises(VectorError, match=r"nowhere\.tif has no georeference .*\(EPSG:32633\)"):
        placed(write_layer(tmp_path / "y.gpkg", here), nowhere)
    degrees = write_layer(tmp_path / "z.gpkg", [shapely.box(13, 5, 14, 6)], crs="EPSG:4326")
    with pytest.raises(VectorError, match="has no georeference"):
        placed(degrees, nowhere)
    mine = 'LOCAL_CS["mine grid",UNIT["metre",1],AXIS["E",EAST],AXIS["N",NORTH]]'
    with pytest.raises(VectorError, match=r"mine grid.* cannot be reprojected"):
        placed(write_layer(tmp_path / "m.gpkg", here, crs=mine), cube)
    rpcs = tmp_path / "rpc.tif"
    shutil.copy(nowhere, rpcs)
    with rasterio.open(rpcs, "r+") as file:
        file.update_tags(ns="RPC", **{
            "HEIGHT_OFF": "0", "HEIGHT_SCALE": "1", "LAT_OFF": "52", "LAT_SCALE": "1",
            "LINE_OFF": "10", "LINE_SCALE": "10", "LONG_OFF": "13", "LONG_SCALE": "1",
            "SAMP_OFF": "12", "SAMP_SCALE": "12", "LINE_NUM_COEFF": "0 " * 20,
            "LINE_DEN_COEFF": "1 " + "0 " * 19, "SAMP_NUM_COEFF": "0 " * 20,
            "SAMP_DEN_COEFF": "1 " + "0 " * 19,
        })  # fmt: skip
    with pytest.raises(VectorError, match="orthorectify"):
        placed(write_layer(tmp_path / "r.gpkg", here), rpcs)
