from __future__ import annotations

import csv
import io
from xml.etree import ElementTree as ET

from hsi_ssl.labels.label_set import LabelClass, LabelSet, red_green_blue
from hsi_ssl.labels.legends import tagged_names
from hsi_ssl.maps.legend import aux_xml, legend_csv, names_tag, qml

# Out of order, with a gap and characters that XML and CSV must escape.
SET = LabelSet(
    "minerals",
    (
        LabelClass(5, 'white mica, "illite" <2 µm> & co', "#3366aa"),
        LabelClass(2, "quartz", "#aabb00"),
    ),
)
COUNTS = {0: 10, 5: 7, 2: 3}


def test_aux_xml_names_every_code_and_tells_colours_and_counts() -> None:
    band = ET.fromstring(aux_xml(SET, COUNTS)).find("PAMRasterBand")
    assert band is not None
    assert band.get("band") == "1"
    names = [c.text or "" for c in band.findall("CategoryNames/Category")]
    assert names == ["not classified", "", "quartz", "", "", SET.names[0]]
    table = band.find("GDALRasterAttributeTable")
    assert table is not None
    # Usages of GDAL: 5 the value, 2 its name, 6-8 the colour, 1 the number of pixels.
    usages = [f.findtext("Usage") for f in table.findall("FieldDefn")]
    assert usages == ["5", "2", "6", "7", "8", "1"]
    rows = [[f.text for f in row.findall("F")] for row in table.findall("Row")]
    assert rows == [
        ["2", "quartz", "170", "187", "0", "3"],
        ["5", SET.names[0], "51", "102", "170", "7"],
    ]


def test_qml_paints_every_code() -> None:
    text = qml(SET)
    assert text.startswith("<!DOCTYPE qgis")
    renderer = ET.fromstring(text.split("\n", 1)[1]).find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "paletted"
    entries = [
        (e.get("value"), e.get("label"), e.get("color")) for e in renderer.iter("paletteEntry")
    ]
    assert entries == [("2", "quartz", "#aabb00"), ("5", SET.names[0], "#3366aa")]


def test_csv_begins_with_what_is_not_classified() -> None:
    rows = list(csv.reader(io.StringIO(legend_csv(SET, COUNTS))))
    assert rows == [
        ["code", "name", "colour", "pixels"],
        ["0", "not classified", "", "10"],
        ["2", "quartz", "#aabb00", "3"],
        ["5", SET.names[0], "#3366aa", "7"],
    ]


def test_colours_in_parts() -> None:
    assert red_green_blue("#0a80ff") == (10, 128, 255)


def test_the_tag_gives_its_names_back() -> None:
    assert tagged_names(names_tag(SET)) == {5: SET.names[0], 2: "quartz"}
    assert tagged_names("[1, 2") == tagged_names("[1, 2]") == {}
