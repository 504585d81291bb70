from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rendering import (
    FINE,
    Camera,
    Ground,
    Plane,
    albedo,
    dominant,
    fractal,
    places,
    reflected,
    rendered,
    shadows,
    smooth,
    spectra_at,
    sunlight,
    write_classes,
    write_envi,
    write_geotiff,
)

from hsi_ssl.errors import LibraryError
from hsi_ssl.labels.legends import legend_of
from hsi_ssl.libraries.library import LibrarySpectrum, SpectralLibrary
from hsi_ssl.scenes.opening import open_scene

ROWS, COLS = 12, 16
WAVELENGTHS = np.array([450.0, 600.0, 900.0, 1400.0, 2200.0])
SPECTRA = np.array([[0.05, 0.1, 0.5, 0.3, 0.2], [0.3, 0.35, 0.4, 0.4, 0.35]])


def camera(
    *, blur: float = 0.0, floor: float = 0.0, skylight: float = 0.0, haze: float = 0.0
) -> Camera:
    bad = WAVELENGTHS == 1400
    return Camera(
        WAVELENGTHS, bad, blur, np.full(5, floor), 0.0, 0.0, skylight=skylight, haze=haze, reach=2
    )


def two_halves(*, direct: float = 1.0) -> Ground:
    """The first spectrum in the west, the second in the east; the border runs amid a pixel."""
    _, x = places(ROWS, COLS)
    west = (x < COLS / 2 + 0.5).astype(np.float32)
    shares = np.stack([west, 1 - west])
    return Ground(shares, shares, np.full(x.shape, direct, np.float32), np.ones_like(x))


def seen(ground: Ground, by: Camera, *, intimate: bool = False) -> Plane:
    return rendered(ground, SPECTRA, by, np.random.default_rng(0), intimate=intimate)


def test_open_level_ground_is_seen_as_the_library_has_it() -> None:
    cube = seen(two_halves(), camera(skylight=0.3))
    np.testing.assert_allclose(cube[:, : COLS // 2], SPECTRA[0] + 0 * cube[:, : COLS // 2], 1e-5)
    np.testing.assert_allclose(cube[:, -5:], SPECTRA[1] + 0 * cube[:, -5:], 1e-5)


def test_pixels_at_a_border_mix_by_area() -> None:
    cube = seen(two_halves(), camera())
    np.testing.assert_allclose(cube[3, COLS // 2], SPECTRA.mean(axis=0), rtol=1e-5)


def test_blur_reaches_beyond_the_border_and_loses_no_light() -> None:
    sharp, blurred = seen(two_halves(), camera()), seen(two_halves(), camera(blur=0.8))
    assert (blurred[:, COLS // 2 - 1, 0] > sharp[:, COLS // 2 - 1, 0] + 0.01).all()
    np.testing.assert_allclose(blurred.mean(axis=(0, 1)), sharp.mean(axis=(0, 1)), rtol=0.02)


def test_grains_mix_by_their_albedo() -> None:
    np.testing.assert_allclose(reflected(albedo(SPECTRA)), SPECTRA)
    light = np.ones((FINE, FINE), np.float32)
    half = np.full((2, FINE, FINE), 0.5, np.float32)
    mixed = seen(Ground(half, half, light, light), camera(), intimate=True)[0, 0]
    linear = SPECTRA.mean(axis=0)
    assert (mixed[[0, 1, 4]] < linear[[0, 1, 4]] - 5e-3).all()  # the darker grains count for more
    assert (mixed > SPECTRA.min(axis=0)).all()


def test_shade_is_lit_by_a_blue_sky() -> None:
    ratio = seen(two_halves(direct=0.0), camera(skylight=0.3))[0, 0] / SPECTRA[0]
    np.testing.assert_allclose(ratio, 0.3 * (WAVELENGTHS / 450) ** -2, rtol=1e-4)


def test_haze_brings_light_from_around_more_so_in_blue() -> None:
    clear, hazy = seen(two_halves(), camera()), seen(two_halves(), camera(haze=0.2))
    gained = (hazy - clear)[0, COLS // 2 - 1] / (SPECTRA[1] - SPECTRA[0])
    assert gained[0] > 2 * gained[3] > 0


def test_noise_is_what_the_camera_has() -> None:
    noise = seen(two_halves(), camera(floor=0.01)) - seen(two_halves(), camera())
    assert noise.std() == pytest.approx(0.01, rel=0.1)
    assert abs(noise.mean()) < 0.002


def test_slopes_towards_the_sun_are_brighter() -> None:
    y, x = places(ROWS, COLS)
    assert sunlight(0 * x, 90, 45) == pytest.approx(1)
    assert (sunlight(-0.2 * x, 90, 45) > 1.1).all()  # falls to the east, where the sun is
    assert (sunlight(0.2 * x, 90, 45) < 0.9).all()
    assert (sunlight(0.2 * y, 0, 45) > 1.1).all()  # falls to the north


def test_a_wall_throws_its_shadow_away_from_the_sun() -> None:
    y, x = places(ROWS, COLS)
    wall = np.where(abs(x - 8) < 0.5, 2, 0).astype(np.float32)
    columns = np.flatnonzero(shadows(wall, 90, 45)[0]) / FINE
    assert 7.5 - 2 <= columns.min() <= 7.5 - 1.5
    assert columns.max() < 7.5
    rows = np.flatnonzero(shadows(wall.T[: len(y), : len(x)], 180, 45)[:, 0]) / FINE
    assert rows.max() < 7.5


def test_labels_are_what_covers_most_and_enough() -> None:
    classes = np.zeros((3, FINE, 3 * FINE), np.float32)
    classes[0, :, :FINE] = 1
    classes[:, :, FINE : 2 * FINE] = np.array([0.3, 0.3, 0.4])[:, None, None]
    classes[:, :, 2 * FINE :] = np.array([0.2, 0.5, 0.3])[:, None, None]
    assert dominant(classes).tolist() == [[1, 3, 2]]
    assert dominant(classes, least=0.5).tolist() == [[1, 0, 2]]


def test_fields_are_drawn_by_the_seed_and_smooth_over_their_reach() -> None:
    first, again = (smooth(np.random.default_rng(4), (80, 96), 2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    rough = fractal(np.random.default_rng(4), (80, 96), 0.5)
    for field in (first, rough):
        assert field.mean() == pytest.approx(0, abs=1e-5)
        assert field.std() == pytest.approx(1, rel=1e-4)
    assert np.diff(first, axis=1).std() < 0.2 < np.diff(rough, axis=1).std()


def test_a_spectrum_is_found_by_how_its_name_begins(tmp_path: Path) -> None:
    values = np.array([0.1, np.nan, 0.3])
    grid = np.array([400.0, 500.0, 600.0])
    library = SpectralLibrary(tmp_path / "x.sli", (LibrarySpectrum("Oak 1", "Oak", grid, values),))
    np.testing.assert_allclose(spectra_at(library, ["Oak"], grid), [[0.1, 0.2, 0.3]])
    with pytest.raises(LibraryError, match="no spectrum that begins with 'Elm'"):
        spectra_at(library, ["Elm"], grid)


@pytest.mark.parametrize("write", [write_envi, write_geotiff])
def test_what_is_written_is_read_back(write: Callable[..., Path], tmp_path: Path) -> None:
    cube = seen(two_halves(), camera(floor=0.01))
    suffix = ".tif" if write is write_geotiff else ".img"
    path = write(tmp_path / f"cube{suffix}", cube, camera(), (412_000, 5_405_000), 3)
    with open_scene(path) as scene:
        np.testing.assert_allclose(scene.read() / 10_000, cube, atol=1e-4)
        assert scene.wavelengths_nm is not None
        np.testing.assert_allclose(scene.wavelengths_nm, WAVELENGTHS)
        assert scene.good.tolist() == [True, True, True, False, True]
        assert scene.grid.transform is not None
        assert 412_000 in scene.grid.transform
    codes = dominant(two_halves().classes)
    path = write_classes(tmp_path / "classes", codes, ("a", "b"), (412_000, 5_405_000), 3)
    assert legend_of(path).names == {0: "unclassified", 1: "a", 2: "b"}
