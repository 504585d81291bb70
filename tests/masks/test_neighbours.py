"""Values of neighbours, beside what scipy gives pixel by pixel; planes laid along tilted lines."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hsi_ssl.masks.lanes import Lanes
from hsi_ssl.masks.neighbours import between, highest, lowest, mean_of_nine, opened


@pytest.mark.parametrize("shape", [(40, 30), (3, 2), (1, 5), (2, 1)])
@pytest.mark.parametrize("window", [(3, 5), (5, 5), (1, 3), (11, 11), (31, 1), (7, 1)])
def test_highest_and_lowest(shape: tuple[int, int], window: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert (highest(plane, *window) == ndimage.maximum_filter(plane, window)).all()
    assert (lowest(plane, *window) == ndimage.minimum_filter(plane, window)).all()
    flags = plane > 200
    assert (highest(flags, *window) == ndimage.maximum_filter(flags, window)).all()


@pytest.mark.parametrize("shape", [(40, 30), (4, 9), (3, 20)])
@pytest.mark.parametrize("size", [2, 4, 5])
def test_opened(shape: tuple[int, int], size: int) -> None:
    flags = np.random.default_rng(0).random(shape) < 0.9
    expected = ndimage.binary_opening(flags, np.ones((size, size), bool))
    assert (opened(flags, size) == expected).all()
    assert opened(np.ones(shape, bool), size).all() == (min(shape) >= size)


def test_mean_of_nine() -> None:
    plane = np.random.default_rng(0).normal(0, 5, (30, 20)).astype(np.float32)
    expected = ndimage.uniform_filter(plane.astype(np.float64), 3, mode="nearest")
    assert np.abs(mean_of_nine(plane) - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 20.5), (3, 7), (3.2, 7.9), (200.5, 400), (-9, 300), (50, 40), (300, 400)]
)
def test_between(low: float, high: float) -> None:
    light = np.arange(256, dtype=np.uint8)
    assert (between(light, low, high) == ((np.arange(256) > low) & (np.arange(256) < high))).all()


@pytest.mark.parametrize("tilt", [0.0, 0.07, -0.1])
@pytest.mark.parametrize("shape", [(90, 40), (400, 12)])
def test_planes_along_tilted_lines(tilt: float, shape: tuple[int, int]) -> None:
    rows, cols = shape
    lanes = Lanes(True, tilt, np.zeros(cols, bool), ())
    shift = np.round(tilt * (np.arange(rows) - (rows - 1) / 2)).astype(int)[:, None]
    at = np.clip(np.arange(cols) + shift, 0, cols - 1)
    plane = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert (lanes.straight(plane) == np.take_along_axis(plane, at, 1)).all()
    some = slice(5, 30), slice(3, 9)
    assert (lanes.cols_of(*some, rows) == at[some]).all()
    by_line = np.arange(cols)
    of = np.clip(np.arange(cols) - shift, 0, cols - 1)
    assert (lanes.painted(by_line, rows) == of).all()
