"""Packed chunks that would be unpacked for every window."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers import hdf5, laid_out
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[np.uint16]


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the cubes of tests were large."""
    monkeypatch.setattr(hdf5, "LARGEST_CACHE", 100)
    monkeypatch.setattr(laid_out, "FEW", 2)


@pytest.mark.usefixtures("small_cache")
@pytest.mark.parametrize("chunks", [(13, 11, 1), (5, 11, 2), (4, 3, 7)])
def test_values(
    tmp_path: Path, cube: Cube, chunks: tuple[int, ...], agrees: Callable[[Scene, Cube], None]
) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("cube", data=cube, chunks=chunks, compression="gzip")
    scene = open_scene(tmp_path / "s.h5")
    picture = scene.thinned([0, 5, 12], [1, 2], [6, 0])
    np.testing.assert_array_equal(picture, cube[np.ix_([0, 5, 12], [1, 2], [6, 0])])
    agrees(scene, cube)


@pytest.mark.usefixtures("small_cache")
def test_each_chunk_is_unpacked_once(
    tmp_path: Path, cube: Cube, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_dataset("cube", data=cube, chunks=(13, 11, 1), compression="gzip")
    unpacked: list[slice] = []
    box = hdf5.ChunkReader.box

    def counted(self: hdf5.ChunkReader, rows: slice, cols: slice, bands: slice) -> Cube:
        unpacked.append(bands)
        return box(self, rows, cols, bands)

    monkeypatch.setattr(hdf5.ChunkReader, "box", counted)
    with open_scene(tmp_path / "s.h5") as scene:
        for window in scene.windows(20):
            scene.read(*window)
    assert len(unpacked) == 7


@pytest.mark.usefixtures("small_cache")
def test_a_broken_chunk_is_told(tmp_path: Path, cube: Cube) -> None:
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("cube", data=cube, chunks=(13, 11, 1), compression="gzip")
        place = made.id.get_chunk_info(3).byte_offset
    with path.open("r+b") as raw:
        raw.seek(place)
        raw.write(b"\xff" * 20)
    left = set(Path(tempfile.gettempdir()).glob("hsi-ssl-*"))
    with open_scene(path) as scene, pytest.raises(SceneError, match="is broken"):
        scene.read()
    assert set(Path(tempfile.gettempdir()).glob("hsi-ssl-*")) <= left
