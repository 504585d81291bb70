"""Which class of a label set a map's value is: by its name where both have names, else by its code.

Two products that use one code for two classes must never be compared by code.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.labels.layers import listed
from hsi_ssl.labels.palette import distinct_colour
from hsi_ssl.maps.class_map import REJECT, REJECT_COLOUR
from hsi_ssl.reports.class_maps import ClassMap

OURS = re.compile(rf"{REJECT}|unknown-\d+")
"""What our maps call pixels that no class explains, and groups that were discovered."""
LISTS = str.maketrans(",{}", ";()")
"""What ENVI headers cannot hold in names, and what our maps write there."""


@dataclass(frozen=True)
class Matched:
    """The classes of a map's values.

    `index`: of each value that occurs, a class of the label set, 0..K-1, or from K on one of
    `further`, which are no true classes. `notes`: what is to be said of it.
    """

    index: Mapping[int, int]
    further: tuple[LabelClass, ...] = ()
    notes: tuple[str, ...] = ()


class Naming:
    """The classes of a label set by name and by code; `path` is what has them."""

    def __init__(self, label_set: LabelSet, path: Path) -> None:
        self._path = path
        self._names = {c.code: c.name for c in label_set.classes}
        self._index = {c.code: k for k, c in enumerate(label_set.classes)}
        by_name = defaultdict(list)
        for k, c in enumerate(label_set.classes):
            if named(c.code, c.name):
                by_name[plain(c.name)].append(k)
        self._by_name = {name: each[0] for name, each in by_name.items() if len(each) == 1}

    def knows(self, name: str) -> bool:
        """Whether a class, and no other, has that name."""
        return plain(name) in self._by_name

    def index(self, code: int, name: str | None, path: Path) -> int | None:
        """The class that `path` means by a code that it calls `name`; None where there is none.

        Raises
        ------
        LabelError
            The code is that of another class here.
        """
        if name is None or not named(code, name):
            return self._index.get(code)
        here = self._names.get(code)
        if here is not None and plain(here) == plain(name):
            return self._index[code]
        if self.knows(name):
            return self._by_name[plain(name)]
        if here is not None and named(code, here):
            raise LabelError(
                f"{path} calls code {code} {name}, {self._path} calls it {here}: these are "
                "different classes; name a map of the same classes, or correct the names"
            )
        return self._index.get(code)


def matched(
    found: ClassMap, label_set: LabelSet, path: Path, recoded: Mapping[int, int]
) -> Matched:
    """The classes of all values of a map, by a label set that `path` has.

    Classes that our own maps declare by name, and the label set does not have, are further ones.

    Parameters
    ----------
    recoded
        Codes of values that could not be codes (0 where it is a class, values above 65535).

    Raises
    ------
    LabelError
        A value is none of the classes; code and name contradict each other; two codes would be one
        class.
    """
    naming = Naming(label_set, path)
    index: dict[int, int] = {}
    further: list[LabelClass] = []
    strange: list[int] = []
    for value in sorted(found.pixels):
        name, own = found.names.get(value), found.declared.get(value)
        ours = own is not None and OURS.fullmatch(own) and not naming.knows(own)
        here = None if ours else naming.index(_code(value, recoded), name, found.path)
        if here is not None:
            index[value] = here
        elif own is not None:
            index[value] = len(label_set) + len(further)
            further.append(LabelClass(value, own, _colour(found, value)))
        else:
            strange.append(value)
    if strange:
        raise LabelError(
            f"{found.path} holds {listed((_called(found, v) for v in strange), len(strange))}: no "
            f"class of {path}, which has "
            f"{listed((f'{c.code} ({c.name})' for c in label_set.classes), len(label_set))}; name "
            "a map of these classes, or leave out what stands for nothing with --ignore-codes "
            f"{','.join(map(str, strange[:3]))}"
        )
    moved = {v: k for v, k in index.items() if _is_moved(v, k, label_set, recoded)}
    _refuse_guesses(found, index, moved, label_set, path)
    return Matched(index, tuple(further), tuple(_moved_words(found, moved, label_set)))


def plain(name: str) -> str:
    """A name without what programs change in it: case, spaces, underscores, marks of lists."""
    text = unicodedata.normalize("NFC", name).casefold().translate(LISTS)
    return " ".join(re.split(r"[\s_-]+", text)).strip()


def named(code: int, name: str) -> bool:
    """Whether a name says more than the code."""
    return plain(name) not in {"", str(code), f"class {code}", "(no class)"}


def _code(value: int, recoded: Mapping[int, int]) -> int:
    """The code that a value has in datasets."""
    return value if 0 < value <= LARGEST_CODE else recoded.get(value, value)


def _is_moved(value: int, k: int, label_set: LabelSet, recoded: Mapping[int, int]) -> bool:
    """Whether a value is a class by its name, under another code."""
    return k < len(label_set) and label_set.classes[k].code != _code(value, recoded)


def _refuse_guesses(
    found: ClassMap,
    index: Mapping[int, int],
    moved: Mapping[int, int],
    label_set: LabelSet,
    path: Path,
) -> None:
    """Raise `LabelError` if names and codes of a map together leave open what a value is."""
    nameless = [v for v in index if not named(v, found.names.get(v, ""))]
    if moved and nameless:
        one = next(iter(moved))
        raise LabelError(
            f"{found.path} calls code {one} {found.names[one]}, which is code "
            f"{label_set.classes[moved[one]].code} of {path}, and has no name for code "
            f"{nameless[0]}: nobody knows which class that is; give the map names for all codes"
        )
    values: dict[int, int] = {}
    for value, k in index.items():
        first = values.setdefault(k, value)
        if plain(found.names.get(first, str(first))) != plain(found.names.get(value, str(value))):
            raise LabelError(
                f"{found.path} holds {_called(found, first)} and {_called(found, value)}, which "
                f"would both be {label_set.classes[k].name} of {path}; give them different names"
            )


def _moved_words(found: ClassMap, moved: Mapping[int, int], label_set: LabelSet) -> Iterator[str]:
    if moved:
        pairs = (f"{found.names[v]} {v} is {label_set.classes[k].code}" for v, k in moved.items())
        yield (
            f"{found.path.name} has the classes under other codes, they are matched by name: "
            f"{listed(pairs, len(moved))}"
        )


def _called(found: ClassMap, value: int) -> str:
    """A value with its name, if it has one, and its pixels."""
    name = found.names.get(value, "")
    called = f"code {value}{f' ({name})' if named(value, name) else ''}"
    return f"{called} in {found.pixels[value]:,} pixels"


def _colour(found: ClassMap, value: int) -> str:
    if found.declared.get(value) == REJECT:
        return REJECT_COLOUR
    return found.colours.get(value, distinct_colour(value))
