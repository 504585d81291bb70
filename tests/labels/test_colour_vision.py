"""How far apart colours look."""

from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.labels.colour_vision import SIGHTS, distances, nearest_two, oklab, seen


@pytest.mark.parametrize(
    ("colour", "expected"),
    [  # the specification's own, CSS Color 4
        ((1, 1, 1), (1, 0, 0)),
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_is_that_of_the_specification(
    colour: tuple[int, int, int], expected: tuple[float, float, float]
) -> None:
    np.testing.assert_allclose(oklab(colour), expected, atol=2e-5)


@pytest.mark.parametrize("sight", SIGHTS)
def test_greys_are_greys_to_every_eye(sight: str) -> None:
    grey = np.full((3, 3), [[0.2], [0.5], [1.0]])
    np.testing.assert_allclose(oklab(grey, sight), oklab(grey), atol=1e-3)


def test_red_and_green_of_one_lightness_are_one_to_who_misses_a_cone() -> None:
    """A pair that most tell at once, and a deuteranope does not."""
    red, green = "#ff0000", "#44aa00"
    both = seen([red, green])
    each = {s: np.linalg.norm(both[i, 0] - both[i, 1]) for i, s in enumerate(SIGHTS)}
    assert each["most"] > 3 * each["deutan"]
    assert each["tritan"] > 3 * each["deutan"]
    assert distances(seen([red]), seen([green]))[0, 0] == pytest.approx(min(each.values()))


def test_the_nearest_two_are_named() -> None:
    apart, i, j = nearest_two(["#ffffff", "#0000ff", "#000000", "#0a00ff"])
    assert (i, j) == (1, 3)
    assert apart < 0.02
