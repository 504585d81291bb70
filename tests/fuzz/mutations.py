"""Valid files -> what may become of them: bytes, structure, files gone; by a seed."""

from __future__ import annotations

import json
import random
import zipfile
import zlib
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from mutating_archives import of_safetensors, of_sqlite, of_tiff, of_zip
from mutating_bytes import by_bytes
from mutating_hdf5 import of_hdf5
from mutating_texts import of_json, of_text, of_xml

Files = dict[str, bytes]
"""Path in a folder -> content."""
Also = Callable[[random.Random, Files], Files]
Change = Callable[[random.Random, bytes], tuple[str, bytes]]
BY_BYTES = 0.45
"""Share of inputs that are changed byte by byte."""
HDF5 = b"\x89HDF\r\n\x1a\n"
DAMAGED = (
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    IndexError,
    RecursionError,
    zipfile.BadZipFile,
    ElementTree.ParseError,
)
"""Of changes by structure that a file does not take; it is changed byte by byte then."""


def structure_of(name: str, content: bytes) -> Change | None:
    """How a file is changed by structure; None where it has none that is known here."""
    if HDF5 in (content[:8], content[512:520]):
        return of_hdf5
    if content[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return of_tiff
    if content[:4] == b"PK\x03\x04":
        return of_zip
    if content[:15] == b"SQLite format 3":
        return of_sqlite
    if name.endswith(".safetensors"):
        return of_safetensors
    if b"\x00" in content[:4096]:
        return None
    start = content[:200].lstrip(b"\xef\xbb\xbf \r\n\t")
    if start[:1] in (b"{", b"["):
        try:
            json.loads(content)
        except ValueError:
            return of_text
        return of_json
    return of_xml if start[:1] == b"<" else of_text


def mutate(
    files: Files, targets: Sequence[str], seed: int, also: Also | None = None
) -> tuple[str, Files]:
    """What was done, and the files then; by `also` half of the time, where there is that."""
    rng = random.Random(seed)
    if also is not None and rng.random() < 0.5:
        chosen = {name: files[name] for name in targets}
        return "also", {**files, **also(rng, chosen)}
    donors = list(files.values())
    name = rng.choice(sorted(targets))
    found = dict(files)
    if len(files) > 1 and rng.random() < 0.05:
        del found[name]
        return f"{name} gone", found
    content = files[name]
    change = structure_of(name, content)
    if change is not None and rng.random() >= BY_BYTES:
        try:
            what, found[name] = change(rng, content)
            return f"{name}: {what}", found
        except DAMAGED:
            pass
    what, found[name] = by_bytes(rng, content, donors)
    return f"{name}: {what}", found


def seed_of(case: str, number: int) -> int:
    """The seed of an input."""
    return zlib.crc32(f"{case} {number}".encode())
