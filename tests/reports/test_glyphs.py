"""Names in scripts that the usual font lacks: another font, else other letters, never boxes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager

from hsi_ssl.errors import PictureWarning
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.reports import glyphs
from hsi_ssl.reports.figures import SENTINEL, map_quicklook, style, svg_text, write_png
from hsi_ssl.reports.glyphs import fit_fonts, in_letters_of

QUARTZ = "\u77f3\u82f1"
TREE = "\U0001f332"
MARBLE = "\u0645\u0631\u0645\u0631"


@pytest.fixture(autouse=True)
def only_matplotlibs_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever fonts this machine has."""
    own = [
        font for font in fontManager.ttflist if Path(font.fname).is_relative_to(mpl.get_data_path())
    ]
    monkeypatch.setattr(fontManager, "ttflist", own)
    caches = (glyphs._letters, glyphs._fonts_for, glyphs._usual)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def drawn(*texts: str) -> Figure:
    figure = Figure()
    for i, text in enumerate(texts):
        figure.text(0.1, 0.1 + 0.2 * i, text)
    return figure


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (QUARTZ, "[77F3] [82F1]"),
        (f"{TREE} oak", "[evergreen tree] oak"),
        ("\ud55c\uad6d", "hangug"),
        ("\u304b\u306a", "kana"),
        ("\U0001d400bc", "Abc"),
        ("\u0905", "a"),
        ("\ue000", "[E000]"),
    ],
)
def test_letters_are_spelt_by_sound_by_name_or_by_number(text: str, expected: str) -> None:
    assert in_letters_of(text, [c for c in text if not c.isascii()]) == expected


def test_what_no_font_has_is_replaced_and_said_once(tmp_path: Path) -> None:
    with style():
        figure = drawn(QUARTZ, f"{TREE} oak", "\u00dcn\u00ef\u00df \u0436", "plain $a_$")
        with pytest.warns(PictureWarning, match="font has all letters") as told:
            write_png(figure, tmp_path / "a.png")
    assert len(told) == 1
    assert [text.get_text() for text in figure.texts] == [
        "[77F3] [82F1]",
        "[evergreen tree] oak",
        "\u00dcn\u00ef\u00df \u0436",
        "plain $a_$",
    ]


def test_what_the_usual_font_has_stays() -> None:
    figure = drawn(MARBLE, "caf\u00e9\u200d\ufe0f", "\u03b1\u03b2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_fonts(figure)
    assert figure.texts[0].get_text() == MARBLE


def test_a_font_that_has_the_letters_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letters of cmsy10 that the usual font lacks stand for another script here."""
    usual, other = glyphs._usual(), glyphs._letters("cmsy10")
    assert glyphs._letters("no such font") == frozenset()
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    fontManager.ttflist.append(FontEntry(fname=str(broken), name="Broken"))
    rare = sorted(other - usual)
    if not rare:
        monkeypatch.setattr(glyphs, "_usual", lambda: frozenset(range(32, 127)))
        rare = sorted(c for c in other if c > 0xA0)
    figure = drawn("a" + chr(rare[0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_fonts(figure)
    (text,) = figure.texts
    assert text.get_text() == "a" + chr(rare[0])
    assert text.get_fontfamily()[0] == mpl.rcParams["font.family"][0]
    taken = text.get_fontfamily()[1:]
    assert taken
    assert any(rare[0] in glyphs._letters(family) for family in taken)
    assert not any("Last" in family for family in taken)


def test_texts_of_pages_stay_text_without_a_warning() -> None:
    with warnings.catch_warnings(), style(SENTINEL):
        warnings.simplefilter("error")
        assert QUARTZ in svg_text(drawn(QUARTZ, TREE))


def test_a_map_with_names_of_every_script(tmp_path: Path) -> None:
    names = (QUARTZ, MARBLE, f"{TREE} oak", "$100_soil$")
    colours = ("#ff0000", "#00ff00", "#0000ff", "#00ffff")
    classes = (LabelClass(k, n, c) for k, (n, c) in enumerate(zip(names, colours, strict=True), 1))
    codes = np.arange(1, 5).repeat(25).reshape(10, 10)
    with pytest.warns(PictureWarning) as told:
        map_quicklook(tmp_path / "map.png", codes, LabelSet("x", tuple(classes)), "\u5730\u56fe")
    assert len(told) == 1
    assert (tmp_path / "map.png").stat().st_size > 1000
