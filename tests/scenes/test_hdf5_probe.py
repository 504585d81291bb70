"""Another process looks at HDF5's attributes first; where it dies, the file is refused."""

from __future__ import annotations

import os
import random
from pathlib import Path

import h5py
import numpy as np
import pytest

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.readers import hdf5_probe
from hsi_ssl.scenes.readers.hdf5_probe import look_first


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
