"""QuPath's GeoJSON: classes of all its versions, and which GeoJSON is not QuPath's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.qupath import is_pixels, read
from hsi_ssl.labels.vectors import layer_facts, read_layer


def square(x: float, y: float, side: float = 6) -> Any:
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry: Any, classification: Any = None, **properties: Any) -> dict[str, Any]:
    said = {"classification": classification, **properties}
    return {"type": "Feature", "geometry": geometry, "properties": said}


def collection(*features: Any, **more: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": list(features), **more}


def test_classes_of_all_versions_are_names_and_colours(tmp_path: Path) -> None:
    old = feature(square(1, 1), {"name": "old", "colorRGB": -3670016})
    old["id"] = "PathAnnotationObject"
    derived = {"name": "Positive", "colorRGB": -1, "parentClass": {"name": "Tumor"}}
    inner = feature(square(3, 3, 1), "plain text", objectType="detection")
    features = [
        feature(square(2, 3), {"name": "new", "color": [1, 2, 3]}, objectType="annotation"),
        feature(square(2, 3), {"names": ["Tumor", "Negative"], "color": [4, 5, 6, 7]}),
        old,
        feature(square(2, 3), derived),
        feature(square(2, 3), None, objectType="annotation", childObjects=[inner]),
        feature(None, None, objectType="root"),
    ]
    path = tmp_path / "q.geojson"
    path.write_text(json.dumps(collection(*features)))
    facts = layer_facts(path)
    layer = read_layer(facts, "class")
    assert layer.values is not None
    assert layer.values.tolist() == [
        "new", "Tumor: Negative", "old", "Tumor: Positive", None, "plain text",
    ]  # fmt: skip
    assert facts.colours == {
        "new": "#010203", "Tumor: Negative": "#040506", "old": "#c80000",
        "Tumor: Positive": "#ffffff",
    }  # fmt: skip
    assert (facts.place, facts.crs) == ("pixel", None)
    assert shapely.bounds(layer.geometries[-1]).tolist() == [3, 3, 4, 4]
    assert "columns and rows" in facts.notes[0]


def test_bare_lists_and_single_features_are_read(tmp_path: Path) -> None:
    one = feature(
        {**square(1, 2), "plane": {"c": -1, "z": 0, "t": 0}}, {"name": "a"}, isLocked=True
    )
    for document in ([one], one, collection(one)):
        (layer,) = read(document, tmp_path / "q.json")
        assert layer.fields["class"].tolist() == ["a"]
        assert layer.geometries[0].bounds == (1, 2, 7, 8)


NAME = {"name": "oak"}
MARKED = {"objectType": "annotation"}


@pytest.mark.parametrize(
    ("document", "pixels"),
    [
        (collection(feature(square(2, 3), NAME, **MARKED)), True),
        (collection(feature(square(2, 3), NAME, **MARKED), crs={"type": "name"}), False),
        (collection(feature(square(300_000, 5_000_000), NAME, **MARKED)), False),
        (collection(feature(square(-105.2, 40.1, 0.01), NAME, **MARKED)), False),
        (collection(feature(square(8.123456, 47.123456, 0.01), NAME, **MARKED)), False),
        (collection(feature(square(-3, 10, 500), NAME, **MARKED)), True),
        (collection(feature(square(900, 700), NAME)), True),
        (collection(feature(square(8, 47), NAME)), False),
        (collection(feature(square(300_000, 50_000), NAME)), False),
        (collection(feature(square(900, 700), "oak")), False),
        (collection(feature(square(900, 700))), False),
        (collection(), False),
    ],
)
def test_only_what_may_be_a_picture_is_pixels(document: Any, pixels: bool, tmp_path: Path) -> None:
    assert is_pixels(document) == pixels
    if pixels:
        assert read(document, tmp_path / "q.json")
    elif document["features"] and "crs" not in document:
        with pytest.raises(VectorError, match="those of a map; save it from QGIS"):
            read(document, tmp_path / "q.json")


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (collection(), "has no annotation"),
        ({"type": "FeatureCollection"}, "expected a list of features"),
        ([1, 2], "expected a list of features"),
        ("text", "expected a list of features"),
        (collection(feature(square(1, 1), NAME, **MARKED), feature({"type": "Cube"}, NAME)),
         "annotation 2 cannot be read"),
        (collection(feature({"type": "Polygon", "coordinates": [[[1, 2]]]}, NAME)),
         "annotation 1 cannot be read"),
    ],
)  # fmt: skip
def test_what_is_no_geojson_is_refused(document: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(VectorError, match=sentence):
        read(document, tmp_path / "q.json")


def test_geojson_of_maps_stays_gdals(tmp_path: Path) -> None:
    path = tmp_path / "map.geojson"
    for said in ("oak", NAME):
        path.write_text(json.dumps(collection(feature(square(8.5, 47.5, 0.01), said))))
        facts = layer_facts(path)
        assert (facts.place, facts.crs, facts.assumed) == ("map", "EPSG:4326", True)
    path.write_text(json.dumps(collection(feature(square(2, 3), NAME, **MARKED))))
    assert layer_facts(path).place == "pixel"
