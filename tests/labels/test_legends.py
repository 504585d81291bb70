"""Names and colours of label rasters, from wherever they are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.legends import legend_file, legend_of

Write = Callable[..., Path]
CODES = np.arange(6, dtype=np.uint8).reshape(2, 3) % 4
NAMES = {1: "Oak", 2: "Pine", 3: "Soil"}
QML = """<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.34"><pipe><rasterrenderer type="paletted" band="1"><colorPalette>
<paletteEntry value="1" label="Oak" color="#00ff00" alpha="255"/>
<paletteEntry value="2" label="Pine" color="#008000" alpha="255"/>
<paletteEntry value="3" label="Soil" color="#aa5500" alpha="255"/>
</colorPalette></rasterrenderer></pipe></qgis>
"""
CATEGORIES = (
    '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category>none</Category>'
    "<Category>Oak</Category><Category>Pine</Category><Category>Soil</Category></CategoryNames>"
    "</PAMRasterBand></PAMDataset>"
)
TABLE = (
    '<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable tableType="thematic">'
    '<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>'
    '<FieldDefn index="1"><Name>Kind</Name><Type>2</Type><Usage>2</Usage></FieldDefn>'
    + "".join(f'<Row index="{c}"><F>{c}</F><F>{n}</F></Row>' for c, n in NAMES.items())
    + "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.qml", QML),
        ("l.clr", "1 0 255 0 255 Oak\n2 0 128 0 255 Pine\n3 170 85 0 255 Soil\n"),
        ("l.csv", "code;name;colour\n1;Oak;#00ff00\n2;Pine;#008000\n3;Soil;#aa5500\n"),
        ("l.classes.csv", "value,class,r,g,b\n1,Oak,0,255,0\n2,Pine,0,128,0\n3,Soil,170,85,0\n"),
        ("l.tif.aux.xml", CATEGORIES),
        ("l.tif.aux.xml", TABLE),
    ],
)
def test_names_beside_a_raster(name: str, text: str, tmp_path: Path, write_tif: Write) -> None:
    path = write_tif("l.tif", CODES)
    (tmp_path / name).write_text(text)
    found = legend_of(path)
    assert {code: found.names[code] for code in NAMES} == NAMES
    if "aux" not in name:
        assert found.colours[3] == "#aa5500"
        assert found.source == name


def test_envi_headers_name_their_classes(tmp_path: Path) -> None:
    (tmp_path / "l.hdr").write_text(
        "ENVI\nsamples = 3\nlines = 2\nbands = 1\nfile type = ENVI Classification\n"
        "data type = 1\ninterleave = bsq\nbyte order = 0\nclasses = 4\n"
        "class names = {Unclassified, Oak, Pine, Soil}\n"
        "class lookup = {0, 0, 0, 0, 255, 0, 0, 128, 0, 170, 85, 0}\n"
    )
    CODES.tofile(tmp_path / "l.img")
    for name in ("l.img", "l.hdr"):
        found = legend_of(tmp_path / name)
        assert {code: found.names[code] for code in NAMES} == NAMES
        assert found.colours[3] == "#aa5500"


def test_a_palette_has_colours_only_and_other_tables_say_nothing(
    tmp_path: Path, write_tif: Write
) -> None:
    path = write_tif("l.tif", CODES)
    with rasterio.open(path, "r+") as raster:
        raster.write_colormap(1, {1: (1, 2, 3, 255)})
    (tmp_path / "l.csv").write_text("station,temperature\n1,20\n")
    found = legend_of(path)
    assert found.names == {}
    assert found.colours[1] == "#010203"


def test_broken_legends_are_one_sentence(tmp_path: Path, write_tif: Write) -> None:
    path = write_tif("l.tif", CODES)
    (tmp_path / "l.qml").write_text("<qgis><pipe>")
    with pytest.raises(LabelError, match=r"l\.qml is no XML"):
        legend_of(path)
    (tmp_path / "x.csv").write_text("name\nOak\n")
    with pytest.raises(LabelError, match="expected columns code, name"):
        legend_file(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_text("code,name\none,Oak\n")
    with pytest.raises(LabelError, match="line 2: code 'one'"):
        legend_file(tmp_path / "y.csv")
    with pytest.raises(LabelError, match="no file"):
        legend_file(tmp_path / "z.csv")


@pytest.mark.parametrize("version", ["5", "7.3"])
@pytest.mark.parametrize("background", [False, True])
def test_cell_arrays_of_matlab_name_classes(version: str, background: bool, tmp_path: Path) -> None:
    names = [*(["Background"] if background else []), *NAMES.values()]
    path = tmp_path / "gt.mat"
    if version == "5":
        scipy.io.savemat(path, {"gt": CODES, "class_names": np.array(names, object)})
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["gt"] = CODES.T
            refs = file.create_dataset("class_names", (1, len(names)), h5py.ref_dtype)
            for i, name in enumerate(names):
                chars = np.array([[ord(c)] for c in name], np.uint16)
                refs[0, i] = file.create_dataset(f"#refs#/{i}", data=chars).ref
    found = legend_of(path)
    assert {code: found.names[code] for code in NAMES} == NAMES
    assert (0 in found.names) == background


def test_class_names_in_windows_1252(tmp_path: Path) -> None:
    header = (
        "ENVI\nsamples = 3\nlines = 1\nbands = 1\nfile type = ENVI Classification\n"
        "data type = 1\ninterleave = bsq\nbyte order = 0\nclasses = 3\n"
        "class names = {Unclassified, Grünstein, Löss}\n"
    )
    (tmp_path / "map.hdr").write_bytes(header.encode("windows-1252"))
    (tmp_path / "map.img").write_bytes(bytes([0, 1, 2]))
    assert legend_of(tmp_path / "map.img").names == {0: "Unclassified", 1: "Grünstein", 2: "Löss"}


def test_attribute_tables_with_too_few_cells_name_nothing(tmp_path: Path, write_tif: Write) -> None:
    path = write_tif("l.tif", CODES)
    cut = TABLE.replace("<F>2</F><F>Pine</F>", "<F>2</F>").replace("<F>1</F><F>Oak</F>", "")
    (tmp_path / "l.tif.aux.xml").write_text(cut)
    assert legend_of(path).names == {3: "Soil"}
    strange = CATEGORIES.replace(
        "</CategoryNames>", '</CategoryNames><ColorTable><Entry c1="²" c2="-" c3="9"/></ColorTable>'
    )
    (tmp_path / "l.tif.aux.xml").write_text(strange)
    assert legend_of(path).names == NAMES | {0: "none"}


@pytest.mark.parametrize("name", ["l.csv", "l.clr"])
def test_codes_of_thousands_of_digits_are_refused(tmp_path: Path, name: str) -> None:
    digits = "9" * 5000
    (tmp_path / "l.csv").write_text(f"code,name\n{digits},Oak\n")
    (tmp_path / "l.clr").write_text(f"{digits} 0 0 0 255 Oak\n")
    with pytest.raises(LabelError, match=r"line \d"):
        legend_file(tmp_path / name)


def test_cells_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"code,name\n1,{'x' * 200_000}\n")
    with pytest.raises(LabelError, match=r"l\.csv is no table: .* letters"):
        legend_file(tmp_path / "l.csv")
