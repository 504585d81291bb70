"""Drawn labels that are known and not read: what each is, and what to save instead."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = 65536
SAVE_LAYER = "in QGIS: Export, Save Features As, GeoPackage; give that"
LAYERS = {
    ".gml": "GML", ".dxf": "a drawing of CAD", ".dwg": "a drawing of CAD",
    ".dgn": "a drawing of CAD", ".parquet": "GeoParquet", ".geoparquet": "GeoParquet",
    ".mdb": "a database of Access",
    ".jml": "a layer of OpenJUMP", ".gmt": "a layer of GMT", ".osm": "OpenStreetMap's data",
    ".pbf": "OpenStreetMap's data", ".qgz": "a project of QGIS", ".qgs": "a project of QGIS",
    ".lyr": "a style of ArcGIS", ".lyrx": "a style of ArcGIS",
}  # fmt: skip
"""By their suffix."""
COCO = "export it as COCO, with polygons; give that"
ANNOTATED = (
    (".xml", rb"<annotations>.*<image\b", f"an export of CVAT, which is not read: {COCO}"),
    (
        ".xml",
        rb"<annotation\b.*<bndbox",
        "boxes of Pascal VOC, not read: draw polygons, and export those as COCO",
    ),
    (".json", rb'"shape_attributes"', f"a project of VGG's annotator, which is not read: {COCO}"),
    (".json", rb'"(?:from_name|polygonlabels)"', f"an export of Label Studio, not read: {COCO}"),
    (
        ".csv",
        rb"\Aindex,shape-type,vertex-index",
        "shapes of napari, which are not read: turn them into a layer of labels, and give that as "
        "TIFF",
    ),
)
"""Suffix, what is in the first bytes, and what to do."""


def not_read(file: Path) -> str | None:
    """One sentence on a file of such a kind; None for others."""
    suffix = file.suffix.lower()
    if suffix in LAYERS:
        return f"{file} is {LAYERS[suffix]}, which is not read as labels: {SAVE_LAYER}"
    kinds = [(known, what) for ending, known, what in ANNOTATED if ending == suffix]
    if not kinds or not file.is_file():
        return None
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD)
    except OSError:
        return None
    return next((f"{file} is {w}" for known, w in kinds if re.search(known, head, re.DOTALL)), None)
