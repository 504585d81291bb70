"""What a class map says of its classes: GDAL's .aux.xml, QGIS's .qml, a CSV, a tag of its own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelSet, red_green_blue

UNCLASSIFIED = "not classified"
"""Name of code 0 in a map."""

# Field type and usage numbers of GDAL's raster attribute tables (GDALRATFieldType, -FieldUsage).
INTEGER, STRING = "0", "2"
COLUMNS = (
    ("Value", INTEGER, "5"),
    ("Class", STRING, "2"),
    ("Red", INTEGER, "6"),
    ("Green", INTEGER, "7"),
    ("Blue", INTEGER, "8"),
    ("Pixels", INTEGER, "1"),
)


def aux_xml(label_set: LabelSet, counts: Mapping[int, int], rest: str = UNCLASSIFIED) -> str:
    """GDAL's PAM file of a map: category names by code and a raster attribute table.

    `counts` are pixels by code, 0 included, which is called `rest`.
    """
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    band.extend((category_names(label_set, rest), attribute_table(label_set, counts)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def category_names(label_set: LabelSet, rest: str = UNCLASSIFIED) -> ET.Element:
    """GDAL's list of names of all codes from 0 to the largest."""
    names = ET.Element("CategoryNames")
    by_code = {UNLABELLED_CODE: rest} | {c.code: c.name for c in label_set.classes}
    for code in range(max(by_code) + 1):
        ET.SubElement(names, "Category").text = by_code.get(code, "")
    return names


def palette(label_set: LabelSet) -> ET.Element:
    """GDAL's table of colours of all codes from 0 to the largest; those of no class are clear."""
    table = ET.Element("ColorTable")
    colours = {c.code: (*red_green_blue(c.colour), 255) for c in label_set.classes}
    for code in range(max(colours) + 1):
        parts = colours.get(code, (0, 0, 0, 0))
        ET.SubElement(table, "Entry", {f"c{i}": str(v) for i, v in enumerate(parts, 1)})
    return table


def attribute_table(label_set: LabelSet, counts: Mapping[int, int]) -> ET.Element:
    """GDAL's raster attribute table: code, name, colour and pixels of each class."""
    table = ET.Element("GDALRasterAttributeTable", tableType="thematic")
    for i, (name, kind, usage) in enumerate(COLUMNS):
        column = ET.SubElement(table, "FieldDefn", index=str(i))
        ET.SubElement(column, "Name").text = name
        ET.SubElement(column, "Type").text = kind
        ET.SubElement(column, "Usage").text = usage
    for i, c in enumerate(sorted(label_set.classes, key=lambda c: c.code)):
        row = ET.SubElement(table, "Row", index=str(i))
        for value in (c.code, c.name, *red_green_blue(c.colour), counts[c.code]):
            ET.SubElement(row, "F").text = str(value)
    return table


def qml(label_set: LabelSet) -> str:
    """A QGIS style: one colour and name a code; QGIS takes it up when it opens the map."""
    root = ET.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1"
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for c in sorted(label_set.classes, key=lambda c: c.code):
        ET.SubElement(
            palette, "paletteEntry", value=str(c.code), label=c.name, color=c.colour, alpha="255"
        )
    ET.indent(root)
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    return head + ET.tostring(root, encoding="unicode") + "\n"


def names_tag(label_set: LabelSet) -> str:
    """Value of the tag: a JSON object of names by code."""
    return json.dumps({c.code: c.name for c in label_set.classes}, ensure_ascii=False)


def legend_csv(
    label_set: LabelSet,
    counts: Mapping[int, int],
    rest: str = UNCLASSIFIED,
    masked: int | None = None,
) -> str:
    """Rows `code, name, colour, pixels` by ascending code, beginning with 0, called `rest`.

    Where there was a mask, `masked` is how many of the latter it left out: a further column.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    more = [] if masked is None else ["masked"]
    rows.writerow(("code", "name", "colour", "pixels", *more))
    more = [] if masked is None else [str(masked)]
    rows.writerow((UNLABELLED_CODE, rest, "", counts[UNLABELLED_CODE], *more))
    more = [] if masked is None else ["0"]
    for c in sorted(label_set.classes, key=lambda c: c.code):
        rows.writerow((c.code, c.name, c.colour, counts[c.code], *more))
    return text.getvalue()
