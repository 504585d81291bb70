"""Stripes of push-brooms, and what only looks like one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from hsi_ssl.scenes.readers.flat import ArrayReader
from hsi_ssl.scenes.readers.laid_out import FEW, LaidOutReader
from hsi_ssl.scenes.scene import Scene
from hsi_ssl.scenes.stripes import stripes

Floats = npt.NDArray[np.float64]
NM = np.linspace(420, 2440, 30)


def land(seed: int = 0, rows: int = 200, cols: int = 150, noise: float = 20.0) -> Floats:
    """Fields with upright edges, texture that runs over pixels, and noise."""
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(np.arange(5, max(cols, 60), 9), 6, replace=False))
    fields = rng.uniform(800, 4000, (7, len(NM)))
    found = np.broadcast_to(fields[np.searchsorted(edges, np.arange(cols))], (rows, cols, len(NM)))
    texture = gaussian_filter(rng.normal(0, 1, (rows, cols)), 2)
    found = found * (1 + 0.5 * texture[..., None])
    return found + rng.normal(0, noise, found.shape)


def scene(cube: npt.NDArray[Any], nodata: float | None = None) -> Scene:
    reader = ArrayReader(cube)
    return Scene(Path("a.tif"), "test", *reader.shape, reader.dtype, reader, NM, nodata=nodata)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_fields_texture_and_noise_are_no_stripes(seed: int, kind: str) -> None:
    found = stripes(scene(land(seed).astype(kind)))
    assert found is not None
    assert not found
    assert (found.rows, found.bands_seen) == (128, len(NM))


def test_stripes_of_known_strength_are_told() -> None:
    cube = land()
    cube[:, 37, 7] *= 1.08
    cube[:, 81, 7] -= 0.1 * np.median(cube[..., 7])
    cube[:, 100, 20:23] = 0
    found = stripes(scene(np.round(cube).astype(np.int16)))
    assert found is not None
    met = {(c, b): s for c, b, s in zip(*found[:3], strict=True)}
    assert sorted(met) == [(37, 7), (81, 7), (100, 20), (100, 21), (100, 22)]
    assert met[37, 7] == pytest.approx(0.08, abs=0.05)
    assert met[81, 7] == pytest.approx(0.1, abs=0.03)
    assert found.strength[2:].min() > 0.5


def test_every_second_column_of_another_gain_is_told() -> None:
    cube = land(noise=10)
    cube[:, ::2, :] *= 1.08
    found = stripes(scene(cube.astype(np.float32)))
    assert found is not None
    assert len(np.unique(found.columns)) > 75


def test_what_is_no_data_tells_nothing() -> None:
    cube = np.round(land()).astype(np.int16)
    cube[:, 37, 7] += 300
    cube[:80] = -9999
    cube[80:, :20] = -9999
    found = stripes(scene(cube, -9999))
    assert found is not None
    assert list(zip(found.columns, found.bands, strict=True)) == [(37, 7)]
    assert stripes(scene(np.full((100, 100, 30), -9999, np.int16), -9999)) is None


def test_small_scenes_are_not_looked_at() -> None:
    assert stripes(scene(land(rows=63).astype(np.int16))) is None
    assert stripes(scene(land(cols=7).astype(np.int16))) is None
    assert stripes(scene(land(rows=64).astype(np.int16))) is not None


def test_a_flat_scene_has_none() -> None:
    assert not stripes(scene(np.full((100, 100, 30), 5, np.uint8)))
    assert stripes(scene(np.zeros((100, 100, 30), np.float32))) is None


def test_a_packed_scene_is_not_unpacked_for_it() -> None:
    cube = land()
    cube[:, 81, :] *= 1.2
    inner = ArrayReader(cube.astype(np.float32))
    reader = LaidOutReader(Path("a.h5"), inner, (*cube.shape[:2], 1))
    found = stripes(replace(scene(cube.astype(np.float32)), reader=reader))
    assert found is not None
    assert reader.waits
    assert found.bands_seen == FEW
    assert set(found.columns) == {81}
