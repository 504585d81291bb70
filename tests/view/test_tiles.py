"""Tiles hold the pixels of their raster, from any zoom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Array
from hsi_ssl.view.tiles import LARGEST, TILE, Marks, Tiles, Tiling


@pytest.mark.parametrize(
    ("rows", "cols", "depth"), [(1, 1, 0), (256, 9, 0), (257, 9, 1), (300, 600, 2), (1024, 4, 2)]
)
def test_as_many_zooms_as_bring_the_whole_into_one_tile(rows: int, cols: int, depth: int) -> None:
    assert Tiling(rows, cols).depth == depth


def test_tiles_of_a_zoom_cover_each_cell_once() -> None:
    tiling = Tiling(300, 600)
    for zoom, step in ((0, 4), (1, 2), (2, 1)):
        side = TILE * step
        rows = [tiling.places(zoom, 0, y)[0] for y in range(-(-300 // side))]
        cols = [tiling.places(zoom, x, 0)[1] for x in range(-(-600 // side))]
        for places, size in ((np.concatenate(rows), 300), (np.concatenate(cols), 600)):
            cells = -(-size // step)
            np.testing.assert_array_equal(places // step, np.arange(cells))
            assert places.max() < size
    for zoom, x, y in ((3, 0, 0), (-1, 0, 0), (0, 1, 0), (2, 0, 2)):
        with pytest.raises(IndexError):
            tiling.places(zoom, x, y)


@pytest.fixture
def tiles(tmp_path: Path) -> Tiles:
    """Of a scene 300 x 340 x 3, float, with NaN, nodata and zeros."""
    cube = np.random.default_rng(0).uniform(10, 90, (300, 340, 3)).astype(np.float32)
    cube[0, 0, 1], cube[0, 1, 2], cube[0, 2] = np.nan, -9.0, 0
    with rasterio.open(
        tmp_path / "s.tif", "w", driver="GTiff", height=300, width=340, count=3, dtype="float32",
        nodata=-9, transform=rasterio.Affine(1, 0, 5, 0, -1, 5),
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(cube, -1, 0))
    return Tiles(open_scene(tmp_path / "s.tif"))


def test_a_picture_is_the_stretched_bands(tiles: Tiles) -> None:
    cube: Array = tiles.scene.read()
    tile = tiles.picture(1, 0, 0, (2, 0, 1))
    assert (tile[0, :4, 3] == [0, 0, 0, 255]).all()
    # From the 2nd to the 98th percentile of what zoom 0 shows: every second pixel.
    seen = cube[1::2, 1::2]
    for channel, band in enumerate((2, 0, 1)):
        low, high = np.percentile(seen[..., band], (2, 98))
        wanted = 255 * ((cube[1:256, :256, band] - low) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(tile[1:, :, channel], wanted, atol=0.51)
    corner = tiles.picture(1, 1, 1, (2, 0, 1))
    assert (corner[:44, :84, 3] == 255).all()
    assert not corner[44:].any()
    assert not corner[:, 84:].any()


def test_one_band_is_grey_and_zero_is_a_value_of_it(tiles: Tiles) -> None:
    tile = tiles.picture(1, 0, 0, (1,))
    assert (tile[..., 0] == tile[..., 1]).all()
    assert (tile[..., 0] == tile[..., 2]).all()
    assert (tile[0, :4, 3] == [0, 255, 255, 255]).all()
    with pytest.raises(IndexError):
        tiles.picture(1, 0, 0, (3,))


def test_a_measure_runs_between_its_limits(tiles: Tiles) -> None:
    values = tiles.scene.read()[:256, :256, 0]
    tile = tiles.measure(1, 0, 0, (20.0, 60.0))
    wanted = 1 + (LARGEST - 1) * ((values - 20) / 40).clip(0, 1)
    np.testing.assert_allclose(tile, wanted, atol=1)
    assert tiles.limits("confidence") == (0, 1)
    assert tiles.limits("entropy")[0] == 0 < tiles.limits("novelty")[0]


def test_no_labelled_pixel_is_lost_from_afar() -> None:
    tiling = Tiling(2000, 1000)
    one = np.array([7, 1999]), np.array([3, 999]), np.array([300, 2]), np.array([0, 2], np.uint8)
    marks = Marks(*one)
    far = marks.tile(tiling, 0, 0, 0, (0, 1, 2))
    assert far[0, 0] == 300
    assert far[1999 // 8, 999 // 8] == 2
    assert np.count_nonzero(far) == 2
    near = marks.tile(tiling, 3, 3, 7, (0, 1, 2))
    assert near[1999 - 7 * TILE, 999 - 3 * TILE] == 2
    assert not marks.tile(tiling, 3, 3, 7, (0, 1)).any()


def test_whole_spectra_of_one_number_are_see_through_not_single_numbers(tmp_path: Path) -> None:
    cube = np.random.default_rng(0).integers(10, 200, (40, 40, 12)).astype(np.int16)
    cube[:20, :, 5] = 50
    cube[30, 30] = 50  # no measurement, but the number is one
    cube[:, :8] = -9999
    np.save(tmp_path / "c.npy", cube)
    with open_scene(tmp_path / "c.npy", axes="rows,cols,bands") as scene:
        tile = Tiles(scene).picture(0, 0, 0, (5,))[:40, :40, 3]
    assert not tile[:, :8].any()
    assert tile[:, 8:].all()
