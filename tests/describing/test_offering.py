"""What folders offer: scenes, labels, fields; the likeliest first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from placed_files import NORTH_UP, write_cube, write_layer

from hsi_ssl.describing.offering import offered
from hsi_ssl.recipes import text_of_start
from hsi_ssl.settings import M1Settings, M2Settings, load_project


def squares(n: int) -> list[shapely.Polygon]:
    return [shapely.box(i, 0, i + 1, 1) for i in range(n)]


def test_scenes_label_rasters_and_layers_are_told_apart(tmp_path: Path) -> None:
    write_cube(tmp_path / "a.tif")
    write_cube(tmp_path / "b.tif", bands=8)
    write_cube(tmp_path / "photo.tif", bands=3)
    with rasterio.open(
        tmp_path / "codes.tif", "w", driver="GTiff", height=20, width=24, count=1, dtype="uint8",
        crs="EPSG:32633", transform=NORTH_UP,
    ) as raster:  # fmt: skip
        raster.write(np.ones((1, 20, 24), np.uint8))
    write_layer(
        tmp_path / "drawn.gpkg",
        squares(6),
        {
            "id": range(6), "note": [f"point {i}" for i in range(6)], "kind": ["marl", "clay"] * 3,
        },
    )  # fmt: skip
    (tmp_path / "broken.mat").write_bytes(b"nothing")
    offer = offered(tmp_path)
    assert [scene.path.name for scene in offer.scenes] == ["a.tif", "b.tif"]
    layer, raster = offer.labels
    assert layer.path == str(tmp_path / "drawn.gpkg")
    assert list(layer.fields) == ["kind", "note", "id"]
    assert layer.fields["kind"] == "clay, marl"
    assert raster.path == str(tmp_path / "codes.tif")
    assert raster.fields == {}
    left = " ".join(offer.left_out)
    assert "photo.tif has 3 bands" in left
    assert "broken.mat" in left
    assert offer.missing is None
    assert [scene.path.name for scene in offered(tmp_path / "b.tif").scenes] == ["b.tif"]


def test_labels_of_the_scenes_name_come_first(tmp_path: Path) -> None:
    write_cube(tmp_path / "a.tif")
    write_layer(tmp_path / "a_labels.gpkg", squares(4), {"class": ["x", "y", "x", "z"]})
    write_layer(tmp_path / "other.gpkg", squares(2), {"class": ["x", "y"]})
    first, other = offered(tmp_path).labels
    assert first.path is None
    assert first.in_words == "a_labels.gpkg (found by the name)"
    assert first.fields == {"class": "x, y, z"}
    assert other.path == str(tmp_path / "other.gpkg")


def test_layers_without_a_field_are_classes_by_their_names(tmp_path: Path) -> None:
    write_cube(tmp_path / "a.tif")
    write_layer(tmp_path / "rocks.gpkg", squares(2), {}, layer="marl")
    write_layer(tmp_path / "rocks.gpkg", squares(2), {}, layer="clay", append=True)
    offers = offered(tmp_path).labels
    assert {offer.path for offer in offers} == {str(tmp_path / "rocks.gpkg")}
    assert list(offers[0].fields) == ["@layer"]


def test_real_folders(real_data: Callable[[str], Path]) -> None:
    potsdam = offered(real_data("enmap-potsdam"))
    assert [label.in_words for label in potsdam.labels] == [
        "labels.tif (found by the name)",
        "points.gpkg: 120 features (Point)",
    ]
    assert list(potsdam.labels[1].fields) == ["level_1", "level_2"]
    salinas = offered(real_data("salinas-a"))
    assert salinas.scenes[0].labels == "SalinasA_gt.mat"
    neon = offered(real_data("neon-sjer"))
    assert "no labels for NEON_SJER_reflectance_30x30.h5" in str(neon.missing)


@pytest.mark.parametrize("name", ["a.tif", 'odd "name".tif', "back\\slash.tif", "Fläche 场景.tif"])
@pytest.mark.parametrize("quick", [True, False])
def test_what_is_written_is_read(tmp_path: Path, name: str, quick: bool) -> None:
    path = tmp_path / "hsi-ssl.toml"
    path.write_text(text_of_start([name], name, "level 2", quick=quick), encoding="utf-8")
    project = load_project(path)
    assert project.prepare.sources == project.classify.scenes == (name,)
    assert project.prepare.labels == (Path(name),)
    assert project.prepare.label_field == "level 2"
    for asked, usual in ((project.m1, M1Settings()), (project.m2, M2Settings())):
        assert asked.epochs <= usual.epochs / 2 if quick else asked.epochs == usual.epochs
