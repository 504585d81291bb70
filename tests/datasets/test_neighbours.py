from __future__ import annotations

import numpy as np

from hsi_ssl.datasets.neighbours import STEPS, neighbour_table, neighbours_among


def test_neighbours_are_those_of_a_search_through_all_rows() -> None:
    rng = np.random.default_rng(0)
    flat = np.concatenate([s * 1000 + rng.permutation(12 * 9)[:50] for s in (0, 1, 4)])
    rng.shuffle(flat)
    scene = (flat // 1000).astype(np.int16)
    pixel = np.stack(np.divmod(flat % 1000, 9), axis=1).astype(np.int32)
    table = neighbour_table(scene, pixel)
    assert table.dtype == np.int32
    places = [(int(s), int(r), int(c)) for s, (r, c) in zip(scene, pixel, strict=True)]
    row_of = {place: i for i, place in enumerate(places)}
    for found, (s, r, c) in zip(table, places, strict=True):
        expected = [row_of.get((s, r + down, c + right), -1) for down, right in STEPS]
        assert found.tolist() == expected


def test_directions_go_clockwise_from_north() -> None:
    pixel = np.array([[r, c] for r in range(3) for c in range(3)])
    table = neighbour_table(np.zeros(9, np.int16), pixel)
    assert table[4].tolist() == [1, 2, 5, 8, 7, 6, 3, 0]
    assert table[0].tolist() == [-1, -1, 1, 4, 3, -1, -1, -1]


def test_neighbours_among_some_rows_are_those_of_a_table_of_these_alone() -> None:
    rng = np.random.default_rng(1)
    pixel = np.stack(np.divmod(rng.permutation(120), 12), axis=1).astype(np.int32)
    scene = np.zeros(120, np.int16)
    rows = rng.permutation(120)[:70].astype(np.int64)
    found = neighbours_among(neighbour_table(scene, pixel), rows)
    np.testing.assert_array_equal(found, neighbour_table(scene[rows], pixel[rows]))
