from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import spectral

from hsi_ssl.errors import OutputError
from hsi_ssl.labels.label_set import LabelClass, LabelSet, red_green_blue
from hsi_ssl.labels.palette import distinct_colour
from hsi_ssl.maps.class_map import class_map, outputs
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Grid, GroundPoint

SET = LabelSet(
    "minerals",
    (
        LabelClass(2, "quartz", "#aabb00"),
        LabelClass(3, "mica, white {2 M1}", "#3366aa"),
        LabelClass(7, "kaolinite", "#dd8844"),
    ),
)
UTM = "EPSG:32719"
NORTH_UP = Grid(crs=UTM, transform=(20.0, 0.0, 300_000.0, 0.0, -20.0, 7_400_000.0))
CODES = np.array([2, 3, 7, 0])


def indices(rows: int = 40, cols: int = 60) -> Any:
    row, col = np.indices((rows, cols))
    return (row // 7 + col // 9) % 4 - 1


def write(path: Path, grid: Grid, label_set: LabelSet = SET, **options: Any) -> Any:
    plane = indices()
    values = np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)
    values[plane < 0] = np.nan
    layers: dict[Any, Any] = {"entropy": values[..., 0], "probabilities": values}
    asked = {"rows": 40, "cols": 60, "grid": grid, "label_set": label_set, **options}
    with class_map(path, layers=("entropy", "probabilities"), **asked) as written:
        written.write(slice(0, 40), slice(0, 60), plane, layers)
    return values


def opened(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        return rasterio.open(path)


def test_gdal_reads_a_classification_with_place_palette_and_names(tmp_path: Path) -> None:
    values = write(tmp_path / "m.img", NORTH_UP)
    with opened(tmp_path / "m.img") as raster:
        assert raster.driver == "ENVI"
        np.testing.assert_array_equal(raster.read(1), CODES[indices()])
        assert raster.crs.to_epsg() == 32719
        assert tuple(raster.transform)[:6] == NORTH_UP.transform
        assert raster.nodata == 0
        for c in SET.classes:
            assert raster.colormap(1)[c.code][:3] == red_green_blue(c.colour)
        fields = raster.tags(ns="ENVI")
        assert fields["file_type"] == "ENVI Classification"
        assert fields["classes"] == "8"
        assert "kaolinite" in fields["class_names"]
    with opened(tmp_path / "m_probabilities.img") as raster:
        np.testing.assert_array_equal(np.moveaxis(raster.read(), 0, -1), values)
        assert raster.descriptions == SET.names
        assert np.isnan(raster.nodata)
    with opened(tmp_path / "m_entropy.img") as raster:
        assert raster.units == ("nat",)
    assert {p.name for p in tmp_path.iterdir()} == {
        p.name for p in outputs(tmp_path / "m.img", ("entropy", "probabilities")).values()
    }


def test_spectral_reads_the_same(tmp_path: Path) -> None:
    values = write(tmp_path / "m.img", NORTH_UP)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = spectral.envi.open(tmp_path / "m.hdr", tmp_path / "m.img")
    np.testing.assert_array_equal(found.read_band(0), CODES[indices()])
    about = found.metadata
    assert about["file type"] == "ENVI Classification"
    assert about["class names"] == [
        "not classified", "(no class)", "quartz", "mica; white (2 M1)",
        "(no class)", "(no class)", "(no class)", "kaolinite",
    ]  # fmt: skip
    lookup = np.array(about["class lookup"], int).reshape(-1, 3)
    assert [tuple(lookup[c.code]) for c in SET.classes] == [
        red_green_blue(c.colour) for c in SET.classes
    ]
    assert about["map info"][:7] == ["UTM", "1", "1", "300000", "7400000", "20", "20"]
    assert about["description"].strip() == "m.img"
    layer = spectral.envi.open(tmp_path / "m_entropy.hdr", tmp_path / "m_entropy.img")
    np.testing.assert_array_equal(layer.read_band(0), values[..., 0])
    layer = spectral.envi.open(tmp_path / "m_probabilities.hdr", tmp_path / "m_probabilities.img")
    assert layer.metadata["band names"] == ["quartz", "mica; white (2 M1)", "kaolinite"]


def test_a_rotated_grid_is_told_by_its_angle(tmp_path: Path) -> None:
    rotated = (20.0, 5.0, 300_000.0, 5.0, -20.0, 7_400_000.0)
    write(tmp_path / "m.img", Grid(crs=UTM, transform=rotated))
    with opened(tmp_path / "m.img") as raster:
        np.testing.assert_allclose(tuple(raster.transform)[:6], rotated, rtol=1e-12)


def test_half_a_turn_comes_back_as_one(tmp_path: Path) -> None:
    """As GDAL writes it, it would be read as rows from south to north."""
    turned = (-20.0, 0.0, 300_000.0, 0.0, 20.0, 7_400_000.0)
    write(tmp_path / "m.img", Grid(crs=UTM, transform=turned))
    with open_scene(tmp_path / "m.img") as scene:
        assert scene.grid.transform == pytest.approx(turned, abs=1e-9)
        assert not scene.notes


@pytest.mark.parametrize("lines", [(20.0, 3.0, 0.0, 5.0, -22.0, 0.0), (20.0, 0, 0, 0, 20.0, 0)])
def test_what_no_header_can_say_is_refused(tmp_path: Path, lines: Any) -> None:
    with pytest.raises(OutputError, match="write a GeoTIFF"):
        write(tmp_path / "m.img", Grid(crs=UTM, transform=lines))
    assert not list(tmp_path.iterdir())


def test_control_points_and_no_place_at_all(tmp_path: Path) -> None:
    points = tuple(
        GroundPoint(r, c, 3e5 + 20 * c, 7.4e6 - 20 * r, 812.5)
        for r, c in ((0, 0), (0, 60), (40, 0), (39.5, 58.25), (20, 20))
    )
    write(tmp_path / "points.img", Grid(crs=UTM, control_points=points))
    with opened(tmp_path / "points.img") as raster:
        found, crs = raster.gcps
        assert crs.to_epsg() == 32719
        assert [(p.row, p.col, p.x, p.y) for p in found] == [
            (p.row, p.col, p.x, p.y) for p in points
        ]
    write(tmp_path / "nowhere.img", Grid())
    with opened(tmp_path / "nowhere.img") as raster:
        assert raster.crs is None
        assert raster.transform.is_identity
    assert "map info" not in (tmp_path / "nowhere.hdr").read_text()


@pytest.mark.slow
def test_300_classes(tmp_path: Path) -> None:
    many = LabelSet(
        "many", tuple(LabelClass(c, f"kind {c}", distinct_colour(c)) for c in range(1, 301))
    )
    plane = np.arange(300).reshape(10, 30)
    with class_map(tmp_path / "m.img", rows=10, cols=30, grid=NORTH_UP, label_set=many) as written:
        written.write(slice(0, 10), slice(0, 30), plane)
    found = spectral.envi.open(tmp_path / "m.hdr", tmp_path / "m.img")
    np.testing.assert_array_equal(found.read_band(0), plane + 1)
    assert found.metadata["class names"][300] == "kind 300"
    assert found.metadata["class lookup"][-3:] == [str(v) for v in red_green_blue(many.colours[-1])]


def test_a_new_map_takes_the_old_ones_layers_away(tmp_path: Path) -> None:
    write(tmp_path / "m.img", NORTH_UP)
    with class_map(
        tmp_path / "m.img", rows=40, cols=60, grid=NORTH_UP, label_set=SET, overwrite=True
    ) as written:
        written.write(slice(0, 40), slice(0, 60), indices())
    assert {p.name for p in tmp_path.iterdir()} == {
        p.name for p in outputs(tmp_path / "m.img").values()
    }
