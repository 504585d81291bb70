"""One scene, written in every way that is read, is the same cube at the same place.

A scene is drawn at random and written by code that knows nothing of the package: what lies at a
map coordinate, the wavelengths, bad bands, pixels without data and the pixels that polygons drawn
there label must not depend on the format, its layout or its orientation. `EVERY_WAY_SEEDS=100` in
the environment draws more scenes a way; what fails says its seed and what was chosen.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import every_array
import every_raster
import numpy as np
import pytest
import shapely
from drawn_scene import Array, Draw, DrawnScene, Way, Written, drawn_scene

from hsi_ssl.errors import SceneError
from hsi_ssl.labels.sources import resolve
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.reading import Reading
from hsi_ssl.scenes.scene import Scene

WAYS = every_raster.WAYS | every_array.WAYS
SEEDS = int(os.environ.get("EVERY_WAY_SEEDS", "4"))
INSET = 0.12
"""Of a polygon's edges within the outermost pixels: of a corner's it covers more than half."""


@pytest.mark.slow
@pytest.mark.parametrize("number", range(SEEDS))
@pytest.mark.parametrize("name", WAYS)
def test_the_same_cube_at_the_same_place(
    tmp_path: Path, write_layer: Callable[..., Path], name: str, number: int
) -> None:
    draw = Draw(seed_of(name, number))
    way = WAYS[name]
    try:
        drawn = drawn_scene(draw, way)
        written = way.write(tmp_path, drawn, draw)
        check(written, drawn, draw, way, write_layer)
    except BaseException as error:
        error.add_note(f"{name}: {draw.said}")
        raise


@pytest.mark.parametrize("number", range(SEEDS))
@pytest.mark.parametrize("name", every_array.NAMELESS)
def test_two_readings_are_refused_until_axes_are_told(
    tmp_path: Path, write_layer: Callable[..., Path], name: str, number: int
) -> None:
    draw = Draw(seed_of(f"nameless {name}", number))
    way = every_array.NAMELESS[name]
    try:
        drawn = drawn_scene(draw, way, two_alike=True)
        written = way.write(tmp_path, drawn, draw)
        axes = str(draw.said["order"])
        with pytest.raises(SceneError, match=rf"may be .*--axes {axes}\b"):
            open_scene(written.path, **written.options)
        told = replace(written, options={**written.options, "axes": axes})
        check(told, drawn, draw, way, write_layer)
    except BaseException as error:
        error.add_note(f"{name}: {draw.said}")
        raise


def check(
    written: Written, drawn: DrawnScene, draw: Draw, way: Way, write_layer: Callable[..., Path]
) -> None:
    with open_scene(written.path, **written.options) as scene:
        pixels = same_pixels(scene, drawn, draw)
        same_bands(scene, drawn, way.tells)
    same_labels(written, drawn, draw, pixels, write_layer)


def seed_of(name: str, number: int) -> int:
    return zlib.crc32(name.encode()) % 10_000 * 1000 + number


def same_pixels(scene: Scene, drawn: DrawnScene, draw: Draw) -> tuple[Array, Array]:
    """Rows and columns in the scene, `(rows, cols)`, of what lies at each pixel's place."""
    rows, cols, bands = drawn.shape
    assert (scene.rows * scene.cols, scene.bands) == (rows * cols, bands)
    assert (scene.grid.transform is None) == (drawn.transform is None)
    assert (scene.grid.crs is None) == (drawn.crs is None)
    at = np.indices((rows, cols)) + draw.random.uniform(0.02, 0.98, (2, rows, cols))
    found = np.floor(at) if scene.grid.transform is None else on_scene(scene, drawn, at)
    r, c = np.floor(found).astype(int)
    assert sorted(zip(r.ravel(), c.ravel(), strict=True)) == list(np.ndindex(rows, cols))

    whole = scene.read()[r, c]
    np.testing.assert_array_equal(scene.valid(whole), drawn.valid)
    np.testing.assert_array_equal(whole[drawn.valid][:, drawn.good], known(drawn))
    some = draw.random.integers(0, rows * cols, 20)
    spectra = scene.pixels(r.ravel()[some], c.ravel()[some])
    np.testing.assert_array_equal(spectra, whole.reshape(-1, bands)[some])
    down, across = np.arange(0, rows, 2), np.arange(1, cols, 3)
    thin = scene.thinned(down, across, [bands - 1, 0])
    np.testing.assert_array_equal(thin, scene.read()[::2, 1::3][..., [bands - 1, 0]])
    return r, c


def known(drawn: DrawnScene) -> Array:
    """Spectra of the pixels that hold a measurement, of good bands."""
    return drawn.cube[drawn.valid][:, drawn.good]


def on_scene(scene: Scene, drawn: DrawnScene, at: Array) -> Array:
    """Rows and columns of the scene at the map coordinates of the drawn scene's."""
    a, b, c, d, e, f = scene.grid.transform or (1, 0, 0, 0, 1, 0)
    x, y = drawn.on_map(at[1], at[0])
    col, row = np.einsum("ij,j...->i...", np.linalg.inv([[a, b], [d, e]]), np.array([x - c, y - f]))
    return np.array([row, col])


def same_bands(scene: Scene, drawn: DrawnScene, tells: tuple[str, ...]) -> None:
    """Readers give wavelengths to a ten-thousandth of a nanometre."""
    for what, found, wanted in (
        ("wavelengths", scene.wavelengths_nm, drawn.wavelengths),
        ("fwhm", scene.fwhm_nm, drawn.fwhm),
    ):
        if what in tells:
            assert found is not None, what
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4, err_msg=what)
    np.testing.assert_array_equal(scene.good, drawn.good)
    if drawn.scale is not None:
        assert scene.units is not None
        assert scene.units.kind == "reflectance"
        np.testing.assert_allclose(scene.units.scale, drawn.scale, rtol=1e-12)
        np.testing.assert_allclose(scene.units.offset, drawn.offset, rtol=1e-12)


def same_labels(
    written: Written,
    drawn: DrawnScene,
    draw: Draw,
    pixels: tuple[Array, Array],
    write_layer: Callable[..., Path],
) -> None:
    """Two classes are drawn as rectangles of pixels, a little smaller than these."""
    rows, cols, _ = drawn.shape
    expected = np.zeros((rows, cols), np.uint16)
    corners = draw.random.integers(0, [rows - 1, cols // 2 - 1], 2)
    shapes = []
    for code, left in ((1, corners[1]), (2, cols // 2)):
        top, right = corners[0], left + 1 + draw.random.integers(cols // 2 - left % (cols // 2))
        bottom = draw.random.integers(top + 1, rows) + 1
        expected[top:bottom, left:right] = code
        box = shapely.box(left + INSET, top + INSET, right - INSET, bottom - INSET)
        shapes.append(shapely.transform(box, lambda xy: np.stack(drawn.on_map(*xy.T), 1)))
    layer = write_layer(
        written.path.parent / "drawn.gpkg", shapes, {"class": [1, 2]}, crs=drawn.crs
    )
    with resolve(
        [str(written.path)], labels=[layer], reading=replace(Reading(), **written.options)
    ) as sources:
        (one,) = sources.scenes
        assert one.labels is not None
        np.testing.assert_array_equal(one.labels[pixels], expected)
