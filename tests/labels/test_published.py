"""Names for published maps: only where the pixels agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hearing import Hears

from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.published import named_by_overlap

KNOWN = LabelSet(
    "rocks",
    (
        LabelClass(1, "granite", "#111111"),
        LabelClass(2, "basalt", "#222222"),
        LabelClass(3, "tuff", "#333333"),
    ),
)
Plane = npt.NDArray[np.int64]


def plane(*runs: tuple[int, int]) -> Plane:
    """A plane of one column: runs of (code, pixels)."""
    return np.concatenate([np.full(n, code) for code, n in runs])[:, None]


def names(published: Plane, known: Plane | None) -> dict[int, str]:
    found = named_by_overlap([published], [known], KNOWN)
    return {c.code: c.name for c in found.classes}


def test_the_same_codes_keep_their_names() -> None:
    same = plane((1, 100), (2, 100), (3, 100))
    assert names(same, same) == {1: "granite", 2: "basalt", 3: "tuff"}


def test_one_pixel_in_a_hundred_may_differ() -> None:
    assert names(plane((1, 100), (2, 100)), plane((1, 99), (3, 1), (2, 98), (3, 2))) == {
        1: "granite",
        2: "basalt",  # 98 %: not by its code, but one class and one code are each other's
    }
    assert names(plane((2, 100)), plane((2, 90), (1, 10))) == {}


def test_other_codes_are_named_by_their_pixels(hears: Hears) -> None:
    published, known = plane((7, 100), (1, 100)), plane((1, 97), (0, 3), (2, 100))
    found = named_by_overlap([published], [known], KNOWN, watcher=hears)
    assert {c.code: (c.name, c.colour) for c in found.classes} == {
        7: ("granite", "#111111"),
        1: ("basalt", "#222222"),
    }
    assert len(hears.said) == 1
    assert "7 granite" in hears.said[0]
    assert "1 basalt" in hears.said[0]


def test_a_class_that_was_split_or_merged_gets_no_name() -> None:
    assert names(plane((5, 100), (6, 100)), plane((1, 200))) == {}
    assert names(plane((5, 200)), plane((1, 100), (2, 100))) == {}


@pytest.mark.parametrize("known", [None, plane((0, 100)), plane((0, 60), (1, 40))])
def test_without_enough_overlap_there_is_no_name(known: Plane | None) -> None:
    assert names(plane((1, 100)), known) == {}


def test_scenes_count_together() -> None:
    parts = [plane((4, 50)), plane((4, 50))]
    agree = named_by_overlap(parts, [plane((1, 50)), plane((1, 50))], KNOWN)
    assert agree.names == ("granite",)
    apart = named_by_overlap(parts, [plane((1, 50)), plane((2, 50))], KNOWN)
    assert apart.names == ()


def test_nameless_codes_are_told(hears: Hears) -> None:
    named_by_overlap([plane((9, 10))], [plane((0, 10))], KNOWN, watcher=hears)
    assert "9" in hears.said[0]
