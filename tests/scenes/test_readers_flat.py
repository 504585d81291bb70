"""NumPy's and MNIST's files, which lie flat on the disk."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[Any]
Agrees = Callable[[Scene, Cube], None]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i2", "<f4", ">f8"])
def test_npy(tmp_path: Path, cube: Cube, agrees: Agrees, order: str, dtype: str) -> None:
    cube = np.array(cube % 200, dtype=dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "cube.npy", cube)
    scene = open_scene(tmp_path / "cube.npy")
    assert scene.block == ((1, 11) if order == "C" else (13, 1))
    agrees(scene, cube)


def test_npy_of_other_dimensions(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 5)))
    with pytest.raises(SceneError, match=r"three dimensions .* it holds array \(4, 5\)"):
        open_scene(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.full((4, 5, 3), 2.5))
    with pytest.raises(LabelError, match="has 3 bands; expected labels in one band"):
        read_label_plane(tmp_path / "b.npy")
    with pytest.raises(SceneNotFoundError, match="leave out --variable"):
        open_scene(tmp_path / "b.npy", variable="x")


def test_npy_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[[print]]], dtype=object), allow_pickle=True)
    with pytest.raises(SceneError, match="type object; expected real numbers"):
        open_scene(tmp_path / "a.npy")
    with pytest.raises(SceneError, match="type object; expected real numbers"):
        read_label_plane(tmp_path / "a.npy")


@pytest.mark.parametrize("kept", [8, 100, 1000])
def test_npy_cut_short(tmp_path: Path, cube: Cube, kept: int) -> None:
    for name, array, read in (
        ("cube.npy", cube, open_scene),
        ("plane.npy", np.tile(cube[:, :, 0], (2, 3)), read_label_plane),
    ):
        np.save(tmp_path / name, array)
        os.truncate(tmp_path / name, kept)
        with pytest.raises(SceneError, match="is cut short"):
            read(tmp_path / name)


def test_indian_pines_of_tensorly(agrees: Agrees) -> None:
    folder = Path(str(resources.files("tensorly"))) / "datasets" / "data"
    labels = read_label_plane(folder / "Indian_pines_gt.npy", shape=(145, 145))
    assert np.bincount(labels.ravel()).tolist()[1:4] == [46, 1428, 830]
    cube = np.load(folder / "Indian_pines_corrected.npy")
    agrees(open_scene(folder / "Indian_pines_corrected.npy"), cube)


def idx(path: Path, array: Cube, kind: int = 0x08) -> Path:
    head = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    raw = head + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
@pytest.mark.parametrize(("kind", "dtype"), [(0x08, "u1"), (0x0B, "i2"), (0x0D, "f4")])
def test_idx_images(tmp_path: Path, agrees: Agrees, name: str, kind: int, dtype: str) -> None:
    images = np.random.default_rng(0).integers(0, 200, (20, 4, 3)).astype(dtype)
    scene = open_scene(idx(tmp_path / name, images, kind))
    assert scene.format == "IDX"
    with scene:
        assert (scene.rows, scene.cols, scene.bands) == (20, 1, 12)
        assert scene.dtype == dtype
        np.testing.assert_array_equal(scene.read()[:, 0], images.reshape(20, 12))
        found = scene.pixels([7, 3, 4, 5], [0] * 4)
        np.testing.assert_array_equal(found, images.reshape(20, 12)[[7, 3, 4, 5]])


@pytest.mark.parametrize("name", ["labels-idx1-ubyte", "labels-idx1-ubyte.gz"])
def test_idx_labels_give_the_digit_0_a_code(tmp_path: Path, name: str) -> None:
    path = idx(tmp_path / name, np.array([5, 0, 4, 1, 9], np.uint8))
    assert read_label_plane(path, shape=(5, 1)).tolist() == [[5], [10], [4], [1], [9]]


def test_idx_of_other_classes(tmp_path: Path) -> None:
    path = idx(tmp_path / "letters-idx1-ubyte", np.array([1, 26], np.uint8))
    assert read_label_plane(path).tolist() == [[1], [26]]
    path = idx(tmp_path / "mixed-idx1-ubyte", np.array([0, 26], np.uint8))
    with pytest.raises(LabelError, match="class 0 and classes above 9"):
        read_label_plane(path)


def test_idx_one_for_the_other(tmp_path: Path) -> None:
    images = idx(tmp_path / "images.gz", np.ones((3, 2, 2), np.uint8))
    labels = idx(tmp_path / "labels.gz", np.ones(3, np.uint8))
    with pytest.raises(SceneError, match=r"holds numbers \(3,\); expected images"):
        open_scene(labels)
    with pytest.raises(SceneError, match=r"holds numbers \(3, 2, 2\); expected labels"):
        read_label_plane(images)
    with pytest.raises(SceneNotFoundError, match="leave out --variable"):
        open_scene(images, variable="x")


@pytest.mark.parametrize("kept", [6, 20, 300])
@pytest.mark.parametrize("packed", [True, False])
def test_idx_cut_short(tmp_path: Path, kept: int, packed: bool) -> None:
    """Of the file itself, and of what a whole gzip file holds."""
    for array, read in (
        (np.ones((20, 8, 8), np.uint8), open_scene),
        (np.ones(500, np.uint8), read_label_plane),
    ):
        path = idx(tmp_path / "x-idx", array)
        os.truncate(path, kept)
        if packed:
            path.write_bytes(gzip.compress(path.read_bytes()))
        with pytest.raises(SceneError, match="is cut short"):
            read(path)


def test_gzip_cut_short(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 8, 8)).astype(np.uint8)
    path = idx(tmp_path / "x.gz", noise)
    os.truncate(path, 600)
    with pytest.raises(SceneError, match=r"x\.gz is cut short or broken"):
        open_scene(path)


def test_real_mnist(real_data: Callable[[str], Path]) -> None:
    labels = read_label_plane(real_data("mnist/t10k-labels-idx1-ubyte.gz"), shape=(10000, 1))
    assert np.bincount(labels.ravel()).tolist() == [
        *(0, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        980,
    ]
    with open_scene(real_data("mnist/t10k-images-idx3-ubyte.gz")) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (10000, 1, 784)
        assert scene.valid(scene.read()).all()


@pytest.mark.parametrize("dtype", ["<u2", ">u2", ">f4"])
def test_a_cube_and_its_labels_in_an_archive(tmp_path: Path, cube: Cube, dtype: str) -> None:
    codes = np.arange(13 * 11).reshape(13, 11) % 4
    np.savez(tmp_path / "s.npz", data=cube.astype(dtype), gt=codes)
    with open_scene(tmp_path / "s.npz") as scene:
        assert scene.dtype.isnative
        found = scene.read()
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, cube.astype(dtype))
        plane = scene.label_plane()
        assert plane is not None
        np.testing.assert_array_equal(plane[0], codes)
