"""Vector layers: what is in the file, valid and flat, or one sentence that says why not."""

from __future__ import annotations

import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from hearing import Hears

from hsi_ssl.describing.telling import describe
from hsi_ssl.errors import HsiSslError, SceneNotFoundError, VectorError
from hsi_ssl.labels.finding import labels_in
from hsi_ssl.labels.rasters import open_label_raster
from hsi_ssl.labels.vectors import beside, is_vector, layer_facts, read_layer

Write = Callable[..., Path]
SQUARE, BOWTIE = shapely.box(0, 0, 2, 2), shapely.Polygon([(0, 0), (4, 4), (4, 0), (0, 4)])


@pytest.mark.parametrize(
    "suffix", [".gpkg", ".shp", ".geojson", ".fgb", ".gdb", ".tab", ".mif", ".sqlite", ".geojsonl"]
)
def test_every_format_gives_the_same_features(
    suffix: str, tmp_path: Path, write_layer: Write
) -> None:
    shapes = [shapely.box(i, 0, i + 1, 1) for i in range(12, 15)]
    fields = {"kind": ["tree", None, "roof"], "n": [1, 2, 3]}
    path = write_layer(tmp_path / f"x{suffix}", shapes, fields, crs="EPSG:4326", kind="Polygon")
    assert is_vector(path)
    facts = layer_facts(path)
    assert list(facts.fields) == ["kind", "n"]
    assert facts.crs == "EPSG:4326"
    assert facts.assumed == suffix.startswith(".geojson")
    layer = read_layer(facts, "kind")
    order = np.argsort(shapely.bounds(layer.geometries)[:, 0])  # FlatGeobuf has its own
    assert layer.values is not None
    # MapInfo has no empty value.
    assert [value or None for value in layer.values[order]] == ["tree", None, "roof"]
    assert shapely.equals(layer.geometries[order], np.array(shapes)).all()


def test_kinds_mix_and_heights_and_arcs_go(tmp_path: Path, write_layer: Write) -> None:
    shapes = [
        shapely.Point(1, 2, 3),
        shapely.LineString([(0, 0, 9), (1, 1, 9)]),
        shapely.Polygon([(0, 0, 5), (1, 0, 5), (1, 1, 5)]),
        shapely.MultiPolygon([SQUARE, shapely.box(5, 5, 6, 6)]),
    ]
    layer = read_layer(layer_facts(write_layer(tmp_path / "x.gpkg", shapes)))
    assert not shapely.has_z(layer.geometries).any()
    assert shapely.get_type_id(layer.geometries).tolist() == [0, 1, 3, 6]
    assert layer.ids.tolist() == [1, 2, 3, 4]
    assert layer.values is None


def test_a_layer_is_named_as_here_or_as_in_qgis(tmp_path: Path, write_layer: Write) -> None:
    path = tmp_path / "x.gpkg"
    write_layer(path, [SQUARE], layer="trees", kind="Polygon")
    with sqlite3.connect(path) as file:  # a table without geometries, as QGIS adds for styles
        file.execute("create table layer_styles (id integer primary key, style text)")
        file.execute(
            "insert into gpkg_contents (table_name, data_type, identifier) "
            "values ('layer_styles', 'attributes', 'layer_styles')"
        )
    assert layer_facts(path).name == "trees"
    write_layer(path, [SQUARE, SQUARE], layer="roofs", kind="Polygon", append=True)
    for name in (f"{path}:roofs", f"{path}|layername=roofs", f"{path}|layername=roofs|subset=n"):
        assert is_vector(Path(name))
        assert len(read_layer(layer_facts(Path(name)))) == 2
    with pytest.raises(VectorError, match=r"several layers: trees \(Polygon\), roofs .*x\.gpkg:"):
        layer_facts(path)
    with pytest.raises(VectorError, match=r"no layer walls .* it has trees \(Polygon\), roofs"):
        layer_facts(Path(f"{path}:walls"))


def test_geometries_are_repaired_or_left_out_by_id(
    tmp_path: Path, write_layer: Write, hears: Hears
) -> None:
    nothing = shapely.Polygon([(0, 0), (1, 1), (2, 2), (0, 0)])
    shapes = [SQUARE, BOWTIE, None, shapely.Polygon(), nothing]
    path = write_layer(tmp_path / "x.gpkg", shapes)
    layer = read_layer(layer_facts(path), "class", hears)
    assert layer.ids.tolist() == [1, 2]
    assert layer.values is not None
    assert layer.values.tolist() == [1, 2]
    assert shapely.is_valid(layer.geometries).all()
    assert layer.geometries[1].area == 8
    repaired, left_out = hears.warned
    assert "1 feature(s) that was not valid: 2" in repaired
    assert "3 feature(s)" in left_out
    assert left_out.endswith("left out: 3, 4, 5")
    lost = layer_facts(write_layer(tmp_path / "y.gpkg", [None, nothing]))
    with pytest.raises(VectorError, match="every feature"):
        read_layer(lost)


@pytest.mark.parametrize("number", [0, -1])
def test_no_crs_is_none_also_as_geopackages_spell_it(
    number: int, tmp_path: Path, write_layer: Write
) -> None:
    path = write_layer(tmp_path / "x.gpkg", [SQUARE], crs=None)
    assert layer_facts(path).crs is None
    with sqlite3.connect(path) as file:
        file.execute("update gpkg_geometry_columns set srs_id = ?", (number,))
        file.execute("update gpkg_contents set srs_id = ?", (number,))
    assert layer_facts(path).crs is None


def test_a_layer_with_fields_called_like_an_annotators_is_a_layer(tmp_path: Path) -> None:
    (tmp_path / "roads.json").write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": '
        '{"from_name": "a", "shape_attributes": 1}, "geometry": {"type": "Point", '
        '"coordinates": [1, 2]}}]}'
    )
    assert set(layer_facts(tmp_path / "roads.json").fields) == {"from_name", "shape_attributes"}


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".tab", ".json"])
def test_a_folder_called_like_a_layer_is_a_folder(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / f"parcels{suffix}"
    folder.mkdir()
    assert not is_vector(folder)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.gml", "<gml/>", "is GML, which is not read as labels: in QGIS: Export"),
        ("x.xml", '<annotations>\n<image id="0"/></annotations>', "an export of CVAT, .* COCO"),
        ("x.xml", "<annotation><object><bndbox/></object></annotation>", "boxes of Pascal VOC"),
        ("x.json", '{"a": {"regions": [{"shape_attributes": {}}]}}', "VGG's annotator, .* COCO"),
        ("x.json", '[{"annotations": [{"from_name": "label"}]}]', "Label Studio, not read"),
        ("x.csv", "index,shape-type,vertex-index,axis-0,axis-1\n", "shapes of napari"),
    ],
)
def test_what_is_known_and_not_read_says_what_to_save(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(HsiSslError, match=says):
        (layer_facts if is_vector(path) else open_label_raster)(path)
    with pytest.raises(HsiSslError, match=says):
        describe(path)


def test_a_geodatabase_is_a_layer_among_files(tmp_path: Path, write_layer: Write) -> None:
    fields = {"kind": ["tree"]}
    path = write_layer(tmp_path / "labels.gdb", [SQUARE], fields, kind="Polygon")
    assert labels_in(tmp_path) == [path]
    assert describe(path).values["layers"][0]["fields"] == {"kind": "text"}
    (tmp_path / "notes.tab").write_text("a\tb\n1\t2\n")  # a table, and none of MapInfo's
    assert not is_vector(tmp_path / "notes.tab")


def test_bad_files_are_told(tmp_path: Path, write_layer: Write) -> None:
    with pytest.raises(SceneNotFoundError, match=r"no file .*nowhere\.gpkg"):
        layer_facts(tmp_path / "nowhere.gpkg")
    with pytest.raises(SceneNotFoundError, match=r"no file .*nowhere\.gpkg;"):
        layer_facts(Path(f"{tmp_path}/nowhere.gpkg:trees"))
    text = tmp_path / "text.geojson"
    text.write_text("hello")
    whole = write_layer(tmp_path / "whole.gpkg", [SQUARE])
    short = tmp_path / "short.gpkg"
    short.write_bytes(whole.read_bytes()[:5000])
    for path in (text, short):
        with pytest.raises(VectorError, match="broken or of no vector format"):
            layer_facts(path)
    with pytest.raises(VectorError, match="is empty"):
        read_layer(layer_facts(write_layer(tmp_path / "e.gpkg", [], {"class": np.empty(0, int)})))
    shape = write_layer(tmp_path / "s.shp", [SQUARE], kind="Polygon")
    shape.with_suffix(".prj").unlink()
    assert layer_facts(shape).crs is None
    table = tmp_path / "t.gpkg"
    shutil.copy(whole, table)
    pyogrio.raw.write(
        tmp_path / "table.gpkg", None, [np.arange(3)], ["n"], driver="GPKG", geometry_type=None
    )
    with pytest.raises(VectorError, match="no layer with geometries"):
        layer_facts(tmp_path / "table.gpkg")


def test_layers_in_archives_are_read(tmp_path: Path, write_layer: Write) -> None:
    shape = write_layer(tmp_path / "trees.shp", [SQUARE, BOWTIE], kind="Polygon")
    archive = tmp_path / "trees.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for part in tmp_path.glob("trees.*"):
            if part != archive:
                file.write(part, part.name)
    shape.unlink()
    inside = Path(f"/vsizip/{archive}/trees.shp")
    assert is_vector(inside)
    assert len(read_layer(layer_facts(inside))) == 2
    assert beside(inside, ".classes.csv") == Path("trees.classes.csv")
    with pytest.raises(VectorError, match=r"roofs\.shp is broken"):
        layer_facts(inside.with_name("roofs.shp"))


def test_many_features_are_read_at_once(tmp_path: Path, write_layer: Write) -> None:
    x, y = map(np.ravel, np.meshgrid(np.arange(100.0), np.arange(100.0)))
    shapes: Any = shapely.box(x, y, x + 0.9, y + 0.9)
    layer = read_layer(
        layer_facts(write_layer(tmp_path / "x.fgb", shapes, kind="Polygon")), "class"
    )
    assert len(layer) == 10_000
