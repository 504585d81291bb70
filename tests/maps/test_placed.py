"""Maps in sensor geometry, where GDAL shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.transform import GCPTransformer
from rasterio.warp import transform
from swaths import orbital

from hsi_ssl.describing.telling import describe
from hsi_ssl.labels.frames import Place, between
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.maps.class_map import class_map
from hsi_ssl.scenes.geolocation import Geolocation
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers.cf_grid import wgs84
from hsi_ssl.scenes.scene import Grid

ROWS, COLS = 342, 254
CLASSES = LabelSet(
    "ground", tuple(LabelClass(i, f"class {i}", f"#{40 * i:02x}0000") for i in (1, 2, 3, 4, 6))
)
Codes = npt.NDArray[np.int64]


def swath(lon: float = 10.0, lat: float = 45.0) -> Geolocation:
    """As wide as PACE OCI's, of a fifth of its pixels each way."""
    return Geolocation(*orbital(ROWS, COLS, pixel=6, lon=lon, lat=lat))


def indices() -> Codes:
    """Fields of 20 x 20 pixels, one without a class."""
    row, col = np.mgrid[:ROWS, :COLS] // 20
    found: Codes = (row + 2 * col) % len(CLASSES.classes)
    found[40:60, 40:60] = -1
    return found


def write(path: Path, located: Geolocation, *, overwrite: bool = False) -> Path:
    """The map of such a scene."""
    with class_map(
        path, rows=ROWS, cols=COLS, grid=Grid(wgs84(), geolocation=located), label_set=CLASSES,
        overwrite=overwrite,
    ) as writer:  # fmt: skip
        writer.write(slice(0, ROWS), slice(0, COLS), indices())
    return path


def right(path: Path, located: Geolocation) -> float:
    """Share of a placed map's cells that show the pixel which lies there."""
    with rasterio.open(path) as raster:
        codes = raster.read(1)
        rows, cols = np.nonzero(np.ones_like(codes))
        some = np.random.default_rng(0).choice(len(rows), 20_000, replace=False)
        rows, cols = rows[some], cols[some]
        x, y = raster.transform @ (cols + 0.5, rows + 0.5)
        places = np.stack(transform(raster.crs, "EPSG:4326", x, y), axis=1)
    found = located.to_pixels(places)
    inside = ((found >= 0) & (found < [COLS, ROWS])).all(axis=1)
    expected = np.zeros(len(found), np.int64)
    at = np.floor(found[inside]).astype(int)
    expected[inside] = np.append(CLASSES.codes, 0)[indices()[at[:, 1], at[:, 0]]]
    assert 0.3 < inside.mean() < 1
    return float((expected == codes[rows, cols]).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lon", "lat"), [(10.0, 45.0), (179.0, 0.0), (10.0, 82.0)], ids=["wide", "date line", "pole"]
)
def test_the_placed_map_lies_where_its_pixels_do(tmp_path: Path, lon: float, lat: float) -> None:
    located = swath(lon, lat)
    path = write(tmp_path / "m.tif", located)
    placed = tmp_path / "m_placed.vrt"
    assert right(placed, located) > 0.97
    # Wherever the two are moved to.
    other = tmp_path / "elsewhere"
    other.mkdir()
    for file in (path, placed):
        shutil.move(file, other / file.name)
    assert right(other / "m_placed.vrt", located) > 0.97


@pytest.mark.slow
def test_a_polynomial_would_miss_by_far(tmp_path: Path) -> None:
    """Why there is a placed map: GDAL's default for control points, of a wide swath."""
    located = swath()
    with rasterio.open(write(tmp_path / "m.tif", located)) as raster:
        points, crs = raster.gcps
    assert crs.to_epsg() == 4326
    pixels = np.random.default_rng(0).uniform(0, [COLS, ROWS], (1000, 2))
    x, y = located.to_map(pixels).T
    off = {}
    for splines in (False, True):
        with GCPTransformer(points, tps=splines) as placing:
            rows, cols = placing.rowcol(x, y, op=np.asarray)
        off[splines] = np.hypot(rows - pixels[:, 1], cols - pixels[:, 0])
    assert np.median(off[False]) > 5
    assert off[True].max() < 0.5


@pytest.mark.slow
def test_its_names_and_colours(tmp_path: Path) -> None:
    write(tmp_path / "m.tif", swath())
    with rasterio.open(tmp_path / "m_placed.vrt") as raster:
        assert raster.nodata == 0
        assert raster.colormap(1)[3] == (120, 0, 0, 255)
        assert raster.dtypes == ("uint8",)
    described = describe(tmp_path / "m_placed.vrt")
    assert "class 4" in str(described.lines)


@pytest.mark.slow
def test_a_map_on_a_grid_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    write(path, swath())
    assert (tmp_path / "m_placed.vrt").exists()
    grid = Grid(wgs84(), (0.1, 0.0, 10.0, 0.0, -0.1, 50.0))
    with class_map(path, rows=4, cols=5, grid=grid, label_set=CLASSES, overwrite=True):
        pass
    assert not (tmp_path / "m_placed.vrt").exists()


@pytest.mark.slow
def test_labels_on_a_map_of_a_swath_lie_where_its_pixels_do(tmp_path: Path) -> None:
    located = swath()
    path = write(tmp_path / "m.tif", located)
    scene = Place(path, ROWS, COLS, Grid(wgs84(), geolocation=located))
    pixels = np.random.default_rng(0).uniform(0, [COLS, ROWS], (200, 2))
    with open_scene(path) as raster:
        assert raster.grid.geolocation is None
        found = between(scene, raster)(pixels)
    assert np.abs(found - pixels).max() < 0.5
