"""Layers for QGIS as one GeoPackage, and the style beside it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt
import pyogrio.raw
import shapely

from hsi_ssl.errors import OutputError
from hsi_ssl.files import refuse_existing, written_beside

Kind = Literal["Point", "MultiPolygon"]
SYMBOLS: dict[Kind, tuple[str, str, dict[str, str]]] = {
    "Point": (
        "marker",
        "SimpleMarker",
        {"name": "circle", "color": "255,255,255,0", "outline_width": "0.6", "size": "3.5"},
    ),
    "MultiPolygon": ("fill", "SimpleFill", {"style": "no", "outline_width": "0.6"}),
}
"""How QGIS draws them: hollow, so that what lies below stays visible."""
OUTLINE = "255,0,160,255"


@dataclass(frozen=True)
class Drawn:
    """A layer: geometries `(n,)` in `crs`, None for a scene that lies nowhere, and its fields."""

    name: str
    geometries: npt.NDArray[Any]
    fields: Mapping[str, npt.NDArray[Any]]
    crs: str | None


def style_of(path: Path) -> Path:
    """Where the style of a GeoPackage goes."""
    return path.with_suffix(".qml")


def refuse_layers(path: Path, what: str, overwrite: bool) -> None:
    """Raise `OutputError` where layers cannot be written to `path`; `what` they are, in words."""
    if path.suffix.lower() != ".gpkg":
        raise OutputError(f"{what} are a GeoPackage: name it {path.stem}.gpkg, not {path}")
    for file in (path, style_of(path)):
        refuse_existing(file, overwrite)


def write_layers(
    path: Path, kind: Kind, layers: Sequence[Drawn], label: str, *, overwrite: bool = False
) -> list[Path]:
    """Write the layers, and a style that writes the expression `label` beside each geometry.

    Returns the files.

    Raises
    ------
    OutputError
        A file exists and `overwrite` is false, or cannot be written.
    """
    style = style_of(path)
    with (
        written_beside(path, also=[style], overwrite=overwrite) as beside,
        warnings.catch_warnings(),
    ):
        try:
            warnings.filterwarnings("ignore", "'crs' was not provided")  # nor has the scene one
            for layer in layers:
                pyogrio.raw.write(
                    beside,
                    shapely.to_wkb(np.asarray(layer.geometries, object)),
                    list(layer.fields.values()),
                    list(layer.fields),
                    layer=layer.name,
                    driver="GPKG",
                    geometry_type=kind,
                    crs=layer.crs,
                )
        except pyogrio.errors.DataSourceError as error:
            raise OutputError(f"cannot write {path}: GDAL failed ({error})") from error
        style_of(beside).write_text(_qml(kind, label), encoding="utf-8")
    return [path, style]


def _qml(kind: Kind, label: str) -> str:
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology|Labeling")
    renderer = ET.SubElement(root, "renderer-v2", type="singleSymbol")
    type_of, drawn_by, own = SYMBOLS[kind]
    symbol = ET.SubElement(ET.SubElement(renderer, "symbols"), "symbol", type=type_of, name="0")
    layer = ET.SubElement(symbol, "layer", {"class": drawn_by, "enabled": "1"})
    options = ET.SubElement(layer, "Option", type="Map")
    for name, value in {**own, "outline_color": OUTLINE}.items():
        ET.SubElement(options, "Option", type="QString", name=name, value=value)
    labelling = ET.SubElement(root, "labeling", type="simple")
    settings = ET.SubElement(labelling, "settings")
    text = ET.SubElement(
        settings, "text-style", fieldName=label, isExpression="1", fontSize="9",
        textColor="255,255,255,255",
    )  # fmt: skip
    ET.SubElement(text, "text-buffer", bufferDraw="1", bufferSize="0.8", bufferColor="60,0,40,255")
    ET.SubElement(settings, "placement", placement="0", dist="1")
    ET.indent(root)
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return head + ET.tostring(root, encoding="unicode") + "\n"
