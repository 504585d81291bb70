"""Suggestions as a GeoPackage with a class field to fill in, and a style for QGIS."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio.raw
import shapely

from hsi_ssl.errors import OutputError
from hsi_ssl.files import refuse_existing, written_beside
from hsi_ssl.labels.vector_grid import on_ground
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.suggesting.suggest import Suggestion

LAYER = "suggestions"
FIELDS = (
    "id", "class", "guess", "probability", "second_guess", "second_probability", "reason",
    "row", "col",
)  # fmt: skip
LABEL = "coalesce(nullif(\"class\", ''), \"guess\" || '?')"
"""What QGIS writes beside a point: the class, once there is one, else the guess."""


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
    if path.suffix.lower() != ".gpkg":
        raise OutputError(f"suggestions are a GeoPackage: name it {path.stem}.gpkg, not {path}")
    style = path.with_suffix(".qml")
    for file in (path, style):
        refuse_existing(file, overwrite)
    centres = np.array([[s.col + 0.5, s.row + 0.5] for s in suggestions])
    columns = [
        np.arange(1, len(suggestions) + 1),
        np.full(len(suggestions), None, object),
        np.array([s.guess for s in suggestions], object),
        np.array([s.probability for s in suggestions]),
        np.array([s.second for s in suggestions], object),
        np.array([s.second_probability for s in suggestions]),
        np.array([s.reason for s in suggestions], object),
        np.array([s.row for s in suggestions]),
        np.array([s.col for s in suggestions]),
    ]
    with (
        written_beside(path, also=[style], overwrite=overwrite) as beside,
        warnings.catch_warnings(),
    ):
        try:
            warnings.filterwarnings("ignore", "'crs' was not provided")  # nor has the scene one
            pyogrio.raw.write(
                beside,
                shapely.to_wkb(shapely.points(on_ground(scene, centres))),
                columns,
                FIELDS,
                layer=LAYER,
                driver="GPKG",
                geometry_type="Point",
                crs=scene.grid.crs,
            )
        except pyogrio.errors.DataSourceError as error:
            raise OutputError(f"cannot write {path}: GDAL failed ({error})") from error
        beside.with_suffix(".qml").write_text(_qml(), encoding="utf-8")
    return [path, style]


def _qml() -> str:
    """Circles with the class or the guess beside them."""
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology|Labeling")
    renderer = ET.SubElement(root, "renderer-v2", type="singleSymbol")
    symbol = ET.SubElement(ET.SubElement(renderer, "symbols"), "symbol", type="marker", name="0")
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleMarker", "enabled": "1"})
    options = ET.SubElement(layer, "Option", type="Map")
    for name, value in {
        "name": "circle", "color": "255,255,255,0", "outline_color": "255,0,160,255",
        "outline_width": "0.6", "size": "3.5",
    }.items():  # fmt: skip
        ET.SubElement(options, "Option", type="QString", name=name, value=value)
    labelling = ET.SubElement(root, "labeling", type="simple")
    settings = ET.SubElement(labelling, "settings")
    text = ET.SubElement(
        settings, "text-style", fieldName=LABEL, isExpression="1", fontSize="9",
        textColor="255,255,255,255",
    )  # fmt: skip
    ET.SubElement(text, "text-buffer", bufferDraw="1", bufferSize="0.8", bufferColor="60,0,40,255")
    ET.SubElement(settings, "placement", placement="0", dist="1")
    ET.indent(root)
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return head + ET.tostring(root, encoding="unicode") + "\n"
