"""The index of a shapefile (`.shx`), made anew from its shapes (`.shp`).

Both begin with a header of 100 bytes; then the `.shp` has records (number, length, content), the
`.shx` where each begins and how long it is. Lengths and places count 16-bit words.
"""

from __future__ import annotations

import struct

HEADER = 100
FILE_CODE = b"\x00\x00\x27\x0a"
RECORD = struct.Struct(">ii")


def restored(shapes: bytes, rows: int | None) -> bytes:
    """The `.shx` of the bytes of a `.shp` whose `.dbf` has so many rows (None: it has no `.dbf`).

    A shape that was edited is often written anew at the end, under its old number: it counts.

    Raises
    ------
    ValueError
        The shapes end in the middle of one, or nothing tells which row each belongs to.
    """
    if len(shapes) < HEADER or not shapes.startswith(FILE_CODE):
        raise ValueError("the .shp does not begin as one")
    records: list[tuple[int, int, int]] = []
    place = HEADER
    while place < len(shapes):
        if place + RECORD.size > len(shapes):
            raise ValueError("the .shp ends in the middle of a shape")
        number, words = RECORD.unpack_from(shapes, place)
        end = place + RECORD.size + 2 * words
        if words < 0 or end > len(shapes):
            raise ValueError("the .shp ends in the middle of a shape")
        records.append((number, place // 2, words))
        place = end
    index = _in_order(records, rows)
    if rows is not None and len(index) != rows:
        raise ValueError(f"the .shp has {len(index)} shapes, the .dbf {rows} rows")
    words = (HEADER + RECORD.size * len(index)) // 2
    header = shapes[:24] + struct.pack(">i", words) + shapes[28:HEADER]
    return header + b"".join(RECORD.pack(*entry) for entry in index)


def _in_order(records: list[tuple[int, int, int]], rows: int | None) -> list[tuple[int, int]]:
    """Place and length of each shape: by its number, the last of each, else as they come."""
    by_number = {number: (place, words) for number, place, words in records}
    if sorted(by_number) == list(range(1, len(by_number) + 1)) and rows in (None, len(by_number)):
        return [by_number[number] for number in sorted(by_number)]
    return [(place, words) for _, place, words in records]
