"""`prepare` and `balance` with labels drawn in QGIS: from layers to a dataset, or one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from hsi_ssl.datasets.store import Part, open_dataset

Write = Callable[..., Any]
Run = Callable[..., Any]
ROWS, COLS = 60, 80


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_layer: Write, write_cube: Write,
    on_ground: Write,
) -> Path:  # fmt: skip
    """A folder with a scene and 40 polygons of two classes on it."""
    monkeypatch.chdir(tmp_path)
    write_cube(tmp_path / "scene.tif", ROWS, COLS)
    x, y = map(np.ravel, np.meshgrid(np.arange(1, 79, 10), np.arange(1, 59, 12)))
    shapes = [on_ground(shape) for shape in shapely.box(x, y, x + 6, y + 7)]
    names = np.where(np.arange(40) % 2, "tree", "roof").tolist()
    write_layer(tmp_path / "drawn.gpkg", shapes, {"id": range(40), "kind": names}, kind="Polygon")
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_polygons_become_a_dataset_whose_parts_share_no_polygon(
    project: Path, hsi_ssl: Run
) -> None:
    ran = hsi_ssl(
        "prepare", "scene.tif", "--labels", "drawn.gpkg", "--split", "polygons", "--json",
        "--components", 3, "--unlabelled", 500,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["split"] == "polygons"
    assert told["total"] == 40 * 42
    assert [c["name"] for c in told["classes"]] == ["roof", "tree"]
    dataset = open_dataset(project / "runs" / "dataset.h5")
    assert dataset.unit_kind == "polygon"
    labelled = dataset.label >= 0
    assert len(set(dataset.unit[labelled])) == 40
    for unit in range(40):
        assert len(set(dataset.part[dataset.unit == unit])) == 1
    assert set(dataset.part) == {Part.TRAIN, Part.VALIDATION, Part.TEST, Part.POOL}
    assert (project / "drawn.classes.csv").read_text() == (
        "code,name,colour\n1,roof,#e06647\n2,tree,#29471f\n"
    )


@pytest.mark.slow
def test_new_labels_join_the_old_and_codes_stay(
    project: Path, hsi_ssl: Run, write_layer: Write, on_ground: Write
) -> None:
    assert hsi_ssl("prepare", "scene.tif", "--labels", "drawn.gpkg", "--components", 3).code == 0
    more = [on_ground(shapely.box(i, 9, i + 5, 11)) for i in range(1, 70, 10)]
    write_layer(project / "new.gpkg", more, {"kind": ["bush"] * len(more)})
    ran = hsi_ssl(
        "prepare", "scene.tif", "--labels", "drawn.gpkg", "new.gpkg", "--components", 3,
        "--overwrite", "--label-field", "KIND",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    classes = open_dataset(project / "runs" / "dataset.h5").label_set.classes
    assert [(c.code, c.name) for c in classes] == [(1, "roof"), (2, "tree"), (3, "bush")]


def test_balance_reads_layers_and_writes_no_classes(project: Path, hsi_ssl: Run) -> None:
    ran = hsi_ssl("balance", "scene.tif", "--labels", "drawn.gpkg", "--min-coverage", 1, "--json")
    assert ran.code == 0, ran.err
    assert [c["count"] for c in json.loads(ran.out)["classes"]] == [840, 840]
    assert not (project / "drawn.classes.csv").exists()


@pytest.fixture
def refused(project: Path, hsi_ssl: Run) -> Callable[..., str]:
    def call(*arguments: object) -> str:
        before = tree(project)
        ran = hsi_ssl("prepare", "scene.tif", "--components", 3, "-q", *arguments)
        assert ran.code == 2, (ran.out, ran.err)
        lines = [line for line in ran.err.splitlines() if not line.startswith("Warning: ")]
        assert len(lines) == 1, ran.err
        assert lines[0].startswith("Error: ")
        assert tree(project) == before
        return str(lines[0])

    return call


def test_bad_labels_are_one_sentence_and_leave_nothing(
    refused: Callable[..., str], project: Path, write_layer: Write, on_ground: Write
) -> None:
    assert "has no field class; it has id (whole numbers), kind (text)" in refused(
        "--labels", "drawn.gpkg", "--label-field", "class"
    )
    assert "no layer roofs" in refused("--labels", "drawn.gpkg:roofs")
    assert "no file nowhere.gpkg" in refused("--labels", "nowhere.gpkg")
    box = [on_ground(shapely.box(2, 2, 9, 9))]
    write_layer(project / "s.shp", box, kind="Polygon")
    (project / "s.prj").unlink()
    assert "s.shp has no CRS" in refused("--labels", "s.shp")
    write_layer(project / "far.gpkg", [shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    assert "not one feature of far.gpkg lies on" in refused("--labels", "far.gpkg")
    write_layer(project / "empty.gpkg", [], {"class": np.empty(0, int)})
    assert "empty.gpkg is empty" in refused("--labels", "empty.gpkg")
    write_layer(project / "nothing.gpkg", box, {"class": ["NODATA"]})
    assert "no feature of nothing.gpkg has a class" in refused("--labels", "nothing.gpkg")
    write_layer(project / "flat.gpkg", [shapely.Polygon([(0, 0), (1, 1), (2, 2)])])
    assert "every feature" in refused("--labels", "flat.gpkg")
    (project / "bad.csv").write_text("name\nroof\n")
    assert "expected columns code, name" in refused(
        "--labels", "drawn.gpkg", "--classes", "bad.csv"
    )
    assert "would be lost" in refused("--labels", "drawn.gpkg", "-o", "drawn.gpkg", "--overwrite")
    assert "--label-field" in refused("--label-field", "class")


def test_a_label_folder_that_may_not_be_written_to_leaves_no_dataset(
    refused: Callable[..., str], project: Path
) -> None:
    shutil.copy("drawn.gpkg", "copy.gpkg")
    (project / "file").write_text("")
    assert "classes.csv" in refused("--labels", "copy.gpkg", "--classes", "file/classes.csv")


def test_info_tells_layers_and_fields(project: Path, hsi_ssl: Run, write_layer: Write) -> None:
    ran = hsi_ssl("info", "drawn.gpkg")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "drawn.gpkg: 1 layer of labels",
        "drawn: 40 features (Polygon), EPSG:32633",
        "  fields: id (whole numbers), kind (text)",
    ]
    path = write_layer(project / "two.gpkg", [shapely.Point(1, 1)], {}, crs=None, layer="a")
    write_layer(path, [shapely.Point(1, 1)], layer="b", append=True)
    found = json.loads(hsi_ssl("info", "two.gpkg", "--json").out)["layers"]
    assert [(one["name"], one["crs"], len(one["fields"])) for one in found] == [
        ("a", None, 0), ("b", "EPSG:32633", 1),
    ]  # fmt: skip
    assert len(json.loads(hsi_ssl("info", "two.gpkg:b", "--json").out)["layers"]) == 1
    assert "no layer c" in hsi_ssl("info", "two.gpkg:c").err


def test_blocks_that_cut_polygons_are_told(project: Path, hsi_ssl: Run) -> None:
    ran = hsi_ssl("prepare", "scene.tif", "--labels", "drawn.gpkg", "--components", 3)
    assert ran.code == 0, ran.err
    (told,) = [line for line in ran.err.splitlines() if "in more than one part" in line]
    assert "of 40 polygons" in told
    assert "--split polygons" in told
