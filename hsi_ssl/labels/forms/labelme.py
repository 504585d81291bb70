"""Shapes as Labelme saves them: one JSON a picture.

The layout (labelme/_label_file.py of github.com/wkentaro/labelme): `shapes`, each with `label`,
`points` [[x, y], ...], `shape_type` (polygon where old versions have none) and, for a mask, `mask`,
a PNG in base64; `imagePath`, `imageHeight`, `imageWidth`. A rectangle has two opposite corners
(four in X-AnyLabeling), a circle its centre and a point on it, a mask the first and the last
pixel of its box, both within; a box that is not whole is rounded and its size is the mask's.

Coordinates are those of Qt's canvas, where the picture is drawn from (0, 0): the outer corner of
the first pixel, y downwards; what the user saw is taken. Labelme's own `shape_to_mask` is not
quite that: Pillow, which it draws with, fills the pixels on the outline too, so that a rectangle
from (0, 0) to (10, 10) has 121 pixels there, and 100 here.

The label `__ignore__` stands for no class (labelme's examples of segmentation).
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.drawn import CLASS, Drawn
from hsi_ssl.labels.forms.shapes import (
    Floats,
    areas,
    ellipse,
    line,
    pixels_as_area,
    rectangle,
    spots,
    vertices,
)
from hsi_ssl.scenes.readers.gdal_errors import FAILURES
from hsi_ssl.scenes.readers.gdal_opening import gdal_settings

IGNORED = "__ignore__"
PAIR = 2
POLYGONS = {"polygon", "oriented_rectangle", "rotation", "quadrilateral"}
"""What is its outline: the last two are X-AnyLabeling's."""


def read(document: Mapping[str, Any], file: Path) -> list[Drawn]:
    """The shapes of a file as one layer, called as their picture, the field `class` their labels.

    Raises
    ------
    VectorError
        There is no shape, or one that cannot be read; its number is told.
    """
    shapes = document.get("shapes")
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        raise VectorError(f"{file}: expected a list of shapes, as Labelme saves; save it again")
    if not shapes:
        raise VectorError(f"{file} has no shape; draw some, or leave the file out")
    found = np.full(len(shapes), None, object)
    polygons: list[Floats] = []
    owner: list[int] = []
    for i, shape in enumerate(shapes):
        kind = str(shape.get("shape_type") or "polygon")
        try:
            xy = vertices(shape.get("points"))
            if kind in POLYGONS or (kind == "rectangle" and len(xy) > PAIR):
                polygons.append(xy)
                owner.append(i)
            elif kind in MAKERS:
                found[i] = MAKERS[kind](xy, shape)
            else:
                raise ValueError(f"{kind} is no kind of shape that is known")
        except ValueError as error:
            raise VectorError(
                f"{file}: shape {i + 1} ({shape.get('label')}) cannot be read ({error}); correct "
                "it in Labelme"
            ) from error
    filled = areas(polygons, owner, len(shapes))
    there = ~shapely.is_missing(filled)
    found[there] = filled[there]
    image = document.get("imagePath")
    image = PureWindowsPath(image).as_posix() if isinstance(image, str) and image else None
    return [
        Drawn(
            name=Path(image).stem if image else file.stem,
            geometries=found,
            fields={CLASS: _labels(shapes)},
            image=image,
            image_shape=_size(document),
        )
    ]


def _labels(shapes: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
    labels = (shape.get("label") for shape in shapes)
    plain = [None if label in {None, IGNORED} else str(label) for label in map(_hashable, labels)]
    return np.array(plain, object)


def _hashable(label: object) -> object:
    return str(label) if isinstance(label, list | dict) else label


def _size(document: Mapping[str, Any]) -> tuple[int, int] | None:
    """Rows and columns of the picture."""
    rows, cols = document.get("imageHeight"), document.get("imageWidth")
    return (rows, cols) if type(rows) is int and type(cols) is int else None


def _two(xy: Floats) -> Floats:
    if len(xy) != PAIR:
        raise ValueError(f"expected two points, found {len(xy)}")
    return xy


def _circle(xy: Floats, shape: Mapping[str, Any]) -> Any:
    centre, edge = _two(xy)
    return ellipse(centre, np.full(2, np.hypot(*(edge - centre))))


def _mask(xy: Floats, shape: Mapping[str, Any]) -> Any:
    """The pixels of a mask."""
    mask = _picture(shape.get("mask"))
    (left, top), (right, bottom) = np.rint(_two(xy)).astype(int).tolist()
    if (xy == np.floor(xy)).all():
        high, wide = bottom - top + 1, right - left + 1
        if high < 1 or wide < 1 or mask.shape[0] < high or mask.shape[1] < wide:
            raise ValueError(
                f"its mask has {mask.shape[0]} x {mask.shape[1]} pixels and its box {high} x {wide}"
            )
        mask = mask[:high, :wide]
    return pixels_as_area(mask, left, top)


def _picture(text: Any) -> npt.NDArray[np.bool_]:
    """Which pixels of a PNG in base64 are not 0."""
    if not isinstance(text, str):
        raise ValueError("it has no mask")
    try:
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            gdal_settings(),
            MemoryFile(base64.b64decode("".join(text.split()), validate=True)) as memory,
            memory.open(driver="PNG") as opened,
        ):
            plane = opened.read(1)
    except (binascii.Error, *FAILURES, TypeError) as error:
        raise ValueError("its mask is no PNG in base64") from error
    found: npt.NDArray[np.bool_] = plane != 0
    return found


MAKERS: dict[str, Callable[[Floats, Mapping[str, Any]], Any]] = {
    "rectangle": lambda xy, shape: rectangle(_two(xy)),
    "circle": _circle,
    "line": lambda xy, shape: line(xy),
    "linestrip": lambda xy, shape: line(xy),
    "point": lambda xy, shape: spots(xy),
    "points": lambda xy, shape: spots(xy),
    "mask": _mask,
}
"""Geometries of other kinds of shapes."""
