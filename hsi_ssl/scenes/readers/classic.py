"""The header of netCDF's classic files (netCDF-3): dimensions, attributes, where variables begin.

By the NetCDF Users Guide, appendix "File Format Specifications": the classic format CDF-1, that of
64-bit offsets CDF-2 and that of 64-bit data CDF-5, all big-endian. Numbers lie in the file as they
are, so that what is read of a variable need not go through anybody's library.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hsi_ssl.errors import DamagedSceneError, SceneError
from hsi_ssl.scenes.scene import Array

MAGIC = (b"CDF\1", b"CDF\2", b"CDF\5")
TYPES = {
    1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8",
    7: "u1", 8: ">u2", 9: ">u4", 10: ">i8", 11: ">u8",
}  # fmt: skip
"""NC_BYTE to NC_UINT64; NC_CHAR is text."""
DIMENSIONS, VARIABLES, ATTRIBUTES = 10, 11, 12
MOST = 2**20
"""Entries of one list that a sound header stays below."""


@dataclass(frozen=True)
class Variable:
    """A variable: `step` bytes lie between entries of its first axis, which may be the records'."""

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    attributes: dict[str, Any]
    offset: int
    step: int | None = None


@dataclass(frozen=True)
class Header:
    """What the header of a file says."""

    variables: dict[str, Variable] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)


def header_of(path: Path) -> Header:
    """Read the header.

    Raises
    ------
    SceneError
        It is cut short or broken.
    """
    try:
        with path.open("rb") as file:
            return _Parser(file).header()
    except (struct.error, EOFError, KeyError, IndexError, ValueError, OverflowError) as error:
        raise DamagedSceneError(
            f"{path} is cut short or broken: its netCDF header cannot be read ({error}); get the "
            "file again"
        ) from error


def values_of(path: Path, variable: Variable) -> Array:
    """All values of a variable, in the machine's byte order.

    Raises
    ------
    SceneError
        The file ends before they do.
    """
    count = int(np.prod(variable.shape))
    with path.open("rb") as file:
        if variable.step is None:
            file.seek(variable.offset)
            raw = file.read(count * variable.dtype.itemsize)
        else:
            one = count // max(1, variable.shape[0]) * variable.dtype.itemsize
            parts = []
            for entry in range(variable.shape[0]):
                file.seek(variable.offset + entry * variable.step)
                parts.append(file.read(one))
            raw = b"".join(parts)
    if len(raw) < count * variable.dtype.itemsize:
        raise SceneError(f"{path} is cut short: {variable.name} is not whole; get the file again")
    values = np.frombuffer(raw, variable.dtype).reshape(variable.shape)
    return values.astype(variable.dtype.newbyteorder("="))


class _Parser:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        magic = file.read(4)
        if magic not in MAGIC:
            raise ValueError("no such first bytes")
        self._count = ">q" if magic == MAGIC[2] else ">i"
        self._begin = ">i" if magic == MAGIC[0] else ">q"

    def header(self) -> Header:
        said = self._number(self._count)
        dimensions = [(self._text(), self._number(self._count)) for _ in self._list(DIMENSIONS)]
        attributes = self._attributes()
        found = [self._variable(dimensions) for _ in self._list(VARIABLES)]
        # Entries of record variables lie one beside the other, record by record; those of a lone
        # one are not padded.
        records = [(v, ids) for v, ids in found if ids and dimensions[ids[0]][1] == 0]
        sizes = {
            v.name: int(np.prod([dimensions[i][1] for i in ids[1:]])) * v.dtype.itemsize
            for v, ids in records
        }
        step = sum(-(-size // 4) * 4 for size in sizes.values())
        if len(records) == 1:
            step = sum(sizes.values())
        if said < 0 and records:  # written while the file was open: as many as there are
            first = min(v.offset for v, _ in records)
            said = (self._file.seek(0, 2) - first) // max(1, step)
        variables = {}
        for v, ids in found:
            shape = tuple(dimensions[i][1] for i in ids)
            is_record = v.name in sizes
            variables[v.name] = Variable(
                v.name,
                tuple(dimensions[i][0] for i in ids),
                (said, *shape[1:]) if is_record else shape,
                v.dtype,
                v.attributes,
                v.offset,
                step if is_record and len(records) > 1 else None,
            )
        return Header(variables, attributes)

    def _variable(self, dimensions: list[tuple[str, int]]) -> tuple[Variable, list[int]]:
        name = self._text()
        ids = [self._number(self._count) for _ in range(self._sound(self._number(self._count)))]
        if any(not 0 <= i < len(dimensions) for i in ids):
            raise ValueError(f"{name} has a dimension that is not there")
        attributes = self._attributes()
        dtype = np.dtype(TYPES[self._number(">i")])
        self._number(self._count)  # its size, which does not hold for large ones
        return Variable(name, (), (), dtype, attributes, self._number(self._begin)), ids

    def _attributes(self) -> dict[str, Any]:
        return dict(self._attribute() for _ in self._list(ATTRIBUTES))

    def _attribute(self) -> tuple[str, Any]:
        name, kind = self._text(), np.dtype(TYPES[self._number(">i")])
        count = self._sound(self._number(self._count))
        raw = self._padded(count * kind.itemsize)
        if kind.kind == "S":
            return name, raw.decode("utf-8", "replace").rstrip("\0")
        return name, np.frombuffer(raw, kind).astype(kind.newbyteorder("="))

    def _list(self, tag: int) -> range:
        found, count = self._number(">i"), self._number(self._count)
        if found not in (0, tag) or (found == 0 and count != 0):
            raise ValueError(f"a list of kind {found} where {tag} is expected")
        return range(self._sound(count))

    def _text(self) -> str:
        return self._padded(self._sound(self._number(self._count))).decode("utf-8", "replace")

    def _sound(self, count: int) -> int:
        if not 0 <= count <= MOST:
            raise ValueError(f"a list of {count} entries")
        return count

    def _padded(self, size: int) -> bytes:
        raw = self._file.read(-(-size // 4) * 4)
        if len(raw) < size:
            raise EOFError("it ends within the header")
        return raw[:size]

    def _number(self, kind: str) -> int:
        number: int = struct.unpack(kind, self._file.read(struct.calcsize(kind)))[0]
        return number
