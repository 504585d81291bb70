"""Shapes of annotation programs and ENVI's regions, on the pixels where they were drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.sources import resolve

Write = Callable[..., Path]
BOXES = {"oak": (2, 3, 8, 9), "pine": (12, 5, 20, 15)}
"""Left, top, right, bottom."""


def ring(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def labelme() -> Any:
    shapes = [
        {"label": name, "points": ring(*box), "shape_type": "polygon"}
        for name, box in BOXES.items()
    ]
    return {"shapes": shapes, "imagePath": "s.png", "imageHeight": 20, "imageWidth": 30}


def coco(*images: str) -> Any:
    names = images or ("s.png",)
    pictures = [
        {"id": i, "file_name": name, "height": 20, "width": 30} for i, name in enumerate(names)
    ]
    annotations = [
        {"id": 10 * i + k, "image_id": i, "category_id": k, "iscrowd": 0,
         "segmentation": [np.array(ring(*box)).ravel().tolist()]}
        for i in range(len(names)) for k, box in enumerate(BOXES.values())
    ]  # fmt: skip
    categories = [{"id": k, "name": name} for k, name in enumerate(BOXES)]
    return {"images": pictures, "annotations": annotations, "categories": categories}


def qupath() -> Any:
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": {"type": "Polygon",
             "coordinates": [[*ring(*box), ring(*box)[0]]]},
             "properties": {"objectType": "annotation",
             "classification": {"name": name, "color": [1, 2, 3]}}}
            for name, box in BOXES.items()
        ],
    }  # fmt: skip


def roi_text() -> str:
    parts = ["; ENVI Output of ROIs (5.3) [Fri Jan  1 00:00:00 2021]", "; Number of ROIs: 2",
             "; File Dimension: 30 x 20", ";"]  # fmt: skip
    tables = []
    for name, (left, top, right, bottom) in BOXES.items():
        pixels = [(c + 1, r + 1) for r in range(top, bottom) for c in range(left, right)]
        parts += [f"; ROI name: {name}", "; ROI rgb value: {255, 0, 0}",
                  f"; ROI npts: {len(pixels)}"]  # fmt: skip
        tables.append([f"{i + 1} {x} {y}" for i, (x, y) in enumerate(pixels)])
    parts.append(";   ID    X    Y")
    return "\n".join([*parts, *("\n".join([*table, ""]) for table in tables)])


FORMS: dict[str, tuple[str, Callable[[], Any]]] = {
    "labelme": ("l.json", labelme), "coco": ("c.json", coco), "qupath": ("q.geojson", qupath),
    "a list of qupath": ("o.json", lambda: qupath()["features"]), "roi": ("r.txt", roi_text),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("placed", [True, False])
def test_shapes_label_their_pixels(
    form: str, placed: bool, tmp_path: Path, write_scene: Write
) -> None:
    name, made = FORMS[form]
    content = made()
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / name).write_text(text)
    nowhere = {} if placed else {"crs": None, "transform": None}
    with resolve([str(write_scene("s.tif", **nowhere))], labels=[tmp_path / name]) as sources:
        found = sources.scenes[0].labels
        assert found is not None
        for code, label in zip(sources.label_set.codes, sources.label_set.names, strict=True):
            left, top, right, bottom = BOXES[label]
            expected = np.zeros((20, 30), bool)
            expected[top:bottom, left:right] = True
            assert ((found == code) == expected).all()
        assert len(sources.label_set.names) == len(BOXES)
        if "qupath" in form:
            assert set(sources.label_set.colours) == {"#010203"}


def test_many_pictures_in_one_file_go_to_the_scenes_of_their_names(
    tmp_path: Path, write_scene: Write
) -> None:
    nowhere = {"crs": None, "transform": None}
    cubes = [str(write_scene(f"{n}.tif", **nowhere)) for n in "ab"]
    (tmp_path / "all.json").write_text(json.dumps(coco("a.png", "b.png")))
    with resolve(cubes, labels=[tmp_path / "all.json"]) as sources:
        for one in sources.scenes:
            assert one.labels is not None
            assert np.count_nonzero(one.labels) == 36 + 80


def test_pictures_of_another_size_and_broken_files_are_refused(
    tmp_path: Path, write_scene: Write
) -> None:
    cube = str(write_scene("s.tif"))
    (tmp_path / "l.json").write_text(json.dumps({**labelme(), "imageHeight": 600}))
    with pytest.raises(VectorError, match="picture of 600 x 30 pixels"):
        resolve([cube], labels=[tmp_path / "l.json"])
    (tmp_path / "m.json").write_text(json.dumps(labelme())[:-30])
    with pytest.raises(VectorError, match=r"m\.json is no whole JSON"):
        resolve([cube], labels=[tmp_path / "m.json"])
    (tmp_path / "old.roi").write_bytes(b"JoeB" + bytes(100))
    with pytest.raises(VectorError, match=r"binary file of ENVI Classic.*Output ROIs to ASCII"):
        resolve([cube], labels=[tmp_path / "old.roi"])
