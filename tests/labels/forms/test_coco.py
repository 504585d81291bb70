"""COCO: outlines, run-length encodings as pycocotools writes them, and boxes; many pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.coverage import pixels_of
from hsi_ssl.labels.vectors import layers_at, read_layer

SQUARE = [2, 3, 8, 3, 8, 9, 2, 9]
PYCOCOTOOLS = "[16>KD2<ND2<30000d=K"
"""What pycocotools 2.0.11 encodes the mask of `mask` as."""


def mask() -> npt.NDArray[np.bool_]:
    found = np.zeros((20, 30), bool)
    found[3:9, 2:8] = True
    found[4:6, 3:5] = False
    found[19, 29] = True
    return found


def document(*annotations: dict[str, Any], images: Any = None) -> dict[str, Any]:
    usual = {"id": 1, "image_id": 1, "category_id": 5}
    pictures = [{"id": 1, "file_name": "s.png", "height": 20, "width": 30}]
    return {
        "images": images or pictures,
        "categories": [{"id": 5, "name": "oak", "supercategory": "tree", "color": [1, 2, 255]}],
        "annotations": [{**usual, "id": i + 1, **some} for i, some in enumerate(annotations)],
    }


def write(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    return path


def burnt(geometries: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    found = np.zeros((20, 30), bool)
    for covered in pixels_of(geometries, found.shape, 0.5):
        found.flat[covered.flat] = True
    return found


def test_outlines_encodings_and_boxes_have_their_pixels(tmp_path: Path) -> None:
    changes = np.flatnonzero(np.diff(mask().T.ravel(), prepend=False))
    counts = np.diff(changes, prepend=0, append=mask().size).tolist()
    path = write(
        tmp_path,
        document(
            {"segmentation": [SQUARE]},
            {"segmentation": [SQUARE, [10, 10, 12, 10, 12, 12], [3, 3, 9, 3, 9, 9, 3, 9]]},
            {"segmentation": {"size": [20, 30], "counts": PYCOCOTOOLS}, "iscrowd": 1},
            {"segmentation": {"size": [20, 30], "counts": counts}},
            {"segmentation": [], "bbox": [2, 3, 6, 6]},
        ),
    )
    (facts,) = layers_at(path)
    layer = read_layer(facts, "class")
    assert layer.values is not None
    assert layer.values.tolist() == ["oak"] * 5
    assert shapely.area(layer.geometries[[0, 1, 4]]).tolist() == [36, 44, 36]
    for one in layer.geometries[2:4]:
        assert (burnt(np.array([one], object)) == mask()).all()
    assert (facts.name, facts.image, facts.image_shape) == ("s", "s.png", (20, 30))
    assert facts.colours == {"oak": "#0102ff"}
    boxes, crowds = facts.notes
    assert boxes.endswith("the whole box is taken: 5")
    assert crowds.endswith("taken as areas of their class: 3")


def test_each_picture_with_annotations_is_a_layer(tmp_path: Path) -> None:
    names = ["a.png", "sub\\b.png", "c.png", "left/d.png", "right/d.png"]
    images = [{"id": str(i), "file_name": name} for i, name in enumerate(names)]
    annotations = [
        {"id": 100 - i, "image_id": str(i), "segmentation": [SQUARE]} for i in (0, 1, 3, 4, 4)
    ]
    found = layers_at(write(tmp_path, document(*annotations, images=images)))
    assert [facts.name for facts in found] == ["a", "b", "left/d.png", "right/d.png"]
    assert found[1].image == "sub/b.png"
    assert [facts.features for facts in found] == [1, 1, 1, 2]
    assert read_layer(found[2]).ids.tolist() == [3]  # ids that are there twice are no ids
    other = document(*annotations[:4], images=images)
    assert read_layer(layers_at(write(tmp_path, other))[2]).ids.tolist() == [97]


@pytest.mark.parametrize(
    ("annotation", "sentence"),
    [
        ({"image_id": 9}, "annotation 1 has image_id 9, and there is none"),
        ({"category_id": None}, "has category_id None, and there is none"),
        ({"segmentation": [[1, 2, 3]]}, "annotation 1 cannot be read"),
        ({"segmentation": [["x", 1, 2, 3, 4, 5]]}, "annotation 1 cannot be read"),
        ({"bbox": [1, 2, 3]}, "annotation 1 cannot be read"),
        ({"segmentation": {"size": [20, 31], "counts": [620]}}, "20 x 31 pixels, its picture"),
        ({"segmentation": {"size": [20, 30], "counts": [3, 4]}}, "do not add up to the 600"),
        ({"segmentation": {"size": [20, 30], "counts": [1.5, 598.5]}}, "no numbers of pixels"),
        ({"segmentation": {"size": [20, 30], "counts": [2**70]}}, "no numbers of pixels"),
        ({"segmentation": {"size": [20, 30], "counts": PYCOCOTOOLS[:-1]}}, "do not add up"),
        ({"segmentation": {"size": [20, 30], "counts": PYCOCOTOOLS[:-2]}}, "cut short"),
        ({"segmentation": {"size": [20, 30], "counts": "~" * 9}}, "no run-length encoding"),
        ({"segmentation": {"size": [20, 30]}}, "has no counts"),
        ({"segments_info": []}, "panoptic"),
    ],
)
def test_broken_annotations_are_refused_by_id(
    annotation: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(VectorError, match=sentence):
        layers_at(write(tmp_path, document(annotation)))


def test_lists_that_lack_or_say_a_thing_twice_are_refused(tmp_path: Path) -> None:
    whole = document({"segmentation": [SQUARE]})
    for changed, sentence in (
        ({"annotations": []}, "has no annotation"),
        ({"images": None}, "no list of images"),
        ({"categories": [{"id": 5}, {"id": 5}]}, "ids of categories"),
    ):
        with pytest.raises(VectorError, match=sentence):
            layers_at(write(tmp_path, {**whole, **changed}))
