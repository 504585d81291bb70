"""Geometries from numbers: masks against a plain oracle, rings, and numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from hsi_ssl.labels.forms import shapes


@pytest.mark.parametrize("few", [0, 10**9])
def test_areas_of_masks_are_those_of_their_pixels(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "FEW", few)  # both ways of putting runs together
    rng = np.random.default_rng(0)
    for _ in range(100):
        mask = rng.random(rng.integers(1, 12, 2)) < rng.random()
        found = shapes.pixels_as_area(mask, left=3, top=5)
        pixels = [shapely.box(3 + c, 5 + r, 4 + c, 6 + r) for r, c in np.argwhere(mask)]
        if not pixels:
            assert found is None
            continue
        assert shapely.is_valid(found)
        assert found.area == mask.sum()
        assert found.symmetric_difference(shapely.union_all(pixels)).area == 0


def test_a_noisy_mask_takes_no_time() -> None:
    mask = np.random.default_rng(1).random((300, 300)) < 0.5
    found = shapes.pixels_as_area(mask)
    assert found.area == mask.sum()


def test_counts_must_add_up_to_the_picture() -> None:
    assert shapes.counts_as_area(np.array([2, 3, 1]), 2, 3).equals(shapely.box(1, 0, 2, 2).union(
        shapely.box(2, 0, 3, 1)))  # fmt: skip
    for counts, rows, cols in (([2, 3], 2, 3), ([-1, 7], 2, 3), ([2, 3, 1], 2**40, 2**40)):
        with pytest.raises(ValueError, match="pixels"):
            shapes.counts_as_area(np.array(counts), rows, cols)


def test_rings_need_not_be_closed_and_holes_follow_their_outline() -> None:
    square = np.array([[0.0, 0], [9, 0], [9, 9], [0, 9]])
    hole, closed = square[:3] / 9 + 1, np.vstack([square, square[:1]])
    found = shapes.areas([square, hole, closed, square[:2], hole], [0, 0, 2, 3, 3], 5)
    assert found[0].area == 80.5
    assert found[2].area == 81
    assert [found[k] for k in (1, 3, 4)] == [None] * 3


def test_parts_are_one_geometry_whether_they_overlap_or_not() -> None:
    a, b, c = shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3), shapely.box(5, 5, 6, 6)
    found = shapes.joined(np.array([a, b, a, c, None, b], object), [0, 0, 1, 1, 2, 4], 5)
    assert shapely.area(found[[0, 1, 4]]).tolist() == [7, 5, 4]
    assert [found[2], found[3]] == [None, None]


def test_ellipses_turn_from_x_towards_y() -> None:
    found = shapes.ellipse(np.array([10.0, 20]), np.array([4.0, 1]), 90)
    assert np.allclose(found.bounds, (9, 16, 11, 24))
    assert found.area == pytest.approx(4 * np.pi, rel=2e-4)
    assert shapes.ellipse(np.zeros(2), np.zeros(2)) is None


@pytest.mark.parametrize(
    "values", [None, [1, 2, 3], [[1, 2, 3]], [[1, 2], [3]], [["a", 1]], [[1, float("nan")]],
               [[1, 10**400]], [[1, 1e300]], "text", {"x": 1}],
)  # fmt: skip
def test_what_is_no_points_is_refused(values: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        shapes.vertices(values)
