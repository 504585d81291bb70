from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.labels.rasters import own_labels, read_label_plane
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.readers.hdf5 import ChunkReader
from hsi_ssl.scenes.scene import Scene

Cube = npt.NDArray[Any]
Agrees = Callable[[Scene, Cube], None]


def drill_core(path: Path, cube: Cube, **storage: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("hsimage/data", data=cube, **storage)
        file["hsimage/labels"] = np.full(cube.shape[:2], 32, np.uint16)
    return path


@pytest.mark.parametrize(
    "storage",
    [
        {},
        {"dtype": ">u2"},
        {"chunks": (4, 3, 2)},
        {"chunks": (4, 3, 2), "compression": "gzip"},
        {"chunks": (1, 11, 7)},
        {"chunks": (13, 11, 1)},
        {"chunks": (1, 1, 7), "shuffle": True},
        {"fletcher32": True, "chunks": (13, 11, 7)},
    ],
)
def test_any_storage(tmp_path: Path, cube: Cube, agrees: Agrees, storage: dict[str, Any]) -> None:
    scene = open_scene(drill_core(tmp_path / "core.h5", cube, **storage))
    assert scene.format == "drill-core HDF5"
    assert type(scene.reader) is (ChunkReader if "chunks" in storage else FlatReader)
    assert scene.block == storage.get("chunks", (1, 11))[:2]
    agrees(scene, cube)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", ">f4", "f8"])
def test_any_number_type(tmp_path: Path, cube: Cube, agrees: Agrees, dtype: str) -> None:
    cube = (cube % 200).astype(dtype)
    agrees(open_scene(drill_core(tmp_path / "core.h5", cube)), cube)


def test_file_with_user_block(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    with h5py.File(tmp_path / "core.h5", "w", userblock_size=1024) as file:
        file["hsimage/data"] = cube
    agrees(open_scene(tmp_path / "core.h5"), cube)


def test_space_never_written_is_read_as_hdf5_says(tmp_path: Path, agrees: Agrees) -> None:
    with h5py.File(tmp_path / "core.h5", "w") as file:
        file.create_dataset("cube", (13, 11, 7), "i2", fillvalue=5)
    agrees(open_scene(tmp_path / "core.h5"), np.full((13, 11, 7), 5, np.int16))


def test_external_and_virtual_data(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    cube.tofile(tmp_path / "raw")
    with h5py.File(tmp_path / "external.h5", "w") as file:
        outside = [(tmp_path / "raw", 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("cube", cube.shape, cube.dtype, external=outside)
    agrees(open_scene(tmp_path / "external.h5"), cube)
    drill_core(tmp_path / "core.h5", cube)
    layout = h5py.VirtualLayout(cube.shape, cube.dtype)
    layout[:] = h5py.VirtualSource(tmp_path / "core.h5", "hsimage/data", cube.shape)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        file.create_virtual_dataset("cube", layout)
    agrees(open_scene(tmp_path / "virtual.h5"), cube)


def test_pixels_of_a_large_cube_in_little_memory(tmp_path: Path) -> None:
    shape = (2048, 64, 268)
    path = tmp_path / "core.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("hsimage/data", shape, "u2")
        data[5, 7], data[2047, 63] = 1, 2
    rows, cols = np.array([2047, 5, 5]), np.array([63, 7, 8])
    tracemalloc.start()
    with open_scene(path) as scene:
        spectra = scene.pixels(rows, cols)
        assert tracemalloc.get_traced_memory()[1] < 2**20  # the cube has 70 MB
    tracemalloc.stop()
    assert spectra[:, [0, 267]].tolist() == [[2, 2], [1, 1], [0, 0]]


def test_chunks_are_read_once_for_scattered_pixels(
    tmp_path: Path, cube: Cube, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drill_core(tmp_path / "core.h5", cube, chunks=(4, 4, 7), compression="gzip")
    monkeypatch.setattr("hsi_ssl.scenes.readers.boxes.SMALLEST_READ", 1)
    boxes = []
    read = ChunkReader.box

    def noted(self: ChunkReader, *box: slice) -> Cube:
        boxes.append(box)
        return read(self, *box)

    monkeypatch.setattr(ChunkReader, "box", noted)
    with open_scene(path) as scene:
        rows, cols = np.array([0, 12, 3, 1, 12, 2]), np.array([3, 10, 0, 1, 9, 2])
        np.testing.assert_array_equal(scene.pixels(rows, cols), cube[rows, cols])
    assert sorted((r.start, r.stop, c.start, c.stop) for r, c, _ in boxes) == [
        (0, 4, 0, 4),
        (12, 13, 9, 11),
    ]


def test_labels_beside_the_cube(tmp_path: Path, cube: Cube) -> None:
    path = drill_core(tmp_path / "core.h5", cube)
    lithology = np.arange(13 * 11, dtype=np.uint8).reshape(13, 11)
    with h5py.File(path, "a") as file:
        file["hsimage/lithology"] = lithology
    with open_scene(path) as scene:
        labels = own_labels(scene)
    assert labels is not None
    assert labels.dtype == np.int64
    assert (labels == 32).all()
    assert (read_label_plane(path, shape=(13, 11)) == 32).all()
    named = read_label_plane(path, variable="/hsimage/lithology")
    np.testing.assert_array_equal(named, lithology)


def test_no_labels_of_another_shape(tmp_path: Path, cube: Cube) -> None:
    with h5py.File(tmp_path / "core.h5", "w") as file:
        file["hsimage/data"] = cube
        file["hsimage/labels"] = np.zeros((5, 5), np.uint8)
    with open_scene(tmp_path / "core.h5") as scene:
        assert scene.label_plane() is None
    with pytest.raises(LabelError, match="5 x 5 pixels, the scene is 13 x 11"):
        read_label_plane(tmp_path / "core.h5", shape=(13, 11))


def test_one_of_several_cubes_is_asked_for(tmp_path: Path, cube: Cube, agrees: Agrees) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["a/cube"], file["b"], file["plane"] = cube, cube[:5], cube[:, :, 0]
        file["text"] = "no numbers"
    with pytest.raises(SceneError, match=r"a/cube \(13, 11, 7\), b \(5, 11, 7\); .*--variable"):
        open_scene(path)
    agrees(open_scene(path, variable="/a/cube"), cube)
    agrees(open_scene(path, variable="b"), cube[:5])
    with pytest.raises(SceneNotFoundError, match=r"holds no c; it holds a/cube"):
        open_scene(path, variable="c")
    with pytest.raises(SceneError, match=r"plane in .* has shape \(13, 11\); expected an array of"):
        open_scene(path, variable="plane")
    with pytest.raises(SceneError, match=r"has shape \(5, 11, 7\); expected a label plane"):
        read_label_plane(path, variable="b")


def test_no_cube_inside(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["spectra"] = np.zeros((20, 4))
    with pytest.raises(SceneError, match=r"three dimensions .* it holds spectra \(20, 4\)"):
        open_scene(tmp_path / "x.h5")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file.attrs["empty"] = True
    with pytest.raises(SceneError, match="no numeric array at all"):
        open_scene(tmp_path / "y.h5")


@pytest.mark.parametrize(
    ("name", "values", "unit", "note"),
    [
        ("wavelengths_nm", np.linspace(1000, 2500, 7), None, None),
        ("wavelengths_um", np.linspace(1, 2.5, 7, dtype=np.float32), None, None),
        ("Wavelength", np.linspace(1, 2.5, 7), "Micrometers", None),
        ("wavelengths", np.linspace(1, 2.5, 7), None, "taken as micrometres"),
        ("wavelengths", np.linspace(1000, 2500, 7), None, "taken as nanometres"),
    ],
)
def test_wavelengths_beside_the_cube(
    tmp_path: Path, cube: Cube, name: str, values: Cube, unit: str | None, note: str | None
) -> None:
    path = drill_core(tmp_path / "core.h5", cube)
    with h5py.File(path, "a") as file:
        file[f"hsimage/{name}"] = values
        if unit:
            file[f"hsimage/{name}"].attrs["Units"] = unit
        file["other/wavelengths"] = np.arange(1, 8)  # farther away
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == np.linspace(1000, 2500, 7).tolist()
        assert len(scene.notes) == (note is not None)
        assert note is None or note in scene.notes[0]


def test_facts_in_attributes(tmp_path: Path, cube: Cube) -> None:
    path = drill_core(tmp_path / "core.h5", cube.astype(np.float32))
    with h5py.File(path, "a") as file:
        about = file["hsimage/data"].attrs
        about["wavelengths"] = np.linspace(0.4, 1, 7)
        about["wavelength_units"] = "um"
        about["units"] = "reflectance"
        about["fwhm"] = np.full(7, 0.01)
        about["bbl"] = [1, 1, 0, 1, 1, 0, 1]
        about["_FillValue"] = np.float32(np.nan)
    with open_scene(path) as scene:
        assert scene.wavelengths_nm is not None
        assert scene.wavelengths_nm.tolist() == [400, 500, 600, 700, 800, 900, 1000]
        assert scene.fwhm_nm is not None
        assert scene.fwhm_nm.tolist() == [10] * 7
        assert np.flatnonzero(~scene.good).tolist() == [2, 5]
        assert scene.nodata is not None
        assert np.isnan(scene.nodata)
        assert scene.notes == ()


@pytest.mark.parametrize("storage", [{}, {"chunks": (4, 3, 2), "compression": "gzip"}])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.02])
def test_cut_short(tmp_path: Path, cube: Cube, storage: dict[str, Any], kept: float) -> None:
    path = drill_core(tmp_path / "core.h5", np.tile(cube, (4, 4, 4)), **storage)
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(SceneError, match=r"core\.h5 is cut short"):
        open_scene(path)


def test_broken_chunk(tmp_path: Path, cube: Cube) -> None:
    path = drill_core(tmp_path / "core.h5", cube, chunks=(4, 3, 2), compression="gzip")
    with h5py.File(path) as file:
        chunk = file["hsimage/data"].id.get_chunk_info(3)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)
    with open_scene(path) as scene, pytest.raises(SceneError, match="part of its cube"):
        scene.read()


def test_real_toulouse(real_data: Callable[[str], Path]) -> None:
    path = real_data("toulouse/images.h5")
    with pytest.raises(SceneError, match=r"asph .*, fib .*, veg .*; choose one with --variable"):
        open_scene(path)
    with open_scene(path, variable="asph") as scene:
        assert (scene.rows, scene.cols, scene.bands) == (75, 75, 310)
        assert scene.wavelengths_nm is not None
        assert 430 < scene.wavelengths_nm[0] < scene.wavelengths_nm[-1] < 2500
        assert scene.notes == ()


@pytest.mark.slow
def test_memory_does_not_grow_with_chunks_that_are_read_in_part(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        cube = file.create_dataset(
            "cube", (960, 1000, 100), "u2", chunks=(16, 1000, 100), compression=1
        )
        for row in range(0, 960, 16):
            cube[row : row + 16] = row + 1

    def held() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    if not Path("/proc/self/statm").exists():
        pytest.skip("only Linux tells what memory a process holds")
    with open_scene(tmp_path / "s.h5") as scene:
        scene.read(slice(0, 15))
        before = held()
        for row in range(0, 960, 16):
            scene.read(slice(row, row + 15))
        assert held() - before < 60  # of 192 MB
