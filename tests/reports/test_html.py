from __future__ import annotations

import base64
import io

import matplotlib.image
import numpy as np

from hsi_ssl.reports.html import counted, log_place, log_ticks, picture_uri, score, short, wrapping


def test_pictures_survive_the_way_into_the_page() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 4)).astype(np.uint8)
    kind, _, content = picture_uri(picture).partition(",")
    assert kind == "data:image/png;base64"
    found = matplotlib.image.imread(io.BytesIO(base64.b64decode(content)), format="png")
    np.testing.assert_array_equal((found * 255).round().astype(np.uint8), picture)


def test_logarithmic_axis() -> None:
    assert log_ticks([3, 1200]) == [1, 10, 100, 1000, 10000]
    assert log_ticks([1]) == [1, 10]
    assert log_ticks([1000]) == [1, 10, 100, 1000]
    assert [log_place(n, 10_000) for n in (1, 100, 10_000)] == [0, 50, 100]
    assert [short(n) for n in (1, 100, 1000, 100_000, 10**6)] == ["1", "100", "1k", "100k", "1M"]


def test_scores_and_names() -> None:
    assert [counted(n, "pixel") for n in (0, 1, 2000)] == ["0 pixels", "1 pixel", "2,000 pixels"]
    assert score(0.8341) == "83.4"
    assert score(None) == score(float("nan")) == "\N{EN DASH}"
    assert wrapping("a_b<c>") == "a_<wbr>b&lt;c&gt;"
