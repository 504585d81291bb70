"""The index of a shapefile: what GDAL wrote, byte for byte, or a reason why not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import shapely

from hsi_ssl.labels.forms.shx import restored

Write = Callable[..., Path]


@pytest.fixture
def shapes(tmp_path: Path, write_layer: Write) -> Path:
    drawn = [shapely.box(0, 0, 1, 1), None, shapely.Point(5, 5).buffer(2), shapely.box(3, 0, 4, 1)]
    return write_layer(tmp_path / "x.shp", drawn, kind="Polygon")


def record(number: int, content: bytes) -> bytes:
    return struct.pack(">ii", number, len(content) // 2) + content


def test_the_index_is_the_one_that_gdal_wrote(shapes: Path) -> None:
    for rows in (4, None):
        assert restored(shapes.read_bytes(), rows) == shapes.with_suffix(".shx").read_bytes()


def test_a_shape_written_anew_at_the_end_counts(shapes: Path) -> None:
    old = shapes.read_bytes()
    changed = old + record(1, b"\0" * 4)
    index = restored(changed, 4)
    assert len(index) == 100 + 4 * 8
    assert struct.unpack(">ii", index[100:108]) == (len(old) // 2, 2)
    assert index[108:] == shapes.with_suffix(".shx").read_bytes()[108:]


def test_strange_numbers_go_in_order_where_rows_agree(shapes: Path) -> None:
    header = shapes.read_bytes()[:100]
    content = header + record(0, b"\0" * 4) + record(0, b"\0" * 8)
    assert struct.unpack(">iiii", restored(content, 2)[100:]) == (50, 2, 56, 4)
    with pytest.raises(ValueError, match=r"2 shapes, the \.dbf 1 rows"):
        restored(content, 1)


def test_what_cannot_be_restored_is_told(shapes: Path) -> None:
    whole = shapes.read_bytes()
    for short in (whole[:-1], whole + b"\0\0\0"):
        with pytest.raises(ValueError, match="in the middle of a shape"):
            restored(short, 4)
    with pytest.raises(ValueError, match=r"4 shapes, the \.dbf 5 rows"):
        restored(whole, 5)
    with pytest.raises(ValueError, match="does not begin as one"):
        restored(b"PK" + whole[2:], 4)
    with pytest.raises(ValueError, match="in the middle"):
        restored(whole[:100] + struct.pack(">ii", 1, -9), None)
