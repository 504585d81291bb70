"""MATLAB's files up to version 7 are read by windows, and broken ones are refused."""

from __future__ import annotations

import contextlib
import random
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.opening import open_scene, read_plane

LABELS = np.zeros((13, 11))
LABELS[3:5, 2:9], LABELS[7, 1] = 4, 2


def write(path: Path, packed: bool, **arrays: Any) -> Path:
    scipy.io.savemat(path, arrays, do_compression=packed)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_a_window_of_a_cube_is_all_that_lies_in_memory(tmp_path: Path, packed: bool) -> None:
    cube = np.zeros((600, 300, 100), np.uint16)
    cube[7, 11] = np.arange(100)
    path = write(tmp_path / "cube.mat", packed, data={"cube": cube})
    open_scene(path).close()  # what is imported for it
    tracemalloc.start()
    try:
        with open_scene(path) as scene:
            assert (scene.rows, scene.cols, scene.bands) == cube.shape
            np.testing.assert_array_equal(scene.pixels([7], [11])[0], np.arange(100))
            np.testing.assert_array_equal(scene.read(slice(0, 20), slice(10, 13)), cube[:20, 10:13])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < cube.nbytes / 2


def test_numbers_kept_in_fewer_bytes_than_their_class(tmp_path: Path) -> None:
    """MATLAB keeps doubles that are small whole numbers as bytes."""
    path = tmp_path / "gt.mat"
    name, plane = b"gt", np.arange(6, dtype=np.uint8)
    parts = [
        struct.pack("<IIII", 6, 8, 6, 0),
        struct.pack("<IIii", 5, 8, 3, 2),
        struct.pack("<HH4s", 1, len(name), name),
        struct.pack("<II", 2, 6) + plane.tobytes() + bytes(2),
    ]
    body = b"".join(parts)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path.write_bytes(header + struct.pack("<II", 14, len(body)) + body)
    np.testing.assert_array_equal(read_plane(path)[0], plane.reshape(2, 3).T)
    np.testing.assert_array_equal(scipy.io.loadmat(path)["gt"], plane.reshape(2, 3).T)


@pytest.mark.parametrize("sparse", [False, True])
def test_version_4(tmp_path: Path, sparse: bool) -> None:
    path = tmp_path / "gt.mat"
    plane = scipy.sparse.coo_matrix(LABELS) if sparse else LABELS
    scipy.io.savemat(path, {"gt": plane, "text": "abc"}, format="4")
    np.testing.assert_array_equal(read_label_plane(path), LABELS)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "cube.mat"
    inside = struct.pack("<IIIIII", 14, 2**32 - 8, 6, 8, 6, 0)
    inside += struct.pack("<IIiiii", 5, 12, 2**15, 2**14, 1, 0) + struct.pack("<HH4s", 1, 1, b"c")
    packed = zlib.compress(inside + bytes(2**20))
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(SceneError, match="packed bytes that promise 4294967288"):
        open_scene(path)


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_files_open_or_are_refused(tmp_path: Path, packed: bool) -> None:
    """Also those that took the process down within scipy."""
    cells = np.array([["oak", "", "bare soil"], ["", "oak", ""]], dtype=object)
    inside = {"cube": np.ones((6, 7, 5)), "gt": scipy.sparse.csc_matrix(LABELS), "names": cells}
    path = write(tmp_path / "whole.mat", packed, data=inside, flag=LABELS > 0, text="abc")
    whole, damaged = path.read_bytes(), tmp_path / "damaged.mat"
    rng = random.Random(int(packed))
    for _ in range(100):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 2, 4])):
            at = rng.randrange(128, len(content)) & ~3
            content[at : at + 4] = struct.pack("<I", rng.choice([0, 1, 2**31, 2**32 - 1, 8, 255]))
        damaged.write_bytes(content)
        for read in (lambda: open_scene(damaged).close(), lambda: read_label_plane(damaged)):
            with contextlib.suppress(HsiSslError):
                read()
