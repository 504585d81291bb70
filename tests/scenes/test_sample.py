"""A scene's numbers by a sample of its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.sample import LEAST, sample


@pytest.mark.parametrize("measured", [1, 3, LEAST, 200])
def test_a_sample_holds_measurements_alone(tmp_path: Path, measured: int) -> None:
    cube = np.zeros((40, 50, 4), np.uint16)
    own = np.random.default_rng(0).integers(100, 9000, (measured, 4))
    cube.reshape(-1, 4)[300 : 300 + measured] = own
    np.save(tmp_path / "c.npy", cube)
    with open_scene(tmp_path / "c.npy", axes="rows,cols,bands") as scene:
        found = sample(scene, np.array([2, 0]))
    assert len(found.spectra) >= min(measured, LEAST)
    assert set(map(tuple, found.spectra)) <= set(map(tuple, own[:, [2, 0]]))
    assert not len(found.alike)
