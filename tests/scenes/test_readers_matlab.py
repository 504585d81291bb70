from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import scipy.io

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.rasters import own_labels, read_label_plane
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[Any]
Agrees = Callable[[Scene, Cube], None]
Write = Callable[..., Path]


def write_5(path: Path, **arrays: Any) -> Path:
    scipy.io.savemat(path, arrays)
    return path


def write_5_packed(path: Path, **arrays: Any) -> Path:
    scipy.io.savemat(path, arrays, do_compression=True)
    return path


def write_73(path: Path, chunks: tuple[int, ...] | None = None, **arrays: Any) -> Path:
    """As MATLAB does: HDF5 behind 512 bytes of header, axes reversed, no array below 2-D."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            stored = np.atleast_2d(array).T
            packed: dict[str, Any] = {}
            if stored.ndim == 3 and chunks:
                fitting = tuple(min(pair) for pair in zip(chunks, stored.shape, strict=True))
                packed = {"chunks": fitting, "compression": "gzip"}
            file.create_dataset(name, data=stored, **packed)
            file[name].attrs["MATLAB_class"] = np.bytes_(array.dtype.name)
        file.create_group("#refs#")["a"] = np.zeros((3, 3, 3), "S1")
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def write_73_chunks(path: Path, **arrays: Any) -> Path:
    return write_73(path, (3, 5, 4), **arrays)


def write_73_bands(path: Path, **arrays: Any) -> Path:
    return write_73(path, (1, 11, 13), **arrays)


VERSIONS = [write_5, write_5_packed, write_73, write_73_chunks, write_73_bands]


@pytest.mark.parametrize("write", VERSIONS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
def test_any_version(tmp_path: Path, cube: Cube, agrees: Agrees, write: Write, dtype: str) -> None:
    cube = (cube % 200).astype(dtype)
    scene = open_scene(write(tmp_path / "scene.mat", scene=cube, k=np.ones((1, 1))))
    assert scene.format == "MATLAB"
    agrees(scene, cube)


@pytest.mark.parametrize("write", VERSIONS)
def test_everything_in_one_file(tmp_path: Path, cube: Cube, write: Write) -> None:
    codes = np.arange(143.0).reshape(13, 11)
    wavelengths = np.linspace(0.4, 1, 7)[None]
    path = write(tmp_path / "scene.mat", cube=cube, labels=codes, wavelengths_um=wavelengths)
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [400, 500, 600, 700, 800, 900, 1000]
        labels = own_labels(scene)
        assert labels is not None
        np.testing.assert_array_equal(labels, codes)
    np.testing.assert_array_equal(read_label_plane(path, shape=(13, 11)), codes)


@pytest.mark.parametrize("write", VERSIONS)
def test_one_of_several_is_asked_for(
    tmp_path: Path, cube: Cube, agrees: Agrees, write: Write
) -> None:
    codes = np.arange(143).reshape(13, 11)
    path = write(tmp_path / "two.mat", first=cube, second=cube[:6], train=codes, test=codes * 2)
    with pytest.raises(
        SceneError, match=r"first \(13, 11, 7\), second \(6, 11, 7\); choose one with --variable"
    ):
        open_scene(path)
    agrees(open_scene(path, variable="second"), cube[:6])
    with pytest.raises(SceneNotFoundError, match="holds no third"):
        open_scene(path, variable="third")
    with pytest.raises(SceneError, match=r"test \(13, 11\).*choose one with --variable"):
        read_label_plane(path, shape=(13, 11))
    np.testing.assert_array_equal(read_label_plane(path, variable="test"), codes * 2)


@pytest.mark.parametrize("write", VERSIONS)
def test_plane_of_the_right_shape(tmp_path: Path, write: Write) -> None:
    codes = np.arange(143).reshape(13, 11)
    path = write(tmp_path / "gt.mat", gt=codes, palette=np.ones((16, 3)), n=np.ones((1, 16)))
    np.testing.assert_array_equal(read_label_plane(path, shape=(13, 11)), codes)
    with pytest.raises(SceneError, match="choose one with --variable"):
        read_label_plane(path)


@pytest.mark.parametrize("write", VERSIONS)
def test_no_cube(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "gt.mat", gt=np.ones((4, 5)))
    with pytest.raises(SceneError, match=r"does not hold an array of three .*holds gt \(4, 5\)"):
        open_scene(path)


@pytest.mark.parametrize("write", VERSIONS)
def test_fractional_and_negative_codes(tmp_path: Path, write: Write) -> None:
    codes = np.ones((4, 5))
    codes[2, 3] = 1.5
    with pytest.raises(LabelError, match=r"hold 1\.5 at row 2, column 3"):
        read_label_plane(write(tmp_path / "a.mat", gt=codes))
    codes[2, 3] = -2
    with pytest.raises(LabelError, match=r"hold -2 at row 2, column 3"):
        read_label_plane(write(tmp_path / "b.mat", gt=codes))


@pytest.mark.parametrize("write", VERSIONS)
@pytest.mark.parametrize("kept", [0.9, 0.4, 0.01])
def test_cut_short(tmp_path: Path, cube: Cube, write: Write, kept: float) -> None:
    path = write(tmp_path / "scene.mat", cube=np.tile(cube, (3, 3, 3)))
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(SceneError, match=r"scene\.mat is cut short") as caught:
        open_scene(path)
    assert len(str(caught.value).splitlines()) == 1


def test_tables_and_texts_are_no_cubes(tmp_path: Path, cube: Cube) -> None:
    """A struct of several elements is a table, whatever its fields hold."""
    table = np.zeros(2, [("cube", object)])
    table[0] = table[1] = (cube,)
    path = write_5(tmp_path / "scene.mat", about=table, text="abc")
    with pytest.raises(SceneError, match="no numeric array at all"):
        open_scene(path)


def test_real_salinas_a(real_data: Callable[[str], Path]) -> None:
    with open_scene(real_data("salinas-a/SalinasA_corrected.mat")) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (83, 86, 204)
        assert scene.dtype == np.int16
        whole = scene.read()
        assert (whole.min(), whole.max()) == (-9, 8373)
    labels = read_label_plane(real_data("salinas-a/SalinasA_gt.mat"), shape=(83, 86))
    codes, counts = np.unique(labels, return_counts=True)
    assert codes.tolist() == [0, 1, 10, 11, 12, 13, 14]
    assert counts.tolist() == [1790, 391, 1343, 616, 1525, 674, 799]
