"""One layer, or one file, a class: what each is called is the class of all its features."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform

from hsi_ssl.errors import LabelError, VectorError
from hsi_ssl.labels.class_codes import read_classes
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.labels.sources import resolve

Write = Callable[..., Any]
ROWS, COLS = 20, 24
PLACES = {"quartz": [(1, 1), (1, 10)], "calcite": [(8, 1)], "white mica": [(8, 10), (14, 3)]}
"""Corners, row and column, of squares of 4 x 4 pixels of each class."""
NOWHERE: dict[str, Any] = {"crs": None, "transform": None}


@pytest.fixture
def squares(on_ground: Write) -> dict[str, list[Any]]:
    """Polygons of each class on the ground."""
    return {
        name: [on_ground(shapely.box(c, r, c + 4, r + 4)) for r, c in corners]
        for name, corners in PLACES.items()
    }


@pytest.fixture
def cube(tmp_path: Path, write_cube: Write) -> Path:
    path: Path = write_cube(tmp_path / "cube.tif", ROWS, COLS)
    return path


def named(cube: Path, *labels: Path, hears: Any = None, **rules: Any) -> Any:
    """Names `(rows, cols)` of the classes of a scene's pixels, empty where there is none."""
    rules = {"field": "@layer", **rules}
    more = {} if hears is None else {"watcher": hears}
    with resolve([str(cube)], labels=labels, rules=LabelRules(**rules), **more) as sources:
        name_of = {c.code: c.name for c in sources.label_set.classes} | {0: ""}
        if sources.class_file is not None:
            sources.class_file.save()
        plane = sources.scenes[0].labels
        assert plane is not None
        return np.array([[name_of[code] for code in line] for line in plane.tolist()], object)


def expected(places: Mapping[str, Any] = PLACES) -> Any:
    plane = np.full((ROWS, COLS), "", object)
    for name, corners in places.items():
        for r, c in corners:
            plane[r : r + 4, c : c + 4] = name
    return plane


def remembered(path: Path) -> list[tuple[int, str]]:
    return [(c.code, c.name) for c in read_classes(path).classes]


def degrees(geometry: Any) -> Any:
    def back(xy: Any) -> Any:
        return np.stack(transform("EPSG:32633", "EPSG:4326", xy[:, 0], xy[:, 1]), axis=1)

    return shapely.transform(geometry, back)


def kml(folders: Mapping[str, list[Any]], path: Path) -> Path:
    """Write a KML as Google Earth does, with a folder a class in a folder of all."""

    def placemark(geometry: Any) -> str:
        ring = " ".join(f"{x:.9f},{y:.9f},0" for x, y in degrees(geometry).exterior.coords)
        return (
            "<Placemark><name>Untitled Polygon</name><Polygon><outerBoundaryIs><LinearRing>"
            f"<coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark>"
        )

    inside = "".join(
        f"<Folder><name>{name}</name>{''.join(map(placemark, some))}</Folder>"
        for name, some in folders.items()
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2">'
        f"<Document><name>{path.name}</name><Folder><name>all</name>{inside}</Folder></Document>"
        "</kml>"
    )
    return path


@pytest.mark.parametrize("suffix", [".shp", ".geojson", ".gpkg", ".fgb"])
@pytest.mark.parametrize("way", ["folder", "files", "pattern"])
def test_one_file_a_class(
    suffix: str, way: str, cube: Path, squares: dict[str, list[Any]], write_layer: Write
) -> None:
    folder = cube.parent / "labels"
    folder.mkdir()
    for name, some in squares.items():
        write_layer(folder / f"{name}{suffix}", some, kind="Polygon")
    files = sorted(folder.glob(f"*{suffix}"))
    labels = {"folder": [folder], "files": files, "pattern": [folder / "*"]}[way]
    assert (named(cube, *labels) == expected()).all()
    remembers = folder / "layers.classes.csv"
    assert remembered(remembers) == [(1, "calcite"), (2, "quartz"), (3, "white mica")]
    write_layer(folder / f"albite{suffix}", squares["calcite"], kind="Polygon")
    for path in folder.glob("calcite.*"):
        path.unlink()
    places: dict[str, Any] = {**PLACES, "albite": PLACES["calcite"], "calcite": []}
    if way == "folder":  # one class comes, one goes: no code changes
        assert (named(cube, folder) == expected(places)).all()
        assert remembered(remembers)[1:] == [(2, "quartz"), (3, "white mica"), (4, "albite")]


def test_the_files_name_counts_not_what_the_file_says_of_itself(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write
) -> None:
    paths = []
    for name, some in squares.items():
        path = write_layer(cube.parent / f"{name}.geojson", some)
        path.write_text(json.dumps({**json.loads(path.read_text()), "name": "export"}))
        paths.append(path)
    assert (named(cube, *paths) == expected()).all()


def test_a_geopackage_with_one_layer_a_class(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write, hears: Any
) -> None:
    path = cube.parent / "minerals.gpkg"
    for i, (name, some) in enumerate(squares.items()):
        write_layer(path, some, layer=name, append=i > 0)
    write_layer(path, [], {"class": np.empty(0, int)}, layer="empty", append=True)
    assert (named(cube, path, hears=hears) == expected()).all()
    assert "names of layers are the classes: quartz, calcite, white mica" in hears.said
    assert path.with_suffix(".classes.csv").exists()
    with pytest.raises(VectorError, match=r"several layers: .* or, .* --label-field @layer$"):
        named(cube, path, field=None)
    chosen = [Path(f"{path}:quartz"), Path(f"{path}|layername=white mica")]
    two = {name: PLACES[name] for name in ("quartz", "white mica")}
    assert (named(cube, *chosen) == expected(two)).all()


def test_layers_names_may_have_colons_and_slashes(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write
) -> None:
    path = cube.parent / "x.gpkg"
    write_layer(path, squares["quartz"], layer="SiO2: a/b")
    write_layer(path, squares["calcite"], layer="calcite", append=True)
    places = {"SiO2: a/b": PLACES["quartz"], "calcite": PLACES["calcite"]}
    assert (named(cube, path) == expected(places)).all()


def test_layers_beside_a_scene_are_taken_unasked(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write
) -> None:
    path = cube.parent / "cube_labels.gpkg"
    for i, (name, some) in enumerate(squares.items()):
        write_layer(path, some, layer=name, append=i > 0)
    assert (named(cube) == expected()).all()


def test_a_kml_with_one_folder_a_class(cube: Path, squares: dict[str, list[Any]]) -> None:
    assert (named(cube, kml(squares, cube.parent / "minerals.kml")) == expected()).all()


def test_folders_of_one_name_are_one_class(cube: Path, squares: dict[str, list[Any]]) -> None:
    path = kml(squares, cube.parent / "minerals.kml")
    path.write_text(path.read_text().replace("white mica", "quartz"))
    places = {"quartz": [*PLACES["quartz"], *PLACES["white mica"]], "calcite": PLACES["calcite"]}
    assert (named(cube, path) == expected(places)).all()


def test_a_document_of_google_earth_is_called_without_its_suffix(
    cube: Path, squares: dict[str, list[Any]]
) -> None:
    paths = []
    for name in ("quartz", "calcite"):
        path = kml({"f": squares[name]}, cube.parent / f"{name}.kml")
        text = path.read_text().replace("<Folder><name>all</name>", "").replace("</Folder>", "", 1)
        path.write_text(text.replace("<Folder><name>f</name>", "").replace("</Folder>", ""))
        paths.append(path)
    two = {name: PLACES[name] for name in ("quartz", "calcite")}
    assert (named(cube, *paths) == expected(two)).all()


def test_a_zip_with_one_shapefile_a_class(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write
) -> None:
    made = cube.parent / "made"
    made.mkdir()
    with zipfile.ZipFile(cube.parent / "labels.zip", "w") as archive:
        for name, some in squares.items():
            for i, square in enumerate(some):  # in two folders: which one tells no class
                write_layer(made / f"{name}.shp", [square], kind="Polygon")
                for suffix in (".shp", ".prj"):
                    archive.write(made / f"{name}{suffix}", f"field {i}/{name}{suffix}")
    assert (named(cube, cube.parent / "labels.zip") == expected()).all()


def test_shapes_alone_are_enough(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write
) -> None:
    folder = cube.parent / "labels"
    folder.mkdir()
    for name, some in squares.items():
        path = write_layer(folder / f"{name}.shp", some, kind="Polygon")
        for suffix in (".dbf", ".shx", ".cpg"):
            path.with_suffix(suffix).unlink()
    assert (named(cube, folder) == expected()).all()
    with pytest.raises(LabelError, match=r"no calcite\.dbf, .*--label-field @layer"):
        named(cube, folder, field=None)
    (folder / "quartz.prj").unlink()
    with pytest.raises(VectorError, match=r"quartz\.shp has no CRS, as there is no quartz\.prj"):
        named(cube, folder)


def test_names_that_are_numbers_are_codes_and_those_of_nothing_no_class(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write, hears: Any
) -> None:
    paths = [
        write_layer(cube.parent / f"{name}.gpkg", some)
        for name, some in zip(("7", "300", "unlabelled"), squares.values(), strict=True)
    ]
    rules = LabelRules("@layer")
    with resolve([str(cube)], labels=paths[:2], rules=rules) as sources:
        assert sources.scenes[0].labels is not None
        assert set(np.unique(sources.scenes[0].labels)) == {0, 7, 300}
    with resolve([str(cube)], labels=paths, rules=rules, watcher=hears):
        pass
    assert "2 feature(s) without a class ('unlabelled')" in hears.all
    with pytest.raises(LabelError, match=r"unlabelled\.gpkg has a class: its name stands for none"):
        named(cube, paths[2])


def test_files_whose_layers_are_called_alike_are_refused(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write
) -> None:
    paths = [
        write_layer(cube.parent / f"{name}.gpkg", some, layer="template")
        for name, some in squares.items()
    ]
    with pytest.raises(LabelError, match="all 3 are called template; call each after its class"):
        named(cube, *paths)


def test_files_that_are_classes_are_not_one_a_scene(
    tmp_path: Path, write_cube: Write, write_layer: Write
) -> None:
    cubes = [write_cube(tmp_path / f"s{i}.tif", ROWS, COLS, **NOWHERE) for i in range(2)]
    paths = [
        write_layer(tmp_path / f"{name}.gpkg", [shapely.box(1, -5, 5, -1)], crs=None)
        for name in ("quartz", "calcite")
    ]
    with (
        pytest.raises(LabelError, match="nothing tells which of 2 scenes"),
        resolve([*map(str, cubes)], labels=paths, rules=LabelRules("@layer")),
    ):
        pass
    moved = write_layer(tmp_path / "calcite.gpkg", [shapely.box(1, -15, 5, -11)], crs=None)
    found = named(cubes[0], paths[0], moved)
    assert set(np.unique(found.astype(str))) == {"", "quartz", "calcite"}


def test_one_file_a_class_serves_all_scenes_that_it_lies_on(
    cube: Path, squares: dict[str, list[Any]], write_layer: Write, write_cube: Write
) -> None:
    with rasterio.open(cube) as raster:
        beside = raster.transform @ rasterio.Affine.translation(0, 6)
    other = write_cube(cube.parent / "other.tif", ROWS, COLS, transform=beside)
    paths = [write_layer(cube.parent / f"{n}.shp", s, kind="Polygon") for n, s in squares.items()]
    rules = LabelRules("@layer")
    with resolve([str(cube), str(other)], labels=paths, rules=rules) as sources:
        first, second = (one.labels for one in sources.scenes)
        assert first is not None
        assert second is not None
        assert (first[6:] == second[:-6]).all()
        assert (first > 0).any()
        assert (second > 0).any()
