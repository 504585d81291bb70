from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.warp
import shapely
from hearing import Hears
from rasterio.transform import Affine

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError, VectorError
from hsi_ssl.inference.classifier import Classifier
from hsi_ssl.labels.area import PolygonArea, areas
from hsi_ssl.maps.classify import classify
from hsi_ssl.maps.one_map import classify_scene
from hsi_ssl.models.spatial import SWEEPS
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.settings import ClassifySettings

Write = Callable[..., Path]
UTM = "EPSG:32719"
ROTATED = Affine(20.0, 5.0, 300_000.0, 5.0, -20.0, 7_400_000.0)
ROWS, COLS = 80, 90
SHAPES = [
    shapely.Polygon([(5.2, 3.1), (22.3, 9.4), (11.7, 30.6)]),
    shapely.box(60, 50, 75, 71) - shapely.box(64, 55, 70, 60),
]
"""In pixels; most of the scene lies outside of them."""


def expected() -> npt.NDArray[np.bool_]:
    row, col = np.indices((ROWS, COLS)) + 0.5
    return np.asarray(
        np.any([shapely.contains_xy(shape, col, row) for shape in SHAPES], axis=0), bool
    )


@pytest.fixture
def scene(
    cube: npt.NDArray[np.uint16], wavelengths: npt.NDArray[np.float64], write_scene: Write
) -> Path:
    """80 x 90 pixels in tiles of 16, on a rotated grid."""
    large = np.tile(cube, (2, 3, 1)).astype(np.float32)
    large += np.random.default_rng(0).normal(0, 200, large.shape)
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    return write_scene(large.clip(1), wavelengths, **tiles)


@pytest.fixture
def layer(tmp_path: Path, write_layer: Write) -> Path:
    """The shapes on the ground, in latitude and longitude."""

    def on_ground(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        a, b, c, d, e, f = tuple(ROTATED)[:6]
        x, y = xy @ [a, b] + c, xy @ [d, e] + f
        return np.stack(rasterio.warp.transform(UTM, "EPSG:4326", x, y), axis=1)

    shapes = [shapely.transform(shapely.segmentize(s, 1), on_ground) for s in SHAPES]
    return write_layer(tmp_path / "area.gpkg", shapes, crs="EPSG:4326")


def read(path: Path) -> Any:
    with rasterio.open(path) as raster:
        return np.moveaxis(raster.read(), 0, -1).squeeze()


def test_pixels_whose_centre_a_polygon_holds_window_by_window() -> None:
    area = PolygonArea(np.array(SHAPES))
    np.testing.assert_array_equal(area.mask(slice(0, ROWS), slice(0, COLS)), expected())
    seen = np.zeros((ROWS, COLS), int)
    places = [
        (slice(r, r + 16), slice(c, min(c + 16, COLS)))
        for r in range(0, ROWS, 16)
        for c in range(0, COLS, 16)
    ]
    for rows, cols in area.windows(places):
        mask = area.mask(rows, cols)
        seen[rows, cols] += mask
        for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
            assert edge.any()
    np.testing.assert_array_equal(seen, expected())
    near = area.grown(SWEEPS).mask(slice(0, ROWS), slice(0, COLS))
    steps = range(-SWEEPS, SWEEPS + 1)
    place = np.argwhere(expected())
    for row, col in ((r, c) for r in steps for c in steps):
        there = place + np.array([row, col])
        there = there[((there >= 0) & (there < [ROWS, COLS])).all(axis=1)]
        assert near[tuple(there.T)].all()


def raster(path: Path, inside: npt.NDArray[np.bool_], place: Affine | None) -> Path:
    """An area as a raster: 7 inside, 0 and its nodata value 9 outside."""
    values = np.where(inside, 7, 0).astype(np.uint8)
    values[0] = 9
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1,
        dtype="uint8", nodata=9, transform=place, crs=None if place is None else UTM,
    ) as file:  # fmt: skip
        file.write(values, 1)
    return path


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_marks_an_area_by_its_place_else_pixel_by_pixel(
    scene: Path, tmp_path: Path
) -> None:
    inside = expected()
    turned = ROTATED @ Affine.translation(COLS - 2, ROWS + 3) @ Affine.scale(-1)
    moved = np.pad(inside, ((3, 0), (0, 2)))[:ROWS, 2:][::-1, ::-1]  # shifted, then turned
    seen = [
        raster(tmp_path / "same.tif", inside, ROTATED),
        raster(tmp_path / "plain.tif", inside, None),
    ]
    with open_scene(scene) as opened:
        for path in seen:
            (area,) = areas(path, [opened])
            assert area is not None
            mask = area.mask(slice(0, ROWS), slice(0, COLS))
            np.testing.assert_array_equal(mask, inside)
            np.testing.assert_array_equal(area.mask(slice(9, 70), slice(5, 9)), inside[9:70, 5:9])
        assert area is not None
        near = area.grown(2).mask(slice(10, 70), slice(12, 80))
        place = np.argwhere(inside[12:68, 14:78])
        for row, col in ((r, c) for r in (0, 2, 4) for c in (0, 2, 4)):
            assert near[tuple((place + np.array([row, col])).T)].all()
        assert near.sum() < inside[10:70, 12:80].sum() + 6 * 60 * 2
        (area,) = areas(raster(tmp_path / "turned.tif", moved, turned), [opened])
        assert area is not None
        half = area.mask(slice(10, 60), slice(3, 80))
        rows, cols = (
            np.arange(ROWS + 2 - 10, ROWS + 2 - 60, -1),
            np.arange(COLS - 3 - 3, COLS - 3 - 80, -1),
        )
        wanted = np.pad(moved, 4)[np.ix_(rows + 4, cols + 4)]
        np.testing.assert_array_equal(half, wanted)
        with pytest.raises(VectorError, match=r"far\.tif marks no part"):
            areas(raster(tmp_path / "far.tif", inside, Affine(20, 0, 0, 0, -20, 0)), [opened])
        with pytest.raises(LabelError, match="80 x 89 pixels"):
            areas(raster(tmp_path / "small.tif", inside[:, 1:], None), [opened])


@pytest.mark.parametrize("kind", ["layer", "raster"])
@pytest.mark.parametrize("spatial", [0.0, 0.9])
def test_a_map_of_an_area_is_the_map_there_and_nothing_elsewhere(
    tiny_run: Path, scene: Path, layer: Path, tmp_path: Path, spatial: float, kind: str
) -> None:
    if kind == "raster":
        layer = raster(tmp_path / "area.tif", expected(), ROTATED)
    common = {
        "scenes": (str(scene),), "model": tiny_run, "device": "cpu", "spatial": spatial,
        "window": 256, "probabilities": True, "novelty": True,
    }  # fmt: skip
    classify(ClassifySettings(**common, output=tmp_path / "whole.tif"))
    (part,) = classify(ClassifySettings(**common, output=tmp_path / "part.tif", area=layer))
    inside = expected()
    whole, found = read(tmp_path / "whole.tif"), read(tmp_path / "part.tif")
    np.testing.assert_array_equal(found, np.where(inside, whole, 0))
    assert (part.classified, part.counts[0]) == (inside.sum(), (~inside).sum())
    for name in ("probabilities", "novelty"):
        whole, found = read(tmp_path / f"whole_{name}.tif"), read(tmp_path / f"part_{name}.tif")
        np.testing.assert_allclose(found[inside], whole[inside], rtol=1e-3, atol=1e-4)
        assert np.isnan(found[~inside]).all()


def test_only_windows_of_the_area_are_read(
    classifier: Classifier, scene: Path, layer: Path, tmp_path: Path, hears: Hears
) -> None:
    read_pixels = 0

    class Counts:
        def __init__(self, reader: Any) -> None:
            self.reader = reader

        def window(self, row0: int, row1: int, col0: int, col1: int) -> Any:
            nonlocal read_pixels
            read_pixels += (row1 - row0) * (col1 - col0)
            return self.reader.window(row0, row1, col0, col1)

    with open_scene(scene) as opened:
        counted = replace(opened, reader=Counts(opened.reader))  # type: ignore[arg-type]
        (area,) = areas(layer, [counted])
        settings = ClassifySettings(window=256, area=layer)
        classify_scene(counted, classifier, settings, tmp_path / "m.tif", area=area, watcher=hears)
    assert expected().sum() <= read_pixels < 2.2 * expected().sum()
    assert hears.steps[-1][1:] == (ROWS * COLS, ROWS * COLS)


def test_areas_that_are_none(
    tiny_run: Path, scene: Path, tmp_path: Path, write_layer: Write
) -> None:
    def refused(geometries: list[Any], **more: Any) -> str:
        path = write_layer(tmp_path / "a.gpkg", geometries, **{"crs": UTM, **more})
        before = set(tmp_path.rglob("*"))
        settings = ClassifySettings(
            scenes=(str(scene),), model=tiny_run, output=tmp_path / "m.tif", area=path
        )
        with pytest.raises(VectorError) as error:
            classify(settings)
        assert set(tmp_path.rglob("*")) == before
        path.unlink()
        return str(error.value)

    far = shapely.box(0, 0, 9, 9)
    assert "marks no part of" in (said := refused([far]))
    assert "EPSG:32719" in said
    middle = shapely.Point(ROTATED @ (40.0, 40.0))
    assert "has no polygon" in refused([middle])
    small = shapely.Point(ROTATED @ (40.1, 40.1)).buffer(0.5)
    assert "holds the centre of no pixel" in refused([small])
    assert "has no CRS" in refused([far], crs=None)
    with pytest.raises(SceneNotFoundError, match=r"none\.gpkg"):
        classify(
            ClassifySettings(scenes=(str(scene),), model=tiny_run, area=tmp_path / "none.gpkg")
        )


def test_an_area_without_measurements(
    tiny_run: Path, cube: Any, wavelengths: Any, layer: Path, write_scene: Write, tmp_path: Path
) -> None:
    empty = np.zeros((ROWS, COLS, 12), np.uint16)
    empty[40:50, :20] = cube[:10, :20]
    settings = ClassifySettings(
        scenes=(str(write_scene(empty, wavelengths, name="empty.tif")),), model=tiny_run,
        output=tmp_path / "maps" / "m.tif", area=layer,
    )  # fmt: skip
    with pytest.raises(SceneError, match=r"no valid pixel in the area of .*area\.gpkg"):
        classify(settings)
    assert not (tmp_path / "maps").exists()


def test_scenes_beside_the_area_are_left_out(
    tiny_run: Path, scene: Path, cube: Any, wavelengths: Any, layer: Path, write_scene: Write,
    tmp_path: Path, hears: Hears,
) -> None:  # fmt: skip
    away = write_scene(cube, wavelengths, name="away.tif", transform=Affine(9, 0, 9e5, 0, -9, 7e6))
    results = classify(
        ClassifySettings(
            scenes=(str(scene), str(away)), model=tiny_run, output=tmp_path / "maps", area=layer
        ),
        watcher=hears,
    )
    assert [r.map.name for r in results] == ["scene_classes.tif"]
    assert any("left out" in sentence and "away.tif" in sentence for sentence in hears.said)
