"""The live line: it fits, it moves, it tells how long; in a real terminal."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from terminals import in_terminal

from hsi_ssl.cli.live import CLEAR, LiveLine, cut, width

LEFT = r"(\d+):(\d\d) left"
STEADY = """
import time
from hsi_ssl.cli.output import Terminal

with Terminal() as terminal:
    began = time.monotonic()
    for epoch in range(5):
        for step in range(1, 11):
            time.sleep(max(0.0, began + epoch + 0.1 * step - time.monotonic()))
            if step < 10:
                terminal.progress("steady", epoch + step / 10, 5)
        terminal.progress("steady", epoch + 1, 5)
        terminal.say("one more is over, which is told in a sentence longer than the terminal is "
                     "wide, as sentences are")
"""


@pytest.mark.slow
def test_time_left_is_told_each_second_and_comes_true(tmp_path: Path) -> None:
    """Five steps of a second, which begin when the first part of one was told."""
    ran = in_terminal([], program=("-c", STEADY), folder=tmp_path, columns=60)
    assert ran.code == 0, ran.left
    first, end = ran.each("steady ")[0][0], ran.each("one more is over")[-1][0]
    told = [
        (when, 60 * int(found[1]) + int(found[2]))
        for when, found in ran.each(LEFT)
        if when > first + 0.1 * (end - first)
    ]
    assert told[0][0] < first + 0.3 * (end - first)
    assert max(b[0] - a[0] for a, b in itertools.pairwise(told)) < 1
    assert len({left for _, left in told}) >= 4
    for when, left in told:
        truth = end - when
        assert truth / 1.5 - 0.7 <= left <= truth * 1.5 + 0.7, (when, left, truth)
    assert all(width(drawn) < 60 for drawn in _drawn(ran.text))
    assert ran.text.rstrip("\r\n").endswith("as sentences are")


def _drawn(text: str) -> list[str]:
    """The live lines as they were drawn, one after another."""
    return [p.split("\r")[0].split("\n")[0] for p in text.split(CLEAR)[1:] if "\u2501" in p[:200]]


@pytest.mark.parametrize("columns", [12, 30, 40, 60, 80, 200])
def test_it_fits_whatever_it_tells(columns: int) -> None:
    line = LiveLine()
    try:
        line.progress("classify 场景 of a flight with a long name over the river", 0.5, 10)
        line.progress("classify 场景 of a flight with a long name over the river", 3.5, 10)
        assert width(line.line(0.0, columns)) < columns
        line.stands("epoch 112 of 200: bound 12345.67, best 12345.99 in epoch 109")
        found = line.line(0.0, columns)
        assert width(found) < columns
        assert columns < 80 or found.startswith("epoch 112 of 200: bound 12345.67, best 12345.99")
    finally:
        line.stop()


def test_a_part_shows_with_the_whole_whose_time_counts() -> None:
    line = LiveLine()
    try:
        line.progress("scenes", 0, 3)
        line.progress("classify a", 5, 10)
        assert line.line(0.0, 80).startswith("scenes: classify a ")
        line.progress("scenes", 1, 3)  # a ended without a word
        line.progress("classify b", 5, 10)
        assert line.line(0.0, 80).startswith("scenes: classify b ")
        line.progress("classify b", 10, 10)
        line.progress("scenes", 3, 3)
        assert line.line(0.0, 80) == ""
    finally:
        line.stop()


def test_what_is_cut_shows_it() -> None:
    assert cut("a long name", 8) == "a lon..."
    assert cut("short", 8) == "short"
    assert width(cut("场景场景场景", 9)) <= 9
