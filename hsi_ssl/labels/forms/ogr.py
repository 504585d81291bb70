"""Vector layers that GDAL reads: GeoPackage, GeoJSON, KML, GPX, those of ArcGIS and MapInfo.

pyogrio is imported where a layer is read: it brings pandas, which takes longer than most commands.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.forms import FOLDERS
from hsi_ssl.labels.layers import Features, LayerFacts
from hsi_ssl.scenes.virtual import gdal_name, shown

IN_MEMORY = re.compile(r"/vsi\w+//vsimem/[^/' ]*/?")
"""What GDAL calls the place of a file that is only in memory."""
SUFFIXES = {
    ".gpkg", ".shp", ".geojson", ".json", ".geojsonl", ".geojsons", ".fgb", ".kml", ".kmz", ".gpx",
    ".sqlite", ".mif",
}  # fmt: skip
MAPINFO = ".tab"

STYLES = (
    "SELECT f_table_name, styleQML FROM layer_styles ORDER BY useAsDefault DESC, update_time DESC"
)
"""What QGIS asks of the table in which it keeps styles."""


def takes(file: Path) -> bool:
    """Whether its suffix is one of a vector format."""
    suffix = file.suffix.lower()
    if suffix in FOLDERS:
        return file.is_dir()
    if suffix == MAPINFO:  # else a table of something else
        return file.is_file() and _starts(file).lower().startswith(b"!table")
    return suffix in SUFFIXES


def _starts(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(16)
    except OSError:
        return b""


def layers(file: Path, path: Path) -> list[LayerFacts]:
    """The layers with geometries of a file."""
    import pyogrio

    source = gdal_name(file)
    with spoken(file):
        named = [n for n, kind in pyogrio.list_layers(source).tolist() if kind is not None]
        found = [facts_in(source, name, path) for name in named]
    # A GPX file has a layer of each kind, most of them empty.
    return [facts for facts in found if facts.features] or found


def features(file: Path, facts: LayerFacts, column: str | None) -> Features:
    """All features of a layer; heights are dropped, arcs become straight pieces."""
    with spoken(file):
        return features_in(gdal_name(file), facts.name, column)


def styles(file: Path, layer: str) -> list[str]:
    """The style that QGIS keeps in a GeoPackage for a layer, the default one or the newest.

    Nothing where there is none.
    """
    if file.suffix.lower() != ".gpkg":
        return []
    import pyogrio

    try:
        with spoken(file):
            _, _, _, (tables, texts) = pyogrio.raw.read(
                gdal_name(file), sql=STYLES, read_geometry=False
            )
    except VectorError:  # no such table; what else is wrong has been told when layers were read
        return []
    return [t for table, t in zip(tables, texts, strict=True) if table == layer and t][:1]


def facts_in(source: str | bytes, layer: str | int, path: Path) -> LayerFacts:
    """What a layer, by its name or number, says of itself, with `path` as its own.

    `source` is what GDAL calls a file, or what the file holds.
    """
    import pyogrio

    info = pyogrio.read_info(source, layer=layer, force_feature_count=True)
    crs = info["crs"] or None
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


def features_in(source: str | bytes, layer: str | int, column: str | None) -> Features:
    """All features of a layer of `source`, as `features`."""
    import pyogrio

    _, ids, wkb, values = pyogrio.raw.read(
        source,
        layer=layer,
        columns=[] if column is None else [column],
        force_2d=True,
        return_fids=True,
    )
    geometries = shapely.from_wkb(wkb, on_invalid="ignore")
    return Features(np.asarray(ids, np.int64), geometries, values[0] if column else None)


@contextmanager
def spoken(file: Path) -> Iterator[None]:
    """GDAL's refusals of a file as one sentence; its remarks are not for users.

    It never writes an index of a shapefile, whatever the user's environment asks of it.
    """
    import pyogrio

    pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": False})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, UnicodeError) as error:  # the first is the root of pyogrio's
        reason = str(error).split(";", maxsplit=1)[0].strip().rstrip(".")
        reason = "a text in it is no UTF-8" if isinstance(error, UnicodeError) else reason
        reason = IN_MEMORY.sub("", reason)
        raise VectorError(
            f"{shown(file)} is broken or of no vector format that hsi-ssl knows ({reason}); save "
            "the layer again, as GeoPackage say"
        ) from error
