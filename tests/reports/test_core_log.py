"""Shares of classes along drill core."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import rasterio

from hsi_ssl.errors import LabelError, SettingsError
from hsi_ssl.reports.core_log import CoreLog, Depths, core_log, draw_log

NAMES = {3: "calcite", 40: "goethite"}


def written(path: Path, codes: Any, names: dict[int, str] = NAMES) -> Path:
    """A class map as other programs write it, its names in a CSV beside."""
    codes = np.asarray(codes, np.uint8)
    rows, cols = codes.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=1, dtype="uint8", nodata=0
    ) as raster:
        raster.write(codes, 1)
    lines = [f"{code},{name},#0000{code:02x}" for code, name in names.items()]
    path.with_suffix(".csv").write_text("\n".join(["code,name,colour", *lines, ""]))
    return path


def names_of(log: CoreLog) -> list[str]:
    return [c.name for c in log.classes]


def test_lines_of_an_interval_are_counted_together(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", [[3, 3], [3, 40], [40, 40], [0, 40], [0, 0]])
    log = core_log([path], Depths(2))
    assert names_of(log) == ["calcite", "goethite"]
    assert log.classes[0].colour == "#000003"
    assert log.edges.tolist() == [0, 2, 4, 5]
    assert log.counts.tolist() == [[3, 1], [0, 3], [0, 0]]
    assert log.unclassified.tolist() == [0, 1, 2]
    np.testing.assert_allclose(log.shares, np.array([[0.75, 0.25], [0, 1], [np.nan, np.nan]]))


def test_depth_runs_along_the_longer_side_or_as_told(tmp_path: Path) -> None:
    codes = np.array([[3, 3, 40], [3, 40, 40]])
    path = written(tmp_path / "a.tif", codes)
    assert core_log([path], Depths(1)).counts.tolist() == [[2, 0], [1, 1], [0, 2]]
    assert core_log([path], Depths(1), along="rows").counts.tolist() == [[2, 1], [1, 2]]
    assert core_log([path], Depths(1, reverse=True)).counts.tolist() == [[0, 2], [1, 1], [2, 0]]


def test_sticks_and_boxes_follow_one_another(tmp_path: Path) -> None:
    box = np.repeat([[3, 40], [3, 3], [40, 3]], 3, axis=1)  # two sticks, three pixels wide each
    one, two = written(tmp_path / "a.tif", box), written(tmp_path / "b.tif", box[::-1])
    log = core_log([one, two], Depths(1, metres=1, top=100), along="rows", sticks=2)
    assert log.unit == "m"
    assert log.edges[[0, -1]].tolist() == [100, 112]
    assert (log.counts[:, 0] // 3).tolist() == [1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 0]


def test_depths_in_metres_cut_lines_by_their_middle(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", np.full((100, 4), 3))
    log = core_log([path], Depths(0.05, metres=0.012, top=20.5))
    assert log.counts.sum() == 400
    assert log.edges[-1] == pytest.approx(20.5 + 1.2)
    assert set(np.diff(log.edges).round(6)) == {0.05}
    assert {16, 20} >= set(log.counts[:, 0].tolist())


def test_windows_add_up(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).choice([0, 3, 40], (1500, 1100)).astype(np.uint8)
    log = core_log([written(tmp_path / "a.tif", codes)], Depths(100), sticks=3)
    assert log.counts.sum(axis=0).tolist() == [(codes == c).sum() for c in (3, 40)]
    first = codes[:100, :367]  # the first third, rounded up
    assert log.counts[0].tolist() == [(first == c).sum() for c in (3, 40)]


def test_the_table_is_one_of_intervals(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", [[3, 40], [3, 0], [0, 0]])
    head, *rows = csv.reader(io.StringIO(core_log([path], Depths(1, metres=0.5)).to_csv()))
    assert head == ["from_m", "to_m", "classified", "not_classified", "calcite %", "goethite %"]
    assert rows == [["0", "1", "3", "1", "66.67", "33.33"], ["1", "1.5", "0", "2", "", ""]]


def test_the_figure_has_depth_downwards(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", np.repeat([[3], [40]], 50, axis=0), {3: "a", 40: "b"})
    log = core_log([path], Depths(10))
    draw_log(log, tmp_path / "log.png", "core")
    picture = (matplotlib.image.imread(tmp_path / "log.png")[..., :3] * 255).round().astype(int)
    upper, lower = (
        (picture == (0, 0, code)).all(axis=2).any(axis=1).nonzero()[0] for code in NAMES
    )
    assert np.median(upper) < np.median(lower)


def test_maps_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "a.tif", [[3]])
    two = written(tmp_path / "b.tif", [[3]], {3: "gypsum"})
    with pytest.raises(LabelError, match="calls 3 gypsum, a map before it calcite"):
        core_log([one, two], Depths(1))
    with pytest.raises(LabelError, match="no class anywhere"):
        core_log([written(tmp_path / "c.tif", [[0, 0]])], Depths(1))
    with pytest.raises(SettingsError, match="give fewer"):
        core_log([one], Depths(1), sticks=2)
    with pytest.raises(SettingsError, match="make them longer"):
        core_log([one], Depths(1e-6, metres=1))
