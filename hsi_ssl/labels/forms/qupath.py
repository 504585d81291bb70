"""Annotations as QuPath exports them: GeoJSON in the pixels of the picture.

The layout (qupath.readthedocs.io, "Exporting annotations", GeoJSON): a FeatureCollection, or in
older versions a bare list, of Features whose `properties` hold `objectType` and `classification`
{`name`, `color` [r, g, b] or `colorRGB`, one integer}. Coordinates count from the outer corner of
the first pixel, x to the right and y downwards. A file with a `crs` member lies on the ground, and
is left to GDAL.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.documents import hex_colour
from hsi_ssl.labels.forms.drawn import CLASS, Drawn

RGB = 0xFFFFFF


def read(document: Any, file: Path) -> list[Drawn]:
    """The annotations as one layer, the field `class` the name of their classification.

    Raises
    ------
    VectorError
        There is none, or one that cannot be read; its number is told.
    """
    features = document if isinstance(document, list) else document.get("features")
    if not isinstance(features, list) or not all(isinstance(f, dict) for f in features):
        raise VectorError(f"{file} holds no list of annotations; export them again")
    if not features:
        raise VectorError(f"{file} has no annotation; annotate the picture, or leave the file out")
    geometries = np.full(len(features), None, object)
    names = np.full(len(features), None, object)
    colours: dict[str, str] = {}
    for i, feature in enumerate(features):
        try:
            if feature.get("geometry") is not None:
                found = shapely.from_geojson(json.dumps(feature["geometry"]))
                geometries[i] = shapely.force_2d(found)
        except (shapely.GEOSException, TypeError, ValueError) as error:
            raise VectorError(
                f"{file}: annotation {i + 1} cannot be read ({error}); export the annotations again"
            ) from error
        classified = (feature.get("properties") or {}).get("classification")
        if isinstance(classified, dict) and isinstance(classified.get("name"), str):
            names[i] = classified["name"]
            colour = _colour(classified)
            if colour is not None:
                colours.setdefault(names[i], colour)
    note = (
        f"{file.name} has no crs: its coordinates are taken as columns and rows of the picture, as "
        "QuPath exports them"
    )
    fields = {CLASS: names}
    return [Drawn(file.stem, geometries, fields, colours=colours, notes=(note,))]


def _colour(classified: dict[str, Any]) -> str | None:
    if isinstance(classified.get("color"), list):
        return hex_colour(classified["color"])
    if isinstance(classified.get("colorRGB"), int):
        return f"#{classified['colorRGB'] & RGB:06x}"
    return None
