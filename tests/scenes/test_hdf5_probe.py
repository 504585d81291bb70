"""Another process looks at HDF5's attributes first; where it dies, the file is refused."""

from __future__ import annotations

import ast
import contextlib
import os
import random
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers import hdf5_probe
from hsi_ssl.scenes.readers.hdf5_probe import look_first

ROOT = Path(__file__).parents[2]
OUR_OWN = {
    "hsi_ssl/doctor/probes.py",
    "hsi_ssl/scenes/readers/hdf5_file.py", "hsi_ssl/scenes/simulate.py",
    "hsi_ssl/datasets/store.py", "hsi_ssl/datasets/hdf5_writing.py",
}  # fmt: skip
"""The one place where files from strangers are opened, and where our own are."""


def cube(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        array = file.create_dataset("cube", data=np.arange(240, dtype=np.uint16).reshape(6, 8, 5))
        for i in range(12):
            array.attrs[f"text {i}"] = "a text" * i
            array.attrs[f"texts {i}"] = ["one", "two"]
            file.attrs[f"number {i}"] = np.arange(i, dtype=np.float64)
    return path


def test_a_sound_file_and_what_is_none_pass(tmp_path: Path) -> None:
    look_first(cube(tmp_path / "cube.h5"))
    (tmp_path / "text.h5").write_text("no HDF5")
    look_first(tmp_path / "text.h5")
    look_first(tmp_path / "absent.h5")


def test_where_the_helper_dies_the_file_is_refused_and_the_next_has_another(
    tmp_path: Path,
) -> None:
    look_first(cube(tmp_path / "one.h5"))
    process = hdf5_probe._helper(os.getpid())._process
    assert process is not None
    process.kill()
    process.wait()
    with pytest.raises(SceneError, match="HDF5 fails on its attributes"):
        look_first(cube(tmp_path / "two.h5"))
    look_first(cube(tmp_path / "three.h5"))


def test_what_arrays_say_of_their_axes_is_checked_first(tmp_path: Path) -> None:
    path = tmp_path / "x.nc"
    with h5py.File(path, "w") as file:
        file["y"] = np.arange(6.0)
        file["y"].make_scale("y")
        file["plane"] = np.ones((6, 6))
        for i in range(2):
            file["plane"].dims[i].attach_scale(file["y"])
        file["cube"] = np.ones((6, 6, 5))
        old = file["plane"].attrs.get_id("DIMENSION_LIST")
        new = h5py.h5a.create(
            file["cube"].id, b"DIMENSION_LIST", old.get_type(), h5py.h5s.create_simple((4,))
        )
        del new
    with pytest.raises(SceneError, match="HDF5 fails on its attributes"):
        look_first(path)


def test_strangers_files_are_opened_in_one_place() -> None:
    found = set()
    for path in (*ROOT.glob("hsi_ssl/**/*.py"), *ROOT.glob("cli/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"h5py.File", "File"}:
                found.add(path.relative_to(ROOT).as_posix())
    assert found == OUR_OWN


@pytest.mark.parametrize("name", ["DIMENSION_LABELS", "DIMENSION_LIST"])
@pytest.mark.parametrize("value", [2**63, 0, "text", [["a", "b"]]])
def test_axes_that_are_called_by_something_else_are_refused(
    tmp_path: Path, name: str, value: object
) -> None:
    """HDF5 takes what they hold for addresses, and the process goes down, or may."""
    path = cube(tmp_path / "cube.h5")
    with h5py.File(path, "r+") as file:
        file["cube"].attrs[name] = (
            np.full((2, 2), value, np.uint64) if value in (0, 2**63) else value
        )
    texts = name == "DIMENSION_LABELS" and not isinstance(value, int)
    if texts:  # which HDF5 survives
        with contextlib.suppress(SceneError):
            open_scene(path).close()
        return
    with pytest.raises(SceneError, match="HDF5 fails on its attributes"):
        open_scene(path)


@pytest.mark.parametrize("shape", [(10**9, 10**9, 3), (2**62, 1, 1), (5, 5, 2**40)])
def test_what_is_promised_and_not_held_is_refused(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    path = cube(tmp_path / "cube.h5")
    with h5py.File(path, "r+") as file:
        del file["cube"]
        file.create_dataset("cube", shape, "u2", chunks=(1, 1, 1))
    with pytest.raises(SceneError, match=r"promises cube of .* numbers and holds 0 bytes"):
        open_scene(path)


def test_chunks_larger_than_memory_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cube.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "cube", (2**14, 2**13, 3), "f4", chunks=(2**14, 2**13, 3), compression="gzip"
        )
        packed = zlib.compress(bytes(2**20))
        made.id.write_direct_chunk((0, 0, 0), packed * 400)
    with pytest.raises(SceneError, match=r"chunks of 16384 x 8192 x 3 numbers.*h5repack"):
        open_scene(path)


def test_names_that_are_no_text_hide_nothing(tmp_path: Path) -> None:
    path = cube(tmp_path / "cube.h5")
    with h5py.File(path, "r+") as file:
        file[b"\xff\xfe odd"] = np.zeros((3, 4, 5))
    with open_scene(path) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (6, 8, 5)


@pytest.mark.slow
def test_damaged_files_open_or_are_refused(tmp_path: Path) -> None:
    whole = cube(tmp_path / "cube.h5").read_bytes()
    rng, path = random.Random(0), tmp_path / "damaged.h5"
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 2, 4])):
            content[rng.randrange(len(content))] = rng.choice([0, 255, rng.randrange(256)])
        path.write_bytes(content)
        try:
            open_scene(path).close()
        except HsiSslError:
            continue
