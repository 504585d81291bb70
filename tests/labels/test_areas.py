"""Shares of pixels that classes cover, of pixels as large as they come."""

from __future__ import annotations

import tracemalloc

import numpy as np

from hsi_ssl.labels.areas import Corners, Shared, Tally


def test_pixels_that_reach_over_the_whole_raster_take_no_more_memory_than_it() -> None:
    """As two neighbours of a swath do, one of which has a wrong place."""
    y, x = np.meshgrid([-1e6, 1e6, 1e6 + 1], [-4e5, 5e5], indexing="ij")
    found = np.zeros((2, 1), np.uint16)
    tracemalloc.start()
    shared = Shared(found, 0.5, Tally())
    shared.weigh(np.ones((30, 20), np.uint16), Corners(x, y, (9e5, 2e6)), (0, 0))
    shared.settle()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.tolist() == [[0], [0]]
    assert most < 1e6


def test_a_raster_within_one_pixel_gives_its_class_where_it_covers_most_of_it() -> None:
    y, x = np.meshgrid([-0.5, 4.5], [-0.25, 3.25], indexing="ij")
    for least, expected in ((0.5, 1), (0.7, 0)):
        found = np.zeros((1, 1), np.uint16)
        shared = Shared(found, least, Tally())
        shared.weigh(np.ones((4, 3), np.uint16), Corners(x, y, (3.5, 5.0)), (0, 0))
        shared.settle()
        assert found[0, 0] == expected, least
