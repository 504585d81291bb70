"""Medians of what surrounds pixels, on grids and in lists, and how rare both together are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.inference import surroundings
from hsi_ssl.inference.ranks import FEWEST, Ranks
from hsi_ssl.inference.surroundings import LEAST, medians_among, medians_on_grid

Floats = npt.NDArray[np.float32]


@pytest.fixture
def scores() -> Floats:
    """Of a scene with holes, some of them broad, so that single pixels stand alone."""
    rng = np.random.default_rng(0)
    found = rng.normal(size=(31, 23)).astype(np.float32)
    found[rng.random(found.shape) < 0.2] = np.nan
    found[8:20, 5:16] = np.nan
    found[14, 10] = 3
    return found


def one_by_one(scores: Floats) -> Floats:
    found = np.full_like(scores, np.nan)
    for row, col in np.argwhere(~np.isnan(scores)):
        about = scores[max(0, row - 2) : row + 3, max(0, col - 2) : col + 3].ravel()
        about = np.sort(about[~np.isnan(about)])
        if len(about) >= LEAST:
            found[row, col] = about[len(about) // 2]
    return found


@pytest.mark.parametrize("block", [1, 100, 2**18])
def test_medians_are_those_of_the_pixels_about(
    scores: Floats, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "BLOCK", block)
    expected = one_by_one(scores)
    assert np.isnan(expected[14, 10])
    np.testing.assert_array_equal(medians_on_grid(scores), expected)
    pixel = np.random.default_rng(1).permutation(np.argwhere(~np.isnan(scores)))
    among = medians_among(np.zeros(len(pixel), np.int16), pixel, scores[tuple(pixel.T)])
    np.testing.assert_array_equal(among, expected[tuple(pixel.T)])


def test_scenes_and_their_edges_do_not_touch() -> None:
    """The last column of a row beside the first of the next, and one scene's end by another's."""
    scene = np.repeat([0, 3], 30)
    pixel = np.tile(np.argwhere(np.ones((5, 6), bool)), (2, 1))
    score = np.arange(60, dtype=np.float32)
    expected = [one_by_one(some.reshape(5, 6)).ravel() for some in np.split(score, 2)]
    np.testing.assert_array_equal(medians_among(scene, pixel, score), np.concatenate(expected))
    assert not len(medians_among(scene[:0], pixel[:0], score[:0]))


def rock(n: int, seed: int = 0) -> Floats:
    """Scores of a validation scene `(n, n)`, no pixel of which knows of its neighbours."""
    return np.random.default_rng(seed).normal(size=(n, n)).astype(np.float32)


def ranks_of(scores: Floats) -> Ranks:
    return Ranks.of(scores.ravel(), medians_on_grid(scores).ravel())


def test_pixels_like_the_validation_pixels_are_as_rare_as_p_says() -> None:
    ranks, other = ranks_of(rock(300)), rock(300, seed=1)
    p = ranks.p_values(other.ravel(), medians_on_grid(other).ravel())
    for level in (0.01, 0.05, 0.2):
        assert np.mean(p <= level) == pytest.approx(level, rel=0.2)
    own = ranks.p_values(ranks.alone, ranks.around)
    assert np.mean(own <= 0.05) <= 0.05


def test_half_of_a_neighbourhood_tells_what_one_pixel_does_not() -> None:
    """A patch half of whose pixels are as strange as 3 in 100, and a lone pixel that is stranger
    than all."""
    ranks, scene = ranks_of(rock(100)), rock(60, seed=1)
    grey = np.zeros(scene.shape, bool)
    grey[20:40, 20:40] = True
    scene[grey] = np.quantile(ranks.alone, 0.97)
    dead = grey & (np.arange(60) % 3 == 0)  # columns in which nothing is seen of it
    scene[dead] = 0
    scene[5, 5] = 9
    alone = ranks.p_alone(scene)
    p = ranks.p_values(scene.ravel(), medians_on_grid(scene).ravel()).reshape(60, 60)
    assert (alone[grey] > 0.01).all()
    assert (p[22:38, 22:38] <= 0.01).all()  # dead columns too
    assert p[5, 5] <= 0.01
    far = np.ones(scene.shape, bool)
    far[16:44, 16:44] = far[5, 5] = False
    assert np.mean(p[far] <= 0.01) < 0.02


def test_a_lone_pixel_stranger_than_all_of_few_is_the_rarest() -> None:
    scores = rock(20)
    ranks = ranks_of(scores)
    p = ranks.p_values(np.array([99.0]), np.array([np.nan]))
    assert p[0] <= 2 / (1 + scores.size)
    assert ranks.p_alone([99.0])[0] == 1 / (1 + scores.size)


def test_without_surroundings_of_its_own_a_run_keeps_rather_than_rejects() -> None:
    """Validation pixels far from each other, or a run from before surroundings counted."""
    alone = np.sort(rock(50).ravel())
    around = np.full_like(alone, np.nan)
    around[: FEWEST - 1] = 0
    ranks, other = Ranks(alone, around), rock(200, seed=1)
    p = ranks.p_values(other.ravel(), medians_on_grid(other).ravel())
    assert 0.003 < np.mean(p <= 0.01) < 0.01
    patch = np.full((9, 9), np.quantile(alone, 0.995), np.float32)
    assert (ranks.p_values(patch.ravel(), medians_on_grid(patch).ravel()) <= 0.01).all()
