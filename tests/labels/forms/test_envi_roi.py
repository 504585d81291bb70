"""Regions of interest of ENVI: XML of version 5, tables of ENVI Classic, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from hsi_ssl.errors import VectorError
from hsi_ssl.labels.layers import Layer
from hsi_ssl.labels.vectors import is_vector, layer_facts, read_layer

UTM = (
    'PROJCS["WGS_1984_UTM_Zone_32N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",'
    '6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
    'PROJECTION["Transverse_Mercator"],PARAMETER["False_Easting",500000.0],'
    'PARAMETER["False_Northing",0.0],PARAMETER["Central_Meridian",9.0],'
    'PARAMETER["Scale_Factor",0.9996],PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]'
)
"""As ENVI and ESRI write it."""
HOLED = (
    "<Polygon><Exterior><LinearRing><Coordinates>\n0 0 9 0 9 9 0 9 0 0\n</Coordinates>"
    "</LinearRing></Exterior><Interior><LinearRing><Coordinates>1 1 2 1 2 2 1 2 1 1</Coordinates>"
    "</LinearRing></Interior></Polygon>"
)
HEADER = """; ENVI Output of ROIs (4.4) [Sun Feb 07 09:41:07 2010]
; Number of ROIs: 2
; File Dimension: 30 x 20
;
; ROI name: water
; ROI rgb value: {0, 0, 255}
; ROI npts: 3
;
; ROI name: dark forest
; ROI rgb value: {0, 139, 0}
; ROI npts: 2
;   ID    X    Y     Map X      Map Y       Lat       Lon   B1   B2
"""
TABLE = """     1    1    1  300000.0  5000000.0  45.1  6.4   17   92
     2    2    2  300010.0  4999990.0  45.1  6.4   32  106
     3   30   20  300290.0  4999810.0  45.1  6.4   27  100

     1    5    7  300040.0  4999940.0  45.1  6.4  195  104
     2    6    7  300050.0  4999940.0  45.1  6.4  201  111
"""


def xml(*regions: tuple[str, str, str]) -> str:
    """A file of regions, each a name, a CRS and its geometry."""
    parts = (
        f'<Region name="{name}" color="255,0,{i}"><GeometryDef><CoordSysStr>'
        f"{crs.replace(chr(34), '&quot;')}</CoordSysStr>{shapes}</GeometryDef></Region>"
        for i, (name, crs, shapes) in enumerate(regions)
    )
    root = '<?xml version="1.0"?>\n<RegionsOfInterest version="1.1">'
    return f"{root}{''.join(parts)}</RegionsOfInterest>"


def read(path: Path, text: str | bytes) -> Layer:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert is_vector(path)
    return read_layer(layer_facts(path), "class")


def points(layer: Layer, name: str) -> list[list[float]]:
    """What a class's points are, sorted."""
    assert layer.values is not None
    xy: list[list[float]] = shapely.get_coordinates(layer.geometries[layer.values == name]).tolist()
    return sorted(xy)


def test_shapes_of_all_kinds_and_holes_are_read(tmp_path: Path) -> None:
    shapes = (
        f"{HOLED}<LineString><Coordinates>0 0 5 5</Coordinates></LineString>"
        "<Point><Coordinates>1.5 2.5 3 4</Coordinates></Point>"
    )
    layer = read(tmp_path / "r.xml", xml(("grass", "none", shapes), ("soil", "none", HOLED)))
    assert layer.values is not None
    assert layer.values.tolist() == ["grass"] * 4 + ["soil"]
    assert layer.geometries[0].area == layer.geometries[4].area == 80
    assert [g.geom_type for g in layer.geometries[1:4]] == ["LineString", "Point", "Point"]
    assert (layer.place, layer.crs, layer.ids.tolist()) == ("pixel", None, [1, 2, 3, 4, 5])
    facts = layer_facts(tmp_path / "r.xml")
    assert facts.colours == {"grass": "#ff0000", "soil": "#ff0001"}
    assert "counted from 0" in facts.notes[0]


def test_wkt_of_esri_is_a_crs_that_proj_knows(tmp_path: Path) -> None:
    layer = read(tmp_path / "r.xml", xml(("a", UTM, HOLED), ("b", f"\n {UTM}\n", HOLED)))
    assert (layer.place, layer.crs) == ("map", "EPSG:32632")
    nowhere = read(tmp_path / "n.xml", xml(("a", 'LOCAL_CS["Arbitrary",UNIT["m",1]]', HOLED)))
    assert (nowhere.place, nowhere.crs) == ("map", None)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (xml(("a", UTM, HOLED), ("b", "none", HOLED)), "of 2 kinds .*EPSG:32632, pixels"),
        (xml(("a", UTM, HOLED), ("b", UTM.replace("9.0]", "15.0]"), HOLED)), "of 2 kinds"),
        (xml(("a", "PROJCS[", HOLED)), "CRS that PROJ does not know"),
        (xml(), "has no region"),
        (xml(("a", "none", "")), "none of 1 region"),
        (xml(("a", "none", "<Cube/>")), "region a holds <Cube>"),
        (xml(("a", "none", "<Point><Coordinates>1 2 3</Coordinates></Point>")), "3 numbers"),
        (xml(("a", "none", "<Point><Coordinates>1 x</Coordinates></Point>")), "are no numbers"),
        (xml(("a", "none", "<Point><Coordinates>1 nan</Coordinates></Point>")), "lie nowhere"),
        (xml(("a", "none", HOLED))[:300], "no whole XML file .*cut short"),
        (xml(("a", "none", "")).replace("GeometryDef", "PixelDef"), "holds <PixelDef>.*ASCII"),
        ('<!DOCTYPE x [<!ENTITY e "e">]><RegionsOfInterest>&e;</RegionsOfInterest>', "DOCTYPE"),
        ('<?xml version="1.0" encoding="gbk"?><RegionsOfInterest/>', "encoding .*UTF-8"),
    ],
)
def test_xml_that_is_broken_or_contradicts_itself_is_refused(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(VectorError, match=sentence) as raised:
        read(tmp_path / "r.xml", text)
    assert str(raised.value).startswith(str(tmp_path / "r.xml"))


def test_other_xml_is_left_alone(tmp_path: Path) -> None:
    for i, text in enumerate(["<PAMDataset/>", "<!-- <RegionsOfInterest> --><kml/>", "", "text"]):
        path = tmp_path / f"{i}.xml"
        path.write_text(text)
        assert not is_vector(path)
    utf16 = xml(("höh", "none", HOLED)).replace('"1.0"', '"1.0" encoding="UTF-16"', 1)
    layer = read(tmp_path / "u.xml", utf16.encode("utf-16"))
    assert layer.values is not None
    assert layer.values.tolist() == ["höh"]


def test_tables_count_pixels_from_one(tmp_path: Path) -> None:
    layer = read(tmp_path / "r.txt", HEADER + TABLE)
    assert points(layer, "water") == [[0.5, 0.5], [1.5, 1.5], [29.5, 19.5]]
    assert points(layer, "dark forest") == [[4.5, 6.5], [5.5, 6.5]]
    facts = layer_facts(tmp_path / "r.txt")
    assert (facts.place, facts.image_shape) == ("pixel", (20, 30))
    assert facts.colours == {"water": "#0000ff", "dark forest": "#008b00"}


def test_pixels_that_touch_are_one_feature(tmp_path: Path) -> None:
    layer = read(tmp_path / "r.txt", HEADER + TABLE)
    # Water: two at a corner of each other, and one far off.
    assert sorted(shapely.get_num_coordinates(layer.geometries).tolist()) == [1, 2, 2]
    # The end of a row does not touch the beginning of the next.
    wrapped = "; ROI name: a\n; ID X Y\n1 30 1\n2 1 2\n"
    assert len(read(tmp_path / "w.txt", wrapped)) == 2


def test_tables_region_by_region_of_other_writers_are_read(tmp_path: Path) -> None:
    text = (
        ";2013_IEEE_GRSS_DF_Contest_Samples_TR\r\n\r\n; Number of ROIs: 2\r\n"
        "; File Dimension: 1905 x 349\r\n; X=1\t, Y=1 \t-> Upper-Left Corner\r\n\r\n"
        "; ROI name: a\r\n; ROI rgb value: {0, 205, 0}\r\n; ROI npts: 2   \r\n"
        ";   ID     X    Y              Lat               Lon\r\n"
        "     1   769    7  29.72  -95.34\r\n     2   768    7  29.72  -95.34\r\n\r\n"
        "; ROI name: b\r\n; ROI npts: 1\r\n;   ID    X    Y   Lat   Lon\r\n"
        "     1    10    9  29.72  -95.34\r\n"
    )
    layer = read(tmp_path / "r.txt", text)
    assert points(layer, "a") == [[767.5, 6.5], [768.5, 6.5]]
    assert points(layer, "b") == [[9.5, 8.5]]
    swapped = read(tmp_path / "s.roi", "; ROI name: a\n; ROI npts: 1\n; Map X Map Y Y X\n9 9 3 4\n")
    assert points(swapped, "a") == [[3.5, 2.5]]
    latin = "; ROI name: Höhe\n; ID X Y\n1 1 1\n".encode("cp1252")
    assert points(read(tmp_path / "l.txt", latin), "Höhe") == [[0.5, 0.5]]
    assert "Windows-1252" in layer_facts(tmp_path / "l.txt").notes[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER + TABLE[: TABLE.index("\n\n")], "announces 5 pixels .* holds 3; .*cut short"),
        (HEADER + TABLE.rstrip()[:-10], "fewer columns than others"),
        (HEADER, "announces 2 region.*holds the pixels of 0"),
        (HEADER.replace("ROIs: 2", "ROIs: 3") + TABLE, "announces 3 region.*holds the pixels of 2"),
        (HEADER.replace(" X    Y ", " ") + TABLE, "expected the columns X and Y.*ASCII"),
        (HEADER.replace("30 x 20", "29 x 20") + TABLE, "reach 30 and 20.* 29 columns and 20 rows"),
        (HEADER + TABLE.replace("   1    1    1", "   1    0    1"), "down to 0.*counts from 1"),
        (HEADER + TABLE.replace("   2    2    2", "   2  2.5    2"), "X 2.5.*whole numbers"),
        (HEADER + TABLE.replace("   2    2    2", "   2  1e99   2"), "whole numbers"),
        (HEADER + TABLE.replace("   2    2    2", "   2    b    2"), "are no numbers"),
        ("; ROI name: a\n; ROI npts: 0\n; ID X Y\n", "no pixel in 1 region"),
        ("; ROI name: a\n; ROI name: b\n; ID X Y\n1 1 1\n\n2 2 2\n", "does not say how many"),
        ("; ENVI Output of ROIs\n; ID X Y\n1 1 1\n", "before any '; ROI name:'"),
    ],
)
def test_tables_that_are_cut_short_or_contradict_themselves_are_refused(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(VectorError, match=sentence):
        read(tmp_path / "r.txt", text)


def test_binary_files_are_refused_by_name(tmp_path: Path) -> None:
    for start, sentence in (
        (b"JoeB\0\0\0\x0f", "binary file of ENVI Classic.*Output ROIs to ASCII"),
        (b"Iout\0\xe4", "region of ImageJ"),
        (b"", "no ROI file that is known"),
    ):
        with pytest.raises(VectorError, match=sentence):
            read(tmp_path / "r.roi", start)
    (tmp_path / "notes.txt").write_text("; a remark\n1 2 3\n")
    assert not is_vector(tmp_path / "notes.txt")


@pytest.mark.slow
def test_hundred_thousand_pixels_are_read_at_once(tmp_path: Path) -> None:
    col, row = np.meshgrid(np.arange(1, 401), np.arange(1, 251))
    lines = (f"{i} {x} {y} 0.5" for i, (x, y) in enumerate(zip(col.flat, row.flat, strict=True)))
    text = "; ROI name: a\n; ROI npts: 100000\n; ID X Y B1\n" + "\n".join(lines)
    layer = read(tmp_path / "r.txt", text)
    assert len(layer) == 1
    assert shapely.get_num_coordinates(layer.geometries).tolist() == [100_000]
