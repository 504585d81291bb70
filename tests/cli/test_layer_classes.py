"""`prepare` with one shapefile a class, as people bring them: to a dataset, or one sentence."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from hsi_ssl.datasets.store import open_dataset

Write = Callable[..., Any]
Run = Callable[..., Any]
NAMES = ("calcite", "quartz")


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_layer: Write, write_cube: Write,
    on_ground: Write,
) -> Path:  # fmt: skip
    """A folder with a scene and a folder of two shapefiles of 20 polygons each."""
    monkeypatch.chdir(tmp_path)
    write_cube(tmp_path / "scene.tif", 60, 80)
    (tmp_path / "shapes").mkdir()
    x, y = map(np.ravel, np.meshgrid(np.arange(1, 79, 10), np.arange(1, 59, 12)))
    boxes = [on_ground(shape) for shape in shapely.box(x, y, x + 6, y + 7)]
    for i, name in enumerate(NAMES):
        write_layer(tmp_path / "shapes" / f"{name}.shp", boxes[i::2], kind="Polygon")
    return tmp_path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def zip_of(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"sent/{path.name}")


@pytest.mark.slow
@pytest.mark.parametrize("way", ["folder", "members", "zip", "without index"])
def test_one_shapefile_a_class_becomes_a_dataset(way: str, project: Path, hsi_ssl: Run) -> None:
    labels, remembers = ["shapes"], "shapes/layers.classes.csv"
    if way == "members":
        labels = sorted(str(path.relative_to(project)) for path in (project / "shapes").iterdir())
    elif way == "zip":
        zip_of(project / "shapes", project / "shapes.zip")
        labels, remembers = ["shapes.zip"], "shapes.classes.csv"
    elif way == "without index":
        (project / "shapes" / "quartz.shx").unlink()
    before = tree(project)
    ran = hsi_ssl(
        "prepare", "scene.tif", "--labels", *labels, "--label-field", "@layer", "--components", 3,
        "--split", "polygons", "--json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert [(c["name"], c["count"]) for c in told["classes"]] == [(n, 20 * 42) for n in NAMES]
    dataset = open_dataset(project / "runs" / "dataset.h5")
    assert [(c.code, c.name) for c in dataset.label_set.classes] == [(1, NAMES[0]), (2, NAMES[1])]
    assert len(set(dataset.unit[dataset.label >= 0])) == 40
    assert (project / remembers).read_text().startswith("code,name,colour\n1,calcite,")
    after = tree(project)
    assert {name for name in after if not name.startswith("runs")} == {*before, remembers}
    assert before.items() <= after.items()
    ran = hsi_ssl(
        "prepare", "scene.tif", "--labels", *labels, "--label-field", "@layer", "--components", 3,
        "--overwrite",
    )  # fmt: skip
    assert ran.code == 0, ran.err


@pytest.fixture
def refused(project: Path, hsi_ssl: Run) -> Callable[..., str]:
    def call(*labels: str) -> str:
        before = tree(project)
        ran = hsi_ssl("prepare", "scene.tif", "--components", 3, "-q", "--labels", *labels)
        assert ran.code == 2, (ran.out, ran.err)
        (line,) = ran.err.splitlines()
        assert line.startswith("Error: ")
        assert "Traceback" not in ran.err
        assert tree(project) == before
        return str(line)

    return call


def test_what_is_missing_is_one_sentence(refused: Callable[..., str], project: Path) -> None:
    zip_of(project / "shapes", project / "two.zip")
    told = refused("two.zip")
    assert "two.zip:calcite, or, where each layer is a class, give --label-field @layer" in told
    assert "no layer chalk" in refused("two.zip:chalk")
    quartz = project / "shapes" / "quartz.shp"
    quartz.with_suffix(".prj").unlink()
    assert "quartz.shp has no CRS, as there is no quartz.prj" in refused(
        "shapes", "--label-field", "@layer"
    )
    quartz.with_suffix(".dbf").unlink()
    assert "there is no quartz.dbf" in refused("shapes/quartz.shp")
    assert "there is no quartz.dbf" in refused("shapes/quartz.shp", "--label-field", "class")
    whole = quartz.read_bytes()
    quartz.write_bytes(whole[:-8])
    quartz.with_suffix(".shx").unlink()
    assert "there is no quartz.shx, and it cannot be restored" in refused(
        "shapes/quartz.shp", "--label-field", "@layer"
    )
    quartz.unlink()
    quartz.with_suffix(".dbf").write_bytes(b"")
    assert "quartz.dbf lies without quartz.shp" in refused("shapes/quartz.dbf")
    assert "no file shapes/quartz.shp" in refused("shapes/quartz.shp")
    (project / "broken.zip").write_bytes(b"PK\x03\x04")
    assert "broken.zip is no ZIP or is broken" in refused("broken.zip")
    with zipfile.ZipFile(project / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "")
    assert "expected a shapefile" in refused("other.zip")
    assert "all labelled pixels are of one class, calcite (1)" in refused(
        "shapes/calcite.shp", "--label-field", "@layer"
    )


def test_info_tells_the_shapefiles_of_a_zip(project: Path, hsi_ssl: Run) -> None:
    zip_of(project / "shapes", project / "two.zip")
    ran = hsi_ssl("info", "two.zip")
    assert ran.code == 0, ran.err
    assert [line for line in ran.out.splitlines() if "features" in line] == [
        f"{name}: 20 features (Polygon), EPSG:32633" for name in NAMES
    ]
    ran = hsi_ssl("info", "shapes/quartz.dbf", "--json")
    assert json.loads(ran.out)["layers"][0]["name"] == "quartz"
