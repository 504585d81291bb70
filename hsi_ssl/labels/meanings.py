"""What common names of classes mean, and the colours that maps give such things.

Whole words count, in singular or plural, in English: `tree`, not `street`. Where a name speaks of
several things the last word says what it is (`metal roof`); a name that says what it is not
(`no water`) means nothing here.
"""

from __future__ import annotations

import re

MEANINGS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "water",
        ("water", "river", "lake", "sea", "ocean", "pond", "stream", "canal", "reservoir"),
        ("#3d8feb", "#0a14cc", "#70d6ff", "#003dff"),
    ),
    (
        "trees",
        ("tree", "forest", "wood", "woodland", "vegetation", "shrub", "bush", "canopy"),
        ("#29471f", "#00990a", "#70ad7a", "#668f70"),
    ),
    (
        "grass",
        ("grass", "grassland", "meadow", "lawn", "pasture", "turf"),
        ("#8fc200", "#339900", "#a3f58f", "#a3ad5c"),
    ),
    ("crops", ("crop", "cropland", "farmland"), ("#f5e05c", "#b8a366", "#ebcc00")),
    ("soil", ("soil", "ground", "dirt", "mud", "earth"), ("#995214", "#c2997a", "#ad6614")),
    ("sand", ("sand", "beach", "dune", "gravel"), ("#d6b899", "#b8a37a", "#f5c285")),
    (
        "asphalt",
        ("asphalt", "pavement", "road", "street", "tarmac", "bitumen", "highway", "parking"),
        ("#5c5c5c", "#333333", "#667070"),
    ),
    ("concrete", ("concrete", "cement"), ("#998f99", "#b8c2cc")),
    (
        "roofs",
        ("roof", "rooftop", "building", "house", "brick", "tile"),
        ("#e06647", "#c25c66", "#8f0a33", "#e08f70"),
    ),
    ("metal", ("metal", "steel"), ("#8f6699", "#66297a", "#b899d6")),
    ("snow", ("snow", "ice", "glacier"), ("#c2ffff", "#99cccc")),
    ("shadow", ("shadow", "shade"), ("#141429", "#292933")),
)
"""What is meant, the words for it, and its colours, the first that is free counts."""
NOT = {"no", "not", "non", "without", "other", "un"}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_MEANING = {word: i for i, (_, words, _) in enumerate(MEANINGS) for word in words}


def meaning_of(name: str) -> str | None:
    """What the name of a class means, one of `MEANINGS`; None where that is not plain."""
    found = _place(name)
    return None if found is None else MEANINGS[found][0]


def shades_of(name: str) -> tuple[str, ...]:
    """Colours `#rrggbb` for what a name means, none where that is not plain."""
    found = _place(name)
    return () if found is None else MEANINGS[found][2]


def _place(name: str) -> int | None:
    words = [word.lower() for word in WORD.findall(name)]
    if not words or NOT & set(words):
        return None
    meant = [_MEANING.get(word, _MEANING.get(word.removesuffix("s"))) for word in words]
    several = {place for place in meant if place is not None}
    return several.pop() if len(several) == 1 else meant[-1]
