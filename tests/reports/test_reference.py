"""Maps against a reference: points, polygons, rasters; names, numbers, what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from rasterio.transform import Affine
from typed import next_steps

from hsi_ssl.errors import HsiSslError, LabelError, OutputError, SettingsError
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.reports import reference_parts
from hsi_ssl.reports.areas import Z
from hsi_ssl.reports.reference import judge_maps, reference_words
from hsi_ssl.reports.reference_page import (
    reference_folder,
    reference_json,
    write_reference_report,
)

Write = Callable[..., Path]
Codes = npt.NDArray[Any]
GRID = Affine(10, 0, 300_000, 0, -10, 5_000_000)
UTM = "EPSG:32632"
FOREST = {1: "Forest", 2: "Water", 3: "Bare_soil"}
MAP = np.repeat(np.array([1, 2, 3], np.uint8), 10)[None].repeat(20, 0)
"""Stripes of ten columns, 20 rows."""

MAPPED = (200_000, 150_000, 3_200_000, 6_450_000)
SAMPLE = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Of Olofsson et al. (2014), table 8: rows are mapped classes."""
CHANGES = ("deforestation", "forest gain", "stable forest", "stable non-forest")


def at(*places: tuple[float, float]) -> list[Any]:
    """Points in the middle of pixels (row, column)."""
    return [shapely.Point(*(GRID @ (c + 0.5, r + 0.5))) for r, c in places]


def box(row: int, col: int, high: int, wide: int) -> Any:
    (left, top), (right, bottom) = GRID @ (col, row), GRID @ (col + wide, row + high)
    return shapely.box(left, bottom, right, top)


@pytest.fixture
def points(write_layer: Write, tmp_path: Path) -> Write:
    def write(name: str, places: Sequence[Any], classes: Sequence[Any]) -> Path:
        return write_layer(tmp_path / name, places, {"class": list(classes)}, crs=UTM)

    return write


def test_the_worked_example_of_the_paper(write_map: Write, points: Write, tmp_path: Path) -> None:
    codes = np.repeat(np.arange(1, 5, dtype=np.uint8), MAPPED).reshape(2500, 4000)
    names = {i + 1: name.capitalize() for i, name in enumerate(CHANGES)}
    grid = Affine(30, 0, 300_000, 0, -30, 5_000_000)
    path = write_map("m.tif", codes, names, transform=grid, compress="deflate")
    rng = np.random.default_rng(0)
    places, classes = [], []
    for i, row in enumerate(SAMPLE):
        flat = rng.choice(MAPPED[i], row.sum(), replace=False) + sum(MAPPED[:i])
        places += [shapely.Point(*(grid @ (f % 4000 + 0.5, f // 4000 + 0.5))) for f in flat]
        classes += np.repeat(CHANGES, row).tolist()
    (found,) = judge_maps([path], points("p.gpkg", places, classes))
    assert found.scores.confusion.tolist() == SAMPLE.T.tolist()
    answer = reference_json(found, tmp_path / "p.gpkg")
    assert answer["n"] == 640
    assert answer["oa"] == pytest.approx(587 / 640)
    assert answer["intervals"]["unit"] == "pixel"
    area = answer["areas"][0]
    assert area["oa"] == pytest.approx(0.95, abs=0.005)
    assert Z * area["oa_standard_error"] == pytest.approx(0.02, abs=0.005)
    first = area["classes"][0]
    assert (first["code"], area["unit"]) == (1, "ha")
    assert first["mapped"] == pytest.approx(18_000)
    assert first["estimated"] == pytest.approx(21_158, abs=1)
    assert Z * first["standard_error"] == pytest.approx(6158, abs=2)
    users = [c["users_accuracy"] for c in answer["classes"]]
    np.testing.assert_allclose(users, [0.88, 0.73, 0.93, 0.96], atol=0.005)
    producers = [c["producers_accuracy"] for c in area["classes"]]
    np.testing.assert_allclose(producers, [0.75, 0.85, 0.93, 0.96], atol=0.006)
    assert not answer["warnings"]


def test_points_in_one_pixel(write_map: Write, points: Write, hears: Any) -> None:
    places = at((0, 0), (0, 0.2), (5, 12), (5, 12.3), (8, 25), (9, 3))
    layer = points("p.gpkg", places, ["forest", "FOREST", "water", "forest", "bare soil", "water"])
    (found,) = judge_maps([write_map("m.tif", MAP, FOREST)], layer, watcher=hears)
    # (0, 0): two spellings of one class that disagree as texts; (5, 12) is disputed.
    assert found.n == 2
    assert found.scores.confusion.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert "pixels that two classes claim are left unlabelled" in hears.all


def test_numbers_are_the_maps_codes(write_map: Write, points: Write) -> None:
    layer = points("p.gpkg", at((0, 0), (1, 12), (2, 25), (3, 26)), [1, 2, 3, 1])
    (found,) = judge_maps([write_map("m.tif", MAP, FOREST)], layer)
    assert found.scores.confusion.tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert found.label_set.names == ("Forest", "Water", "Bare_soil")
    other = points("q.gpkg", at((0, 0), (1, 12)), [1, 9])
    with pytest.raises(
        LabelError, match=r"q\.gpkg has classes that .*m\.tif does not know: code 9"
    ):
        judge_maps([write_map("m.tif", MAP, FOREST)], other)
    # A map without names may just never show it.
    (found,) = judge_maps([write_map("n.tif", MAP)], other)
    assert found.label_set.codes.tolist() == [1, 2, 3, 9]
    assert found.scores.confusion[3].tolist() == [0, 1, 0, 0]


def test_names_that_a_map_does_not_know(
    write_map: Write, points: Write, tmp_path: Path, hears: Any
) -> None:
    layer = points("p.gpkg", at((0, 0), (1, 12), (2, 25)), ["forest", "swamp", "water"])
    with pytest.raises(LabelError, match=r"does not know: swamp \(1 pixels\); it has Forest"):
        judge_maps([write_map("m.tif", MAP, FOREST)], layer)
    plain = write_map("n.tif", MAP)
    with pytest.raises(LabelError, match="has no class names, so nobody knows which of its codes"):
        judge_maps([plain], layer)
    table = tmp_path / "classes.csv"
    table.write_text("code,name\n1,forest\n2,swamp\n3,water\n", encoding="utf-8")
    (found,) = judge_maps([plain], layer, LabelRules(classes=table), hears)
    assert found.scores.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert "the map has no class names; those of" in hears.all
    assert table.read_text(encoding="utf-8").count("\n") == 4  # it is only read
    with pytest.raises(SettingsError, match="--classes: no file"):
        judge_maps([plain], layer, LabelRules(classes=tmp_path / "no.csv"))


def test_polygons_are_units(write_map: Write, points: Write) -> None:
    layer = points("p.gpkg", [box(0, 0, 4, 4), box(10, 8, 4, 4)], ["forest", "forest"])
    (found,) = judge_maps([write_map("m.tif", MAP, FOREST)], layer)
    assert found.scores.confusion.tolist() == [[24, 8, 0], [0, 0, 0], [0, 0, 0]]
    assert (found.intervals.kind, found.intervals.units) == ("polygon", 2)
    said = " | ".join(reference_words(found))
    assert "too few to tell" in said
    assert "take each pixel for itself" in said
    assert "no reference pixels of Water and Bare_soil" in said
    assert found.n == 32


def test_rasters_by_place_and_by_their_own_names(write_map: Write) -> None:
    path = write_map("m.tif", MAP, FOREST)
    labels = np.where(MAP == 1, 11, np.where(MAP == 2, 12, 0)).astype(np.uint8)
    moved = GRID @ Affine.translation(0, 5)
    names = {11: "water", 12: "forest"}
    raster = write_map("r.tif", labels, names, transform=moved)
    (found,) = judge_maps([path], raster)
    assert found.scores.confusion.tolist() == [[0, 150, 0], [150, 0, 0], [0, 0, 0]]
    assert found.intervals.kind == "patch"
    assert found.intervals.units == 2
    with pytest.raises(LabelError, match=r"calls code 1 rock, .*m\.tif calls it Forest"):
        judge_maps([path], write_map("c.tif", MAP, {1: "rock", 2: "water", 3: "bare soil"}))
    far = write_map("far.tif", labels, names, transform=GRID @ Affine.translation(0, 500))
    with pytest.raises(LabelError, match="lie elsewhere"):
        judge_maps([path], far)


def test_zero_is_a_class_where_both_declare_another_nothing(write_map: Write) -> None:
    codes = MAP - 1
    labels = codes.copy()
    labels[:10] = 255
    labels[15] = 0
    path = write_map("m.tif", codes, nodata=255)
    (found,) = judge_maps([path], write_map("r.tif", labels, nodata=255))
    assert found.label_set.codes.tolist() == [0, 1, 2]
    assert found.scores.confusion.tolist() == [[100, 10, 10], [0, 90, 0], [0, 0, 90]]


def test_pixels_without_class_and_rejected_ones(write_map: Write, points: Write) -> None:
    codes = MAP.copy()
    codes[0], codes[1] = 0, 4
    path = write_map("m.tif", codes, {**FOREST, 4: "reject"})
    layer = points("p.gpkg", at((0, 1), (1, 2), (5, 1), (6, 15)), [1, 1, 1, 2])
    (found,) = judge_maps([path], layer)
    assert (found.n, found.not_classified) == (3, 1)
    assert found.scores.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert found.in_further.tolist() == [[1], [0], [0]]
    assert any("1 of 4 reference pixels" in said for said in found.words())
    with pytest.raises(LabelError, match="no class at any of the 1 reference pixels"):
        judge_maps([path], points("q.gpkg", at((0, 1)), [1]))


@pytest.mark.parametrize(
    ("places", "said"),
    [(at((900, 900)), "lies on"), ([shapely.Point(0, 0)], "lies on")],
)
def test_a_reference_elsewhere_is_refused(
    write_map: Write, points: Write, places: list[Any], said: str
) -> None:
    with pytest.raises(HsiSslError, match=said):
        judge_maps([write_map("m.tif", MAP)], points("p.gpkg", places, [1]))


def test_rules_that_do_not_suit(write_map: Write, points: Write) -> None:
    path = write_map("m.tif", MAP)
    with pytest.raises(SettingsError, match="--label-field is for a reference drawn"):
        judge_maps([path], write_map("r.tif", MAP), LabelRules(field="class"))
    with pytest.raises(SettingsError, match="--zero-is-a-class is for a reference raster"):
        judge_maps([path], points("p.gpkg", at((0, 0)), [1]), LabelRules(zero_is_a_class=True))
    with pytest.raises(LabelError, match=r"no pixel of .*e\.tif has a class"):
        judge_maps([write_map("e.tif", MAP * 0)], points("p.gpkg", at((0, 0)), [1]))


@pytest.mark.slow
@pytest.mark.parametrize("most", [2**29, 60_000])
def test_large_maps_are_looked_at_in_parts(
    write_map: Write, points: Write, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(reference_parts, "WHOLE", 1000)
    monkeypatch.setattr(reference_parts, "MOST", most)
    codes = np.random.default_rng(3).integers(1, 4, (700, 900)).astype(np.uint8)
    path = write_map("m.tif", codes)
    rng = np.random.default_rng(4)
    pixels = np.stack([rng.choice(700, 9, replace=False), rng.choice(900, 9, replace=False)], 1)
    true = rng.integers(1, 4, 9)
    layer = points("p.gpkg", at(*map(tuple, pixels)), true.tolist())
    (found,) = judge_maps([path], layer)
    expected = np.zeros((3, 3), int)
    np.add.at(expected, (true - 1, codes[tuple(pixels.T)] - 1), 1)
    assert found.scores.confusion.tolist() == expected.tolist()
    monkeypatch.setattr(reference_parts, "MOST", 5000)
    with pytest.raises(LabelError, match=r"spreads over .* pixels"):
        judge_maps([path], layer)
    with pytest.raises(LabelError, match="not one feature"):
        judge_maps([path], points("far.gpkg", at((5000, 5000)), [1]))
    small = write_map(
        "r.tif", codes[300:310, 500:520], transform=GRID @ Affine.translation(500, 300)
    )
    (found,) = judge_maps([path], small)
    assert found.scores.oa == 1
    assert found.n == 200


@pytest.mark.parametrize("whole", [2**24, 1000])
def test_layers_that_are_classes_judge_a_map(
    whole: int, write_map: Write, write_layer: Write, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(reference_parts, "WHOLE", whole)
    path = write_map("m.tif", MAP.repeat(4, 0), FOREST)
    layer = tmp_path / "r.gpkg"
    write_layer(layer, [box(70, 2, 3, 2)], layer="Forest", crs=UTM)
    write_layer(layer, [box(0, 12, 2, 2), box(5, 2, 1, 1)], layer="Water", crs=UTM, append=True)
    (found,) = judge_maps([path], layer, LabelRules("@layer"))
    assert found.scores.confusion.tolist() == [[6, 0, 0], [1, 4, 0], [0, 0, 0]]


def test_reports_of_one_map_and_of_several(write_map: Write, points: Write, tmp_path: Path) -> None:
    one, other = write_map("one.tif", MAP, FOREST), write_map("b/two.tif", MAP[:15] % 3 + 1, FOREST)
    layer = points("p.gpkg", at((0, 0), (1, 12), (2, 25), (18, 1)), [1, 2, 3, 1])
    assert reference_folder([one], layer) == tmp_path / "one_accuracy"
    assert reference_folder([one, other], layer) == tmp_path / "p_accuracy"
    found = judge_maps([one, other], layer)
    assert [m.n for m in found] == [4, 3]
    page = write_reference_report(found[:1], layer, tmp_path / "one_accuracy")
    tables = {"per_class.csv", "confusion.csv", "areas.csv"}
    assert {p.name for p in page.parent.iterdir()} == {"index.html", "metrics.json", *tables}
    metrics = json.loads((page.parent / "metrics.json").read_text())
    assert next_steps(page) == [f"hsi-ssl view {one}"]
    assert "reference has least of: Water (1), Bare_soil (1), Forest (2)" in page.read_text()
    assert metrics.pop("checksums")
    assert metrics == json.loads(json.dumps(reference_json(found[0], layer)))
    with (page.parent / "confusion.csv").open() as file:
        head, *rows = csv.reader(file)
    assert head == ["true code", "true name", "mapped 1", "mapped 2", "mapped 3"]
    assert [row[2:] for row in rows] == [["2", "0", "0"], ["0", "1", "0"], ["0", "0", "1"]]
    with pytest.raises(OutputError, match="--overwrite"):
        write_reference_report(found[:1], layer, tmp_path / "one_accuracy")
    page = write_reference_report(found, layer, tmp_path / "both")
    assert {p.name for p in page.parent.iterdir()} == {"index.html", "metrics.json", "one", "two"}
    assert {p.name for p in (page.parent / "two").iterdir()} == tables
    assert [m["oa"] for m in json.loads((page.parent / "metrics.json").read_text())["maps"]] == [
        1, 0,
    ]  # fmt: skip
    assert "Side by side" in page.read_text()
    assert next_steps(page) == [f"hsi-ssl view {other}"]
    twice = judge_maps([one, write_map("c/one.tif", MAP)], layer)
    with pytest.raises(SettingsError, match=r"two maps are called one\.tif"):
        write_reference_report(twice, layer, tmp_path / "twice")


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_stands_alone_and_fits(
    write_map: Write, points: Write, browser: Any, tmp_path: Path, width: int
) -> None:
    names = {1: "Forest", 2: "Water", 3: "<script>alert(1)</script>", 4: "reject"}
    codes = MAP.copy()
    codes[3] = 4
    path = write_map("m.tif", codes, names)
    layer = points("p.gpkg", at((0, 0), (1, 12), (2, 25), (3, 25), (3, 1)), [1, 2, 3, 1, 1])
    page = write_reference_report(judge_maps([path], layer), layer, tmp_path / "report")
    browser.open(page, width=width)
    assert browser.errors() == []
    assert browser.requests() == []
    assert browser.overflow() == 0
    cells = "[...document.querySelectorAll('td.cell')].map(c => c.textContent)"
    assert browser.evaluate(cells) == ["1", "", "", "2", "", "1", "", "", "", "", "1", ""]
    assert browser.evaluate("[...document.images].filter(i => !i.naturalWidth).length") == 0
