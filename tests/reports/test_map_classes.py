"""Which class a map's value is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.reports.class_maps import open_class_map
from hsi_ssl.reports.map_classes import Matched, matched

Write = Callable[..., Path]
KNOWN = {2: "quartz", 7: "kaolinite", 32: "white mica"}


def of(
    path: Path, known: dict[int, str] | None = None, recoded: dict[int, int] | None = None
) -> Matched:
    known = KNOWN if known is None else known
    label_set = LabelSet("minerals", tuple(LabelClass(c, n, "#aaaaaa") for c, n in known.items()))
    with open_class_map(path) as found:
        return matched(found, label_set, Path("d.h5"), recoded or {})


def plane(*codes: int) -> npt.NDArray[Any]:
    return np.repeat(np.array([codes], np.uint16), 3, axis=0)


def test_codes_are_the_classes_of_a_map_without_names(write_map: Write) -> None:
    found = of(write_map("m.tif", plane(0, 2, 7, 32)))
    assert found.index == {2: 0, 7: 1, 32: 2}
    assert not found.further
    assert not found.notes
    assert of(write_map("one.tif", plane(7))).index == {7: 1}


def test_names_count_before_codes_and_this_is_said(write_map: Write) -> None:
    names = {2: "White_Mica", 7: "QUARTZ", 12: "kaolinite"}
    found = of(write_map("m.tif", plane(2, 7, 12), names))
    assert found.index == {2: 2, 7: 0, 12: 1}
    assert found.notes == (
        "m.tif has the classes under other codes, they are matched by name: White_Mica 2 is 32, "
        "QUARTZ 7 is 2, kaolinite 12 is 7",
    )


def test_names_of_other_classes_under_the_same_codes_are_refused(write_map: Write) -> None:
    names = {2: "quartz", 7: "calcite"}
    with pytest.raises(LabelError, match=r"m\.tif calls code 7 calcite, d\.h5 calls it kaolinite"):
        of(write_map("m.tif", plane(2, 7), names))
    # What does not occur says nothing of any pixel.
    assert of(write_map("n.tif", plane(2, 2), names)).index == {2: 0}


def test_names_that_say_nothing_contradict_nothing(write_map: Write) -> None:
    found = of(write_map("m.tif", plane(2, 7), {2: "class 2", 7: "7"}))
    assert found.index == {2: 0, 7: 1}
    numbered = {2: "class 2", 7: "class 7"}
    assert of(write_map("n.tif", plane(2, 7), {2: "a", 7: "b"}), numbered).index == {2: 0, 7: 1}


def test_codes_that_nobody_knows_are_refused_with_their_pixels(write_map: Write) -> None:
    with pytest.raises(LabelError, match=r"code 99 in 3 pixels, code 255 in 6 pixels: no class of"):
        of(write_map("m.tif", plane(2, 99, 255, 255)))


def test_classes_that_our_maps_declare_are_further_ones(write_map: Write) -> None:
    names = {**KNOWN, 33: "reject", 34: "unknown-1", 40: "gypsum"}
    found = of(write_map("m.tif", plane(2, 33, 34, 40), names))
    assert found.index == {2: 0, 33: 3, 34: 4, 40: 5}
    assert [c.name for c in found.further] == ["reject", "unknown-1", "gypsum"]
    # A model of fewer classes gives rejected pixels a code that is a class here.
    fewer = of(write_map("n.tif", plane(2, 7), {2: "quartz", 7: "reject"}))
    assert fewer.index == {2: 0, 7: 3}


def test_what_names_leave_open_is_refused(write_map: Write) -> None:
    with pytest.raises(LabelError, match="has no name for code 7: nobody knows"):
        of(write_map("m.tif", plane(7, 32), {32: "quartz"}))
    with pytest.raises(LabelError, match="would both be"):
        of(write_map("z.tif", plane(0, 2, 255), nodata=255), {2: "a", 7: "b"}, {0: 2})


def test_two_codes_of_one_name_are_one_class(write_map: Write) -> None:
    names = {1: "quartz", 2: "quartz"}
    assert of(write_map("m.tif", plane(1, 2), names)).index == {1: 0, 2: 0}


def test_values_that_could_not_be_codes_have_those_of_the_dataset(write_map: Write) -> None:
    path = write_map("m.tif", plane(0, 7, 255), nodata=255)
    assert of(path, recoded={0: 32}).index == {0: 2, 7: 1}
    with pytest.raises(LabelError, match="code 0 in 3 pixels"):
        of(path)
