"""Annotations of many pictures in one JSON, as COCO has them.

The layout (cocodataset.org, "Data format", object detection; pycocotools/mask.py): `images` (`id`,
`file_name`, `height`, `width`), `categories` (`id`, `name`) and `annotations` (`id`, `image_id`,
`category_id`, `segmentation`, `bbox`, `iscrowd`). A segmentation is a list of polygons [x, y, x, y,
...], parts of one object, or a run-length encoding {"size": [rows, cols], "counts": ...}, column
after column: lengths of runs outside and inside in turn, as a list, or as text of 6 bits a letter.
Coordinates count from 0 at the outer corner of the first pixel: "bbox=[0 0 1 1] encloses first
pixel" (pycocotools/mask.py).

Text of counts: each letter less 48 is five bits, the low ones first, and a sixth that says that
more follow; the fifth bit of the last is the sign. From the fourth number on what is written is
the difference to the number two before (rleFrString in common/maskApi.c of cocoapi).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.documents import hex_colour
from hsi_ssl.labels.forms.drawn import CLASS, Drawn
from hsi_ssl.labels.forms.shapes import (
    LARGEST_MASK,
    Floats,
    Ints,
    areas,
    counts_as_area,
    joined,
    vertices,
)
from hsi_ssl.labels.layers import listed, listed_ids

LETTER = 48
BITS, MORE, SIGN = 0x1F, 0x20, 0x10
LONGEST = 12
"""Letters of a number: more would not fit 64 bits."""
BOX = 4


def read(document: Any, file: Path) -> list[Drawn]:
    """One layer a picture that has annotations, the field `class` their category's name.

    Raises
    ------
    VectorError
        A list is missing, nothing is annotated, or an annotation is of no picture or category
        that there is, or cannot be read; its id is told.
    """
    images, categories = (_by_id(document, file, key) for key in ("images", "categories"))
    annotations = _list(document, file, "annotations")
    if not annotations:
        raise VectorError(f"{file} has no annotation; annotate a picture, or leave the file out")
    if any("segments_info" in annotation for annotation in annotations):
        raise VectorError(
            f"{file} is a panoptic annotation, whose areas are in PNG files; give these as label "
            "rasters, or export polygons"
        )
    of: dict[Any, list[int]] = {}
    for i, annotation in enumerate(annotations):
        for key, there in (("image_id", images), ("category_id", categories)):
            if _key(annotation.get(key)) not in there:
                raise VectorError(
                    f"{file}: annotation {annotation.get('id', i + 1)} has {key} "
                    f"{annotation.get(key)}, and there is none; export the annotations again"
                )
        of.setdefault(_key(annotation["image_id"]), []).append(i)
    ids = _ids(annotations)
    names = {key: _name(category) for key, category in categories.items()}
    classes = np.array([names[_key(a["category_id"])] for a in annotations], object)
    geometries, boxes = _geometries(annotations, images, ids, file)
    crowds = np.array([bool(annotation.get("iscrowd")) for annotation in annotations])
    colours = {
        names[key]: colour
        for key, category in categories.items()
        if names[key] and isinstance(category.get("color"), list)
        if (colour := hex_colour(category["color"]))
    }
    found = []
    for key, name in _layer_names(images, of).items():
        mine = np.array(of[key])
        file_name = images[key].get("file_name")
        notes = []
        if boxes[mine].any():
            notes.append(
                f"{file.name}, {name}: {np.count_nonzero(boxes[mine])} annotation(s) have a box "
                f"and no outline; the whole box is taken: {listed_ids(ids[mine][boxes[mine]])}"
            )
        if crowds[mine].any():
            notes.append(
                f"{file.name}, {name}: {np.count_nonzero(crowds[mine])} annotation(s) are crowds "
                f"(iscrowd), taken as areas of their class: {listed_ids(ids[mine][crowds[mine]])}"
            )
        found.append(
            Drawn(
                name=name,
                geometries=geometries[mine],
                fields={CLASS: classes[mine]},
                ids=ids[mine],
                image=PureWindowsPath(str(file_name)).as_posix() if file_name else None,
                image_shape=_size(images[key]),
                colours={name: c for name, c in colours.items() if name},
                notes=tuple(notes),
            )
        )
    return found


def _list(document: Any, file: Path, key: str) -> list[dict[str, Any]]:
    """A list of objects in the document."""
    found = document.get(key) if isinstance(document, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise VectorError(
            f"{file}: expected COCO's lists of images, categories and annotations, and there is "
            f"no list of {key}; export the whole data set"
        )
    return found


def _by_id(document: Any, file: Path, key: str) -> dict[Any, dict[str, Any]]:
    """The objects of a list by their ids."""
    some = _list(document, file, key)
    found = {_key(one.get("id")): one for one in some}
    if len(found) < len(some):
        raise VectorError(
            f"{file}: ids of {key} are missing or there twice; export the annotations again"
        )
    return found


def _key(value: Any) -> Any:
    """An id that may be looked up."""
    return str(value) if isinstance(value, list | dict) else value


def _name(category: Mapping[str, Any]) -> str | None:
    name = category.get("name")
    return None if name is None else str(name)


def _ids(annotations: Sequence[Mapping[str, Any]]) -> Ints:
    """Their own ids where these are different whole numbers, else from 1."""
    ids = [annotation.get("id") for annotation in annotations]
    plain = [i for i in ids if type(i) is int and abs(i) < 2**62]
    if len(set(plain)) == len(ids):
        return np.array(plain, np.int64)
    return np.arange(1, len(ids) + 1)


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of a picture."""
    rows, cols = image.get("height"), image.get("width")
    return (rows, cols) if type(rows) is int and type(cols) is int else None


def _layer_names(images: Mapping[Any, Mapping[str, Any]], of: Mapping[Any, Any]) -> dict[Any, str]:
    """Names of layers: the pictures' stems; with their folders and suffixes where those are one."""
    whole = {
        key: PureWindowsPath(str(image.get("file_name") or key)).as_posix()
        for key, image in images.items()
        if key in of
    }
    stems = {key: Path(name).stem for key, name in whole.items()}
    often = Counter(stems.values())
    names = {key: stem if often[stem] == 1 else whole[key] for key, stem in stems.items()}
    twice = len(set(names.values())) < len(names)
    return {key: f"{name} ({key})" if twice else name for key, name in names.items()}


def _geometries(
    annotations: Sequence[Mapping[str, Any]],
    images: Mapping[Any, Mapping[str, Any]],
    ids: Ints,
    file: Path,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Geometries `(n,)` of annotations, and which are boxes for want of an outline."""
    found = np.full(len(annotations), None, object)
    boxes = np.zeros(len(annotations), bool)
    rings: list[Floats] = []
    of: list[int] = []
    for i, annotation in enumerate(annotations):
        outline = annotation.get("segmentation")
        try:
            if isinstance(outline, dict):
                size = _size(images[_key(annotation["image_id"])])
                found[i] = _decoded(outline, size)
            elif outline and isinstance(outline, list):
                parts = outline if isinstance(outline[0], list) else [outline]
                rings += [vertices(part) for part in parts]
                of += [i] * len(parts)
            elif annotation.get("bbox"):
                x, y, wide, high = vertices(annotation["bbox"]).reshape(BOX).tolist()
                found[i] = shapely.box(x, y, x + wide, y + high)
                boxes[i] = True
        except (TypeError, ValueError, OverflowError) as error:
            raise VectorError(
                f"{file}: annotation {ids[i]} cannot be read ({error}); export the annotations "
                "again"
            ) from error
    outlines = areas(rings, list(range(len(rings))), len(rings))
    filled = joined(outlines, of, len(annotations))
    there = ~shapely.is_missing(filled)
    found[there] = filled[there]
    return found, boxes


def _decoded(encoding: Mapping[str, Any], picture: tuple[int, int] | None) -> Any:
    """The area of a run-length encoding."""
    rows, cols = (int(side) for side in encoding["size"]) if "size" in encoding else (0, 0)
    if picture is not None and (rows, cols) != picture:
        raise ValueError(f"its mask has {rows} x {cols} pixels, its picture {listed(picture, 2)}")
    counts = encoding.get("counts")
    if isinstance(counts, str):
        return counts_as_area(_numbers(counts), rows, cols)
    if not isinstance(counts, list):
        raise ValueError("its mask has no counts")
    numbers = np.array(counts, np.float64)
    whole = (np.abs(numbers) <= LARGEST_MASK) & (numbers == np.floor(numbers))
    if numbers.ndim != 1 or not whole.all():
        raise ValueError("its counts are no numbers of pixels")
    return counts_as_area(numbers.astype(np.int64), rows, cols)


def _numbers(text: str) -> Ints:
    """Counts `(n,)` from text of 6 bits a letter."""
    letters = np.frombuffer(text.encode("latin-1", errors="replace"), np.uint8).astype(np.int64)
    letters -= LETTER
    if not len(letters):
        return np.empty(0, np.int64)
    last = np.flatnonzero((letters & MORE) == 0)
    begin = np.concatenate([[0], last[:-1] + 1]) if len(last) else last
    length = last - begin + 1
    odd = (letters < 0) | (letters >= 2 * MORE)
    if odd.any() or not len(last) or last[-1] != len(letters) - 1 or length.max() > LONGEST:
        raise ValueError("its counts are no run-length encoding, or were cut short")
    within = np.arange(len(letters)) - np.repeat(begin, length)
    numbers = np.add.reduceat((letters & BITS) << (5 * within), begin)
    negative = (letters[last] & SIGN) != 0
    numbers[negative] -= np.int64(1) << (5 * length[negative])
    # All but the first three are differences to the number two before.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
