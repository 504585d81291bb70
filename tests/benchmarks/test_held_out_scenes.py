from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from few_label_scenes import dataset_of
from held_out_scenes import HELD_OUT, written

from hsi_ssl.datasets.store import Part

pytestmark = pytest.mark.slow


def test_a_scene_is_drawn_once_and_always_the_same(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    real_data("usgs-splib06")
    dataset = dataset_of("usgs-lake", 10, 0, tmp_path, scenes=HELD_OUT)
    assert dataset.label_set.names == ("water", "trees", "soil", "road")
    train, test = dataset.rows(Part.TRAIN), dataset.rows(Part.TEST)
    assert np.bincount(dataset.label[train]).tolist() == [10] * 4
    assert np.bincount(dataset.label[test]).min() > 100
    cube, labels = written("usgs-lake", tmp_path)
    when = cube.stat().st_mtime_ns
    again = written("usgs-lake", tmp_path / "again")
    assert [path.read_bytes() for path in again] == [cube.read_bytes(), labels.read_bytes()]
    written("usgs-lake", tmp_path)
    assert cube.stat().st_mtime_ns == when
