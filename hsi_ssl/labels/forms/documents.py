"""Files of labels that are read whole: their bytes, JSON or XML, or one sentence why not."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from hsi_ssl.errors import VectorError

BEGINNING = 65536
"""Bytes that are looked at to tell what a file is."""
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
BEFORE_THE_ROOT = re.compile(
    r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>\s*)*", re.DOTALL
)
TAG = re.compile(r"<([^\s/>]+)")
CHANNELS, LEVELS = 3, 256


def beginning(file: Path) -> bytes:
    """The first bytes of a file, none where there is no such file or nobody may read it."""
    try:
        with file.open("rb") as opened:
            return opened.read(BEGINNING)
    except OSError:
        return b""


def contents(file: Path) -> bytes:
    """All bytes of a file.

    Raises
    ------
    VectorError
        It cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise VectorError(f"{file} cannot be read: {error.strerror}") from error


def holds(file: Path, *patterns: bytes) -> list[bool]:
    """Whether regular expressions fit anywhere in a file, of any size."""
    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as m:
            return [re.search(pattern, m) is not None for pattern in patterns]
    except (OSError, ValueError):  # an empty file cannot be mapped
        return [False] * len(patterns)


def json_of(file: Path) -> Any:
    """What a JSON file holds, in any encoding that JSON allows.

    Raises
    ------
    VectorError
        It is no JSON, or was cut short.
    """
    try:
        return json.loads(contents(file))
    except RecursionError:
        reason = "its lists are nested too deep"
    except ValueError as error:  # the root of what is wrong with JSON, text and numbers
        reason = str(error)
    raise VectorError(
        f"{file} is no whole JSON file ({reason}); perhaps it was cut short: export it again"
    )


def root_name(file: Path) -> str:
    """The name of an XML file's first element, without its namespace; empty for other files."""
    start = beginning(file)
    if not start.lstrip(b"\xef\xbb\xbf \t\r\n\xff\xfe\0").startswith(b"<"):
        return ""
    text = start.decode(BYTE_ORDER_MARKS.get(start[:2], "utf-8"), errors="replace").lstrip("\ufeff")
    before = BEFORE_THE_ROOT.match(text)
    tag = TAG.match(text, before.end() if before else 0)
    return tag[1].rpartition(":")[2] if tag else ""


def xml_of(file: Path) -> ElementTree.Element:
    """The root of an XML file, its names without namespaces.

    A document type is refused: nothing that these files are for needs one, and entities that it
    defines may grow without bound or name other files.

    Raises
    ------
    VectorError
        It is no XML, was cut short, or has a document type.
    """
    parser = ElementTree.XMLParser(target=_Plain())
    try:
        parser.feed(contents(file))
        root: ElementTree.Element = parser.close()
    except _DocumentTypeError:
        raise VectorError(
            f"{file} has a document type (<!DOCTYPE>), which is not read; take it out"
        ) from None
    except (ValueError, LookupError) as error:
        raise VectorError(
            f"{file} is in an encoding that is not read ({error}); save it in UTF-8"
        ) from error
    except ElementTree.ParseError as error:
        raise VectorError(
            f"{file} is no whole XML file ({error}); perhaps it was cut short: save it again"
        ) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def hex_colour(channels: Sequence[Any]) -> str | None:
    """`#rrggbb` of red, green and blue, 0 to 255; None where they are no colour."""
    try:
        red, green, blue = (int(float(value)) for value in channels[:CHANNELS])
    except (TypeError, ValueError, OverflowError, KeyError):
        return None
    if not all(0 <= value < LEVELS for value in (red, green, blue)):
        return None
    return f"#{red:02x}{green:02x}{blue:02x}"


class _DocumentTypeError(Exception):
    """An XML file has a document type."""


class _Plain(ElementTree.TreeBuilder):
    """A tree without a document type."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse it, before any entity is looked at."""
        raise _DocumentTypeError
