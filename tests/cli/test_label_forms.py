"""QGIS's own files, each through `prepare` to a map: a raster with a style, layers, KML, a CSV."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import transform

pytestmark = pytest.mark.slow


Write = Callable[..., Any]
Run = Callable[..., Any]
ROWS, COLS = 40, 50
NAMES = {1: "Oak", 2: "Pine", 3: "Soil"}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_cube: Write) -> Path:
    """Three stripes of spectra that differ."""
    monkeypatch.chdir(tmp_path)
    path: Path = write_cube(tmp_path / "s.tif", ROWS, COLS)
    with rasterio.open(path, "r+") as raster:
        level = np.array([[900, 300, 500], [200, 800, 500], [600, 600, 100]])
        rng = np.random.default_rng(0)
        stripes = level[np.arange(COLS) * 3 // COLS]
        for band in range(raster.count):
            values = stripes[:, band % 3] + rng.normal(0, 8, (ROWS, COLS)) + 10 * band
            raster.write(values.astype(np.uint16), band + 1)
    return path


def polygons(on_ground: Write) -> tuple[list[Any], list[str]]:
    """Squares in each stripe."""
    shapes, names = [], []
    for code, name in NAMES.items():
        for row in range(1, 36, 6):
            col = (code - 1) * 17 + 3
            shapes.append(on_ground(shapely.box(col, row, col + 8, row + 4)))
            names.append(name)
    return shapes, names


def degrees(geometry: Any) -> Any:
    def back(xy: Any) -> Any:
        return np.stack(transform("EPSG:32633", "EPSG:4326", xy[:, 0], xy[:, 1]), axis=1)

    return shapely.transform(geometry, back)


def raster_with_style(folder: Path, scene: Path, on_ground: Write, write_layer: Write) -> list[str]:
    codes = (np.arange(COLS) * 3 // COLS + 1)[None].repeat(ROWS, 0).astype(np.uint8)
    codes[::3] = 0
    with rasterio.open(scene) as raster:
        profile = {**raster.profile, "count": 1, "dtype": "uint8"}
    with rasterio.open(folder / "classes.tif", "w", **profile) as raster:
        raster.write(codes, 1)
    entries = "".join(
        f'<paletteEntry value="{code}" label="{name}" color="#{code}0{code}0{code}0" alpha="255"/>'
        for code, name in NAMES.items()
    )
    (folder / "classes.qml").write_text(
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis version=\"3.34.4\">"
        f'<pipe><rasterrenderer type="paletted" band="1"><colorPalette>{entries}</colorPalette>'
        "</rasterrenderer></pipe></qgis>"
    )
    return ["classes.tif"]


def layers(folder: Path, scene: Path, on_ground: Write, write_layer: Write) -> list[str]:
    shapes, names = polygons(on_ground)
    write_layer(folder / "all.gpkg", shapes, {"class": names}, layer="fields")
    write_layer(folder / "all.gpkg", shapes[:2], {"class": ["x", "y"]}, layer="old", append=True)
    return ["all.gpkg:fields", "--label-field", "class"]


def numbers_with_style(
    folder: Path, scene: Path, on_ground: Write, write_layer: Write
) -> list[str]:
    """Numbers in a GeoPackage whose style, kept in it as QGIS does, names and colours them."""
    shapes, names = polygons(on_ground)
    code_of = {name: code for code, name in NAMES.items()}
    write_layer(folder / "n.gpkg", shapes, {"kind": [code_of[n] for n in names]}, layer="n")
    categories = "".join(
        f'<category value="{code}" type="long" label="{name}" symbol="{code}" render="true"/>'
        for code, name in NAMES.items()
    )
    symbols = "".join(
        f'<symbol type="fill" name="{code}"><layer class="SimpleFill"><Option type="Map"><Option '
        f'name="color" type="QString" value="16,{code},16,255,rgb:0.1,0,0.1,1"/></Option></layer>'
        "</symbol>"
        for code in NAMES
    )
    with closing(sqlite3.connect(folder / "n.gpkg")) as file, file:
        file.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, "
            "f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), "
            "f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT, "
            "useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30), update_time "
            "DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"
        )
        file.execute(
            "INSERT INTO layer_styles (f_table_name, styleQML, useAsDefault) VALUES ('n', ?, 1)",
            [
                "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis>"
                '<renderer-v2 type="categorizedSymbol" attr="kind">'
                f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2>"
                "</qgis>"
            ],
        )
    return ["n.gpkg"]


def kml(folder: Path, scene: Path, on_ground: Write, write_layer: Write) -> list[str]:
    shapes, names = polygons(on_ground)
    pyogrio.raw.write(
        folder / "drawn.kml",
        shapely.to_wkb(np.array([degrees(s) for s in shapes], object)),
        [np.array(names, object)],
        ["class"],
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver="LIBKML",
    )
    return ["drawn.kml", "--label-field", "class"]


def points(folder: Path, scene: Path, on_ground: Write, write_layer: Write) -> list[str]:
    lines = ["fid,longitude,latitude,class"]
    for code, name in NAMES.items():
        for row in range(1, 40, 2):
            for col in range((code - 1) * 17 + 2, (code - 1) * 17 + 14, 2):
                lon, lat = degrees(on_ground(shapely.Point(col + 0.5, row + 0.5))).coords[0]
                lines.append(f"{len(lines)},{lon:.8f},{lat:.8f},{name}")
    (folder / "points.csv").write_text("\n".join(lines))
    return ["points.csv"]


def names_as_text(folder: Path, scene: Path, on_ground: Write, write_layer: Write) -> list[str]:
    names = np.array([*NAMES.values()])[np.arange(COLS) * 3 // COLS][None].repeat(ROWS, 0)
    names[::3] = "none"
    np.save(folder / "names.npy", names)
    (folder / "names.classes.csv").write_text("code,name,colour\n7,Pine,#0a0b0c\n")
    return ["names.npy"]


@pytest.mark.parametrize(
    "make", [raster_with_style, layers, numbers_with_style, kml, points, names_as_text]
)
def test_from_a_file_of_qgis_to_a_map(
    make: Callable[..., list[str]],
    scene: Path,
    tmp_path: Path,
    hsi_ssl: Run,
    on_ground: Write,
    write_layer: Write,
) -> None:
    labels = make(tmp_path, scene, on_ground, write_layer)
    ran = hsi_ssl(
        "prepare", "s.tif", "--labels", *labels, "--components", 3, "--unlabelled", 300,
        "--split", "pixels", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert sorted(c["name"] for c in told["classes"]) == sorted(NAMES.values())
    Path("hsi-ssl.toml").write_text("[m2]\nhidden_classifier = [32]\nsupervised_epochs = 10\n")
    ran = hsi_ssl("train-m2", "--no-m1", "--epochs", 1, "--hidden", 32, "--device", "cpu")
    assert ran.code == 0, ran.err
    ran = hsi_ssl("classify", "s.tif", "--json")
    assert ran.code == 0, ran.err
    with rasterio.open("s_classes.tif") as raster:
        found, tags = raster.read(1), raster.tags()
    names = {int(code): name for code, name in json.loads(tags["CLASSES"]).items()}
    truth = np.array([NAMES[c * 3 // COLS + 1] for c in range(COLS)])
    right = np.array([[names.get(int(code)) for code in line] for line in found]) == truth
    assert right.mean() > 0.95
    style = Path("s_classes.qml").read_text()
    if make is raster_with_style:
        assert "#101010" in style
    assert "Oak" in style
    if make is numbers_with_style:
        assert names == NAMES
        assert "#100210" in style
    if make is names_as_text:
        assert "#0a0b0c" in style
        assert names[7] == "Pine"
        assert sorted(names) == [7, 8, 9]
        assert len(Path("names.classes.csv").read_text().splitlines()) == 4


def test_codes_that_stand_for_nothing_are_options(scene: Path, hsi_ssl: Run) -> None:
    codes = (np.arange(COLS) * 3 // COLS)[None].repeat(ROWS, 0).astype(np.int16)
    codes[:5] = -1
    with rasterio.open(scene) as raster:
        profile = {**raster.profile, "count": 1, "dtype": "int16"}
    with rasterio.open("l.tif", "w", **profile) as raster:
        raster.write(codes, 1)
    common = ["balance", "s.tif", "--labels", "l.tif", "--report", "r", "--overwrite", "--json"]
    ran = hsi_ssl(*common)
    assert ran.code == 2
    assert "--ignore-codes -1" in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    ran = hsi_ssl(*common, "--ignore-codes", "-1")
    assert [c["code"] for c in json.loads(ran.out)["classes"]] == [1, 2]
    ran = hsi_ssl(*common, "--ignore-codes", "-1,99", "--zero-is-a-class")
    found = {c["name"]: c["code"] for c in json.loads(ran.out)["classes"]}
    assert found == {"class 1": 1, "class 2": 2, "class 0": 3}
    ran = hsi_ssl(*common, "--ignore-codes", "none")
    assert ran.code == 2
    assert "255,-1" in ran.err


def test_labels_without_a_place_are_told_of_and_gdal_is_not_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_cube: Write, hsi_ssl: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cube(tmp_path / "s.tif", ROWS, COLS, crs=None, transform=None)
    codes = (np.arange(COLS) * 3 // COLS + 1)[None].repeat(ROWS, 0).astype(np.uint8)
    with rasterio.open("s.tif") as raster:
        profile = {**raster.profile, "count": 1, "dtype": "uint8"}
    with rasterio.open("l.tif", "w", **profile) as raster:
        raster.write(codes, 1)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        ran = hsi_ssl("balance", "s.tif", "--labels", "l.tif", "--report", "r")
    assert ran.code == 0, ran.err
    assert "l.tif is taken for s.tif row by row, column by column" in ran.out
    assert ran.err.count("NotGeoreferenced") == 0
    assert not [w for w in heard if issubclass(w.category, NotGeoreferencedWarning)]
