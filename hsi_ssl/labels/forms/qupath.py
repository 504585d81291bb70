"""Objects as QuPath exports them: GeoJSON whose coordinates are pixels.

The layout (QuPathTypeAdapters and GsonTools of github.com/qupath/qupath): a FeatureCollection, or a
bare list of features, or one; `properties.classification` is {"name": "Tumor", "color": [r, g, b]},
{"names": ["Tumor", "Positive"], ...} for a class derived from others, {"name", "colorRGB"} with one
number for the colour before 0.4, or plain text; `properties.objectType` tells annotations,
detections, cells, tiles and cores apart, before 0.3 the feature's `id` did (PathAnnotationObject).
Objects within others may be in `properties.childObjects`. Coordinates are "in pixel units, taking
the origin (0, 0) as the top left corner of the full-resolution image", with two decimals (QuPath
docs, "Exporting annotations"; ROITypeAdapters).

GeoJSON itself is of longitudes and latitudes (RFC 7946), and nothing in a file says that it is not.
So it is taken for pixels only where

- it has no `crs`: programs of maps write one where coordinates are others than RFC 7946's;
- QuPath's marks are there (`objectType`, a name such as PathAnnotationObject, `isLocked`, a
  classification with a colour); or a classification with nothing but a name, and then coordinates
  beyond any longitude and latitude, since that alone marks little;
- its coordinates may be those of a picture: none far below 0, all below a million (100,000 where
  there is a name alone: UTM's are above), and not all within one pixel with many decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms.documents import hex_colour
from hsi_ssl.labels.forms.drawn import CLASS, Drawn

TYPES = {"annotation", "detection", "cell", "tile", "tmaCore", "tma_core", "root"}
OLD_TYPES = {
    "PathTileObject", "PathCellObject", "TMACoreObject", "PathDetectionObject", "PathRootObject",
    "PathAnnotationObject",
}  # fmt: skip
ROOTS = {"root", "PathRootObject"}
BETWEEN = ": "
"""Between the names of a derived class, as QuPath shows it."""
DEPTH = 100
"""Objects within objects."""
FARTHEST, FARTHEST_MARKED = 1e5, 1e6
"""Coordinates of pictures stay below, by a classification alone and by QuPath's own marks."""
LONGITUDE, LATITUDE = 180, 90
ASIDE = 0.1
"""How far objects may reach beyond a picture's first row and column, as a share of all."""
DECIMALS = 2
"""Of coordinates that QuPath writes."""
OPAQUE = 0xFFFFFF


def is_pixels(document: Any) -> bool:
    """Whether GeoJSON is QuPath's, so that its coordinates are pixels.

    Raises
    ------
    ValueError
        It is no GeoJSON; the number of the feature is told.
    """
    features = _features(document)
    if not features or (isinstance(document, dict) and document.get("crs")):
        return False
    return _in_picture(features, _geometries(features))


def read(document: Any, file: Path) -> list[Drawn]:
    """The objects of a file as one layer, the field `class` their classifications' names.

    Raises
    ------
    VectorError
        There is no object, or one that cannot be read, or its coordinates are those of a map.
    """
    try:
        features = [f for f in _features(document) if _type(f) not in ROOTS]
        geometries = _geometries(features)
    except ValueError as error:
        raise VectorError(f"{file}: {error}; export the annotations again") from error
    if not features:
        raise VectorError(f"{file} has no annotation; annotate the picture, or leave the file out")
    if not _in_picture(features, geometries):
        raise VectorError(
            f"{file} has classified objects, as QuPath's, and coordinates that may be those of a "
            "map; save it from QGIS, so that it says its CRS, or export it from QuPath"
        )
    colours: dict[str, str] = {}
    names = np.array([_name(feature) for feature in features], object)
    for name, feature in zip(names, features, strict=True):
        if name is not None and name not in colours and (colour := _colour(feature)):
            colours[name] = colour
    note = (
        f"{file.name} has no crs: its coordinates are taken as columns and rows of the picture, as "
        "QuPath exports them"
    )
    fields = {CLASS: names}
    return [Drawn(file.stem, geometries, fields, colours=colours, notes=(note,))]


def _in_picture(features: Sequence[Mapping[str, Any]], geometries: npt.NDArray[Any]) -> bool:
    """Whether marks and coordinates are those of objects on a picture."""
    marked = any(map(_marked, features))
    if not marked and not any(isinstance(_raw_class(f), dict) and _name(f) for f in features):
        return False
    bounds = shapely.total_bounds(geometries)
    if not np.isfinite(bounds).all():
        return marked
    low, high = min(bounds[:2]), max(bounds[2:])
    if low < -ASIDE * max(high, 1) or high >= (FARTHEST_MARKED if marked else FARTHEST):
        return False
    if not marked:
        return bool(bounds[2] > LONGITUDE or bounds[3] > LATITUDE)
    xy = shapely.get_coordinates(geometries)
    fine = bool((xy != np.round(xy, DECIMALS)).any())
    return not (fine and (bounds[2:] - bounds[:2] < 1).all() and high <= LONGITUDE)


def _features(document: Any) -> list[dict[str, Any]]:
    """All features, those within others after them.

    Raises
    ------
    ValueError
        There is no list of features, or something else in it.
    """
    single = isinstance(document, dict) and document.get("type") == "Feature"
    level = [document] if single else document
    if isinstance(level, dict):
        level = level.get("features")
    found: list[dict[str, Any]] = []
    for _ in range(DEPTH):
        if not isinstance(level, list) or not all(isinstance(feature, dict) for feature in level):
            raise ValueError("expected a list of features, as QuPath exports them")
        if not level:
            break
        found += level
        level = [child for parent in level for child in _children(parent)]
    return found


def _children(feature: Mapping[str, Any]) -> Sequence[Any]:
    properties = _properties(feature)
    found = properties.get("childObjects", properties.get("children"))
    return found if isinstance(found, list) else []


def _properties(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    found = feature.get("properties")
    return found if isinstance(found, dict) else {}


def _type(feature: Mapping[str, Any]) -> str | None:
    """What kind of object it is, in whatever version."""
    properties = _properties(feature)
    kinds = (properties.get("objectType"), properties.get("object_type"), feature.get("id"))
    known = (kind for kind in kinds if isinstance(kind, str) and kind in TYPES | OLD_TYPES)
    return next(known, None)


def _marked(feature: Mapping[str, Any]) -> bool:
    """Whether only QuPath writes features so."""
    raw = _raw_class(feature)
    coloured = isinstance(raw, dict) and ("colorRGB" in raw or isinstance(raw.get("color"), list))
    return _type(feature) is not None or coloured or "isLocked" in _properties(feature)


def _raw_class(feature: Mapping[str, Any]) -> Any:
    return _properties(feature).get("classification")


def _name(feature: Mapping[str, Any]) -> str | None:
    """The name of a classification; None of an object without."""
    parts = list(_parts(_raw_class(feature), DEPTH))
    return BETWEEN.join(parts) or None


def _parts(raw: Any, depth: int) -> Iterable[str]:
    """Names of a class, those that it is derived from first."""
    if isinstance(raw, str):
        yield raw
    elif isinstance(raw, dict) and depth:
        yield from _parts(raw.get("parentClass"), depth - 1)
        names = raw.get("names")
        if isinstance(names, list):
            yield from map(str, names)
        elif raw.get("name") is not None:
            yield str(raw["name"])


def _colour(feature: Mapping[str, Any]) -> str | None:
    """The colour of a classification."""
    raw = _raw_class(feature)
    if not isinstance(raw, dict):
        return None
    colour = raw.get("color", raw.get("colorRGB"))
    if isinstance(colour, list):
        return hex_colour(colour)
    if type(colour) is int:  # alpha, red, green and blue, as a signed number
        return f"#{colour & OPAQUE:06x}"
    return None


def _geometries(features: Sequence[Mapping[str, Any]]) -> npt.NDArray[Any]:
    """Geometries `(n,)`, None where a feature has none.

    Raises
    ------
    ValueError
        One is no GeoJSON; its number is told.
    """
    found = np.full(len(features), None, object)
    if not len(features):
        return found
    texts = [_text(feature.get("geometry")) for feature in features]
    with np.errstate(all="ignore"):  # numbers too large for a coordinate are refused afterwards
        try:
            found[:] = shapely.from_geojson(texts)
        except shapely.GEOSException:  # which does not say where
            for i, text in enumerate(texts):
                try:
                    found[i] = shapely.from_geojson(text)
                except shapely.GEOSException as error:
                    reason = str(error).strip()
                    raise ValueError(f"annotation {i + 1} cannot be read ({reason})") from error
        flat: npt.NDArray[Any] = shapely.force_2d(found)
    return flat


def _text(geometry: Any) -> str | None:
    """GeoJSON of a geometry, without what QuPath adds."""
    if not geometry:
        return None
    if isinstance(geometry, dict):
        keys = ("type", "coordinates", "geometries")
        geometry = {key: geometry[key] for key in keys if key in geometry}
    return json.dumps(geometry)
