from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import chi2

from hsi_ssl.datasets.sampling import Places, TilePool, joined, labelled_draws
from hsi_ssl.datasets.splits import OUT
from hsi_ssl.datasets.store import Part

Bools = npt.NDArray[np.bool_]


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def planes(seed: int = 0) -> tuple[list[npt.NDArray[np.int16]], list[npt.NDArray[np.uint8]]]:
    """Labels and parts of two small scenes."""
    labels = [rng(seed).integers(-1, 3, (6, 7)), rng(seed + 1).integers(-1, 3, (5, 4))]
    parts = [rng(seed + 2 + i).choice([0, 1, 2, OUT], p.shape) for i, p in enumerate(labels)]
    for label, part in zip(labels, parts, strict=True):
        part[label < 0] = Part.POOL
    return [p.astype(np.int16) for p in labels], [p.astype(np.uint8) for p in parts]


def brute_force(labels: Any, parts: Any, part: Part, k: int) -> set[tuple[int, int]]:
    return {
        (scene, i)
        for scene, (label, plane) in enumerate(zip(labels, parts, strict=True))
        for i in range(label.size)
        if label.flat[i] == k and plane.flat[i] == part
    }


def as_set(places: Places) -> set[tuple[int, int]]:
    pairs = list(zip(places.scene.tolist(), places.flat.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    return set(pairs)


@pytest.mark.parametrize("seed", range(5))
def test_draws_hold_each_class_and_part_up_to_their_limits(seed: int) -> None:
    labels, parts = planes(seed)
    most = {Part.TRAIN: 3, Part.VALIDATION: 2, Part.TEST: None}
    draws = labelled_draws(labels, parts, 3, most, rng(seed))
    found = {(draw.part, draw.label): draw for draw in draws}
    for part, k in itertools.product(most, range(3)):
        expected = brute_force(labels, parts, part, k)
        if not expected:
            assert (part, k) not in found
            continue
        draw = found[part, k]
        assert as_set(draw.order) == expected
        limit = most[part]
        assert draw.wanted == (len(expected) if limit is None else min(limit, len(expected)))


def test_a_draw_goes_on_where_it_stopped() -> None:
    labels, parts = planes()
    draw = labelled_draws(labels, parts, 3, dict.fromkeys(Part, 2), rng(0))[0]
    lots = [draw.more(n) for n in (2, 0, 1, 1000, 5)]
    assert [len(lot) for lot in lots[:3]] == [2, 0, 1]
    assert as_set(joined(lots)) == as_set(draw.order)
    assert len(lots[-1]) == 0


def chi_square(hits: npt.NDArray[Any], draws: int, taken: int) -> float:
    """Chance of hits at least as uneven, if each of `hits.size` pixels is equally likely.

    Draws without replacement are more even than independent ones by (1 - taken / size).
    """
    expected = draws * taken / hits.size
    statistic = ((hits - expected) ** 2 / expected).sum() / (1 - taken / hits.size)
    return float(chi2.sf(statistic * (hits.size - 1) / hits.size, hits.size - 1))


@pytest.mark.slow
def test_each_pixel_of_a_class_is_equally_likely() -> None:
    label = np.zeros((4, 5), np.int16)
    plane = np.zeros((4, 5), np.uint8)
    other = np.zeros((2, 3), np.int16), np.zeros((2, 3), np.uint8)
    hits = np.zeros(26)
    for seed in range(4000):
        (draw,) = labelled_draws(
            [label, other[0]], [plane, other[1]], 1, dict.fromkeys(Part, 7), rng(seed)
        )
        taken = draw.more(draw.wanted)
        hits[taken.flat + 20 * taken.scene] += 1
    assert chi_square(hits, 4000, 7) > 1e-3


def eligible_planes() -> list[Bools]:
    """Uneven: sides that are no multiple of the tile, holes, an empty corner, a tiny scene."""
    first = rng(0).random((11, 14)) < 0.7
    first[:4, :8] = False
    return [first, np.ones((3, 2), bool), np.zeros((4, 4), bool)]


def all_valid(places: Places) -> Bools:
    return np.ones(len(places), bool)


def taken(pool: TilePool, wanted: int, lot: int) -> Places:
    lots = []
    while wanted and len(places := pool.more(min(lot, wanted))):
        lots.append(places)
        wanted -= len(places)
    return joined(lots)


@pytest.mark.parametrize("tile", [1, 4, 8, 64])
@pytest.mark.parametrize("wanted", [1, 30, 83, 10_000])
@pytest.mark.parametrize("lot", [7, 10_000])
def test_pool_takes_as_many_eligible_pixels_as_wanted(tile: int, wanted: int, lot: int) -> None:
    planes = eligible_planes()
    eligible = {(s, int(i)) for s, plane in enumerate(planes) for i in np.flatnonzero(plane)}
    for seed in range(20):
        pool = TilePool(planes, tile, rng(seed))
        assert pool.size == len(eligible)
        assert pool.start(all_valid)
        found = as_set(taken(pool, wanted, lot))
        assert len(found) == min(wanted, len(eligible))
        assert found <= eligible


def tiles_of(places: Places, planes: list[Bools], tile: int) -> dict[tuple[int, int, int], int]:
    counts: dict[tuple[int, int, int], int] = {}
    for scene, flat in zip(places.scene.tolist(), places.flat.tolist(), strict=True):
        row, col = divmod(flat, planes[scene].shape[1])
        key = scene, row // tile, col // tile
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_pool_takes_whole_tiles_but_for_two() -> None:
    planes = eligible_planes()
    sizes = tiles_of(
        joined(
            [
                Places(np.full(plane.sum(), s, np.int16), np.flatnonzero(plane).astype(np.int32))
                for s, plane in enumerate(planes)
            ]
        ),
        planes,
        4,
    )
    for seed in range(50):
        pool = TilePool(planes, 4, rng(seed))
        pool.start(all_valid)
        found = tiles_of(pool.more(40), planes, 4)
        assert sum(n < sizes[tile] for tile, n in found.items()) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("tile", [1, 4])
def test_each_pixel_is_equally_likely_in_the_pool(tile: int) -> None:
    planes = eligible_planes()
    size = sum(int(p.sum()) for p in planes)
    seeds, wanted = 3000, 30
    hits = [np.zeros(plane.size) for plane in planes]
    together = np.zeros(seeds)
    for seed in range(seeds):
        pool = TilePool(planes, tile, rng(seed))
        pool.start(all_valid)
        places = pool.more(wanted)
        for scene in range(3):
            hits[scene][places.flat[places.scene == scene]] += 1
        together[seed] = (places.scene == 1).sum()
    counts = np.concatenate([h[p.ravel()] for h, p in zip(hits, planes, strict=True)])
    assert all((h[~p.ravel()] == 0).all() for h, p in zip(hits, planes, strict=True))
    # Pixels of a tile come together, so each count is tested by itself, all of them at once.
    p = wanted / size
    z = (counts - seeds * p) / np.sqrt(seeds * p * (1 - p))
    assert np.abs(z).max() < 4.5
    # The tile of the small scene, whose size differs most: its mean share is exact as well.
    error = together.std() / np.sqrt(seeds)
    assert abs(together.mean() - 6 * p) < 4 * error


@pytest.mark.slow
def test_valid_pixels_stay_equally_likely_beside_invalid_ones() -> None:
    plane = np.ones((6, 8), bool)
    valid = np.ones(48, bool)
    valid.reshape(6, 8)[:4, :4] = False  # but for one: a tile that is nearly all invalid
    valid[9] = True
    wanted, seeds = 8, 3000
    hits = np.zeros(48)

    def look(places: Places) -> Bools:
        return valid[places.flat]

    for seed in range(seeds):
        pool = TilePool([plane], 4, rng(seed))
        pool.start(look)
        missing = wanted
        while missing:
            lot = pool.more(missing)
            kept = lot.flat[look(lot)]
            hits[kept] += 1
            missing -= len(kept)
    p = wanted / valid.sum()
    z = (hits[valid] - seeds * p) / np.sqrt(seeds * p * (1 - p))
    assert np.abs(z).max() < 4.5


def test_nothing_to_take_is_no_error() -> None:
    empty = TilePool([np.zeros((3, 3), bool)], 2, rng(0))
    assert not empty.start(all_valid)
    assert len(empty.more(5)) == 0
    blind = TilePool([np.ones((3, 3), bool)], 2, rng(0))
    assert not blind.start(lambda places: np.zeros(len(places), bool))
    assert len(blind.more(5)) == 0


def test_one_valid_pixel_among_many_is_found() -> None:
    pool = TilePool([np.ones((300, 300), bool)], 8, rng(0))
    assert pool.start(lambda places: places.flat == 77_777)
    assert pool.more(1).flat.tolist() == [77_777]


def test_same_seed_same_pool() -> None:
    def pool(seed: int) -> Places:
        pool = TilePool(eligible_planes(), 4, rng(seed))
        pool.start(all_valid)
        return pool.more(40)

    np.testing.assert_array_equal(pool(1).flat, pool(1).flat)
    assert (pool(1).flat != pool(2).flat).any()
