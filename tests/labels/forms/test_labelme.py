"""Labelme's shapes: each kind where it was drawn, and one sentence for what is broken."""

from __future__ import annotations

import base64
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.layers import Layer
from hsi_ssl.labels.vectors import layer_facts, read_layer


def png(mask: npt.NDArray[np.bool_]) -> str:
    """A PNG in base64, as Labelme writes masks."""
    with (
        warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
        rasterio.Env(),
        MemoryFile() as memory,
    ):
        with memory.open(
            driver="PNG", height=mask.shape[0], width=mask.shape[1], count=1, dtype="uint8"
        ) as file:
            file.write(mask.astype(np.uint8), 1)
        return base64.b64encode(memory.read()).decode()


def shape(kind: Any, points: Any, **more: Any) -> dict[str, Any]:
    return {"label": "a", "points": points, **({"shape_type": kind} if kind else {}), **more}


def read(tmp_path: Path, *shapes: Any, **more: Any) -> Layer:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"version": "5.4", "shapes": list(shapes), **more}))
    return read_layer(layer_facts(path), "class")


def test_every_kind_lies_where_it_was_drawn(tmp_path: Path) -> None:
    mask = np.array([[1, 0], [1, 1], [0, 1]], bool)
    layer = read(
        tmp_path,
        shape(None, [[0, 0], [4, 0], [4, 2]]),
        shape("rectangle", [[5, 9], [2, 3]]),
        shape("rectangle", [[0, 0], [2, 0], [2, 2], [0, 2]]),
        shape("oriented_rectangle", [[2, 0], [4, 2], [2, 4], [0, 2]]),
        shape("circle", [[10, 10], [13, 14]]),
        shape("line", [[0, 0], [3, 4]]),
        shape("linestrip", [[0, 0], [3, 4], [3, 5]]),
        shape("point", [[1.5, 2.5]]),
        shape("points", [[1.5, 2.5], [3, 4]]),
        shape("mask", [[7, 8], [8, 10]], mask=png(mask)),
        shape("mask", [[6.6, 8.4], [8.4, 10.1]], mask=png(mask)),
    )
    shapes = layer.geometries
    assert shapely.area(shapes[[0, 1, 2, 3]]).tolist() == [4, 18, 4, 8]
    assert shapes[1].bounds == (2, 3, 5, 9)
    assert shapes[4].area == pytest.approx(25 * np.pi, rel=2e-4)
    assert shapely.length(shapes[[5, 6]]).tolist() == [5, 6]
    assert [g.geom_type for g in shapes[7:9]] == ["Point", "MultiPoint"]
    pixels = [shapely.box(7 + c, 8 + r, 8 + c, 9 + r) for r, c in np.argwhere(mask)]
    for one in shapes[9:]:
        assert one.equals(shapely.union_all(pixels))


def test_the_picture_names_the_layer_and_tells_its_size(tmp_path: Path) -> None:
    square = shape("rectangle", [[0, 0], [2, 2]])
    read(tmp_path, square, imagePath="..\\pics\\scene_1.png", imageHeight=20, imageWidth=30)
    facts = layer_facts(tmp_path / "x.json")
    assert (facts.name, facts.image) == ("scene_1", "../pics/scene_1.png")
    assert (facts.image_shape, facts.place, facts.kind) == ((20, 30), "pixel", "Polygon")
    read(tmp_path, square, square)
    assert layer_facts(tmp_path / "x.json").name == "x"
    ignored = read(tmp_path, square, {**square, "label": "__ignore__"}, {**square, "label": 7})
    assert ignored.values is not None
    assert ignored.values.tolist() == ["a", None, "7"]


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (shape("cuboid", [[0, 0]]), r"shape 2 \(a\) .*cuboid is no kind"),
        (shape(["polygon"], [[0, 0]]), "no kind of shape"),
        (shape("polygon", [[0, 0], [1]]), "cannot be read"),
        (shape("polygon", [[0, 0], [1, None], [2, 2]]), "beyond any picture"),
        (shape("circle", [[0, 0]]), "expected two points, found 1"),
        (shape("mask", [[0, 0], [1, 1]]), "has no mask"),
        (shape("mask", [[0, 0], [1, 1]], mask="iVBORw0KGgo="), "no PNG in base64"),
        (shape("mask", [[0, 0], [1, 1]], mask="no base64!"), "no PNG in base64"),
        (shape("mask", [[0, 0], [5, 5]], mask=png(np.ones((2, 2), bool))), "2 x 2 pixels .* 6 x 6"),
        ("text", "expected a list of shapes"),
    ],
)
def test_broken_shapes_are_refused_by_number(broken: Any, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(VectorError, match=sentence):
        read(tmp_path, shape("rectangle", [[0, 0], [2, 2]]), broken)


def test_a_file_without_shapes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match="has no shape"):
        read(tmp_path)
