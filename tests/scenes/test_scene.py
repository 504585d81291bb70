from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.scene import Scene, valid_spectra


def scene(rows: int, cols: int, **more: Any) -> Scene:
    reader = ArrayReader(np.ones((rows, cols, 2), np.float32))
    return Scene(Path("core.07.h5"), "test", rows, cols, 2, reader.dtype, reader, **more)


def sizes(scene: Scene, pixels: int) -> list[tuple[int, int, int, int]]:
    return [(r.start, r.stop, c.start, c.stop) for r, c in scene.windows(pixels)]


@pytest.mark.parametrize(
    ("block", "pixels", "expected"),
    [
        # Rows, as many as go in.
        ((1, 6), 13, [(0, 2, 0, 6), (2, 4, 0, 6), (4, 5, 0, 6)]),
        # Whole strips of two rows, though three rows would go in.
        ((2, 6), 18, [(0, 2, 0, 6), (2, 4, 0, 6), (4, 5, 0, 6)]),
        # Tiles: a row of them is too much, so two at a time.
        (
            (3, 2),
            12,
            [(0, 3, 0, 4), (0, 3, 4, 6), (3, 5, 0, 4), (3, 5, 4, 6)],
        ),
        # A strip that is too large is cut; its parts follow each other.
        ((4, 6), 12, [(0, 2, 0, 6), (2, 4, 0, 6), (4, 5, 0, 6)]),
        # So is a tile: both its parts before the next tile.
        (
            (5, 3),
            9,
            [(0, 3, 0, 3), (3, 5, 0, 3), (0, 3, 3, 6), (3, 5, 3, 6)],
        ),
        # Rows wider than a window.
        ((1, 1), 4, [(r, r + 1, c, min(c + 4, 6)) for r in range(5) for c in (0, 4)]),
        # Columns, as MATLAB stores them.
        ((5, 1), 11, [(0, 5, 0, 2), (0, 5, 2, 4), (0, 5, 4, 6)]),
        # Everything.
        ((2, 2), 1000, [(0, 5, 0, 6)]),
    ],
)
def test_windows_follow_blocks(
    block: tuple[int, int], pixels: int, expected: list[tuple[int, int, int, int]]
) -> None:
    assert sizes(scene(5, 6, block=block), pixels) == expected


@pytest.mark.parametrize(("row", "col"), [(-1, 0), (5, 0), (0, -1), (0, 6)])
def test_pixels_outside_are_refused(row: int, col: int) -> None:
    with pytest.raises(IndexError, match="5 x 6"):
        scene(5, 6).pixels([0, row], [0, col])


def test_valid_spectra() -> None:
    spectra = np.array([[1, 2], [0, 0], [0, 3], [-9, 3], [np.nan, 1], [np.inf, 1]], np.float32)
    assert valid_spectra(spectra, None).tolist() == [True, False, True, True, False, False]
    assert valid_spectra(spectra, -9).tolist() == [True, False, True, False, False, False]
    assert valid_spectra(spectra, np.nan).tolist() == [True, False, True, True, False, False]


def test_only_used_bands_make_a_pixel_invalid() -> None:
    s = scene(5, 6, good=np.array([True, False]), nodata=-9.0)
    assert s.valid(np.array([[3.0, -9.0], [-9.0, 3.0]])).tolist() == [True, False]
    used = np.array([False, True])
    assert s.valid(np.array([[3.0, -9.0], [-9.0, 3.0]]), used).tolist() == [False, True]


def test_name_is_without_suffixes() -> None:
    assert scene(5, 6).name == "core.07"
