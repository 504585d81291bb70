"""Rasters laid on scenes, against an overlay that shapely makes pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.warp import transform

from hsi_ssl.labels import areas, laying
from hsi_ssl.labels.frames import Place
from hsi_ssl.labels.laying import Laying
from hsi_ssl.scenes.scene import Grid, GroundPoint

UTM, LAEA, DEGREES, NEXT_UTM = "EPSG:32633", "EPSG:3035", "EPSG:4326", "EPSG:32632"
HERE = 371_000.0, 5_805_000.0
"""In UTM."""
Plane = npt.NDArray[np.uint16]


def place(shape: tuple[int, int], matrix: Affine, crs: str | None) -> Place:
    wkt = None if crs is None else CRS.from_user_input(crs).to_wkt()
    a, b, c, d, e, f = tuple(matrix)[:6]
    return Place(Path("x.tif"), *shape, Grid(wkt, (a, b, c, d, e, f)))


def lay(scene: Place, raster: Place, codes: Plane, least: float = 0.5) -> tuple[Plane, Laying]:
    laid = Laying(scene, raster, lambda rows, cols: codes[rows, cols], least)
    return laid.read(slice(0, scene.rows), slice(0, scene.cols)), laid


def overlay(
    shape: tuple[int, int],
    matrix: Affine,
    crs: str,
    codes: Plane,
    theirs: Affine,
    their_crs: str,
    least: float,
) -> tuple[Plane, npt.NDArray[np.bool_]]:
    """What shapely's areas say, and where they say it by more than a thousandth of a pixel."""
    rows, cols = codes.shape
    c, r = np.meshgrid(np.arange(cols + 1), np.arange(rows + 1))
    x, y = theirs.a * c + theirs.b * r + theirs.c, theirs.d * c + theirs.e * r + theirs.f
    if crs != their_crs:
        x, y = (np.array(v) for v in transform(their_crs, crs, x.ravel(), y.ravel()))
    back = ~matrix
    corners = np.stack(
        [back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f], axis=-1
    ).reshape(rows + 1, cols + 1, 2)
    rings = np.stack(
        [corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], axis=2
    )
    pixels = shapely.polygons(rings.reshape(-1, 4, 2))
    first = np.mgrid[: shape[1], : shape[0]]
    boxes = shapely.box(*first, *(first + 1)).T
    tree = shapely.STRtree(boxes.ravel())
    of, box = tree.query(pixels, predicate="intersects")
    area = shapely.area(shapely.intersection(pixels[of], boxes.ravel()[box]))
    votes = np.zeros((boxes.size, 4))
    np.add.at(votes, (box, codes.ravel()[of]), area)
    votes[:, 0] = 0
    ordered = np.sort(votes, axis=1)
    most, second = ordered[:, -1], ordered[:, -2]
    found = np.where((most >= least) & (most > second), votes.argmax(axis=1), 0)
    clear = (np.abs(most - least) > 1e-3) & ((most - second > 1e-3) | (most < least - 1e-3))
    return found.reshape(shape).astype(np.uint16), clear.reshape(shape)


def draw(seed: int) -> dict[str, Any]:
    """A scene and a raster about the same place: sizes, ratio, angle, flips and CRS by chance."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(5, 24, 2))
    size = float(rng.choice([1.0, 10.0, 30.0]))
    ratio = float(rng.choice([1.0, 1.25, 0.5, 2.0, 3.0, rng.uniform(0.2, 5)]))
    crs, their_crs = (str(rng.choice([UTM, UTM, LAEA, DEGREES, NEXT_UTM])) for _ in range(2))
    kind = seed % 5
    if kind < 2:
        their_crs = crs
    x, y = (v[0] for v in transform(UTM, crs, [HERE[0]], [HERE[1]]))
    metres = 1 if crs != DEGREES else 1 / 111_000
    angle = 0.0 if kind in (0, 2) else float(rng.uniform(0, 360))
    flip = -1 if rng.random() < 0.7 else 1
    matrix = (
        Affine.translation(x, y)
        @ Affine.rotation(angle)
        @ Affine.scale(size * metres, flip * size * metres)
    )
    middle = shape[1] // 2, shape[0] // 2
    aside = rng.choice([0, -2, 3, 0.5, 0.25, 1.37], 2) if kind == 0 else rng.uniform(-4, 4, 2)
    at = matrix @ (middle[0] + float(aside[0]), middle[1] + float(aside[1]))
    x, y = (v[0] for v in transform(crs, their_crs, [at[0]], [at[1]]))
    metres = 1 if their_crs != DEGREES else 1 / 111_000
    # Along the scene's axes where the CRS is the same; else as it comes.
    turn = angle if kind in (0, 1) else float(rng.choice([0.0, 90.0, rng.uniform(0, 360)]))
    rows, cols = (int(n) for n in np.clip(rng.integers(6, 30, 2) / ratio, 1, 60))
    theirs = (
        Affine.translation(x, y)
        @ Affine.rotation(turn + (0 if kind else rng.choice([0, 180])))
        @ Affine.scale(size * ratio * metres, flip * size * ratio * metres)
        @ Affine.translation(-(cols // 2), -(rows // 2))
    )
    codes = rng.integers(0, 4, (rows, cols)).astype(np.uint16)
    if seed % 3:  # patches
        codes = codes[np.ix_(np.arange(rows) // 3, np.arange(cols) // 3)]
    return {
        "shape": shape, "matrix": matrix, "crs": crs, "codes": codes, "theirs": theirs,
        "their_crs": their_crs, "least": float(rng.choice([0.5, 0.5, 0.3, 0.9])),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("tens", range(30))
def test_300_pairs_give_what_an_overlay_gives(tens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if tens % 2:  # small tiles and lots meet their edges
        monkeypatch.setattr(laying, "TILE", 8)
        monkeypatch.setattr(laying, "NET", 4)
        monkeypatch.setattr(areas, "LOT", 5)
        monkeypatch.setattr(areas, "PAIRS", 40)
    labelled = 0
    for seed in range(10 * tens, 10 * tens + 10):
        pair = draw(seed)
        expected, clear = overlay(**pair)
        scene = place(pair["shape"], pair["matrix"], pair["crs"])
        raster = place(pair["codes"].shape, pair["theirs"], pair["their_crs"])
        found, laid = lay(scene, raster, pair["codes"], pair["least"])
        assert clear.mean() > 0.3, seed
        assert (found[clear] == expected[clear]).all(), seed
        assert laid.overlaps() or not expected.any()
        labelled += int(np.count_nonzero(found))
    assert labelled > 200


NORTH_UP = Affine(10, 0, HERE[0], 0, -10, HERE[1])
CODES = np.random.default_rng(0).integers(0, 5, (12, 17)).astype(np.uint16)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (NORTH_UP, CODES),
        (Affine(10, 0, HERE[0], 0, 10, HERE[1] - 120), CODES[::-1]),
        (Affine(-10, 0, HERE[0] + 170, 0, 10, HERE[1] - 120), CODES[::-1, ::-1]),
        (Affine(-10, 0, HERE[0] + 170, 0, -10, HERE[1]), CODES[:, ::-1]),
        (NORTH_UP @ Affine.translation(3, -2), np.pad(CODES, ((0, 2), (3, 0)))[2:, :17]),
    ],
    ids=["same", "south-up", "turned", "mirrored", "shifted"],
)
def test_whole_pixels_are_copied(matrix: Affine, expected: Plane) -> None:
    scene = place((12, 17), NORTH_UP, UTM)
    found, laid = lay(scene, place((12, 17), matrix, UTM), CODES, 0.9)
    assert laid.copied
    assert (found == expected).all()
    window = laid.read(slice(3, 9), slice(2, 11))
    assert (window == expected[3:9, 2:11]).all()


def test_a_hair_off_is_the_same_grid_and_half_a_pixel_is_not() -> None:
    scene = place((12, 17), NORTH_UP, UTM)
    near = place((12, 17), NORTH_UP @ Affine.translation(1e-4, -1e-4), UTM)
    assert lay(scene, near, CODES)[1].copied
    half = place((12, 17), NORTH_UP @ Affine.translation(0.5, 0), UTM)
    found, laid = lay(scene, half, CODES)
    assert not laid.copied
    # Each pixel has a half of two of the raster's: where these differ it is tied.
    left, right = np.pad(CODES, ((0, 0), (1, 0)))[:, :-1], CODES
    agree = (left == right) | (left == 0) | (right == 0)
    assert (found[agree] == np.maximum(left, right)[agree]).all()
    assert (found[~agree] == 0).all()
    assert laid.tally.tied == np.count_nonzero(~agree)


def test_what_no_class_covers_enough_of_is_counted() -> None:
    codes = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint16)
    scene = place((1, 1), Affine(30, 0, HERE[0], 0, -30, HERE[1]), UTM)
    raster = place((3, 3), NORTH_UP, UTM)
    found, laid = lay(scene, raster, codes)
    assert found[0, 0] == 0
    assert (laid.tally.short, laid.tally.tied) == (1, 0)
    codes[0] = 2
    assert lay(scene, raster, codes, 0.3)[0][0, 0] == 2
    codes[1] = 3  # a third each
    found, laid = lay(scene, raster, codes, 0.3)
    assert (found[0, 0], laid.tally.tied) == (0, 1)


def test_more_than_nine_raster_pixels_a_pixel_and_many_classes() -> None:
    rng = np.random.default_rng(3)
    codes = rng.integers(1, 3000, (200, 200)).astype(np.uint16)
    codes[:100, :100] = 7
    scene = place((4, 4), Affine(500, 0, HERE[0], 0, -500, HERE[1]), UTM)
    found, _ = lay(scene, place((200, 200), NORTH_UP, UTM), codes)
    assert found.tolist() == [[7, 7, 0, 0], [7, 7, 0, 0], [0] * 4, [0] * 4]


def test_least_0_takes_the_class_at_the_centre() -> None:
    scene = place((4, 6), Affine(25, 0, HERE[0], 0, -25, HERE[1]), UTM)
    found, _ = lay(scene, place((12, 17), NORTH_UP, UTM), CODES, 0.0)
    rows, cols = ((np.arange(4) + 0.5) * 2.5).astype(int), ((np.arange(6) + 0.5) * 2.5).astype(int)
    expected = np.pad(CODES, 5)[np.ix_(rows + 5, cols + 5)]
    assert (found == expected).all()


def test_control_points_place_both() -> None:
    points = tuple(
        GroundPoint(r, c, HERE[0] + 10 * c + 2 * r, HERE[1] - 10 * r + c)
        for r, c in ((0.0, 0.0), (0.0, 17.0), (12.0, 0.0), (12.0, 17.0))
    )
    wkt = CRS.from_user_input(UTM).to_wkt()
    scene = Place(Path("s.tif"), 12, 17, Grid(wkt, None, points))
    assert (lay(scene, scene, CODES)[0] == CODES).all()
    matrix = Affine(10, 2, HERE[0], 1, -10, HERE[1])
    found, laid = lay(scene, place((12, 17), matrix, UTM), CODES)
    assert laid.copied
    assert (found == CODES).all()


def test_elsewhere_nothing_is_found() -> None:
    scene = place((12, 17), NORTH_UP, UTM)
    for matrix, crs in (
        (NORTH_UP @ Affine.translation(17, 0), UTM),
        (NORTH_UP @ Affine.translation(0, 5000.4), UTM),
        (Affine(0.0001, 0, -70, 0, -0.0001, -30), DEGREES),
    ):
        found, laid = lay(scene, place((12, 17), matrix, crs), CODES)
        assert not laid.overlaps()
        assert not found.any()


def test_coordinates_without_crs_are_the_scenes() -> None:
    scene = place((12, 17), NORTH_UP, UTM)
    assert (lay(scene, place((12, 17), NORTH_UP, None), CODES)[0] == CODES).all()
