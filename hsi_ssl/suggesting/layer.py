"""What to label next, and what to look at again, as layers for QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hsi_ssl.labels.vector_grid import on_ground
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.suggesting.contradicted import Contradicted
from hsi_ssl.suggesting.layer_files import Drawn, refuse_layers, write_layers
from hsi_ssl.suggesting.suggest import Suggestion

SUGGESTED = "coalesce(nullif(\"class\", ''), \"guess\" || '?')"
"""What QGIS writes beside a point: the class, once there is one, else the guess."""
LOOKS_LIKE = '"given" || \' -> \' || "predicted"'


def write_suggestions(
    path: Path, scene: Scene, suggestions: Sequence[Suggestion], *, overwrite: bool = False
) -> list[Path]:
    """Write points at the pixels' centres, `class` being empty, and the .qml beside them.

    In the scene's CRS; on a scene that lies nowhere as QGIS draws it, x = column, y = -row.
    Returns the files.

    Raises
    ------
    OutputError
        `path` is no GeoPackage, or exists and `overwrite` is false, or cannot be written.
    VectorError
        The scene is placed by RPCs alone.
    """
    refuse_layers(path, "suggestions", overwrite)
    centres = np.array([[s.col + 0.5, s.row + 0.5] for s in suggestions])
    fields = {
        "id": np.arange(1, len(suggestions) + 1),
        "class": np.full(len(suggestions), None, object),
        "guess": np.array([s.guess for s in suggestions], object),
        "probability": np.array([s.probability for s in suggestions]),
        "second_guess": np.array([s.second for s in suggestions], object),
        "second_probability": np.array([s.second_probability for s in suggestions]),
        "reason": np.array([s.reason for s in suggestions], object),
        "row": np.array([s.row for s in suggestions]),
        "col": np.array([s.col for s in suggestions]),
    }
    points = shapely.points(on_ground(scene, centres))
    layer = Drawn("suggestions", points, fields, scene.grid.crs)
    return write_layers(path, "Point", [layer], SUGGESTED, overwrite=overwrite)


def write_contradicted(
    path: Path,
    layers: Sequence[tuple[str, Scene, Sequence[Contradicted]]],
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write what is contradicted as outlines of its pixels, and the .qml beside them.

    `layers`: a layer's name, its scene and what is contradicted there, in the order in which it is
    to be looked at. Places as `write_suggestions`. Returns the files.

    Raises
    ------
    OutputError, VectorError
        As `write_suggestions`.
    """
    refuse_layers(path, "labels to check", overwrite)
    drawn = [
        Drawn(name, np.array([_outline(scene, c) for c in each]), _fields(each), scene.grid.crs)
        for name, scene, each in layers
    ]
    return write_layers(path, "MultiPolygon", drawn, LOOKS_LIKE, overwrite=overwrite)


def _fields(each: Sequence[Contradicted]) -> dict[str, npt.NDArray[Any]]:
    """What a layer says of each place."""
    return {
        "id": np.arange(1, len(each) + 1),
        "given": np.array([c.given for c in each], object),
        "predicted": np.array([c.predicted for c in each], object),
        "probability": np.array([c.probability for c in each], np.float64),
        "given_probability": np.array([c.given_probability for c in each], np.float64),
        "pixels": np.array([len(c.pixels) for c in each], np.int64),
        "around": np.array([c.around for c in each], np.int64),
        "label": np.array([c.label for c in each], object),
        "reason": np.array([c.reason for c in each], object),
        "row": np.array([c.pixels[0, 0] for c in each], np.int64),
        "col": np.array([c.pixels[0, 1] for c in each], np.int64),
    }


def _outline(scene: Scene, one: Contradicted) -> Any:
    """The pixels' common outline on the ground, as a multipolygon."""
    row, col = one.pixels.T
    squares = shapely.union_all(shapely.box(col, row, col + 1, row + 1))
    parts = shapely.get_parts(squares)
    return shapely.transform(shapely.multipolygons(parts), lambda xy: on_ground(scene, xy))
