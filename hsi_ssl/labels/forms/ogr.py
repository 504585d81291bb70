"""Vector layers that GDAL reads: GeoPackage, Shapefile, GeoJSON, FlatGeobuf."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.layers import Features, LayerFacts
from hsi_ssl.scenes.virtual import gdal_name, shown

SUFFIXES = {".gpkg", ".shp", ".geojson", ".json", ".fgb", ".kml", ".kmz", ".gpx"}

STYLES = (
    "SELECT f_table_name, styleQML FROM layer_styles ORDER BY useAsDefault DESC, update_time DESC"
)
"""What QGIS asks of the table in which it keeps styles."""


def takes(file: Path) -> bool:
    """Whether its suffix is one of a vector format."""
    return file.suffix.lower() in SUFFIXES


def layers(file: Path, path: Path) -> list[LayerFacts]:
    """The layers with geometries of a file."""
    with _gdal(file) as opened:
        named = [n for n, kind in pyogrio.list_layers(opened).tolist() if kind is not None]
    with _gdal(file) as opened:
        each = [pyogrio.read_info(opened, layer=n, force_feature_count=True) for n in named]
    found = [_facts(path, info) for info in each]
    # A GPX file has a layer of each kind, most of them empty.
    return [facts for facts in found if facts.features] or found


def features(file: Path, facts: LayerFacts, column: str | None) -> Features:
    """All features of a layer; heights are dropped, arcs become straight pieces."""
    with _gdal(file) as opened:
        _, ids, wkb, values = pyogrio.raw.read(
            opened,
            layer=facts.name,
            columns=[] if column is None else [column],
            force_2d=True,
            return_fids=True,
        )
    geometries = shapely.from_wkb(wkb, on_invalid="ignore")
    return Features(np.asarray(ids, np.int64), geometries, values[0] if column else None)


def styles(file: Path, layer: str) -> list[str]:
    """The style that QGIS keeps in a GeoPackage for a layer, the default one or the newest.

    Nothing where there is none.
    """
    if file.suffix.lower() != ".gpkg":
        return []
    try:
        with _gdal(file) as opened:
            _, _, _, (tables, texts) = pyogrio.raw.read(opened, sql=STYLES, read_geometry=False)
    except VectorError:  # no such table; what else is wrong has been told when layers were read
        return []
    return [t for table, t in zip(tables, texts, strict=True) if table == layer and t][:1]


def _facts(path: Path, info: dict[str, Any]) -> LayerFacts:
    crs = info["crs"]
    # What GeoPackages hold where QGIS says "no CRS".
    if crs is not None and re.match(r'\w+\["Undefined ', crs):
        crs = None
    return LayerFacts(
        path=path,
        name=info["layer_name"],
        kind=info["geometry_type"],
        crs=crs,
        assumed=info["driver"].startswith("GeoJSON"),
        features=int(info["features"]),
        fields=dict(zip(info["fields"].tolist(), info["ogr_types"], strict=True)),
    )


@contextmanager
def _gdal(file: Path) -> Iterator[str]:
    """What GDAL calls a file, and its refusals as one sentence; its remarks are not for users."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield gdal_name(file)
    except RuntimeError as error:  # the root of pyogrio's
        reason = str(error).split(";", maxsplit=1)[0].strip().rstrip(".")
        raise VectorError(
            f"{shown(file)} is broken or of no vector format that hsi-ssl knows ({reason}); save "
            "the layer again, as GeoPackage say"
        ) from error
