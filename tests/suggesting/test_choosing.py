"""Which pixels are chosen, in worlds where it is known which are worth a label."""

from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.suggesting.choosing import choose, density, uncertainty

GRID = np.stack(np.divmod(np.arange(400), 20), axis=1) * 10
"""Places far enough apart."""


def test_uncertainty_is_one_less_the_margin() -> None:
    p = np.array([[0.5, 0.5, 0.0], [0.2, 0.1, 0.7], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(uncertainty(p), [1.0, 0.5, 0.0])
    assert uncertainty(np.ones((2, 1))).tolist() == [0, 0]


def test_density_tells_the_middle_of_a_cloud_from_an_odd_pixel() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(500, 3))
    found = density(np.array([[0.0, 0, 0], [2.5, 0, 0], [30, 0, 0]]), cloud)
    assert found[0] > 0.5 > found[1] > found[2]
    assert 0 < found[2] < 0.01
    assert (density(np.zeros((3, 2)), np.zeros((5, 2))) == 1).all()


def clusters() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, features and cluster of 400 pixels: four clusters, 0 and 1 uncertain."""
    rng = np.random.default_rng(1)
    which = np.arange(400) % 4
    x = 20 * np.eye(4)[which] + rng.normal(size=(400, 4))
    sure = np.where(which < 2, rng.uniform(0.5, 0.6, 400), rng.uniform(0.97, 1, 400))
    return np.stack([sure, 1 - sure], axis=1), x, which


def test_those_chosen_are_uncertain_and_of_both_clusters() -> None:
    p, x, which = clusters()
    rows = choose(p, x, x, GRID, 6, radius=2, seed=0)
    assert len(set(rows.tolist())) == 6
    assert set(which[rows]) == {0, 1}
    assert min(np.bincount(which[rows])) >= 2
    np.testing.assert_array_equal(rows, choose(p, x, x, GRID, 6, radius=2, seed=0))


def test_an_odd_pixel_is_no_use_however_uncertain() -> None:
    p, x, _ = clusters()
    p[7], x[7] = (0.5, 0.5), 500
    assert 7 not in choose(p, x, x, GRID, 10, radius=2, seed=0)


@pytest.mark.parametrize("radius", [0, 3, 12])
def test_those_chosen_lie_apart(radius: int) -> None:
    rng = np.random.default_rng(2)
    place = np.stack(np.divmod(np.arange(400), 20), axis=1)
    p = rng.dirichlet([1, 1, 1], 400)
    rows = choose(p, rng.normal(size=(400, 2)), rng.normal(size=(99, 2)), place, 30,
                  radius=radius, seed=0)  # fmt: skip
    apart = np.abs(place[rows][:, None] - place[rows][None]).max(-1)
    assert (apart[~np.eye(len(rows), dtype=bool)] > radius).all()
    assert len(rows) == 30 if radius < 3 else len(rows) >= 4 if radius == 12 else len(rows) > 10


def test_of_fewer_candidates_all_are_taken() -> None:
    p, x, _ = clusters()
    assert sorted(choose(p[:5], x[:5], x, GRID[:5], 50, radius=2, seed=0)) == [0, 1, 2, 3, 4]
    same = np.zeros((50, 4))  # spectra that are all alike
    assert len(choose(p[:50], same, same, GRID[:50], 7, radius=2, seed=0)) == 7
