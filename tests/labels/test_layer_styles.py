"""Colours and names of classes from QGIS's styles of vector layers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
import shapely

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.layers import Layer
from hsi_ssl.labels.rules import LabelRules
from hsi_ssl.labels.sources import Sources, resolve
from hsi_ssl.labels.vectors import layer_facts, read_layer
from hsi_ssl.watcher import Watcher

Write = Callable[..., Any]
HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis version=\"3.34.4\">"
LAYER_STYLES = """CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256),
f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
OLD = '<layer class="SimpleFill"><prop k="border" v="9"/><prop k="color" v="{},255"/></layer>'
NEW = (
    '<layer class="SimpleFill"><Option type="Map"><Option name="color" type="QString" '
    'value="{},255,rgb:0.1,0.2,0.3,1"/><Option name="outline_color" value="9,9,9,255"/></Option>'
    '</layer><layer class="SimpleLine"><Option type="Map"><Option name="color" value="8,8,8,255"/>'
    "</Option></layer>"
)
LINE = '<layer class="SimpleLine"><prop k="line_color" v="{},255"/></layer>'
HOLLOW = (
    '<layer class="SimpleFill"><Option type="Map"><Option name="color" value="7,7,7,255"/><Option '
    'name="style" value="no"/><Option name="outline_color" value="{},255"/></Option></layer>'
)
Entry = tuple[str, str, str]
"""Value, label, red, green and blue."""
ENTRIES = (("Oak", "Oak", "1,2,3"), ("Bare soil", "of soil", "16,32,255"), ("", "", "5,5,5"))
COLOURS = {"Oak": "#010203", "Bare soil": "#1020ff"}


def symbols(entries: Sequence[Entry], layer: str) -> str:
    each = (
        f'<symbol type="fill" name="{i}">{layer.format(rgb)}</symbol>'
        for i, (_, _, rgb) in enumerate(entries)
    )
    return f"<symbols>{''.join(each)}</symbols>"


def categories(
    entries: Sequence[Entry] = ENTRIES, attr: str = "class", layer: str = NEW, kind: str = "string"
) -> str:
    each = (
        f"<category render='true' type='{kind}' value={quoteattr(value)} label={quoteattr(label)} "
        f'symbol="{i}"/>'
        for i, (value, label, _) in enumerate(entries)
    )
    return (
        f'{HEAD}<renderer-v2 type="categorizedSymbol" attr={quoteattr(attr)}><categories>'
        f"{''.join(each)}</categories>{symbols(entries, layer)}</renderer-v2></qgis>"
    )


def rules(filters: Sequence[str], entries: Sequence[Entry] = ENTRIES) -> str:
    each = (
        f'<rule filter={quoteattr(what)} label={quoteattr(entries[i][1])} symbol="{i}"/>'
        for i, what in enumerate(filters)
    )
    return (
        f'{HEAD}<renderer-v2 type="RuleRenderer"><rules key="r"><rule label="all">{"".join(each)}'
        f"</rule></rules>{symbols(entries, NEW)}</renderer-v2></qgis>"
    )


def keep(path: Path, *styles: tuple[str, str, int]) -> None:
    """Write styles (layer, QML, default or not) into a GeoPackage as QGIS does."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(LAYER_STYLES)
        file.executemany(
            "INSERT INTO layer_styles (f_table_name, f_geometry_column, styleName, styleQML, "
            "useAsDefault, update_time) VALUES (?, 'geom', 'x', ?, ?, ?)",
            [(*style, f"2024-01-0{i}T00:00:00.000Z") for i, style in enumerate(styles, start=1)],
        )


@pytest.fixture
def path(tmp_path: Path, write_layer: Write) -> Path:
    fields = {"class": ["Oak", "Bare soil"], "number": [3, 4]}
    shapes = [shapely.box(i, 0, i + 1, 1) for i in range(2)]
    write_layer(tmp_path / "drawn.gpkg", shapes, fields, layer="fields")
    return tmp_path / "drawn.gpkg"


def read(path: Path, column: str = "class", watcher: Watcher | None = None) -> Layer:
    return read_layer(layer_facts(path), column, watcher or Watcher())


@pytest.mark.parametrize("layer", [OLD, NEW, LINE, HOLLOW])
@pytest.mark.parametrize("attr", ["class", '"class"'])
def test_a_style_beside_the_file(attr: str, layer: str, path: Path) -> None:
    path.with_suffix(".qml").write_text(categories(attr=attr, layer=layer))
    found = read(path)
    assert found.colours == COLOURS
    assert found.names == {}


def test_a_style_of_another_field_says_nothing(path: Path, hears: Any) -> None:
    path.with_suffix(".qml").write_text(categories(attr="number"))
    assert read(path, watcher=hears).colours == {}
    assert read(path, "number").colours == COLOURS
    path.with_suffix(".qml").write_text(categories(attr="upper(class)"))
    assert read(path, watcher=hears).colours == {}
    assert hears.all == ""


def test_rules_that_ask_for_one_value(path: Path) -> None:
    entries = [(str(i), f"rule {i}", f"{i},0,0") for i in range(7)]
    asked = [
        """"class" = 'Oak'""", "class='Bare soil'", """ "class"  =  'O''Brien' """, '"class" = 7',
        """"number" = 'no'""", """"class" = 'x' AND "number" = 1""", "ELSE",
    ]  # fmt: skip
    path.with_suffix(".qml").write_text(rules(asked, entries))
    found = read(path)
    assert found.colours == {
        "Oak": "#000000", "Bare soil": "#010000", "O'Brien": "#020000", "7": "#030000",
    }  # fmt: skip
    assert found.names == {7: "rule 3"}
    within = rules(asked, entries).replace('<rule label="all">', '<rule filter="number &gt; 2">')
    path.with_suffix(".qml").write_text(within)
    assert read(path).colours == {}


def test_one_category_may_hold_several_values(path: Path) -> None:
    several = '<category type="List" value="" label="both" symbol="0"><val value="Oak"/>'
    text = categories().replace(
        "<categories>", f'<categories>{several}<val value="Elm"/></category>'
    )
    path.with_suffix(".qml").write_text(text)
    assert read(path).colours == COLOURS | {"Elm": "#010203"}


def test_the_file_s_own_style_goes_before_one_beside(path: Path, write_layer: Write) -> None:
    write_layer(path, [shapely.Point(1, 1)], {"class": ["Oak"]}, layer="other", append=True)
    path.with_suffix(".qml").write_text(categories([("Oak", "", "9,9,9")]))
    fields, other = Path(f"{path}:fields"), Path(f"{path}:other")
    assert read(fields).colours == {"Oak": "#090909"}
    one, two, three = (categories([("Oak", "", f"{i},0,0")]) for i in (1, 2, 3))
    keep(path, ("fields", one, 0), ("fields", two, 1), ("fields", three, 0), ("other", one, 0))
    assert read(fields).colours == {"Oak": "#020000"}
    assert read(other).colours == {"Oak": "#010000"}
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE layer_styles SET useAsDefault = 0")
    assert read(fields).colours == {"Oak": "#030000"}
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE layer_styles SET styleQML = '<qgis/>'")
    assert read(fields).colours == {"Oak": "#090909"}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}<pipe><rasterrenderer type='paletted'><colorPalette><paletteEntry value='3' "
        "label='x' color='#00ff00'/></colorPalette></rasterrenderer></pipe></qgis>",
        f"{HEAD}<renderer-v2 type='graduatedSymbol' attr='class'><ranges/></renderer-v2></qgis>",
        f"{HEAD}</qgis>",
    ],
)
def test_other_styles_are_left_alone_without_a_word(text: str, path: Path, hears: Any) -> None:
    path.with_suffix(".qml").write_text(text)
    assert read(path, watcher=hears).colours == {}
    assert hears.all == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<qgis><renderer-v2", "drawn.qml is no XML"),
        ('<!DOCTYPE q [<!ENTITY a "b">]><qgis>&a;</qgis>', "drawn.qml declares entities"),
    ],
)
def test_broken_styles_are_told_of_and_left_out(
    text: str, said: str, path: Path, hears: Any
) -> None:
    path.with_suffix(".qml").write_text(text)
    assert read(path, watcher=hears).colours == {}
    assert said in hears.all
    keep(path, ("fields", categories(), 1))
    assert read(path).colours == COLOURS


# ---------------------------------------------------------------------------- what becomes of it


@pytest.fixture
def cube(tmp_path: Path, write_cube: Write) -> Path:
    found: Path = write_cube(tmp_path / "s.tif", 20, 24)
    return found


def labelled(cube: Path, *paths: Path, watcher: Watcher | None = None, **given: Any) -> Sources:
    return resolve(
        [str(cube)], labels=paths, rules=LabelRules(**given), watcher=watcher or Watcher()
    )


def classes(sources: Sources) -> dict[int, tuple[str, str]]:
    return {c.code: (c.name, c.colour) for c in sources.label_set.classes}


def test_names_get_the_colours_of_the_style_unless_others_are_remembered(
    cube: Path, tmp_path: Path, write_layer: Write, on_ground: Write
) -> None:
    shapes = [on_ground(shapely.box(c, 2, c + 4, 8)) for c in (1, 9)]
    path = write_layer(tmp_path / "x.gpkg", shapes, {"class": ["Bare  soil", "Oak"]})
    keep(path, ("x", categories(), 1))
    with labelled(cube, path) as sources:
        assert classes(sources) == {1: ("Bare soil", "#1020ff"), 2: ("Oak", "#010203")}
    (tmp_path / "x.classes.csv").write_text("code,name,colour\n5,Oak,#aaaaaa\n")
    with labelled(cube, path) as sources:
        assert classes(sources) == {5: ("Oak", "#aaaaaa"), 6: ("Bare soil", "#1020ff")}


def test_numbers_get_the_names_that_the_style_shows(
    cube: Path, tmp_path: Path, write_layer: Write, on_ground: Write
) -> None:
    shapes = [on_ground(shapely.box(c, 2, c + 4, 8)) for c in (1, 7, 13, 19)]
    path = write_layer(tmp_path / "x.gpkg", shapes, {"code": [3, 4, 9, 11]})
    entries = [("3", "calcite", "1,0,0"), ("4.0", "4", "2,0,0"), ("9", "quartz", "3,0,0"),
               ("7", "gone", "4,0,0")]  # fmt: skip
    path.with_suffix(".qml").write_text(categories(entries, "code", kind="long"))
    with labelled(cube, path) as sources:
        assert classes(sources) == {
            3: ("calcite", "#010000"), 4: ("class 4", "#020000"), 9: ("quartz", "#030000"),
        }  # fmt: skip
        assert sources.class_file is None
    (tmp_path / "x.classes.csv").write_text("code,name,colour\n9,opal,#aaaaaa\n")
    with labelled(cube, path) as sources:
        assert classes(sources)[9] == ("opal", "#aaaaaa")
        assert classes(sources)[3] == ("calcite", "#010000")


def test_a_number_and_a_name_may_be_one_class(
    cube: Path, tmp_path: Path, write_layer: Write, on_ground: Write
) -> None:
    shapes = [on_ground(shapely.box(c, 2, c + 4, 8)) for c in (1, 7)]
    numbers = write_layer(tmp_path / "s_a.gpkg", shapes, {"code": [3, 4]})
    entries = [("3", "calcite", "1,0,0"), ("4", "4", "2,0,0")]
    numbers.with_suffix(".qml").write_text(categories(entries, "code"))
    more = [on_ground(shapely.box(c, 12, c + 4, 18)) for c in (1, 7)]
    names = write_layer(tmp_path / "s_b.gpkg", more, {"class": ["calcite", "opal"]})
    with labelled(cube, numbers, names) as sources:
        assert {code: name for code, (name, _) in classes(sources).items()} == {
            3: "calcite", 5: "opal",
        }  # fmt: skip
        labels = sources.scenes[0].labels
        assert labels is not None
        assert labels[14, 2] == labels[4, 2] == 3


def test_names_of_styles_that_contradict_each_other(
    cube: Path, tmp_path: Path, write_layer: Write, on_ground: Write
) -> None:
    shapes = [on_ground(shapely.box(c, 2, c + 4, 8)) for c in (1, 7)]
    paths = [write_layer(tmp_path / f"s_{x}.gpkg", shapes, {"code": [3, 4]}) for x in "ab"]
    twice = [("3", "oak", "1,0,0"), ("4", "oak", "2,0,0")]
    for path in paths:
        path.with_suffix(".qml").write_text(categories(twice, "code"))
    with labelled(cube, *paths) as sources:
        assert classes(sources) == {3: ("oak", "#010000"), 4: ("class 4", "#020000")}
    paths[1].with_suffix(".qml").write_text(categories([("3", "elm", "1,0,0")], "code"))
    with pytest.raises(LabelError, match=r"s_b\.gpkg calls class 3 elm, that of .* calls it oak"):
        labelled(cube, *paths)
