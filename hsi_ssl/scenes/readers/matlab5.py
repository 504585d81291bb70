"""MATLAB's files of versions 5 to 7: their elements, found without reading any numbers.

By MathWorks, "MAT-File Format", chapter 1 "Level 5 MAT-Files". An array of version 7 is packed by
itself (zlib): what it is stands in its first bytes; its numbers are unpacked once, into a temporary
file, when they are asked for.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hsi_ssl.scenes.readers.matlab_packed import Packed
from hsi_ssl.scenes.readers.matlab_stored import (
    CELL,
    CHAR,
    COMPLEX,
    LOGICAL,
    NUMBERS,
    OTHER,
    SPARSE,
    BrokenError,
    Stored,
    Stretch,
)

HEADER, TAG = 128, 8
MATRIX, PACKED = 14, 15
TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
CODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL_CLASS, STRUCT_CLASS, CHAR_CLASS, SPARSE_CLASS = 1, 2, 4, 5
NUMBER_CLASSES = range(6, 16)
IS_COMPLEX, IS_LOGICAL = 0x0800, 0x0200
DEEPEST = 20
"""Structs and cells within each other."""


class Element(NamedTuple):
    """Type, size and place of an element's data, and where the next one begins."""

    kind: int
    size: int
    at: int
    next: int


class Level5:
    """An open file and the `arrays` in it by name, fields of structs as `data.cube`; none is empty.

    A struct of several elements is a table, whose fields are no images.

    Raises
    ------
    BrokenError
        The file contradicts itself or is cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        whole = Stretch(path.open("rb", buffering=0), 0, path.stat().st_size)
        self._stretches = [whole]
        self.arrays: dict[str, Stored] = {}
        try:
            mark = whole.read(126, 2)
            if mark not in (b"IM", b"MI"):
                raise BrokenError("its header tells no byte order")
            self._order = "<" if mark == b"IM" else ">"
            self._look(whole)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the files; readers have their own."""
        for stretch in self._stretches:
            stretch.close()

    def _look(self, whole: Stretch) -> None:
        at = HEADER
        while at + TAG <= whole.end:
            element = self._element(whole, at)
            if element.at + element.size > whole.end:
                raise BrokenError("an array is not whole")
            if element.kind == PACKED:
                packed = Packed(self._path, whole, element.at, element.size, self._order)
                self._stretches.append(packed)
                self._note(packed, self._element(packed, 0))
                at = element.at + element.size  # these are not filled up
            else:
                if element.kind == MATRIX:
                    self._note(whole, element)
                at = element.next

    def _note(self, stretch: Stretch, element: Element, name: str = "", depth: int = 0) -> None:
        """Note an array, or what is in a struct."""
        if not element.size or depth > DEEPEST:
            return
        own, found = self._array(stretch, element)
        name = name or own
        if isinstance(found, dict):
            for field, inside in found.items():
                self._note(stretch, inside, f"{name}.{field}", depth + 1)
        elif found is not None and name and 0 not in found.shape:
            self.arrays[name] = found

    def _array(
        self, stretch: Stretch, element: Element, depth: int = 0
    ) -> tuple[str, Stored | dict[str, Element] | None]:
        """Name and content of a matrix: an array, the fields of a struct, or nothing to read."""
        parts = self._parts(stretch, element)
        (flags,) = struct.unpack(self._order + "I", stretch.read(next(parts).at, 4))
        kind = flags & 0xFF
        if kind not in {CELL_CLASS, STRUCT_CLASS, CHAR_CLASS, SPARSE_CLASS, *NUMBER_CLASSES}:
            return "", Stored(OTHER, (1,), stretch)  # an object, a function
        sizes = next(parts)
        shape: tuple[int, ...] = tuple(self._integers(stretch, sizes))
        if any(size < 0 for size in shape):
            raise BrokenError(f"an array of shape {shape}")
        named = next(parts)
        name = stretch.read(named.at, named.size).decode("latin-1").rstrip("\0")
        if not math.prod(shape):
            return name, None
        if kind == STRUCT_CLASS:
            one = math.prod(shape) == 1
            return name, self._fields(stretch, parts) if one else Stored(OTHER, shape, stretch)
        if kind == CELL_CLASS:
            inside = []
            for part in parts if depth < DEEPEST else ():
                content = self._array(stretch, part, depth + 1)[1] if part.size else None
                if content is None or isinstance(content, dict):  # empty, or nothing for names
                    content = Stored(CHAR if content is None else OTHER, (0, 0), stretch)
                inside.append(content)
            if len(inside) != math.prod(shape):
                raise BrokenError(f"{name} has {len(inside)} cells of {math.prod(shape)}")
            return name, Stored(CELL, shape, stretch, parts=tuple(inside))
        if kind == SPARSE_CLASS:
            three = [self._numbers(stretch, part, NUMBERS, None) for part in parts]
            ours = len(three) == 3 and len(shape) == 2 and not flags & IS_COMPLEX  # noqa: PLR2004
            return name, Stored(SPARSE, shape, stretch, parts=tuple(three)) if ours else None
        part = next(parts)
        if kind == CHAR_CLASS:
            return name, self._text(stretch, part, shape)
        said = COMPLEX if flags & IS_COMPLEX else LOGICAL if flags & IS_LOGICAL else NUMBERS
        return name, self._numbers(stretch, part, said, shape)

    def _numbers(
        self, stretch: Stretch, part: Element, kind: str, shape: tuple[int, ...] | None
    ) -> Stored:
        if part.kind not in TYPES:
            raise BrokenError(f"numbers of type {part.kind}")
        dtype = np.dtype(self._order + TYPES[part.kind])
        shape = (part.size // dtype.itemsize,) if shape is None else shape
        if math.prod(shape) * dtype.itemsize != part.size:
            raise BrokenError(f"an array of shape {shape} in {part.size} bytes")
        return Stored(kind, shape, stretch, dtype, part.at, part.size)

    def _text(self, stretch: Stretch, part: Element, shape: tuple[int, ...]) -> Stored:
        if part.kind not in CODINGS:
            raise BrokenError(f"characters of type {part.kind}")
        coding = CODINGS[part.kind]
        if coding[:5] in {"utf-1", "utf-3"}:
            coding += "-le" if self._order == "<" else "-be"
        return Stored(CHAR, shape, stretch, offset=part.at, size=part.size, coding=coding)

    def _fields(self, stretch: Stretch, parts: Iterator[Element]) -> dict[str, Element]:
        """Fields of a struct of one element, by name."""
        (length,) = self._integers(stretch, next(parts))
        names = next(parts)
        if length < 1:
            raise BrokenError("names of fields without letters")
        text = stretch.read(names.at, names.size)
        fields = [
            text[i : i + length].split(b"\0")[0].decode("latin-1")
            for i in range(0, len(text), length)
        ]
        return dict(zip(fields, parts, strict=False))

    def _integers(self, stretch: Stretch, part: Element) -> list[int]:
        if part.size % 4:
            raise BrokenError("sizes that are no whole numbers")
        raw = stretch.read(part.at, part.size)
        return list(struct.unpack(f"{self._order}{len(raw) // 4}i", raw))

    def _parts(self, stretch: Stretch, element: Element) -> Iterator[Element]:
        """What a matrix consists of.

        Raises
        ------
        BrokenError
            A part that is wanted is not there.
        """
        at, end = element.at, element.at + element.size
        while at + TAG <= end:
            part = self._element(stretch, at)
            if part.at + part.size > end:
                raise BrokenError("an array is longer than it says")
            yield part
            at = part.next

    def _element(self, stretch: Stretch, at: int) -> Element:
        """The element that begins at a place; small ones hold their data in their tag."""
        kind, size = struct.unpack(self._order + "II", stretch.read(at, TAG))
        if kind >> 16:
            return Element(kind & 0xFFFF, kind >> 16, at + 4, at + TAG)
        return Element(kind, size, at + TAG, at + TAG + -(-size // TAG) * TAG)
