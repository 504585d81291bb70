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
SAID = re.compile(r"\b(usgs|ecostress|speclib)|splib0|\baster spectral lib", re.IGNORECASE)
"""In what libraries say of themselves whose sample names begin with the mineral."""
RECORD = re.compile(r"\bs0\d\w+=|^s0[67]_?[a-z]|\b[AR]REF\b|splib0", re.IGNORECASE)
"""In the USGS's names of spectra and files: `s06av95a=b`, `s07_AV95`, `BECKb AREF`."""


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


def names_minerals(names: Sequence[str], file: str = "", says: str = "") -> bool:
    """Whether a library is one whose samples are called by their mineral first (`materials`).

    It must say so itself: in its description or comments (`says`), its file's name, or by the
    USGS's numbers of spectra in most names. In any other library a name is a name, and two
    spectra are of one material only if they are called the same.
    """
    of_usgs = sum(RECORD.search(name) is not None for name in names)
    return (
        SAID.search(says) is not None
        or SAID.search(file) is not None
        or RECORD.search(file) is not None
        or 2 * of_usgs > len(names)
    )


def is_mixture(material: str) -> bool:
    """Whether a material is a mixture of several by its name, as "Calcite+Talc"."""
    return MIXED in material


def _first_word(name: str) -> str:
    word = next(iter(name.split()), "").strip(",;:")
    return re.sub(r"(?<=[A-Za-z])[_\-.]?\d+$", "", word) or name
