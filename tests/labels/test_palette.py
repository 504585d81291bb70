"""Colours of classes that have none."""

from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.labels.colour_vision import CLEAR, nearest_two
from hsi_ssl.labels.label_set import LabelClass, LabelSet, all_coloured, red_green_blue
from hsi_ssl.labels.meanings import MEANINGS, meaning_of
from hsi_ssl.labels.palette import (
    FIRST,
    NEARLY,
    SEARCHED,
    STILL,
    alike,
    by_meaning,
    colours_for,
    distinct_colour,
    next_colour,
)

LAND = ["asphalt", "grass", "pavement", "roof", "soil", "tree", "water"]


@pytest.mark.parametrize("count", range(2, 13))
def test_up_to_twelve_classes_are_clear_to_every_eye(count: int) -> None:
    assert nearest_two([distinct_colour(i) for i in range(count)])[0] > CLEAR


def test_first_shades_of_all_meanings_are_told_apart() -> None:
    assert nearest_two([shades[0] for _, _, shades in MEANINGS])[0] >= NEARLY


def test_things_of_the_ground_look_as_people_expect() -> None:
    red_of, green_of, blue_of = (
        {name: red_green_blue(colour)[part] for name, colour in zip(LAND, found, strict=True)}
        for part, found in enumerate([colours_for(LAND)] * 3)
    )
    assert blue_of["water"] > max(red_of["water"], green_of["water"])
    assert green_of["tree"] > max(red_of["tree"], blue_of["tree"])
    assert green_of["grass"] > max(red_of["grass"], blue_of["grass"])
    assert red_of["soil"] > green_of["soil"] > blue_of["soil"]
    for grey in ("asphalt", "pavement"):
        assert max(abs(red_of[grey] - green_of[grey]), abs(red_of[grey] - blue_of[grey])) < 12
    assert nearest_two(colours_for(LAND))[0] >= STILL


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("Bare Soil", "soil"),
        ("BareSoil", "soil"),
        ("TREES", "trees"),
        ("metal roof", "roofs"),
        ("tree shadow", "shadow"),
        ("street", "asphalt"),
        ("Buildings-Grass-Trees-Drives", None),
        ("no water", None),
        ("non-vegetation", None),
        ("rosewood", None),
        ("barley", None),
        ("", None),
    ],
)
def test_whole_words_mean_something(name: str, meaning: str | None) -> None:
    assert meaning_of(name) == meaning


def test_more_classes_of_a_meaning_than_shades_are_told_apart_all_the_same() -> None:
    trees = [f"{kind} tree" for kind in ("oak", "pine", "birch", "beech", "elm", "ash")]
    assert nearest_two(colours_for(trees))[0] > STILL


def test_who_comes_first_in_the_alphabet_takes_no_meaning_s_colour() -> None:
    names = ["Alfalfa", "Barley", "tree", "water"]
    found = dict(zip(names, colours_for(names), strict=True))
    assert found["tree"] == colours_for(["tree"])[0]
    assert found["water"] == colours_for(["water"])[0]


def test_given_colours_stay_and_others_keep_clear_of_them() -> None:
    given = [LabelClass(1, "a", FIRST[0]), LabelClass(2, "b", ""), LabelClass(3, "c", FIRST[1])]
    found = all_coloured(given)
    assert [found[0], found[2]] == [given[0], given[2]]
    assert nearest_two([c.colour for c in found])[0] > CLEAR


def test_unknown_codes_keep_clear_of_known_ones() -> None:
    known = LabelSet("x", (LabelClass(5, "five", FIRST[0]),))
    found = known.occurring(np.array([0, 3, 5, 9]))
    assert [c.name for c in found.classes] == ["class 3", "five", "class 9"]
    assert nearest_two(found.colours)[0] > CLEAR


def test_colours_never_end() -> None:
    many = [distinct_colour(i) for i in range(3 * SEARCHED)]
    assert len(set(many)) > 2.9 * SEARCHED
    assert len(next_colour("tree", many)) == len("#rrggbb")


def test_what_looks_alike_is_said() -> None:
    told = alike(["oak", "ash", "sea"], ["#2e7d32", "#2f7c33", "#0000ff"])
    assert told is not None
    assert "oak" in told
    assert "ash" in told
    assert alike(LAND, colours_for(LAND)) is None
    assert alike(["one"], ["#000000"]) is None


def test_what_was_taken_from_names_is_said() -> None:
    assert by_meaning(["oats", "rye"]) == ""
    told = by_meaning(["oats", "water"])
    assert told.startswith("colours by what names mean: water;")
