"""Labels in every form, their legends and styles, and spectral libraries."""

from __future__ import annotations

import json
import logging
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import scipy.io
import shapely
from cases import INFO, INFO_WORDS, Case
from given import COLS, NM, ROWS, cube
from placed_files import write_layer
from rasterio.warp import transform
from spectral.io.envi import SpectralLibrary

GRID = rasterio.Affine(5, 0, 400_000, 0, -5, 5_000_000)
NAMES = {1: "Oak", 2: "Pine", 3: "Soil"}
BOXES = [
    (1, 2, 6, 9, "Oak"),
    (11, 3, 16, 12, "Pine"),
    (22, 5, 28, 20, "Soil"),
    (2, 14, 7, 20, "Oak"),
]
REPORT = ("--report", "out/r", "-q")


def _balance(*more: str) -> tuple[str, ...]:
    return ("balance", "given/scene.tif", "--labels", "@", *more, *REPORT)


def _actions(*more: str) -> tuple[tuple[str, ...], ...]:
    """As a user tries labels: look at them, count them, prepare with them."""
    prepare = ("prepare", "given/scene.tif", "--labels", "@", *more, "-o", "out/d.h5", "-q")
    return (INFO, _balance(*more), INFO_WORDS, INFO, prepare, INFO_WORDS, INFO)


def _ground(x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = tuple(GRID)[:6]
    return a * x + b * y + c, d * x + e * y + f


def _degrees(x: float, y: float) -> tuple[float, float]:
    lon, lat = transform("EPSG:32633", "EPSG:4326", *([v] for v in _ground(x, y)))
    return float(lon[0]), float(lat[0])


def _corners(box: tuple[int, int, int, int, str]) -> list[tuple[int, int]]:
    left, top, right, bottom, _ = box
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def _shapes(
    place: Callable[[float, float], tuple[float, float]] = _ground,
) -> tuple[list[Any], list[str]]:
    """Polygons, and the names of their classes."""
    drawn = [shapely.Polygon([place(*xy) for xy in _corners(box)]) for box in BOXES]
    return drawn, [box[-1] for box in BOXES]


def drawn(folder: Path, name: str) -> Path:
    """A layer of polygons."""
    place = _degrees if name.endswith(".geojson") else _ground
    shapes, names = _shapes(place)
    crs = "EPSG:4326" if place is _degrees else "EPSG:32633"
    return write_layer(
        folder / name, shapes, {"class": names, "n": [1, 2, 3, 1]}, crs=crs, kind="Polygon"
    )


def kml(folder: Path) -> Path:
    """Polygons as Google Earth keeps them."""
    shapes, names = _shapes(_degrees)
    path = folder / "drawn.kml"
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes, object)),
        [np.array(names, object)],
        ["Name"],
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver="KML",
    )
    return path


def zipped(folder: Path) -> Path:
    """A shapefile in a ZIP."""
    inside = folder / "made"
    inside.mkdir()
    drawn(inside, "roads.shp")
    path = folder / "labels.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(inside.iterdir()):
            archive.write(one, one.name)
            one.unlink()
    inside.rmdir()
    return path


def styled(folder: Path) -> Path:
    """Numbers in a GeoPackage, whose style names them, as QGIS keeps it."""
    shapes, names = _shapes()
    path = folder / "n.gpkg"
    codes = {name: code for code, name in NAMES.items()}
    write_layer(path, shapes, {"kind": [codes[n] for n in names]}, layer="n", kind="Polygon")
    categories = "".join(
        f'<category value="{code}" type="long" label="{name}" symbol="{code}" render="true"/>'
        for code, name in NAMES.items()
    )
    style = (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis>"
        '<renderer-v2 type="categorizedSymbol" attr="kind">'
        f"<categories>{categories}</categories></renderer-v2></qgis>"
    )
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(
            "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY, f_table_name TEXT, "
            "styleName TEXT, styleQML TEXT, useAsDefault BOOLEAN, update_time TEXT)"
        )
        file.execute(
            "INSERT INTO layer_styles (f_table_name, styleQML, useAsDefault) VALUES ('n', ?, 1)",
            [style],
        )
    return path


def with_style(folder: Path) -> Path:
    """GeoJSON with a style beside it."""
    path = drawn(folder, "l.geojson")
    categories = "".join(
        f'<category value="{name}" type="string" label="{name}" symbol="{code}"/>'
        for code, name in NAMES.items()
    )
    symbols = "".join(
        f'<symbol type="fill" name="{code}"><layer class="SimpleFill"><Option type="Map"><Option '
        f'name="color" type="QString" value="16,{code},16,255"/></Option></layer></symbol>'
        for code in NAMES
    )
    (folder / "l.qml").write_text(
        '<qgis version="3.34"><renderer-v2 type="categorizedSymbol" attr="class">'
        f"<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2></qgis>"
    )
    return path


def points(folder: Path, kind: str) -> Path:
    """A table of points."""
    heads = {
        "lon": "id,lon,lat,class",
        "row": "id,row,col,class",
        "utm": "id;easting;northing;class",
        "wkt": "id,wkt,class",
    }
    lines = [heads[kind]]
    for i, (left, top, _, _, name) in enumerate(BOXES):
        x, y = _degrees(left + 0.5, top + 0.5) if kind == "lon" else _ground(left + 0.5, top + 0.5)
        row = {
            "lon": f"{i},{x:.7f},{y:.7f},{name}",
            "row": f"{i},{top},{left},{name}",
            "utm": f"{i};{x:.1f};{y:.1f};{name}",
            "wkt": f'{i},"POINT ({x} {y})",{name}',
        }
        lines.append(row[kind])
    path = folder / "points.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def _ring(box: tuple[int, int, int, int, str]) -> list[list[int]]:
    return [list(corner) for corner in _corners(box)]


def labelme(folder: Path) -> Path:
    """Polygons as labelme keeps them."""
    shapes = [{"label": b[-1], "points": _ring(b), "shape_type": "polygon"} for b in BOXES]
    path = folder / "l.json"
    told = {
        "version": "5.4",
        "shapes": shapes,
        "imagePath": "scene.png",
        "imageHeight": ROWS,
        "imageWidth": COLS,
    }
    path.write_text(json.dumps(told))
    return path


def coco(folder: Path) -> Path:
    """Outlines and an encoded mask as COCO keeps them."""
    category = {name: code for code, name in NAMES.items()}
    told = {
        "images": [{"id": 1, "file_name": "scene.png", "height": ROWS, "width": COLS}],
        "categories": [{"id": c, "name": n} for c, n in NAMES.items()],
        "annotations": [
            {
                "id": i,
                "image_id": 1,
                "category_id": category[b[-1]],
                "iscrowd": 0,
                "segmentation": [np.array(_ring(b)).ravel().tolist()],
            }
            for i, b in enumerate(BOXES)
        ]
        + [
            {
                "id": 9,
                "image_id": 1,
                "category_id": 3,
                "iscrowd": 1,
                "segmentation": {"size": [ROWS, COLS], "counts": [50, 20, ROWS * COLS - 70]},
            }
        ],
    }
    path = folder / "c.json"
    path.write_text(json.dumps(told))
    return path


def qupath(folder: Path) -> Path:
    """GeoJSON of a picture."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[*_ring(b), _ring(b)[0]]]},
            "properties": {
                "objectType": "annotation",
                "classification": {"name": b[-1], "color": [1, 2, 3]},
            },
        }
        for b in BOXES
    ]
    path = folder / "q.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def roi_text(folder: Path) -> Path:
    """Regions as ENVI exports them."""
    parts = [
        "; ENVI Output of ROIs (5.3) [Fri Jan  1 00:00:00 2021]",
        f"; Number of ROIs: {len(BOXES)}",
        f"; File Dimension: {COLS} x {ROWS}",
        ";",
    ]
    tables = []
    for i, (left, top, right, bottom, name) in enumerate(BOXES):
        pixels = [(c + 1, row + 1) for row in range(top, bottom) for c in range(left, right)]
        parts += [
            f"; ROI name: {name} {i}",
            "; ROI rgb value: {255, 0, 0}",
            f"; ROI npts: {len(pixels)}",
        ]
        tables.append("\n".join(f"{n + 1} {x} {y}" for n, (x, y) in enumerate(pixels)) + "\n")
    path = folder / "r.txt"
    path.write_text("\n".join([*parts, ";   ID    X    Y", *tables]))
    return path


def roi_xml(folder: Path) -> Path:
    """Regions as ENVI 5 keeps them."""
    wkt = rasterio.CRS.from_epsg(32633).to_wkt().replace('"', "&quot;")
    regions = []
    for box in BOXES:
        name, corners = box[-1], _corners(box)
        ring = " ".join(f"{x} {y}" for x, y in (_ground(*xy) for xy in (*corners, corners[0])))
        regions.append(
            f'<Region name="{name}" color="255,0,0"><GeometryDef><CoordSysStr>{wkt}</CoordSysStr>'
            f"<Polygon><Exterior><LinearRing><Coordinates>{ring}</Coordinates></LinearRing></Exterior>"
            "</Polygon></GeometryDef></Region>"
        )
    path = folder / "r.xml"
    path.write_text(
        '<?xml version="1.0"?>\n<RegionsOfInterest version="1.1">'
        + "".join(regions)
        + "</RegionsOfInterest>"
    )
    return path


def _raster(path: Path, codes: np.ndarray, **more: Any) -> Path:
    where = {"crs": "EPSG:32633", "transform": GRID}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=ROWS,
        width=COLS,
        count=1,
        dtype=codes.dtype,
        **where,
        **more,
    ) as raster:
        raster.write(codes, 1)
        raster.write_colormap(1, {1: (1, 2, 3, 255)})
    return path


LEGENDS = {
    "l.qml": '<qgis version="3.34"><pipe><rasterrenderer type="paletted" band="1"><colorPalette>'
    + "".join(
        f'<paletteEntry value="{c}" label="{n}" color="#00ff0{c}" alpha="255"/>'
        for c, n in NAMES.items()
    )
    + "</colorPalette></rasterrenderer></pipe></qgis>",
    "l.clr": "1 0 255 0 255 Oak\n2 0 128 0 255 Pine\n3 170 85 0 255 Soil\n",
    "l.csv": "code;name;colour\n1;Oak;#00ff00\n2;Pine;#008000\n3;Soil;#aa5500\n",
    "l.tif.aux.xml": '<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable '
    'tableType="thematic">'
    '<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>'
    '<FieldDefn index="1"><Name>Kind</Name><Type>2</Type><Usage>2</Usage></FieldDefn>'
    + "".join(f'<Row index="{c}"><F>{c}</F><F>{n}</F></Row>' for c, n in NAMES.items())
    + "</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>",
}


def with_legend(folder: Path, name: str) -> Path:
    """A label raster and its names beside it."""
    (folder / name).write_text(LEGENDS[name])
    return _raster(folder / "l.tif", cube()[1])


def classification(folder: Path) -> Path:
    """A class map of ENVI."""
    (folder / "l.hdr").write_text(
        f"ENVI\nsamples = {COLS}\nlines = {ROWS}\nbands = 1\nfile type = ENVI Classification\n"
        "data type = 1\ninterleave = bsq\nbyte order = 0\nclasses = 4\n"
        "class names = {Unclassified, Oak, Pine, Soil}\n"
        "class lookup = {0, 0, 0, 0, 255, 0, 0, 128, 0, 170, 85, 0}\n"
        "map info = {UTM, 1, 1, 400000, 5000000, 5, 5, 33, North, WGS-84, units=Meters}\n"
    )
    cube()[1].tofile(folder / "l.img")
    return folder / "l.img"


def matlab(folder: Path) -> Path:
    """Labels and their names of MATLAB."""
    path = folder / "gt.mat"
    names = np.array(list(NAMES.values()), object)
    scipy.io.savemat(path, {"gt": cube()[1], "class_names": names})
    return path


def codes_of_names(folder: Path) -> Path:
    """Polygons, and the codes that their names have had so far."""
    path = drawn(folder, "names.gpkg")
    (folder / "names.classes.csv").write_text("code,name,colour\n4,Oak,#00ff00\n9,Pine,#008000\n")
    return path


def labels() -> list[Case]:
    """Labels."""
    field = ("--label-field", "class")
    found = [
        Case(name, "labels", partial(drawn, name=file), _actions(*field))
        for name, file in {
            "GeoPackage": "l.gpkg",
            "Shapefile": "l.shp",
            "GeoJSON": "l.geojson",
            "FlatGeobuf": "l.fgb",
            "MapInfo": "l.tab",
            "SpatiaLite": "l.sqlite",
            "GeoJSON, a feature a line": "l.geojsonl",
        }.items()
    ]
    found += [
        Case("KML", "labels", kml, _actions("--label-field", "Name")),
        Case("Shapefile in ZIP", "labels", zipped, _actions(*field)),
        Case("GeoPackage with style", "labels", styled, _actions()),
        Case("GeoJSON with style", "labels", with_style, _actions(*field)),
        Case("codes of names", "labels", codes_of_names, _actions(*field), ("*.csv",)),
        Case("labels of MATLAB", "labels", matlab, _actions()),
        Case("ENVI classification", "labels", classification, _actions()),
    ]
    for kind in ("lon", "row", "utm", "wkt"):
        found.append(Case(f"points {kind}", "labels", partial(points, kind=kind), _actions()))
    for name, write in {
        "labelme": labelme,
        "COCO": coco,
        "QuPath": qupath,
        "ROI text": roi_text,
        "ROI XML": roi_xml,
    }.items():
        found.append(Case(name, "labels", write, _actions()))
    for name in LEGENDS:
        targets = ("*",) if name == "l.qml" else (name,)
        found.append(
            Case(f"raster, {name}", "labels", partial(with_legend, name=name), _actions(), targets)
        )
    return found


def envi_library(folder: Path) -> Path:
    """A library of ENVI."""
    values = np.stack([np.linspace(0.1, 0.9, len(NM)), np.linspace(0.9, 0.1, len(NM))])
    header = {
        "wavelength": [f"{nm:.2f}" for nm in NM],
        "wavelength units": "nm",
        "spectra names": ["Alunite", "Calcite"],
    }
    SpectralLibrary(values, header).save(str(folder / "lab"))
    return folder / "lab.sli"


def field_spectrum(folder: Path) -> Path:
    """A spectrum as Spectral Evolution's spectrometers save it."""
    path = folder / "mine.sed"
    lines = [f"{nm:.1f}\t1.2E-1\t3.4E-2\t{20 + i}.5" for i, nm in enumerate(NM)]
    path.write_text(
        "Version: 2.2\nColumns [4]:\nData:\nWvl\tRad. (Ref.)\tRad. (Target)\tReflect. %\n"
        + "\n".join(lines)
    )
    return path


def csv_library(folder: Path) -> Path:
    """A library as a table, of micrometres, with decimal commas."""
    lines = ["wavelength_um;alunite_1;alunite_2"]
    lines += [f"{nm / 1000:.4f};0,{50 + i};0,{90 - i}".replace(".", ",") for i, nm in enumerate(NM)]
    path = folder / "mine.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def ecostress(folder: Path) -> Path:
    """A database of spectra as `spectral` keeps them."""
    from spectral.database import EcostressDatabase

    head = (
        "Name: Alunite\nType: mineral\nClass: sulfate\nSubclass: none\nParticle Size: fine\n"
        "Sample No.: S-1\nOwner: nobody\nWavelength Range: All\nOrigin: here\nCollected by: us\n"
        "Description: made\nGeologic age: none\nMeasurement: Reflectance\nFirst Column: X\n"
        "Second Column: Y\nX Units: Wavelength (micrometers)\nY Units: Reflectance (percent)\n"
        "First X Value: 2.5\nLast X Value: 0.4\nNumber of X Values: 40\n"
        "Additional Information: none\n\n"
    )
    rows = "\n".join(f"{x:.4f}\t{50 + x:.3f}" for x in np.linspace(2.5, 0.4, 40))
    text = folder / "mineral.sulfate.none.S-1.jpl.perkin.spectrum.txt"
    text.write_text(head + rows + "\n")
    path = folder / "ecostress.db"
    logging.getLogger("spectral").setLevel(logging.WARNING)
    made = EcostressDatabase.create(str(path), str(folder))
    made.db.close()
    text.unlink()
    return path


def wavelengths(folder: Path) -> Path:
    """A table of wavelengths that a user gives with a scene."""
    path = folder / "bands.csv"
    path.write_text("wavelength_nm,fwhm,bbl\n" + "".join(f"{nm:.2f},9.5,1\n" for nm in NM))
    return path


def bare_wavelengths(folder: Path) -> Path:
    """The same without names, between tabs."""
    path = folder / "response.txt"
    path.write_text("".join(f"{nm:.2f}\t9.5\n" for nm in NM))
    return path


def libraries() -> list[Case]:
    """Libraries, and tables of wavelengths."""
    named = ("match", "given/library.csv", "--library", "@", "--json")
    actions = (
        INFO,
        named,
        INFO_WORDS,
        ("match", "@", "--library", "given/library.csv", "-o", "out/m.csv"),
    )
    read = ("mask", "given/bare.tif", "--wavelengths", "@", "-o", "out/mask.tif", "-q")
    prepare = (
        "prepare",
        "given/bare.tif",
        "--labels",
        "given/labels.tif",
        "--wavelengths",
        "@",
        "-o",
        "out/d.h5",
        "-q",
    )
    return [
        Case("ENVI library", "libraries", envi_library, actions),
        Case("CSV library", "libraries", csv_library, actions),
        Case("field spectrometer", "libraries", field_spectrum, actions),
        Case("ECOSTRESS", "libraries", ecostress, actions),
        Case("wavelengths", "libraries", wavelengths, (read, prepare)),
        Case("wavelengths without names", "libraries", bare_wavelengths, (read, prepare)),
    ]
