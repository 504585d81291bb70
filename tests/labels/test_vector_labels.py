"""Labels drawn as polygons: whose pixels they are, and what is said of those that have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import rasterio.features
import shapely
from hearing import Hears
from rasterio.warp import transform

from hsi_ssl.errors import LabelError, VectorError
from hsi_ssl.labels.class_fields import class_field
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.labels.vectors import layer_facts
from hsi_ssl.watcher import Watcher

Write = Callable[..., Any]
Planes = tuple[npt.NDArray[np.uint16], npt.NDArray[np.int32]]
ROWS, COLS = 20, 24


class Draw:
    """Draws shapes, given in pixel coordinates, over a cube, and takes labels from them."""

    def __init__(self, folder: Path, write_layer: Write, write_cube: Write, on_ground: Write):
        self.folder, self._write_layer, self._on_ground = folder, write_layer, on_ground
        self.cube = write_cube(folder / "cube.tif", ROWS, COLS)

    def layer(
        self, shapes: list[Any], fields: dict[str, Any] | None = None, name: str = "x.gpkg"
    ) -> Path:
        path: Path = self._write_layer(
            self.folder / name, [s if s is None else self._on_ground(s) for s in shapes], fields
        )
        return path

    def open(self, *layers: Path, watcher: Watcher | None = None, **rules: Any) -> Sources:
        return resolve(
            [str(self.cube)],
            labels=layers,
            rules=LabelRules(**rules),
            watcher=watcher or Watcher(),
        )

    def planes(self, *layers: Path, watcher: Watcher | None = None, **rules: Any) -> Planes:
        with self.open(*layers, watcher=watcher, **rules) as sources:
            (one,) = sources.scenes
            assert one.labels is not None
            assert one.polygons is not None
            assert ((one.labels > 0) == (one.polygons >= 0)).all()
            return one.labels, one.polygons


@pytest.fixture
def draw(tmp_path: Path, write_layer: Write, write_cube: Write, on_ground: Write) -> Draw:
    return Draw(tmp_path, write_layer, write_cube, on_ground)


# ---------------------------------------------------------------------------- pixels


def test_polygons_lines_and_points_label_their_pixels(draw: Draw) -> None:
    shapes = [
        shapely.box(2, 3, 6.4, 5.6),
        shapely.LineString([(8.5, 8.5), (12.5, 8.5)]),
        shapely.Point(20.9, 0.1),
    ]
    codes, polygons = draw.planes(draw.layer(shapes, {"class": [7, 300, 7]}))
    expected = np.zeros((ROWS, COLS), int)
    expected[3:6, 2:6], expected[8, 8:13], expected[0, 20] = 7, 300, 7
    assert (codes == expected).all()
    assert len(set(polygons[codes > 0])) == 3
    for code, number in ((expected == 300, 5), (expected == 7, 13)):
        assert np.count_nonzero(code) == number


@pytest.mark.parametrize(("least", "n"), [(0.0, 16), (0.2, 25), (0.5, 16), (0.9, 16)])
def test_min_coverage_is_the_share_of_the_pixel(draw: Draw, least: float, n: int) -> None:
    layer = draw.layer([shapely.box(4, 4, 8.3, 8.45)], {"class": [1]})
    codes, _ = draw.planes(layer, min_coverage=least)
    # A right column covered by 0.3, a lower row by 0.45, the corner by 0.135.
    assert np.count_nonzero(codes) == (24 if least == 0.2 else n)


def test_pixels_that_two_classes_claim_are_unlabelled_and_told_by_id(draw: Draw) -> None:
    shapes = [shapely.box(2, 2, 8, 8), shapely.box(6, 6, 12, 12), shapely.box(7, 2, 9, 3)]
    hears = Hears()
    layer = draw.layer(shapes, {"class": ["tree", "roof", "road"]})
    codes, polygons = draw.planes(layer, watcher=hears)
    assert (codes[6:8, 6:8] == 0).all()
    assert (polygons[6:8, 6:8] == -1).all()
    assert codes[2, 7] == 0
    assert np.count_nonzero(codes) == 36 + 36 + 2 - 2 * 4 - 2 * 1
    (told,) = hears.warned
    assert told.endswith(
        "features 1 (tree) and 2 (roof) (4 pixels); 1 (tree) and 3 (road) (1 pixels)"
    )


def test_polygons_of_one_class_that_overlap_are_one(draw: Draw) -> None:
    shapes = [
        shapely.box(0, 0, 4, 4), shapely.box(3, 3, 7, 7), shapely.box(6, 6, 9, 9),
        shapely.box(12, 12, 15, 15), shapely.box(15, 12, 18, 15), shapely.box(12, 12, 15, 15),
    ]  # fmt: skip
    codes, polygons = draw.planes(draw.layer(shapes, {"class": [1] * 6}))
    one, two, beside = polygons[0, 0], polygons[13, 13], polygons[13, 16]
    assert set(polygons[:9, :9][codes[:9, :9] > 0]) == {one}
    assert len({one, two, beside}) == 3
    assert (polygons == two).sum() == 9


def test_the_raster_of_polygons_is_the_one_they_come_from(draw: Draw) -> None:
    plane = np.kron(np.random.default_rng(3).integers(0, 4, (5, 6)), np.ones((4, 4), int))
    made = [
        (shapely.geometry.shape(shape), int(code))
        for shape, code in rasterio.features.shapes(plane.astype(np.uint8), plane > 0)
    ]
    layer = draw.layer([s for s, _ in made], {"class": [c for _, c in made]})
    for least in (0, 0.5, 1):
        codes, _ = draw.planes(layer, min_coverage=least)
        assert (codes == plane).all()


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326"])
def test_the_raster_of_polygons_of_potsdam(
    crs: str, real_data: Callable[[str], Path], tmp_path: Path, write_layer: Write
) -> None:
    with rasterio.open(real_data("enmap-potsdam/labels.tif")) as file:
        plane, grid, own = file.read(1), file.transform, file.crs.to_string()
    plane[plane == 255] = 0
    made = [
        (shapely.geometry.shape(shape), int(code))
        for shape, code in rasterio.features.shapes(plane, plane > 0, transform=grid)
    ]
    shapes = np.array([shape for shape, _ in made], object)
    if crs != own:
        shapes = shapely.transform(shapes, lambda xy: np.stack(transform(own, crs, *xy.T), axis=1))
    layer = write_layer(tmp_path / "x.gpkg", shapes, {"class": [c for _, c in made]}, crs=crs)
    cube = real_data("enmap-potsdam/scene.tif")
    for least in (0.0, 0.5, 1.0):
        with resolve([str(cube)], labels=[layer], rules=LabelRules(None, least)) as sources:
            assert sources.scenes[0].labels is not None
            # All polygons keep to the pixels' edges, and come back to a millionth of one.
            assert (sources.scenes[0].labels == plane).all()


def test_points_that_qgis_saved(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    cube = str(real_data("enmap-potsdam/scene.tif"))
    points = real_data("enmap-potsdam/points.gpkg")  # with a table of styles beside the layer
    hears = Hears()
    rules = LabelRules("level_2", classes=tmp_path / "classes.csv")
    with resolve([cube], labels=[points], rules=rules, watcher=hears) as sources:
        names = sources.label_set.names
        assert sources.scenes[0].labels is not None
        labels = sources.scenes[0].labels
    assert names == ("impervious", "low vegetation", "soil", "tree", "water")
    assert np.bincount(labels.ravel())[1:].tolist() == [20, 15, 21, 14, 5]
    assert (
        "45 of 120 feature(s) outside the scenes, which label nothing: 1, 3, 10" in hears.warned[0]
    )
    with pytest.raises(LabelError, match=r"it has level_1 \(text\), level_2 \(text\)"):
        resolve([cube], labels=[points])


# ---------------------------------------------------------------------------- what is said


def test_features_outside_too_small_and_without_class_are_told(draw: Draw) -> None:
    shapes = [
        shapely.box(2, 2, 5, 5), shapely.box(-9, 2, -5, 5), shapely.box(3.6, 7.6, 4.4, 8.4),
        shapely.box(9, 9, 12, 12), None,
    ]  # fmt: skip
    hears = Hears()
    layer = draw.layer(shapes, {"class": [1, 2, 3, None, 4]})
    codes, _ = draw.planes(layer, watcher=hears)
    assert set(codes.ravel()) == {0, 1}
    geometry, without, outside, small = hears.warned
    assert geometry.endswith("left out: 5")
    assert without.endswith("(NULL), taken as unlabelled: 4")
    assert outside.endswith("1 of 4 feature(s) outside the scenes, which label nothing: 2")
    assert "too small to cover 50 % of a pixel" in small
    assert small.endswith("label nothing: 3")


@pytest.mark.parametrize(
    ("shapes", "classes", "message"),
    [
        ([shapely.box(90, 2, 95, 5)], [1], r"not one feature of .*x\.gpkg lies on .*EPSG:32633"),
        ([shapely.box(3.6, 7.6, 4.4, 8.4)], [1], "too small: none covers 50 % of a pixel"),
        ([shapely.box(2, 2, 5, 5)], ["nodata"], "has a class: field class holds nothing"),
        ([shapely.box(2, 2, 5, 5)] * 2, [1, 2], r"features 1 \(1\) and 2 \(2\) \(9 pixels\)"),
        ([shapely.box(2, 2, 5, 5)], [-3], "feature 1 has class -3"),
    ],
)
def test_labels_that_label_nothing_are_refused(
    draw: Draw, shapes: list[Any], classes: list[Any], message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        draw.planes(draw.layer(shapes, {"class": classes}))


# ---------------------------------------------------------------------------- fields and classes


@pytest.mark.parametrize(
    ("fields", "asked", "taken"),
    [
        ({"kind": ["a"]}, None, "kind"),
        ({"id": [3], "kind": ["a"], "area": [0.5]}, None, "kind"),
        ({"id": [3]}, None, "id"),
        ({"kind": ["a"], "Class": [2], "n": [4]}, None, "Class"),
        ({"kind": ["a"], "n": [4]}, "N", "n"),
        ({"area": [2.0]}, None, "area"),
    ],
)
def test_the_field_that_may_name_the_class_is_taken(
    draw: Draw, fields: dict[str, Any], asked: str | None, taken: str
) -> None:
    hears = Hears()
    facts = layer_facts(draw.layer([shapely.box(2, 2, 5, 5)], fields))
    assert class_field(facts, asked, hears) == taken
    assert bool(hears.said) == (asked is None)


def test_fields_that_are_there_are_listed(draw: Draw) -> None:
    box = [shapely.box(2, 2, 5, 5)]
    several = layer_facts(draw.layer(box, {"kind": ["a"], "n": [4], "area": [0.5]}))
    there = r"it has kind \(text\), n \(whole numbers\), area \(numbers\)"
    with pytest.raises(LabelError, match=f"one field .*; {there}: name it with --label-field"):
        class_field(several, None)
    with pytest.raises(LabelError, match=f"no field roof; {there}"):
        class_field(several, "roof")
    with pytest.raises(LabelError, match="has no fields; expected one"):
        class_field(layer_facts(draw.layer(box, {}, "none.gpkg")), None)


def test_of_several_fields_values_tell_which_names_the_class(draw: Draw, hears: Hears) -> None:
    boxes = [shapely.box(i, 0, i + 2, 2) for i in (0, 4, 8)]
    fields: dict[str, list[Any]] = {
        "kind": ["tree", "roof", "tree"], "note": [None, None, None], "year": [2024] * 3,
    }  # fmt: skip
    layer = draw.layer(boxes, fields)
    assert class_field(layer_facts(layer), None, hears) == "kind"
    (said,) = hears.said
    assert said.endswith(
        "the field kind names the class: of kind, note, year only its values may, 2 to 200 that do "
        "not just count"
    )
    # What is missing is no value, and numbers that are all different count features.
    odd = draw.layer(
        boxes, {"tree": [1, 2, 3], "year": [2024, 2024, None], "note": ["a", "b", "a"]}, "odd.gpkg"
    )
    assert class_field(layer_facts(odd), None) == "note"
    # Beside other layers one may well hold one class alone.
    with pytest.raises(LabelError, match="expected one field that may name the class"):
        class_field(layer_facts(layer), None, alone=False)
    both = draw.layer(boxes, {**fields, "year": [2024, 2024, 2025]}, "both.gpkg")
    with pytest.raises(LabelError, match="expected one field that may name the class"):
        class_field(layer_facts(both), None)


def test_codes_of_names_are_remembered_beside_the_layer(draw: Draw) -> None:
    boxes = [shapely.box(i, 0, i + 2, 2) for i in (0, 4, 8)]
    place = draw.folder / "x.classes.csv"
    with draw.open(draw.layer(boxes[:2], {"class": ["tree", "roof"]})) as sources:
        assert not place.exists()  # whoever makes something of the labels saves them
        assert sources.class_file is not None
        assert sources.class_file.path == place
        sources.class_file.save()
        assert sources.label_set.names == ("roof", "tree")
    layer = draw.layer(boxes, {"class": ["bush", "tree", "roof"]}, "y.gpkg")
    codes, _ = draw.planes(layer, classes=place)
    assert codes[0, [0, 4, 8]].tolist() == [3, 2, 1]
    fresh, _ = draw.planes(layer)
    assert fresh[0, [0, 4, 8]].tolist() == [1, 3, 2]


def test_a_table_names_numbers(draw: Draw) -> None:
    layer = draw.layer([shapely.box(0, 0, 2, 2), shapely.box(4, 4, 6, 6)], {"class": [12, 5]})
    (draw.folder / "x.classes.csv").write_text("code,name,colour\n5,peat,#112233\n12,sand,\n")
    with draw.open(layer) as sources:
        assert sources.class_file is None
        assert sources.label_set.names == ("peat", "sand")
        assert sources.label_set.colours[0] == "#112233"


# ---------------------------------------------------------------------------- scenes and files


def test_one_layer_serves_many_scenes_and_old_and_new_go_together(
    tmp_path: Path, write_layer: Write, write_cube: Write, on_ground: Write
) -> None:
    cubes = [
        write_cube(tmp_path / f"{name}.tif", transform=rasterio.Affine(30, 0, x, 0, -30, 5_810_000))
        for name, x in (("a", 365_000), ("b", 365_000 + 24 * 30))
    ]
    old = write_layer(
        tmp_path / "old.gpkg",
        [on_ground(shapely.box(20, 3, 28, 6)), on_ground(shapely.box(2, 2, 4, 4))],
        {"class": ["tree", "roof"]},
    )
    new = write_layer(
        tmp_path / "new.gpkg",
        [on_ground(shapely.box(40, 3, 42, 6)), on_ground(shapely.box(99, 3, 101, 6))],
        {"class": ["roof", "tree"]},
    )
    hears = Hears()
    with resolve([*map(str, cubes)], labels=[old, new], watcher=hears) as sources:
        a, b = sources.scenes
        assert a.labels is not None
        assert b.labels is not None
        assert a.polygons is not None
        assert b.polygons is not None
        assert (a.labels[3:6, 20:] == 2).all()
        assert (b.labels[3:6, :4] == 2).all()
        assert a.polygons[3, 20] == b.polygons[3, 0]  # one polygon on two scenes
        assert (b.labels[3:6, 16:18] == 1).all()
        assert len({a.polygons[2, 2], b.polygons[3, 16], b.polygons[3, 0]}) == 3
    assert [told for told in hears.warned if "outside" in told] == [
        f"{new}: 1 of 2 feature(s) outside the scenes, which label nothing: 2"
    ]


def test_layers_go_to_the_scene_whose_name_they_bear(
    tmp_path: Path, write_layer: Write, write_cube: Write
) -> None:
    cubes = [write_cube(tmp_path / f"{n}.tif", crs=None, transform=None) for n in ("a", "b", "c")]
    box = [shapely.box(2, -5, 4, -3)]
    layers = [
        write_layer(tmp_path / name, box, {"class": [code]}, crs=None)
        for name, code in (("B_labels.gpkg", 2), ("a.gpkg", 1))
    ]
    with resolve([*map(str, cubes)], labels=layers) as sources:
        assert [int(s.labels.max()) for s in sources.scenes if s.labels is not None] == [1, 2, 0]
        found = [s.labels_paths for s in sources.scenes]
        assert found == [(layers[1],), (layers[0],), ()]
    other = write_layer(tmp_path / "other.gpkg", box, {"class": [5]}, crs=None)
    with pytest.raises(
        LabelError, match=r"nothing tells which of 3 scenes .*other\.gpkg is for: .*\(a_labels"
    ):
        resolve([*map(str, cubes)], labels=[other])
    third = [write_layer(tmp_path / f"{i}.gpkg", box, {"class": [i]}, crs=None) for i in (7, 8, 9)]
    with resolve([str(cubes[i]) for i in (2, 0, 1)], labels=third) as sources:  # in this order
        assert [int(s.labels.max()) for s in sources.scenes if s.labels is not None] == [8, 9, 7]


def test_rasters_and_layers_do_not_mix(draw: Draw) -> None:
    layer = draw.layer([shapely.box(2, 2, 5, 5)])
    with pytest.raises(LabelError, match="found both"):
        draw.open(layer, draw.cube)
    with pytest.raises(LabelError, match="--label-field is for labels drawn"):
        draw.open(field="class")
    with pytest.raises(VectorError, match="no layer roofs"):
        draw.open(Path(f"{layer}:roofs"))


def test_layers_beside_scenes_are_found_by_name(
    tmp_path: Path, write_layer: Write, write_cube: Write, on_ground: Write
) -> None:
    for name in ("s1", "s10"):
        write_cube(tmp_path / f"{name}.tif")
    box = [on_ground(shapely.box(2, 2, 5, 5))]
    layer = write_layer(tmp_path / "s1_labels.gpkg", box, {"kind": ["tree"]})
    write_layer(tmp_path / "s1.gpkg", box)  # something else
    hears = Hears()
    with resolve([str(tmp_path)], watcher=hears) as sources:
        one, ten = sources.scenes
        assert one.labels is not None
        assert np.count_nonzero(one.labels) == 9
        assert one.labels_paths == (layer,)
        assert ten.labels is not None
        assert not ten.labels.any()
        assert sources.label_set.names == ("tree",)
    with resolve([str(tmp_path / "s1.tif")], rules=LabelRules("kind", 1)) as sources:
        assert sources.class_file is not None
    write_cube(tmp_path / "s10_labels.tif", bands=1)
    with pytest.raises(LabelError, match=r"found both: .*s1_labels\.gpkg .*s10\.tif"):
        resolve([str(tmp_path)])
    write_cube(tmp_path / "s1_labels.tif", bands=1)
    with resolve([str(tmp_path)]) as sources:  # rasters as ever
        assert all(source.polygons is None for source in sources.scenes)
