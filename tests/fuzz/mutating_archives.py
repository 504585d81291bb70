"""Files of parts changed part by part: ZIP archives, SQLite databases, TIFF, safetensors."""

from __future__ import annotations

import io
import random
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

from mutating_bytes import WORDS, by_bytes
from mutating_texts import ODD_TEXTS, of_json

EMPTY_GIB = 3


def of_zip(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """A member is gone, doubled, changed, called so that it would leave its folder, or huge."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
        packed = members[0][0].compress_type if members else zipfile.ZIP_STORED
    i = rng.randrange(len(members))
    info, inside = members[i]
    name = info.filename
    kind = rng.choice(["gone", "double", "content", "content", "name", "link", "huge", "empty"])
    if kind == "huge":
        return f"{kind} {name}", _with_nothing(members, i)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packed) as archive:
        for j, (other, data) in enumerate(members):
            if j != i or kind == "double":
                archive.writestr(other.filename, data)
            if j != i:
                continue
            if kind == "content":
                archive.writestr(name, by_bytes(rng, inside, [])[1])
            elif kind == "empty":
                archive.writestr(name, b"")
            elif kind == "double":
                archive.writestr(name.upper(), data)
            elif kind == "name":
                odd = rng.choice(
                    ["../../x", "/tmp/x", "", "é" * 200, "a/../../../b", "x\x00y", "C:\\x"]
                )
                archive.writestr(odd + Path(name).suffix, data)
            elif kind == "link":
                link = zipfile.ZipInfo(name)
                link.external_attr = 0o120777 << 16
                archive.writestr(link, "/etc/passwd")
    return f"{kind} {name}", out.getvalue()


@cache
def _nothing() -> tuple[bytes, int]:
    """Some GiB of zeros, packed, and their checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(2**20)
    first = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(EMPTY_GIB * 2**10):
        check = zlib.crc32(piece, check)
    return first * (EMPTY_GIB * 2**10) + packer.flush(), check


def _with_nothing(members: list[tuple[zipfile.ZipInfo, bytes]], i: int) -> bytes:
    """An archive whose member `i` unpacks to some GiB."""
    data, check = _nothing()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for j, (other, inside) in enumerate(members):
            archive.writestr(
                other.filename,
                data if j == i else inside,
                zipfile.ZIP_STORED if j == i else zipfile.ZIP_DEFLATED,
            )
        listed = archive.infolist()[i]
        place = listed.header_offset
        listed.compress_type = zipfile.ZIP_DEFLATED
        listed.CRC, listed.file_size = check, EMPTY_GIB * 2**30
        head = struct.pack("<H", 8), struct.pack("<III", check, len(data), EMPTY_GIB * 2**30)
    found = bytearray(out.getvalue())
    found[place + 8 : place + 10] = head[0]
    found[place + 14 : place + 26] = head[1]
    return bytes(found)


def of_sqlite(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """A cell, a row, a column or a table of a database is another or gone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        with sqlite3.connect(path) as found:
            what = _sql(rng, found)
        found.close()
        return what, path.read_bytes()


def _sql(rng: random.Random, found: sqlite3.Connection) -> str:
    tables = [
        name
        for (name,) in found.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if not name.startswith(("sqlite_", "rtree_"))
    ]
    table = rng.choice(sorted(tables))
    columns = [one[1] for one in found.execute(f'PRAGMA table_info("{table}")')]
    column, kind = (
        rng.choice(columns),
        rng.choice(["cell", "cell", "cell", "row", "column", "table"]),
    )
    value: object = rng.choice([*ODD_TEXTS, *WORDS[:14], None, b"GP\x00\x01", b"\xff" * 40, 1e300])
    for name, text in found.execute(
        "SELECT name, type FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        del text
        found.execute(f'DROP TRIGGER "{name}"')
    try:
        if kind == "cell":
            found.execute(f'UPDATE "{table}" SET "{column}" = ?', (value,))
        elif kind == "row":
            found.execute(
                f'DELETE FROM "{table}" WHERE rowid IN (SELECT rowid FROM "{table}" LIMIT 1)'
            )
        elif kind == "column":
            found.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "other"')
        else:
            found.execute(f'DROP TABLE "{table}"')
    except sqlite3.Error as error:
        return f"{kind} {table}.{column}: {error}"
    return f"{kind} {table}.{column} = {str(value)[:20]!r}"


def of_tiff(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """An entry of the first directory of a TIFF is another, gone or twice there."""
    found = bytearray(content)
    order = "<" if content[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", content, 2)[0] == 43
    at = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)[0]
    counted, size, word = ("Q", 20, "Q") if big else ("H", 12, "I")
    count = struct.unpack_from(order + counted, content, at)[0]
    first = at + struct.calcsize(counted)
    i = rng.randrange(count)
    entry = first + i * size
    tag = struct.unpack_from(order + "H", content, entry)[0]
    kind = rng.choice(["tag", "type", "count", "value", "value", "value", "next", "double"])
    value = rng.choice(WORDS)
    limit = 2 ** (64 if big else 32)
    if kind == "tag":
        struct.pack_into(order + "H", found, entry, rng.choice([0, 254, 256, 257, 258, 259, 65000]))
    elif kind == "type":
        struct.pack_into(order + "H", found, entry + 2, rng.randrange(20))
    elif kind == "count":
        struct.pack_into(order + word, found, entry + 4, value % limit)
    elif kind == "value":
        struct.pack_into(order + word, found, entry + 4 + struct.calcsize(word), value % limit)
    elif kind == "next":
        struct.pack_into(order + word, found, first + count * size, rng.choice([at, value % limit]))
    else:
        other = first + rng.randrange(count) * size
        found[other : other + size] = found[entry : entry + size]
    return f"TIFF {kind} of {tag}: {value}", bytes(found)


def of_safetensors(rng: random.Random, content: bytes) -> tuple[str, bytes]:
    """The JSON of a safetensors file is another."""
    size = struct.unpack_from("<Q", content)[0]
    what, header = of_json(rng, content[8 : 8 + size])
    return what, struct.pack("<Q", len(header)) + header + content[8 + size :]
