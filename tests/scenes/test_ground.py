"""How far it is from pixel to pixel, and where north is."""

from __future__ import annotations

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine

from hsi_ssl.scenes.ground import Ground, ground_of
from hsi_ssl.scenes.scene import Grid

UTM33 = CRS.from_epsg(32633).to_wkt()
DEGREES = CRS.from_epsg(4326).to_wkt()


def ground(crs: str, affine: Affine, rows: int = 100, cols: int = 200) -> Ground:
    found = ground_of(Grid(crs, tuple(affine[:6])), rows, cols)
    assert found is not None
    return found


def test_a_grid_in_metres() -> None:
    """On the central meridian grid north is true north; a metre there is 0.9996 of one."""
    found = ground(UTM33, Affine(30, 0, 500_000 - 3000, 0, -30, 5_800_000))
    assert found.across == pytest.approx(30 / 0.9996, rel=1e-4)
    assert found.square
    assert found.north == pytest.approx((0, -1), abs=2e-3)


@pytest.mark.parametrize("degrees", [-120, -30, 45, 90, 180])
def test_a_turned_grid(degrees: float) -> None:
    """A picture turned by an angle has north turned by it, the other way round."""
    affine = Affine.translation(500_000, 5_800_000) @ Affine.rotation(degrees) @ Affine.scale(5, -5)
    found = ground(UTM33, affine, 60, 60)
    assert found.north is not None
    east = np.radians(degrees)
    assert found.north == pytest.approx((np.sin(east), -np.cos(east)), abs=3e-3)
    assert found.across == pytest.approx(5 / 0.9996, rel=1e-3)


def test_rows_from_south_to_north() -> None:
    found = ground(UTM33, Affine(10, 0, 500_000, 0, 10, 5_800_000))
    assert found.north == pytest.approx((0, 1), abs=3e-3)


def test_degrees_are_shorter_across_than_down() -> None:
    found = ground(DEGREES, Affine(0.001, 0, 13, 0, -0.001, 60))
    assert found.across == pytest.approx(55.8, rel=0.01)
    assert not found.square
    assert found.north == pytest.approx((0, -1), abs=1e-6)


def test_at_the_equator_degrees_are_nearly_square() -> None:
    assert ground(DEGREES, Affine(0.001, 0, 13, 0, -0.001, 0.05)).square


def test_what_differs_over_the_picture_is_left_out() -> None:
    high = ground(DEGREES, Affine(0.05, 0, 13, 0, -0.05, 89.0), 100, 100)
    assert high.across is None  # from 84 to 89 degrees a degree shrinks to a sixth
    assert high.north == pytest.approx((0, -1), abs=1e-6)
    polar = CRS.from_epsg(3413).to_wkt()
    about = ground(polar, Affine(5000, 0, -250_000, 0, -5000, 250_000), 100, 100)
    assert about.north is None  # the pole is in its middle
    aside = ground(polar, Affine(100, 0, -1_000_000, 0, -100, -1_000_000))
    assert aside.north == pytest.approx((np.sqrt(0.5), -np.sqrt(0.5)), abs=0.03)


def test_over_the_date_line() -> None:
    found = ground(DEGREES, Affine(0.01, 0, 179.5, 0, -0.01, 10))
    assert found.across == pytest.approx(1096, rel=0.01)


def test_what_has_no_place_has_none() -> None:
    assert ground_of(Grid(), 10, 10) is None
    assert ground_of(Grid(UTM33), 10, 10) is None
    local = 'LOCAL_CS["core",UNIT["metre",1]]'
    assert ground_of(Grid(local, (1, 0, 0, 0, -1, 0)), 10, 10) is None
    assert ground_of(Grid(UTM33, (0.0, 0.0, 5e5, 0.0, 0.0, 5.8e6)), 10, 10) is None
