"""Where pixels lie, as programs say it."""

from __future__ import annotations

import numpy as np
import pytest

from hsi_ssl.errors import SceneError
from hsi_ssl.library.positions import as_positions, columns_of, neighbours_of

EAST, SOUTH, WEST = 2, 4, 6


def test_pixels_side_by_side_are_neighbours_whatever_their_order() -> None:
    table = neighbours_of(as_positions([[105, 200], [104, 200], [105, 201], [90, 7]], 4))
    assert table[0, EAST] == 2
    assert table[2, WEST] == 0
    assert table[1, SOUTH] == 0
    assert (table[3] == -1).all()


def test_scenes_do_not_touch() -> None:
    places = as_positions([[7, 0, 0], [7, 0, 1], [2, 0, 0], [2, 1, 0]], 4)
    assert places.tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 1, 0]]
    table = neighbours_of(places)
    assert table[0, EAST] == 1
    assert table[2, SOUTH] == 3
    assert np.count_nonzero(table >= 0) == 4


def test_whole_numbers_may_be_floats() -> None:
    assert as_positions(np.array([[0.0, 1.0], [2.0, 1.0]]), 2).tolist() == [[0, 0, 0], [0, 2, 0]]
    with pytest.raises(SceneError, match="whole numbers"):
        as_positions(np.array([[0, np.nan], [1, 1]]), 2)


def test_columns_are_numbers_or_names() -> None:
    names = np.array(["r", "blue", "c"])
    ways: list[list[int | str]] = [["r", "c"], [0, 2], [-3, -1], ["r", 2]]
    for columns in ways:
        places, bands = columns_of(columns, 3, names)
        assert places.tolist() == [0, 2]
        assert bands.tolist() == [1]
    assert columns_of(None, 3, None)[1].tolist() == [0, 1, 2]
    with pytest.raises(SceneError, match="no column of X for the bands"):
        columns_of([0, 1, 2], 3, names)
    with pytest.raises(SceneError, match="two columns"):
        columns_of([0, -3], 3, names)
