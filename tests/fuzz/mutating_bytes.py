"""Contents changed byte by byte: what a bad disk, a cut download or an ill will makes of a file."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence

NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"2",
    b"65536",
    b"1000000000",
    b"1e9",
    b"1e99",
    b"1e400",
    b"nan",
    b"inf",
    b"true",
    b"",
    b"\xc2\xb2",
    b"0x10",
    b"1_000",
    b"-0",
    b"1.5",
    b"2147483648",
    b"18446744073709551616",
    b"9" * 5000,
    b"1e-400",
    b"{1}",
    b"$1",
)
"""What may stand where a text has a number."""
WORDS = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    10**6,
    10**9,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
"""What may stand where a binary file has a whole number."""
NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
LONGEST = 4096
"""Bytes of a stretch that is moved, doubled or overwritten."""


def stretch(rng: random.Random, content: bytes | bytearray) -> slice:
    """Some bytes one after the other, often few of them."""
    first = rng.randrange(len(content) + 1)
    return slice(first, first + min(LONGEST, int(rng.paretovariate(0.7))))


def flip(rng: random.Random, content: bytearray) -> None:
    """One bit."""
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def overwrite(rng: random.Random, content: bytearray) -> None:
    """A stretch by zeros, ones or anything."""
    place = stretch(rng, content)
    size = len(content[place])
    content[place] = rng.choice([bytes(size), b"\xff" * size, rng.randbytes(size)])


def cut(rng: random.Random, content: bytearray) -> None:
    """The end is not there."""
    del content[rng.randrange(len(content) + 1) :]


def lose(rng: random.Random, content: bytearray) -> None:
    """A stretch is not there."""
    del content[stretch(rng, content)]


def double(rng: random.Random, content: bytearray) -> None:
    """A stretch stands there twice."""
    place = stretch(rng, content)
    content[place.stop : place.stop] = content[place]


def insert(rng: random.Random, content: bytearray) -> None:
    """Bytes that nobody knows."""
    first = rng.randrange(len(content) + 1)
    content[first:first] = rng.randbytes(min(LONGEST, int(rng.paretovariate(0.7))))


def swap(rng: random.Random, content: bytearray) -> None:
    """Two stretches change places."""
    one, other = sorted((stretch(rng, content) for _ in range(2)), key=lambda s: s.start)
    if one.stop <= other.start:
        a, b = bytes(content[one]), bytes(content[other])
        content[other], content[one] = a, b


def number(rng: random.Random, content: bytearray) -> None:
    """A number in a text is another, or none."""
    found = list(NUMBER.finditer(bytes(content[:200_000])))
    if found:
        place = rng.choice(found)
        content[place.start() : place.end()] = rng.choice(NUMBERS)


def word(rng: random.Random, content: bytearray) -> None:
    """A binary number is another; heads of files, where sizes stand, more often."""
    order, (code, size) = rng.choice("<>"), rng.choice([("H", 2), ("I", 4), ("Q", 8)])
    end = len(content) - size
    if end > 0:
        first = rng.randrange(min(end, rng.choice([64, 512, 4096, end])) or 1)
        value = rng.choice(WORDS) & (2 ** (8 * size) - 1)
        content[first : first + size] = struct.pack(order + code, value)


SIMPLE = (flip, flip, overwrite, cut, lose, double, insert, swap, number, number, word, word)


def by_bytes(rng: random.Random, content: bytes, donors: Sequence[bytes]) -> tuple[str, bytes]:
    """What was done to a file's content, and the content then; `donors` are other files'."""
    if donors and rng.random() < 0.08:
        other = rng.choice(donors)
        found = bytearray(content)
        first = rng.randrange(len(found) + 1)
        found[first : first + LONGEST] = other[stretch(rng, other)] or other[:LONGEST]
        return "splice", bytes(found)
    found, done = bytearray(content), []
    for _ in range(min(8, int(rng.paretovariate(1.5)))):
        change = rng.choice(SIMPLE)
        change(rng, found)
        done.append(change.__name__)
    return "+".join(done), bytes(found)
