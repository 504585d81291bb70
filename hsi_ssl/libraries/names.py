"""From a sample's name in a library to the material it is a sample of."""

from __future__ import annotations

import re
from collections.abc import Sequence

VARIETIES = {
    "clinochlore": "Chlorite",
    "prochlorite": "Chlorite",
    "thuringite": "Chlorite",
    "endellite": "Halloysite",
    "nanohematite": "Hematite",
    "lepidocrosite": "Lepidocrocite",
    "reibeckite": "Riebeckite",
}
"""Members and varieties of a mineral that go by a name of their own; names misspelt in splib06."""
MIXED = "+"
"""In the name of a mixture of materials."""


def materials(names: Sequence[str]) -> tuple[str, ...]:
    """The material of each sample, so that two samples of one mineral share a name.

    A name's first word, without the number of the sample ("alunite_2"), and without what follows
    an underscore or a hyphen where other samples go by the bare word ("Clinochlore_Fe" beside
    "Clinochlore"); members of a group go by the group's name (`VARIETIES`).
    """
    words = [_first_word(name) for name in names]
    bare = {word.lower() for word in words}

    def material(word: str) -> str:
        stem = re.split(r"[_-]", word)[0]
        if MIXED not in word and stem.lower() in bare:
            word = stem
        return VARIETIES.get(word.lower(), word[:1].upper() + word[1:])

    return tuple(material(word) for word in words)


def is_mixture(material: str) -> bool:
    """Whether a material is a mixture of several by its name, as "Calcite+Talc"."""
    return MIXED in material


def _first_word(name: str) -> str:
    word = next(iter(name.split()), "").strip(",;:")
    return re.sub(r"(?<=[A-Za-z])[_\-.]?\d+$", "", word) or name
