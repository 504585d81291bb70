"""Shapes as annotation programs save them in JSON: Labelme, COCO, QuPath."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms import coco, labelme, qupath
from hsi_ssl.labels.forms.documents import holds, json_of
from hsi_ssl.labels.forms.drawn import Drawn, drawn, layer_named
from hsi_ssl.labels.layers import Features, LayerFacts


def takes(file: Path) -> bool:
    """Whether it is JSON of one of these programs, told by the names of its parts."""
    if file.suffix.lower() not in {".json", ".geojson"} or not file.is_file():
        return False
    shapes, annotations, categories, kind, classified, crs = holds(
        file,
        rb'"shapes"\s*:',
        rb'"annotations"\s*:',
        rb'"categories"\s*:',
        rb'"objectType"\s*:',
        rb'"classification"\s*:',
        rb'"crs"\s*:',
    )
    return shapes or (annotations and categories) or ((kind or classified) and not crs)


def layers(file: Path, path: Path) -> list[LayerFacts]:
    """One layer a picture, with the field `class`.

    Raises
    ------
    VectorError
        The file is broken, or holds no shape.
    """
    return [layer.facts(path) for layer in drawn(_read, file)]


def features(file: Path, facts: LayerFacts, column: str | None) -> Features:
    """All features of a layer."""
    return layer_named(drawn(_read, file), facts).features(column)


def _read(file: Path) -> list[Drawn]:
    document: Any = json_of(file)
    if isinstance(document, dict) and "shapes" in document:
        return labelme.read(document, file)
    if isinstance(document, dict) and "annotations" in document:
        return coco.read(document, file)
    if isinstance(document, list) or (isinstance(document, dict) and "features" in document):
        return qupath.read(document, file)
    raise VectorError(
        f"{file} is JSON of no form that is known; expected shapes of Labelme, COCO or QuPath, or "
        "GeoJSON"
    )
