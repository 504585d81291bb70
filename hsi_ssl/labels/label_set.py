"""Label sets: the user's codes, names and colours, and the two conversions to indices and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.labels.palette import colours_for, next_colour

UNLABELLED = -1
"""Index of a pixel without label."""
UNLABELLED_CODE = 0
"""Code, in files and maps, of a pixel without label or outside."""


@dataclass(frozen=True)
class LabelClass:
    """One class: the user's code (32 stays 32), its name and its colour `#rrggbb`."""

    code: int
    name: str
    colour: str


@dataclass(frozen=True)
class LabelSet:
    """Classes in the order of their indices 0..K-1."""

    name: str
    classes: tuple[LabelClass, ...]

    def __len__(self) -> int:
        return len(self.classes)

    @cached_property
    def codes(self) -> npt.NDArray[np.int64]:
        """Codes by index, `(K,)`."""
        return np.array([c.code for c in self.classes], dtype=np.int64)

    @property
    def names(self) -> tuple[str, ...]:
        """Names by index."""
        return tuple(c.name for c in self.classes)

    @property
    def colours(self) -> tuple[str, ...]:
        """Colours `#rrggbb` by index."""
        return tuple(c.colour for c in self.classes)

    def to_card(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "classes": [{"code": c.code, "name": c.name, "colour": c.colour} for c in self.classes],
        }

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> LabelSet:
        """Inverse of `to_card`."""
        return cls(card["name"], tuple(LabelClass(**c) for c in card["classes"]))

    def occurring(self, codes: npt.NDArray[np.int64]) -> LabelSet:
        """The set of the given codes in ascending order; unknown ones get a name and a colour."""
        known = {c.code: c for c in self.classes}
        there = sorted({int(c) for c in codes} - {UNLABELLED_CODE})
        taken = [known[code].colour for code in there if code in known]
        found = []
        for code in there:
            if code not in known:
                known[code] = LabelClass(code, f"class {code}", next_colour("", taken))
                taken.append(known[code].colour)
            found.append(known[code])
        return LabelSet(self.name, tuple(found))


def all_coloured(classes: Sequence[LabelClass]) -> tuple[LabelClass, ...]:
    """Classes of which each has a colour, those without one too."""
    bare = [c.name for c in classes if not c.colour]
    new = iter(colours_for(bare, [c.colour for c in classes if c.colour]))
    return tuple(c if c.colour else replace(c, colour=next(new)) for c in classes)


def codes_to_indices(codes: npt.NDArray[Any], label_set: LabelSet) -> npt.NDArray[np.int16]:
    """Indices 0..K-1 of codes of any shape; codes outside the set become -1."""
    # The table's first entry also stands for codes below 0, its last for those above all.
    table = np.full(max(label_set.codes, default=UNLABELLED_CODE) + 2, UNLABELLED, np.int16)
    table[label_set.codes] = np.arange(len(label_set))
    return table.take(codes, mode="clip")


def indices_to_codes(indices: npt.NDArray[Any], label_set: LabelSet) -> npt.NDArray[np.int64]:
    """Codes of indices of any shape; -1 becomes 0."""
    table: npt.NDArray[np.int64] = np.append(label_set.codes, UNLABELLED_CODE)
    return np.asarray(table[indices])


def red_green_blue(colour: str) -> tuple[int, int, int]:
    """The three parts, 0 to 255, of a colour `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
