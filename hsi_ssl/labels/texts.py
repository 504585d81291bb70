"""Arrays of text as labels: class names as numbers, or the numbers that all of them are."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import LabelError
from hsi_ssl.labels.label_set import UNLABELLED_CODE
from hsi_ssl.labels.no_class import is_no_class
from hsi_ssl.scenes.encoding import decoded

Array = npt.NDArray[Any]

KINDS = "US"
"""Of numpy types that hold text."""
NUMBER = re.compile(r"-?[0-9]+(\.0*)?")
MOST_AXES = 2
AT_A_TIME = 2**20
"""Cells that are Python's texts at a time; sorting an array of text takes ten times as long."""


def plain_name(text: str) -> str:
    """A class's name without what nobody sees, empty where it stands for no class."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    return "" if is_no_class(name) else name


class Numbered(NamedTuple):
    """Numbers 1, 2, ... for the names that pixels have, 0 for none, and what is to be said.

    Where all that is named are whole numbers, `values` are these themselves, NaN where there is
    none, and there are no `names`.
    """

    values: Array
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def numbered(texts: Array, path: Path) -> Numbered:
    """The names in an array of any shape, in their order, by number.

    Raises
    ------
    LabelError
        It has more than two axes.
    """
    if sum(side > 1 for side in texts.shape) > MOST_AXES:
        raise LabelError(
            f"{path} holds class names in shape {texts.shape}; expected one a pixel, (rows, cols)"
        )
    found = np.empty(texts.size, np.int64)
    place: dict[str | bytes, int] = {}
    flat = texts.ravel()
    for at in range(0, len(flat), AT_A_TIME):
        cells = flat[at : at + AT_A_TIME].tolist()
        found[at : at + len(cells)] = [place.setdefault(cell, len(place)) for cell in cells]
    written = [cell if isinstance(cell, str) else decoded(cell) for cell in place]
    names = [plain_name(text) for text in written]
    if all(NUMBER.fullmatch(name) for name in names if name):
        values = [float(t) if NUMBER.fullmatch(t := text.strip()) else np.nan for text in written]
        return Numbered(np.array(values)[found].reshape(texts.shape))
    named = sorted({*names} - {""})
    number = {name: i for i, name in enumerate(named, start=1)} | {"": UNLABELLED_CODE}
    table = np.array([number[name] for name in names], np.int64)
    nothing = sorted({text.strip() for text, name in zip(written, names, strict=True) if not name})
    words = ", ".join(word for word in nothing if word)
    notes = (f"{words} in {path.name} is taken as unlabelled",) if words else ()
    return Numbered(table[found].reshape(texts.shape), tuple(named), notes)
