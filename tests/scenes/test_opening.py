from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.io

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.codes import checked_codes
from hsi_ssl.labels.rasters import read_label_plane
from hsi_ssl.scenes.opening import open_scene

Cube = npt.NDArray[Any]
READS = [open_scene, read_label_plane]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", ["x.tif", "x.h5", "x.mat", "x.hdr", "x.npy", "x.gz", "x"])
def test_missing_and_empty(tmp_path: Path, read: Callable[[Path], object], name: str) -> None:
    with pytest.raises(SceneNotFoundError, match=rf"no file .*{name}"):
        read(tmp_path / name)
    (tmp_path / name).touch()
    with pytest.raises(SceneError, match=rf"{name} is empty"):
        read(tmp_path / name)


@pytest.mark.parametrize("read", READS)
def test_folder(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(SceneError, match="is a folder; give the files in it"):
        read(tmp_path)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("name", ["x.tif", "x.h5", "x.mat", "x.hdr", "x.npy", "x.img.gz", "x"])
@pytest.mark.parametrize("content", [b"only some text\n" * 30, b"\0" * 500, b"\x1f\x8b" * 90])
def test_anything_else_under_any_name(
    tmp_path: Path, read: Callable[[Path], object], name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((SceneError, SceneNotFoundError)) as caught:
        read(tmp_path / name)
    assert name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_first_bytes_count_not_the_name(tmp_path: Path, cube: Cube) -> None:
    np.save(tmp_path / "cube.npy", cube)
    (tmp_path / "cube.npy").rename(tmp_path / "cube.tif")
    with open_scene(tmp_path / "cube.tif") as scene:
        assert scene.format == "NumPy"


def test_wavelengths_given(tmp_path: Path, cube: Cube) -> None:
    path = tmp_path / "cube.mat"
    scipy.io.savemat(path, {"cube": cube})
    table = tmp_path / "bands.csv"
    table.write_text("wavelength_um\n" + "\n".join(str(i / 10) for i in range(4, 11)))
    with open_scene(path, wavelengths=table) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [400, 500, 600, 700, 800, 900, 1000]
        assert scene.notes == ()
    scipy.io.savemat(path, {"cube": cube, "wavelength_nm": np.arange(401, 408)})
    with open_scene(path, wavelengths=table) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == list(range(401, 408))
        assert "tells its own wavelengths" in scene.notes[0]
        assert "bands.csv is not used" in scene.notes[0]


def test_ignored_codes(tmp_path: Path) -> None:
    np.save(tmp_path / "gt.npy", np.array([[1, 255], [-1, 3]]))
    plane = read_label_plane(tmp_path / "gt.npy", ignore=(255, -1))
    assert plane.tolist() == [[1, 0], [0, 3]]
    with pytest.raises(LabelError, match="hold -1 at row 1, column 0"):
        read_label_plane(tmp_path / "gt.npy")


def test_labels_of_another_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "gt.npy", np.ones((3, 4)))
    with pytest.raises(LabelError, match="are 3 x 4 pixels, the scene is 4 x 3"):
        read_label_plane(tmp_path / "gt.npy", shape=(4, 3))


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "u8", "f4", "f8"])
def test_codes_of_any_type(dtype: str) -> None:
    values = np.array([[0, 1], [1, 0]]).astype(dtype)
    found = checked_codes(values, path=Path("gt"))
    assert found.dtype == np.int64
    assert found.tolist() == [[0, 1], [1, 0]]


def test_nodata_and_nan_are_unlabelled() -> None:
    values = np.array([[np.nan, 32], [-9999, 65535]])
    found = checked_codes(values, path=Path("gt"), nodata=-9999)
    assert found.tolist() == [[0, 32], [0, 65535]]
    assert np.isnan(values[0, 0])  # the caller's array is as it was


@pytest.mark.parametrize(
    ("value", "named"),
    [(-1, "-1"), (0.5, "0.5"), (np.inf, "inf"), (-np.inf, "-inf")],
)
def test_values_that_are_no_codes(value: float, named: str) -> None:
    values = np.ones((4, 5))
    values[2, 3] = values[3, 1] = value
    with pytest.raises(LabelError, match=rf"gt hold {named}\S* at row 2, column 3; expected whole"):
        checked_codes(values, path=Path("gt"))


def test_labels_that_are_no_plane() -> None:
    with pytest.raises(LabelError, match=r"shape \(3,\)"):
        checked_codes(np.ones(3), path=Path("gt"))
