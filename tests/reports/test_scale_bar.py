"""Scale bars and arrows to the north below pictures of maps."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.reports.figures import map_quicklook
from hsi_ssl.reports.scale_bar import in_words, round_length
from hsi_ssl.scenes.ground import Ground

ROCKS = LabelSet("rocks", (LabelClass(7, "red", "#ff0000"), LabelClass(32, "blue", "#0000ff")))


@pytest.mark.parametrize(
    ("most", "length"), [(999, 500), (1000, 1000), (4.9, 2), (0.05, 0.05), (0.0099, 0.005)]
)
def test_bars_have_round_lengths(most: float, length: float) -> None:
    assert round_length(most) == pytest.approx(length)


@pytest.mark.parametrize(
    ("metres", "words"),
    [(20_000, "20 km"), (1000, "1 km"), (500, "500 m"), (0.05, "5 cm"), (0.002, "2 mm")],
)
def test_lengths_in_words(metres: float, words: str) -> None:
    assert in_words(metres) == words


def drawn(path: Path, ground: Ground | None) -> tuple[int, np.ndarray]:
    """Width of a map of one class, 100 x 200 cells, in a picture, and what is dark below it."""
    map_quicklook(path, np.full((100, 200), 7), ROCKS, "a map", ground=ground)
    picture = matplotlib.image.imread(path)[..., :3]
    red = (picture == (1, 0, 0)).all(axis=2)
    last = np.flatnonzero(red.any(axis=1))[-1]
    width = int(np.flatnonzero(red[last])[-1]) + 1
    return width, picture[last + 2 :, :width].min(axis=2) < 0.5


def test_the_bar_is_as_long_as_it_says(tmp_path: Path) -> None:
    """200 cells of 10 m: a bar of 500 m is a quarter of the map's width."""
    width, below = drawn(tmp_path / "map.png", Ground(10.0, True, (0.0, -1.0)))
    ends = [np.flatnonzero(line[: width // 2]) for line in below]
    assert max(np.ptp(x) for x in ends if len(x)) == pytest.approx(width / 4, rel=0.03)
    assert below[:, -width // 4 :].any()  # the arrow


@pytest.mark.parametrize("ground", [None, Ground(None, True, None)])
def test_without_a_place_there_is_neither(tmp_path: Path, ground: Ground | None) -> None:
    assert not drawn(tmp_path / "map.png", ground)[1].any()
