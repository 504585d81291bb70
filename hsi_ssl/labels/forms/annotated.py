"""Shapes as annotation programs save them in JSON: Labelme, COCO, QuPath."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms import coco, labelme, qupath
from hsi_ssl.labels.forms.documents import holds, json_of
from hsi_ssl.labels.forms.drawn import REMEMBERED, Drawn, drawn, layer_named
from hsi_ssl.labels.layers import Features, LayerFacts


def takes(file: Path) -> bool:
    """Whether it is JSON of one of these programs, told by the names of its parts."""
    if file.suffix.lower() not in {".json", ".geojson"} or not file.is_file():
        return False
    feature, shapes, annotations, categories, kind, classified, crs = holds(
        file,
        rb'"type"\s*:\s*"Feature(?:Collection)?"',
        rb'"shapes"\s*:',
        rb'"annotations"\s*:',
        rb'"categories"\s*:',
        rb'"objectType"\s*:',
        rb'"classification"\s*:',
        rb'"crs"\s*:',
    )
    if feature:  # GeoJSON, which is GDAL's where it is not surely QuPath's
        state = file.stat()
        return (kind or classified) and not crs and _is_qupath(file, state.st_mtime_ns)
    return shapes or (annotations and categories)


@lru_cache(maxsize=REMEMBERED)
def _is_qupath(file: Path, changed: int) -> bool:
    """Whether its coordinates are pixels; true of a broken file, which reading then tells of."""
    try:
        return qupath.is_pixels(json_of(file))
    except (VectorError, ValueError):
        return True


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
