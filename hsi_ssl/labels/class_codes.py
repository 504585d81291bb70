"""Codes for the classes that fields of vector layers name, the same ones every time.

Whole numbers are codes themselves. Names get the next free code, and a small CSV (code, name,
colour) remembers it: a class that is added later changes no other class's code.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hsi_ssl.cells import records_of, whole_number
from hsi_ssl.errors import LabelError, OutputError
from hsi_ssl.files import written_beside
from hsi_ssl.labels.codes import LARGEST_CODE
from hsi_ssl.labels.label_set import UNLABELLED_CODE, LabelClass, all_coloured
from hsi_ssl.labels.layers import Layer, listed
from hsi_ssl.labels.no_class import is_no_class
from hsi_ssl.labels.palette import by_meaning
from hsi_ssl.labels.texts import plain_name
from hsi_ssl.watcher import SILENT, Watcher

NAME_KEYS = ("name", "label", "class", "title", "value")
"""Where an object that stands for a class has its name."""
COLUMNS = ["code", "name", "colour"]
COLOUR = re.compile("#[0-9a-fA-F]{6}")

Codes = npt.NDArray[np.int64]
Texts = npt.NDArray[Any]


@dataclass(frozen=True)
class ClassFile:
    """The classes of a CSV, and whether they are what it holds already."""

    path: Path
    classes: tuple[LabelClass, ...]
    saved: bool = True

    def extended(self, classes: tuple[LabelClass, ...]) -> ClassFile:
        """With these classes, which hold those that it has."""
        return replace(self, classes=classes, saved=self.saved and classes == self.classes)

    def save(self, watcher: Watcher = SILENT) -> None:
        """Write the file, and say so, unless it holds these classes.

        Raises
        ------
        OutputError
            As `written_beside`.
        """
        if self.saved:
            return
        try:
            with (
                written_beside(self.path, overwrite=True) as beside,
                beside.open("w", newline="", encoding="utf-8") as file,
            ):
                writer = csv.writer(file)
                writer.writerow(COLUMNS)
                writer.writerows([c.code, c.name, c.colour] for c in self.classes)
        except OutputError as error:  # labels may lie where nobody may write
            raise OutputError(f"{error}, with --classes FILE.csv") from error
        watcher.say(f"{self.path} remembers codes and colours of the classes")


def read_classes(path: Path) -> ClassFile:
    """The classes that a CSV remembers, none where there is no file.

    Columns code, name and, if there is one, colour; commas or semicolons between them.

    Raises
    ------
    LabelError
        It is no such table; a code or a name is there twice, or stands for no class.
    """
    if not path.exists():
        return ClassFile(path, ())
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path} cannot be read ({error}); expected a CSV in UTF-8") from error
    lines = text.splitlines() or [""]
    try:
        columns, table = records_of(lines, ";" if ";" in lines[0] else ",")
    except ValueError as error:
        raise LabelError(f"{path} is no table: {error}; save it again") from error
    if not {"code", "name"} <= set(columns):
        raise LabelError(
            f"{path}: expected columns code, name and colour, found "
            f"{', '.join(columns) or 'nothing'}"
        )
    classes: list[LabelClass] = []
    for line, row in enumerate(table, start=2):
        text, name, colour = (row.get(column, "").strip() for column in COLUMNS)
        code = whole_number(text)
        place = f"{path}, line {line}"
        if code is None or not UNLABELLED_CODE < code <= LARGEST_CODE:
            raise LabelError(
                f"{place}: code {text!r}; expected a whole number, 1 to {LARGEST_CODE}"
            )
        if is_no_class(name):
            raise LabelError(f"{place}: {name!r} stands for no class; give it another name")
        if colour and not COLOUR.fullmatch(colour):
            raise LabelError(
                f"{place}: colour {colour!r}; expected one such as #3366aa, or nothing"
            )
        if any(c.code == code or c.name == name for c in classes):
            raise LabelError(
                f"{place}: code {code} or name {name} is there twice; keep one of them"
            )
        classes.append(LabelClass(code, name, colour))
    return ClassFile(path, all_coloured(classes))


def remembered(places: Sequence[Path]) -> ClassFile:
    """What the CSVs at `places` remember together, to be kept in the first that is there.

    Raises
    ------
    LabelError
        One is no such table, or two name a code differently or give a class two codes.
    """
    files = [read_classes(path) for path in places if path.exists()]
    if not files:
        return ClassFile(places[0], ())
    classes = files[0].classes
    for file in files[1:]:
        classes = joined(classes, file.classes, f"{file.path} has", f"{files[0].path} has")
    return ClassFile(files[0].path, classes, saved=len(classes) == len(files[0].classes))


def joined(
    known: Sequence[LabelClass], more: Sequence[LabelClass], of_more: str, of_known: str
) -> tuple[LabelClass, ...]:
    """`known` and those of `more` that it lacks; `of_more` and `of_known` say whose they are.

    Raises
    ------
    LabelError
        They name a code differently, or give a class two codes.
    """
    classes = list(known)
    for new in more:
        old = next((c for c in classes if c.code == new.code or c.name == new.name), None)
        if old is None:
            classes.append(new)
        elif (old.code, old.name) != (new.code, new.name):
            raise LabelError(
                f"{of_more} {new.code} {new.name} where {of_known} {old.code} {old.name}; make "
                "them one, and give it with --classes"
            )
    return tuple(classes)


def coded(
    layers: Sequence[Layer],
    known: Sequence[LabelClass],
    watcher: Watcher = SILENT,
    ignore: Sequence[int] = (),
) -> tuple[list[Codes], tuple[LabelClass, ...]]:
    """Codes `(n,)` of the features of each layer, 0 without class, and the classes named.

    Numbers, also as text where all texts are numbers, are codes; names have the code that they
    have in `known`, new ones the next above all. The classes are `known` and the new ones; none
    where there are only numbers. Of an object in JSON (QuPath's classification) its name counts.
    Numbers of `ignore` are no class. Features without a class are said.

    Raises
    ------
    LabelError
        A number is no code: fractional, negative or above 65535.
    """
    values = [np.asarray(layer.values) for layer in layers]
    texts = [
        _texts(column, layer) if column.dtype.kind in "Ob" else None
        for column, layer in zip(values, layers, strict=True)
    ]
    names = sorted({name for column in texts if column is not None for name in column} - {""})
    if all(name.isdecimal() for name in names):
        for i, column in enumerate(texts):
            if column is not None:
                values[i], texts[i] = np.array([float(t or "0") for t in column]), None
        names = []
    codes: list[Codes] = [np.zeros(len(layer), np.int64) for layer in layers]
    for i, (layer, text) in enumerate(zip(layers, texts, strict=True)):
        if text is None:
            codes[i] = _numbers(values[i], layer, ignore)
    taken = set().union(*(np.unique(column).tolist() for column in codes))
    colours = {name: c for layer in layers for name, c in layer.colours.items()}
    classes: tuple[LabelClass, ...] = ()
    if names:
        known = (*known, *styled(layers, codes, known, nameless=False))
        classes = with_names(names, known, taken, colours)
        told = by_meaning([c.name for c in classes[len(known) :] if c.name not in colours])
        if told:
            watcher.say(told)
    code_of = {c.name: c.code for c in classes} | {"": UNLABELLED_CODE}
    for i, text in enumerate(texts):
        if text is not None:
            codes[i] = np.array([code_of[name] for name in text], np.int64)
    _tell(layers, codes, names, watcher)
    return codes, classes


def styled(
    layers: Sequence[Layer],
    codes: Sequence[Codes],
    known: Sequence[LabelClass],
    *,
    nameless: bool,
) -> tuple[LabelClass, ...]:
    """Classes that are numbers, as the layers' styles name and colour them, those of `known` not.

    `nameless`: also those of which a style tells the colour alone. A name stands for one number,
    the lowest.

    Raises
    ------
    LabelError
        Two layers' styles name a number differently.
    """
    there = {c.code for c in known} | {UNLABELLED_CODE}
    names: dict[int, tuple[str, Layer]] = {}
    colours: dict[int, str] = {}
    for layer, column in zip(layers, codes, strict=True):
        for code in {*np.unique(column).tolist()} - there:
            name, colour = layer.names.get(code), layer.colours.get(str(code))
            if name is not None:
                other, of_other = names.setdefault(code, (name, layer))
                if other != name:
                    raise LabelError(
                        f"the style of {layer.path} calls class {code} {name}, that of "
                        f"{of_other.path} calls it {other}; make them one, or prepare them apart"
                    )
            if colour is not None:
                colours.setdefault(code, colour)
    taken = {c.name for c in known}
    classes: list[LabelClass] = []
    for code in sorted({*names, *colours} if nameless else names):
        name = names[code][0] if code in names else None
        if name in taken and not nameless:
            continue
        called = f"class {code}" if name is None or name in taken else name
        taken.add(called)
        classes.append(LabelClass(code, called, colours.get(code, "")))
    return all_coloured([*known, *classes])[len(known) :]


def _texts(values: npt.NDArray[Any], layer: Layer) -> Texts:
    """Names without what nobody sees; empty where they stand for no class."""
    named = (_name_in(value, layer) for value in values)
    texts = ("" if value is None else str(value) for value in named)
    return np.array([plain_name(text) for text in texts], object)


def _name_in(value: Any, layer: Layer) -> Any:
    """The name that an object in JSON holds; other values as they are."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if not isinstance(found, dict):
        return value
    key = next((k for k in NAME_KEYS if isinstance(found.get(k), str)), None)
    if key is None:
        raise LabelError(
            f"{layer.path} keeps the class in an object with {', '.join(found) or 'nothing'}; "
            f"expected {', '.join(NAME_KEYS)}: name another field with --label-field"
        )
    return found[key]


def _numbers(values: npt.NDArray[Any], layer: Layer, ignore: Sequence[int]) -> Codes:
    """Codes of a field of numbers."""
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    missing |= np.isin(values, list(ignore))
    values = np.where(missing, UNLABELLED_CODE, values)
    bad = (values < 0) | (values > LARGEST_CODE) | (values != np.floor(values))
    if bad.any():
        first = np.flatnonzero(bad)[0]
        raise LabelError(
            f"{layer.path}: feature {layer.ids[first]} has class {values[first]:g}; expected whole "
            f"numbers from {UNLABELLED_CODE} (no class) to {LARGEST_CODE}, or names; "
            f"--ignore-codes {values[first]:g} leaves it out"
        )
    return values.astype(np.int64)


def with_names(
    names: Iterable[str],
    known: Sequence[LabelClass],
    taken: Collection[int],
    colours: Mapping[str, str],
) -> tuple[LabelClass, ...]:
    """`known` and the new ones of `names`; one that is a number has that code while it is free.

    `taken` are codes that no new one may have.

    Raises
    ------
    LabelError
        No code is left.
    """
    taken = {*taken, *(c.code for c in known)}
    classes = list(known)
    there = {c.name for c in known}
    new = [name for name in names if name not in there]
    for name in sorted(new, key=lambda name: (not name.isdecimal(), name)):
        own = whole_number(name) or 0
        code = own if 0 < own <= LARGEST_CODE and own not in taken else max(taken, default=0) + 1
        if code > LARGEST_CODE:
            raise LabelError(
                f"no code is left for the class {name}: expected codes up to {LARGEST_CODE}"
            )
        taken.add(code)
        classes.append(LabelClass(code, name, colours.get(name, "")))
    return all_coloured(classes)


def _tell(
    layers: Sequence[Layer],
    codes: Sequence[Codes],
    names: Sequence[str],
    watcher: Watcher,
) -> None:
    """Say which features have no class, and which names are perhaps one."""
    for layer, code in zip(layers, codes, strict=True):
        without = code == UNLABELLED_CODE
        if without.any():
            found = sorted({_shown(value) for value in np.asarray(layer.values)[without]})
            watcher.warn(
                f"{layer.path}: {np.count_nonzero(without)} feature(s) without a class "
                f"({', '.join(found)}), taken as unlabelled: {layer.listed(without)}"
            )
    tell_alike(names, watcher)


def tell_alike(names: Iterable[str], watcher: Watcher) -> None:
    """Say which names differ in nothing but case."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.lower(), []).append(name)
    for group in alike.values():
        if len(group) > 1:
            watcher.warn(f"{listed(group, len(group))} are taken as different classes")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "NULL" if value is None or math.isnan(value) else f"{value:g}"
