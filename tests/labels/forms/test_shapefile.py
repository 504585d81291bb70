"""Shapefiles by any member and without some: the same layer, nothing written, or one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely

from hsi_ssl.errors import LabelError, SceneNotFoundError, VectorError
from hsi_ssl.labels.class_fields import class_field
from hsi_ssl.labels.finding import find
from hsi_ssl.labels.pairing import label_files
from hsi_ssl.labels.vectors import beside, is_part, is_vector, layer_facts, read_layer, vector_file
from hsi_ssl.watcher import SILENT

Write = Callable[..., Path]
DRAWN = [shapely.box(i, 0, i + 1, 1) for i in range(3)]
KINDS = ["Quarz", "Glimmer", "Ägirin"]


@pytest.fixture
def roads(tmp_path: Path, write_layer: Write) -> Path:
    return write_layer(tmp_path / "roads.shp", DRAWN, {"kind": KINDS}, kind="Polygon")


def rename(folder: Path, change: Callable[[str], str]) -> None:
    for path in list(folder.iterdir()):
        path.rename(path.with_name(change(path.name)))


def refuse_other(path: Path) -> None:
    """Fail unless the layer is the whole one, with its shapes and its fields."""
    facts = layer_facts(path)
    assert facts.name.lower() == "roads"
    assert facts.crs == "EPSG:32633"
    layer = read_layer(facts, "kind")
    assert layer.values is not None
    assert layer.values.tolist() == KINDS
    assert layer.ids.tolist() == [0, 1, 2]
    assert shapely.equals(layer.geometries, DRAWN).all()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("suffix", ["shp", "shx", "dbf", "prj", "cpg", "qpj", "sbn", "DBF", "Shp"])
def test_any_member_names_the_set(roads: Path, suffix: str) -> None:
    path = roads.with_suffix(f".{suffix}")
    if suffix in {"qpj", "sbn"}:
        path.write_bytes(b"")
    assert is_vector(path)
    assert vector_file(path) == roads
    assert beside(path, ".classes.csv") == roads.with_suffix(".classes.csv")
    refuse_other(path)


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda name: name if name.endswith(".shp") else name.upper(),
        lambda name: name.replace("roads", "Roads").replace("shp", "Shp"),
        lambda name: name.upper() if name.endswith((".prj", ".cpg")) else name,
    ],
)
def test_names_in_any_case_are_one_set(roads: Path, change: Callable[[str], str]) -> None:
    rename(roads.parent, change)
    before = contents(roads.parent)
    for name in ("ROADS.SHP", "roads.dbf", "Roads.prj"):
        refuse_other(roads.parent / name)
    assert contents(roads.parent) == before


def test_sets_that_only_case_parts_keep_their_own_members(
    roads: Path, write_layer: Write, tmp_path: Path
) -> None:
    other = write_layer(tmp_path / "Roads.shp", DRAWN[:1], {"other": ["x"]}, kind="Polygon")
    refuse_other(roads)
    assert list(layer_facts(other).fields) == ["other"]
    assert list(layer_facts(other.with_suffix(".dbf")).fields) == ["other"]


@pytest.mark.parametrize("wish", [None, "YES"])
def test_the_index_is_restored_in_memory_only(
    roads: Path, wish: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wish:
        monkeypatch.setenv("SHAPE_RESTORE_SHX", wish)
    roads.with_suffix(".shx").unlink()
    before = contents(roads.parent)
    refuse_other(roads)
    refuse_other(roads.with_suffix(".shx"))
    assert contents(roads.parent) == before


def test_an_index_that_cannot_be_restored_is_told(roads: Path, write_layer: Write) -> None:
    roads.with_suffix(".shx").unlink()
    roads.write_bytes(roads.read_bytes()[:-10])
    with pytest.raises(VectorError, match=r"there is no roads\.shx, .*in the middle of a shape"):
        layer_facts(roads)
    write_layer(roads.parent / "y.shp", DRAWN[:2], {"kind": KINDS[:2]}, kind="Polygon")
    os.replace(roads.parent / "y.shp", roads)
    with pytest.raises(VectorError, match=r"roads\.shx, .*2 shapes, the \.dbf 3 rows\); put it"):
        layer_facts(roads)


def test_members_that_are_missing_are_known_by_name(roads: Path) -> None:
    assert layer_facts(roads).missing == ()
    for suffix in (".dbf", ".prj", ".cpg"):
        roads.with_suffix(suffix).unlink()
    facts = layer_facts(roads)
    assert facts.missing == ("roads.dbf", "roads.prj")
    assert facts.crs is None
    assert len(read_layer(facts)) == 3
    for asked in (None, "kind"):
        with pytest.raises(LabelError, match=r"no roads\.dbf, .*put it beside, or .*@layer"):
            class_field(facts, asked)
    rename(roads.parent, str.upper)
    assert layer_facts(roads).missing == ("ROADS.DBF", "ROADS.PRJ")


def test_a_member_without_its_shapes_is_refused(roads: Path) -> None:
    roads.unlink()
    for suffix in (".dbf", ".shx", ".prj", ".cpg"):
        with pytest.raises(VectorError, match=rf"roads\{suffix} lies without roads\.shp"):
            layer_facts(roads.with_suffix(suffix))
    with pytest.raises(SceneNotFoundError, match=r"no file .*roads\.shp"):
        layer_facts(roads)
    with pytest.raises(SceneNotFoundError, match=r"no file .*roofs\.dbf"):
        layer_facts(roads.with_name("roofs.dbf"))


def test_a_broken_one_is_told_by_its_name(roads: Path) -> None:
    roads.with_suffix(".dbf").write_bytes(b"nothing")
    roads.with_suffix(".shx").unlink()
    with pytest.raises(VectorError) as told:
        layer_facts(roads)
    assert "roads.shp" in str(told.value)
    assert "vsimem" not in str(told.value)


def test_one_set_is_taken_once_whatever_names_it(roads: Path) -> None:
    (roads.parent / "lone.dbf").write_bytes(b"")
    assert label_files([roads.parent], "--labels") == {roads: True}
    assert label_files([Path(f"{roads.parent}/roads.*")], "--labels") == {roads: True}
    members = sorted(roads.parent.glob("roads.*"))
    assert label_files(members, "--labels") == {roads: False}
    assert [path.suffix for path in members if not is_part(path)] == [".shp"]


def test_beside_a_scene_the_shapes_stand_for_all(
    roads: Path, write_cube: Write, tmp_path: Path
) -> None:
    rename(roads.parent, lambda name: name.replace("roads", "s_labels"))
    _, (found,) = find(str(write_cube(tmp_path / "s.tif")), None, SILENT)
    assert found.labels == tmp_path / "s_labels.shp"
