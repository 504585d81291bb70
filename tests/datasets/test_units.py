"""Units: which labelled pixels belong together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hsi_ssl.datasets.store import Part
from hsi_ssl.datasets.units import blocks, cut, drawn, patches


@pytest.mark.parametrize("seed", range(4))
def test_patches_are_the_connected_pixels_of_one_value(seed: int) -> None:
    random = np.random.default_rng(seed)
    planes = [random.integers(-1, 3, shape).astype(np.int16) for shape in ((17, 23), (1, 9))]
    seen: set[int] = set()
    for plane, units in zip(planes, patches(planes), strict=True):
        assert (units.flat == np.flatnonzero(plane >= 0)).all()
        number = np.full(plane.shape, -1)
        number.ravel()[units.flat] = units.number
        for k in range(3):
            theirs, n = ndimage.label(plane == k, structure=np.ones((3, 3)))
            pairs = set(zip(number[plane == k].tolist(), theirs[plane == k].tolist(), strict=True))
            assert len(pairs) == n == len({a for a, _ in pairs})
        here = set(units.number.tolist())
        assert not here & seen
        seen |= here
        some = random.permutation(units.flat)[:5]
        assert (units.at(some) == number.ravel()[some]).all()


def test_a_plane_without_labels_has_no_patches() -> None:
    (units,) = patches([np.full((4, 5), -1)])
    assert len(units.flat) == len(units.number) == 0


def test_a_polygon_on_two_scenes_is_one_unit() -> None:
    planes = [np.array([[0, -1, 0]]), np.array([[2, 2]])]
    polygons = [np.array([[7, 9, 4]], np.int32), np.array([[4, 8]], np.int32)]
    one, two = drawn(planes, polygons)
    assert one.number.tolist() == [7, 4]
    assert two.number.tolist() == [4, 8]


def test_blocks_of_two_scenes_differ() -> None:
    scene = np.array([0, 0, 0, 1, 1])
    pixel = np.array([[0, 0], [3, 3], [4, 0], [0, 0], [2, 2]])
    number = blocks(scene, pixel, 4)
    assert number[0] == number[1]
    assert number[3] == number[4]
    assert len(set(number.tolist())) == 3


def test_units_in_more_than_one_part_are_counted() -> None:
    plane = np.array([[0, 0, -1, 1, 1, -1, 2]])
    (units,) = patches([plane])
    parts = np.array([[Part.TRAIN, Part.TEST, 255, Part.TRAIN, 255, Part.POOL, 255]], np.uint8)
    assert cut([units], [parts]) == (1, 2)
