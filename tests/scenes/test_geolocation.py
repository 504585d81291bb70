"""Map coordinates a pixel, both ways."""

from __future__ import annotations

import numpy as np
import pytest
from swaths import orbital

from hsi_ssl.scenes.geolocation import Floats, Geolocation, placeable

SWATHS: dict[str, dict[str, float]] = {
    "curved": {},
    "across the date line": {"lon": 179.0, "lat": 0.0},
    "over the pole": {"lat": 82.0},
    "far south": {"lat": -75.0, "lon": -170.0},
}
ROWS, COLS = 171, 128


def somewhere(rows: int, cols: int, count: int = 500) -> Floats:
    """Pixel coordinates within a scene."""
    return np.random.default_rng(0).uniform(0, 1, (count, 2)) * [cols, rows]


def chord(a: Floats, b: Floats) -> Floats:
    """Distances between places on the Earth, in its radii."""

    def point(xy: Floats) -> Floats:
        lon, lat = np.deg2rad(xy.T)
        return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])

    found: Floats = np.linalg.norm(point(a) - point(b), axis=0)
    return found


@pytest.mark.parametrize("name", SWATHS)
def test_there_and_back(name: str) -> None:
    lon, lat = orbital(ROWS, COLS, **{"pixel": 12, **SWATHS[name]})
    if name == "across the date line":
        assert np.ptp(lon) > 350
    located = Geolocation(lon, lat)
    pixels = somewhere(ROWS, COLS)
    on_map = located.to_map(pixels)
    assert (np.abs(on_map) <= [180, 90]).all()
    np.testing.assert_allclose(located.to_pixels(on_map), pixels, atol=1e-3)


@pytest.mark.parametrize("name", SWATHS)
def test_centres_have_the_file_s_own_coordinates(name: str) -> None:
    lon, lat = orbital(ROWS, COLS, **{"pixel": 12, **SWATHS[name]})
    rows, cols = np.array([0, 0, 170, 80, 33]), np.array([0, 127, 5, 64, 90])
    on_map = Geolocation(lon, lat).to_map(np.stack([cols + 0.5, rows + 0.5], axis=1))
    own = np.stack([lon[rows, cols], lat[rows, cols]], axis=1)
    assert chord(on_map, own).max() < 1e-12


def test_equal_points_have_equal_places() -> None:
    """Wherever they stand: the last point of a ring is its first."""
    located = Geolocation(*orbital(40, 50, pixel=12))
    pixels = np.tile(somewhere(40, 50, 37), (11, 1))
    on_map = located.to_map(pixels)
    back = located.to_pixels(on_map)
    for found in (on_map, back):
        np.testing.assert_array_equal(found, np.tile(found[:37], (11, 1)))


def test_longitudes_beyond_180_are_those_below() -> None:
    lon, lat = orbital(ROWS, COLS, pixel=12, lon=179.0)
    located, other = Geolocation(lon, lat), Geolocation(lon % 360, lat)
    pixels = somewhere(ROWS, COLS)
    on_map = located.to_map(pixels)
    np.testing.assert_allclose(other.to_map(pixels), on_map)
    np.testing.assert_allclose(located.to_pixels(on_map % [360, 1000]), pixels, atol=1e-3)


@pytest.mark.slow
def test_what_lies_elsewhere_stays_outside() -> None:
    lon, lat = orbital(ROWS, COLS, pixel=12)
    located = Geolocation(lon, lat)
    random = np.random.default_rng(1)
    places = np.stack([random.uniform(-180, 180, 2000), random.uniform(-90, 90, 2000)], axis=1)
    found = located.to_pixels(places)
    inside = ((found > 0) & (found < [COLS, ROWS])).all(axis=1)
    assert 10 < inside.sum() < 100
    # Those inside are there: their place is where they are found.
    assert chord(located.to_map(found[inside]), places[inside]).max() < 1e-6
    # All others are farther from each centre than its pixel reaches.
    centres = np.stack([lon.ravel(), lat.ravel()], axis=1)
    for place in places[~inside][:200]:
        assert chord(centres, np.broadcast_to(place, centres.shape)).min() > 12 / 6371 * 0.4
    assert np.isnan(located.to_pixels(np.array([[np.nan, 0.0]]))).all()


def test_beyond_the_edges_pixels_go_on() -> None:
    rows, cols = np.meshgrid(np.arange(20.0), np.arange(30.0), indexing="ij")
    located = Geolocation(400 + 2 * cols + rows, 700 - 2 * rows + cols, degrees=False)
    beyond = np.array([[-5.0, -7.0], [40, 25], [15, -3], [33, 4]])
    np.testing.assert_allclose(located.to_pixels(located.to_map(beyond)), beyond, atol=1e-6)


@pytest.mark.parametrize("line", [np.s_[5:6], np.s_[:, 7:8]])
def test_one_line_of_pixels_is_as_high_as_it_is_wide(line: tuple[slice, ...]) -> None:
    lon, lat = (plane[line] for plane in orbital(60, 50, pixel=12, half=20))
    located = Geolocation(lon, lat)
    pixels = somewhere(*lon.shape)
    np.testing.assert_allclose(located.to_pixels(located.to_map(pixels)), pixels, atol=1e-3)
    aside = pixels + (np.array([0, 3]) if lon.shape[0] == 1 else np.array([3, 0]))
    found = located.to_pixels(located.to_map(aside))
    np.testing.assert_allclose(found, aside, atol=1e-3)


def test_pixels_without_a_place() -> None:
    lon, lat = orbital(ROWS, COLS, pixel=12, lon=179.0, lat=60.0)
    whole = Geolocation(lon, lat)
    random = np.random.default_rng(2)
    lost = random.random(lon.shape) < 0.02
    lost[40:45] = lost[-3:] = True
    lost[:, :4] = True
    located = Geolocation(np.where(lost, np.nan, lon), np.where(lost, np.nan, lat))
    np.testing.assert_array_equal(located.lost, lost)
    rows, cols = np.nonzero(~lost)
    pixels = np.stack([cols + 0.5, rows + 0.5], axis=1)
    np.testing.assert_allclose(located.to_pixels(whole.to_map(pixels)), pixels, atol=1e-3)
    rows, cols = np.nonzero(lost)
    pixels = np.stack([cols + 0.5, rows + 0.5], axis=1)
    assert np.abs(located.to_pixels(whole.to_map(pixels)) - pixels).max() < 2


def test_rough_coordinates() -> None:
    """Pixels on steep ground lie beside where smooth lines would have them."""
    random = np.random.default_rng(3)
    rows, cols = np.meshgrid(np.arange(200.0), np.arange(300.0), indexing="ij")
    x, y = (random.normal(0, 0.35, rows.shape) + plane for plane in (cols, -rows))
    located = Geolocation(30 * x, 30 * y, degrees=False)
    at = random.integers(0, 200, 2000), random.integers(0, 300, 2000)
    found = located.to_pixels(30 * np.stack([x[at], y[at]], axis=1))
    off = np.abs(found - np.stack([at[1] + 0.5, at[0] + 0.5], axis=1)).max(axis=1)
    assert np.quantile(off, 0.97) < 1
    assert off.max() < 5


def test_what_places_nothing() -> None:
    zeros, nothing = np.zeros((4, 5)), np.full((4, 5), np.nan)
    one = np.where(np.arange(20).reshape(4, 5) == 7, 3.0, np.nan)
    line = np.where(np.arange(4)[:, None] == 2, np.arange(5.0), np.nan)
    for plane in (zeros, nothing, one, line, np.zeros((1, 1))):
        assert not placeable(plane, plane)
        with pytest.raises(ValueError, match="two pixels"):
            Geolocation(plane, plane)
    assert placeable(np.arange(5.0)[None], np.zeros((1, 5)))


@pytest.mark.slow
def test_a_hundred_thousand_points_in_a_second_or_so() -> None:
    """Beside what a nearest-centre search of the same points takes, in turn."""
    import time

    from scipy.spatial import KDTree

    lon, lat = orbital(1710, 1272, lat=60.0)
    located = Geolocation(lon, lat)
    pixels = somewhere(1710, 1272, 100_000)
    on_map = located.to_map(pixels)
    start = time.perf_counter()
    found = located.to_pixels(on_map)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    KDTree(np.stack([lon.ravel(), lat.ravel()], axis=1)).query(on_map)
    assert ours < time.perf_counter() - start + 1
    np.testing.assert_allclose(found, pixels, atol=1e-3)
