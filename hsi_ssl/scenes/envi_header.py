"""ENVI headers: from their text to fields, and what these say of how the numbers lie.

Source: L3Harris, "ENVI Header Files": the word ENVI, then `name = value`; values in braces may go
over lines, lines that begin with a semicolon are comments. Done here rather than by GDAL, which
drops all that follows a line of 10,000 characters, takes an unknown interleave for BSQ and fills in
what is missing. ESRI's headers, which have the same suffix, are told apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.encoding import decoded
from hsi_ssl.scenes.promises import refuse_absurd

MARK = b"ENVI"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMMENT = re.compile(r"^[ \t]*;.*$", re.MULTILINE)
FIELD = re.compile(
    r"^([^=\n{}]+)=[ \t]*(?:\n[ \t]*(?=\{))?(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}|\{[^}=]*\}|[^\n]*)",
    re.MULTILINE,
)
"""Name and value; in braces one more pair may lie. Braces that are never closed end with their
line."""
ESRI = re.compile(rb"^\s*(?:nrows|ncols|nbands|layout|byteorder)[ \t]+\S", re.I | re.M)
ESRI_WAVELENGTHS = re.compile(
    r"^[ \t]*WAVELENGTHS[ \t]*\n(.*?)^[ \t]*WAVELENGTHS_END", re.I | re.M | re.S
)
NUMBER = re.compile(r"[-+.\deE]+|nan", re.IGNORECASE)
TYPES = {
    1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 6: "c8", 9: "c16", 12: "u2", 13: "u4", 14: "i8",
    15: "u8",
}  # fmt: skip
"""ENVI's `data type` -> numpy's."""
INTERLEAVES = ("bsq", "bil", "bip")
LIBRARY = "spectral library"
"""In the `file type` of spectral libraries."""
PIECE = 8000
"""Characters: GDAL reads lists on many lines, but no line of 10,000."""

Fields = Mapping[str, str]


def is_envi_header(path: Path) -> bool:
    """Whether there is a file whose first line begins with ENVI (other programs use .hdr too)."""
    return _head(path).removeprefix(BYTE_ORDER_MARK).lstrip().startswith(MARK)


def is_esri_header(path: Path) -> bool:
    """Whether there is a file that says as ESRI does how numbers lie: `NROWS 512`, one a line."""
    return not is_envi_header(path) and len(ESRI.findall(_head(path, 4096))) > 1


def read_header(path: Path) -> dict[str, str]:
    """The fields of an ENVI header; see `fields_of`.

    Raises
    ------
    SceneError
        It cannot be read.
    """
    return fields_of(header_text(path))


def header_text(path: Path) -> str:
    """The text of a header in UTF-8 or Windows-1252, with line feeds alone.

    Raises
    ------
    SceneError
        It cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error
    text = decoded(data.removeprefix(BYTE_ORDER_MARK))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def fields_of(text: str) -> dict[str, str]:
    """Values by name, in lower case with single spaces; braces are kept, comments are not.

    Of a name that is there twice the last counts.
    """
    if ";" in text:
        text = COMMENT.sub("", text)
    return {
        " ".join(name.lower().replace("_", " ").split()): value.strip()
        for name, value in FIELD.findall(text)
    }


def turned_grid(map_info: str) -> tuple[float, float, float, float, float, float] | None:
    """The transform of a `map info` with a rotation; None for one without, or that is broken.

    a to f as in `Grid`. Rows and columns are turned by the angle, counterclockwise, about the
    reference pixel, whose upper left corner has the coordinates given (pixels count from 1). Half a
    turn as GDAL writes it is rows from south to north (`is_flipped`).
    """
    parts = listed(map_info)
    angles = [part.partition("=")[2] for part in parts if part.lower().startswith("rotation")]
    try:
        col, row, x, y, wide, high = map(float, parts[1:7])
        angle = math.radians(float(angles[-1])) if angles else 0.0
    except ValueError:
        return None
    if not angle:
        return None
    cos, sin = math.cos(angle), math.sin(angle)
    a, b, d, e = wide * cos, high * sin, wide * sin, -high * cos
    if is_flipped(map_info):
        a, b, d, e = wide, 0.0, 0.0, high
    col, row = col - 1, row - 1
    return a, b, x - a * col - b * row, d, e, y - d * col - e * row


def is_flipped(map_info: str) -> bool:
    """Whether a `map info` has half a turn as GDAL writes it, without decimals.

    GDAL means columns from west to east and rows from south to north by that, which ENVI's header
    has no word for; ENVI and others write 180.00000000 and mean half a turn.
    """
    return any(re.fullmatch(r"rotation\s*=\s*180", part, re.I) for part in listed(map_info))


def listed(value: str) -> list[str]:
    """The entries of a list such as `{400.0, 410.5,}`: commas at its ends count for nothing.

    Numbers may stand without commas between them.
    """
    inside = value.strip().removeprefix("{").removesuffix("}").strip()
    parts = list(map(str.strip, inside.split(",")))
    if len(parts) == 1 and all(map(NUMBER.fullmatch, inside.split())):
        return inside.split()
    while parts and not parts[0]:
        del parts[0]
    while parts and not parts[-1]:
        del parts[-1]
    return parts


def is_open(value: str) -> bool:
    """Whether a value begins with a brace that is never closed."""
    return value.startswith("{") and not value.endswith("}")


def esri_wavelengths(text: str) -> list[str] | None:
    """The lines between `WAVELENGTHS` and `WAVELENGTHS_END` of an ESRI header, or None."""
    found = ESRI_WAVELENGTHS.search(text)
    return None if found is None else re.split(r"[\s,;]+", found[1].strip())


@dataclass(frozen=True)
class Layout:
    """How the numbers of a cube lie in their file; `dtype` has their byte order."""

    rows: int
    cols: int
    bands: int
    dtype: np.dtype[np.generic]
    interleave: str
    offset: int
    compressed: bool
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that the file must have, unpacked."""
        return self.offset + self.rows * self.cols * self.bands * self.dtype.itemsize


def layout_of(fields: Fields, header: Path) -> Layout:
    """How the numbers lie; nothing is taken for granted that could be otherwise.

    A missing byte order is taken as little-endian, which is said where a number has several bytes;
    a missing interleave is no matter where there is one band.

    Raises
    ------
    SceneError
        A field is missing, or holds what no ENVI header does.
    """
    cols, rows, bands = (_count(fields, name, header) for name in ("samples", "lines", "bands"))
    refuse_absurd(header, rows, cols, bands)
    code = _count(fields, "data type", header)
    if code not in TYPES:
        raise SceneError(
            f"{header}: data type = {code} is none of ENVI's; expected one of "
            f"{', '.join(map(str, TYPES))}"
        )
    dtype = np.dtype(TYPES[code])
    interleave = _word(fields, "interleave")
    if interleave not in INTERLEAVES and (interleave or bands > 1):
        found = f"interleave = {interleave}" if interleave else "no interleave"
        raise SceneError(
            f"{header} has {found}, so nobody knows how its numbers lie; expected "
            "interleave = bsq, bil or bip"
        )
    order = _word(fields, "byte order")
    if order not in {"", "0", "1"}:
        raise SceneError(f"{header}: byte order = {order}; expected 0 (little-endian) or 1 (big)")
    notes: tuple[str, ...] = ()
    if not order and dtype.itemsize > 1:
        notes = (f"{header.name} tells no byte order: taken as little-endian",)
    for name in ("major frame offsets", "minor frame offsets"):
        if any(entry.strip("0.") for entry in listed(fields.get(name, ""))):
            raise SceneError(
                f"{header}: {name} = {fields[name]}, numbers with gaps between them, which "
                "hsi-ssl does not read; save the scene without them"
            )
    return Layout(
        rows,
        cols,
        bands,
        dtype.newbyteorder(">" if order == "1" else "<"),
        interleave or INTERLEAVES[0],
        _count(fields, "header offset", header, least=0) if "header offset" in fields else 0,
        _word(fields, "file compression") == "1",
        notes,
    )


def is_library(fields: Fields) -> bool:
    """Whether a header is that of a spectral library."""
    return LIBRARY in " ".join(_word(fields, "file type").split())


def is_plain(header: Path, fields: Fields) -> bool:
    """Whether GDAL understands a header whole."""
    data = header.read_bytes()
    return (
        data.startswith(MARK)
        and b"\r" not in data.replace(b"\r\n", b"\n")
        and max(map(len, data.split(b"\n"))) < PIECE
        and not re.search(rb"^[ \t]*;|=[ \t]*\r?$", data, re.MULTILINE)
        and data.isascii()
        and not any(map(is_open, fields.values()))
        and fields.get("interleave", "").lower() in INTERLEAVES
        and fields.get("byte order") in {"0", "1"}
        and all(fields[name].isdecimal() for name in ("samples", "lines", "bands", "data type"))
    )


def for_gdal(fields: Fields, layout: Layout) -> str:
    """The header of an uncompressed cube as GDAL reads it whole: no long lines, nothing missing."""
    codes = {name: code for code, name in TYPES.items()}
    sure = {
        "samples": layout.cols,
        "lines": layout.rows,
        "bands": layout.bands,
        "header offset": layout.offset,
        "data type": codes[layout.dtype.str[1:]],
        "interleave": layout.interleave,
        "byte order": int(layout.dtype.str[0] == ">"),
    }
    lines = ["ENVI", *(f"{name} = {value}" for name, value in sure.items())]
    for name, value in fields.items():
        if name in sure or name in {"file compression", "description"} or is_open(value):
            continue
        one = " ".join(value.split())
        if len(one) > PIECE:
            one = one.replace(",", ",\n")
        if max(map(len, one.split("\n"))) <= PIECE:
            lines.append(f"{name} = {one}")
    return "\n".join(lines) + "\n"


def _head(path: Path, size: int = 64) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError:
        return b""


def _word(fields: Fields, name: str) -> str:
    """A value in lower case, without what follows a semicolon; empty where there is none."""
    return fields.get(name, "").split(";")[0].strip(" \t{}\"'").lower()


def _count(fields: Fields, name: str, header: Path, least: int = 1) -> int:
    """A field that is a whole number, `least` or more."""
    word = _word(fields, name)
    if not word:
        raise SceneError(f"{header} has no {name}; expected `{name} = ` and a whole number")
    try:
        number = float(word)
    except ValueError:
        number = -1.0
    if number < least or not number.is_integer():
        raise SceneError(
            f"{header} is broken: {name} = {word}; expected a whole number from {least} on"
        )
    return int(number)
