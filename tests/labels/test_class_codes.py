"""Codes of classes: numbers as they are, names the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hearing import Hears

from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.labels.class_codes import ClassFile, coded, read_classes, remembered
from hsi_ssl.labels.label_set import LabelClass
from hsi_ssl.labels.layers import Layer


def layer(values: Any) -> Layer:
    n = len(values)
    points = np.array([shapely.Point(i, i) for i in range(n)], object)
    return Layer(Path("x.gpkg"), "x", None, False, np.arange(10, 10 + n), points, values)


def texts(*values: str | None) -> Layer:
    return layer(np.array([*values, None], object)[:-1])


def codes(*layers: Layer, known: tuple[LabelClass, ...] = ()) -> list[list[int]]:
    return [column.tolist() for column in coded(layers, known)[0]]


def test_numbers_are_codes() -> None:
    assert codes(layer(np.array([3, 300, 0]))) == [[3, 300, 0]]
    assert codes(layer(np.array([3.0, np.nan, 7.0]))) == [[3, 0, 7]]
    assert codes(texts("12", None, " 3 ")) == [[12, 0, 3]]
    assert coded([texts("12", "3")], ())[1] == ()


def test_names_keep_their_codes_when_others_come(tmp_path: Path) -> None:
    file = ClassFile(tmp_path / "classes.csv", coded([texts("tree", "roof")], ())[1], saved=False)
    file.save()
    for _ in range(2):
        again = read_classes(file.path)
        found, classes = coded([texts("tree", "asphalt", "roof", "bush")], again.classes)
        assert found[0].tolist() == [2, 3, 1, 4]
        assert classes[:2] == again.classes[:2]
        ClassFile(file.path, classes, saved=False).save()
    assert file.path.read_text().splitlines()[:2] == ["code,name,colour", "1,roof,#e06647"]
    assert len({c.colour for c in classes}) == 4


def test_names_of_the_data_set_keep_its_codes() -> None:
    known = (LabelClass(4, "tree", "#00aa00"), LabelClass(7, "roof", "#aa0000"))
    found, classes = coded([texts("roof", "wall", "tree")], known)
    assert found[0].tolist() == [7, 8, 4]
    assert classes[:2] == known


def test_several_layers_share_names_and_leave_numbers_alone() -> None:
    assert codes(texts("b", "a"), texts("c", "a")) == [[2, 1], [3, 1]]
    assert codes(layer(np.array([1, 5])), texts("tree")) == [[1, 5], [6]]
    assert codes(texts("7", "tree", "3")) == [[7, 8, 3]]


def test_no_class_is_counted_and_said(hears: Hears) -> None:
    values = ("tree", None, "", "  ", "NoData", "Background", "Unlabelled", "roof")
    assert coded([texts(*values)], (), hears)[0][0].tolist() == [2, 0, 0, 0, 0, 0, 0, 1]
    (told,) = hears.warned
    assert "6 feature(s) without a class" in told
    assert "'NoData'" in told
    assert "NULL" in told
    assert told.endswith("11, 12, 13, 14, 15 and 1 more")


def test_names_that_look_alike_are_told(hears: Hears) -> None:
    assert coded([texts("Tree", "tree", "tree ")], (), hears)[0][0].tolist() == [1, 2, 2]
    assert hears.warned == ["Tree, tree are taken as different classes"]


@pytest.mark.parametrize("value", [-1.0, 2.5, 65_536.0])
def test_no_codes_are_refused_by_feature(value: float) -> None:
    with pytest.raises(LabelError, match=f"feature 11 has class {value:g}"):
        coded([layer(np.array([1.0, value]))], ())


def test_no_code_is_left() -> None:
    with pytest.raises(LabelError, match="no code is left for the class tree"):
        coded([texts("tree")], (LabelClass(65_535, "last", "#000000"),))


def test_three_hundred_classes_have_three_hundred_codes() -> None:
    found, classes = coded([texts(*(f"kind {i}" for i in range(300)))], ())
    assert sorted(found[0].tolist()) == list(range(1, 301))
    assert len({c.code for c in classes}) == 300


def test_several_tables_are_one_or_are_refused(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("new.csv", "old.csv", "other.csv")]
    assert remembered(places) == ClassFile(places[0], ())
    places[1].write_text("code,name,colour\n2,tree,#00aa00\n")
    places[2].write_text("code,name,colour\n3,roof,#aa0000\n2,tree,#00ff00\n")
    both = remembered(places)
    assert both.path == places[1]
    assert not both.saved
    assert [(c.code, c.name, c.colour) for c in both.classes] == [
        (2, "tree", "#00aa00"), (3, "roof", "#aa0000"),
    ]  # fmt: skip
    assert remembered(places[:2]).saved
    for text in ("2,roof", "4,tree"):
        places[2].write_text(f"code,name\n{text}\n")
        with pytest.raises(LabelError, match=rf"other\.csv has {text.replace(',', ' ')} where"):
            remembered(places)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found nothing"),
        ("a,b\n1,2\n", "found a, b"),
        ("code,name\n0,tree\n", "line 2: code '0'"),
        ("code,name\n1.5,tree\n", "line 2: code '1.5'"),
        ("code,name\n1,nodata\n", "'nodata' stands for no class"),
        ("code,name\n1,a\n1,b\n", "line 3: code 1 .* twice"),
        ("code,name\n1,a\n2,a\n", "name a is there twice"),
        ("code,name,colour\n1,a,red\n", "colour 'red'"),
    ],
)
def test_a_bad_table_is_told_by_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(text)
    with pytest.raises(LabelError, match=message):
        read_classes(path)


def test_a_table_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes("\ufeffname;code\nBäume;4\nDach;2\n".encode())
    assert [(c.code, c.name) for c in read_classes(path).classes] == [(4, "Bäume"), (2, "Dach")]
    assert read_classes(tmp_path / "nowhere.csv").classes == ()


def test_labels_that_lie_where_nobody_may_write_can_have_their_codes_elsewhere(
    tmp_path: Path,
) -> None:
    (tmp_path / "folder").write_text("a file")  # root may write into read-only folders
    file = ClassFile(tmp_path / "folder/x.classes.csv", (LabelClass(1, "tree", "#00ff00"),), False)
    with pytest.raises(OutputError, match=r"write elsewhere, with --classes FILE\.csv"):
        file.save()
