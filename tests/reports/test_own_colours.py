"""Colours that figures and pages have of their own, by the measure that classes are held to."""

from __future__ import annotations

from pathlib import Path

import pytest
from palettes import REPORT, VIEW, own, variables

from hsi_ssl.labels.colour_vision import CLEAR, distances, nearest_two, seen
from hsi_ssl.reports.figures import LINES, PART_COLOURS

SEEN = 0.2
"""Of a line from the page that it is drawn on, at least."""
TABLE = Path(__file__).parents[2] / "reports/colours.md"


@pytest.mark.parametrize(("name", "colours"), own().items())
def test_they_are_clear_to_every_eye_and_told_in_the_report(name: str, colours: list[str]) -> None:
    nearest = nearest_two(colours)[0]
    assert nearest >= CLEAR, name
    assert f"| {name} | {len(colours)} | {nearest:.3f} |" in TABLE.read_text(encoding="utf-8")


@pytest.mark.parametrize("dark", [False, True])
def test_lines_and_parts_show_on_the_page(dark: bool) -> None:
    card = variables(REPORT)[dark]["card"]
    assert distances(seen([*LINES, *PART_COLOURS]), seen([card])).min() >= SEEN


def test_parts_look_the_same_in_figures_and_on_pages() -> None:
    for colours in variables(REPORT):
        parts = tuple(colours[part] for part in ("train", "validation", "test", "pool"))
        assert parts == PART_COLOURS


def test_pages_and_view_share_their_colours() -> None:
    for report, view in zip(variables(REPORT), variables(VIEW), strict=True):
        shared = report.keys() & view.keys() - {"empty"}
        assert {name: report[name] for name in shared} == {name: view[name] for name in shared}
