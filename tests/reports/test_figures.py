from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.reports.figures import (
    NOT_CLASSIFIED,
    SENTINEL,
    draw_generated,
    draw_spectra,
    map_quicklook,
    paint,
    percent,
    plain_numbers,
    style,
    svg_text,
)

ROCKS = LabelSet(
    "rocks", (LabelClass(32, "quartz", "#ff0000"), LabelClass(7, "mica & clay", "#00ff00"))
)


def test_paint_gives_each_code_its_colour() -> None:
    picture = paint(np.array([[32, 7], [0, 99]]), ROCKS)
    empty = [int(NOT_CLASSIFIED[i : i + 2], 16) for i in (1, 3, 5)]
    assert picture.tolist() == [[[255, 0, 0], [0, 255, 0]], [empty, empty]]


def test_quicklook_shows_the_map_in_its_colours(tmp_path: Path) -> None:
    codes = np.full((30, 50), 32)
    codes[:, 25:] = 7
    codes[:5] = 0
    map_quicklook(tmp_path / "map.png", codes, ROCKS, "a map")
    picture = (matplotlib.image.imread(tmp_path / "map.png")[..., :3] * 255).round()
    share = [float((picture == colour).all(axis=2).mean()) for colour in ((255, 0, 0), (0, 255, 0))]
    assert min(share) > 0.2
    assert share[0] == pytest.approx(share[1], rel=0.05)


def test_figures_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        map_quicklook(tmp_path / name, np.array([[32, 7]]), ROCKS, "a map")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_lines_break_where_bands_are_left_out() -> None:
    wavelengths = np.r_[np.arange(400, 900, 10), np.arange(1500, 2000, 10)]
    with style():
        axes = Figure().subplots()
        draw_spectra(axes, wavelengths, np.ones((3, 100)))
    (lines,) = axes.collections
    each = [np.asarray(path.vertices)[:, 1] for path in lines.get_paths()]
    breaks = [np.flatnonzero(np.isnan(values)).tolist() for values in each]
    assert breaks == [[50]] * 3


def test_many_spectra_are_thinned_over_their_whole_range() -> None:
    with style():
        axes = Figure().subplots()
        draw_spectra(axes, None, np.arange(1000.0)[:, None] * np.ones(5))
    (lines,) = axes.collections
    levels = [float(np.asarray(path.vertices)[0, 1]) for path in lines.get_paths()]
    assert (len(levels), levels[0], levels[-1]) == (60, 0, 999)


@pytest.mark.slow
@pytest.mark.parametrize("wavelengths", [None, np.linspace(1000, 2500, 20)])
def test_generated_spectra_are_drawn_and_replaced(
    tmp_path: Path, wavelengths: np.ndarray | None
) -> None:
    spectra = np.random.default_rng(0).normal(1, 0.1, (8, 20))
    path = tmp_path / "figures" / "generated.png"
    draw_generated(path, wavelengths, [("epoch 0", 9 * spectra), ("measured", spectra)])
    first = path.read_bytes()
    rows = [(f"epoch {i}", spectra) for i in range(5)] + [("measured", spectra)]
    draw_generated(path, wavelengths, rows, "reflectance")
    assert path.read_bytes() != first
    assert len(list(path.parent.iterdir())) == 1


def test_svg_takes_the_colour_of_the_page_and_its_width() -> None:
    with style(SENTINEL):
        figure = Figure()
        figure.subplots().set_title("a < b & c")
        text = svg_text(figure)
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    assert "width" not in root.attrib
    assert "height" not in root.attrib
    assert "currentColor" in text
    assert SENTINEL not in text
    assert "a &lt; b &amp; c" in text


def test_percent() -> None:
    shares = (0, 0.00001, 0.0005, 0.034, 0.123, 0.999, 1)
    assert [percent(s) for s in shares] == [
        "0 %",
        "< 0.01 %",
        "0.05 %",
        "3.4 %",
        "12 %",
        "100 %",
        "100 %",
    ]


def test_logarithmic_axes_are_labelled_by_numbers() -> None:
    with style(SENTINEL):
        figure = Figure()
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_xlim(1, 20_000)
        plain_numbers(axes.xaxis)
        text = svg_text(figure)
    assert "10,000" in text
    assert "mathdefault" not in text
