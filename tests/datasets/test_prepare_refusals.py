"""What `prepare` refuses, in one sentence, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from patchy_scenes import (
    BANDS,
    COLS,
    ROWS,
    cube,
    label_plane,
    prepared,
    write_scene,
    write_scenes,
)

from hsi_ssl.datasets.prepare import prepare
from hsi_ssl.errors import BandsError, LabelError, OutputError, SceneError
from hsi_ssl.settings import PrepareSettings


def refused(
    tmp_path: Path, paths: list[Path], error: type[Exception], match: str, **settings: Any
) -> None:
    """It says so and leaves nothing behind."""
    folder = tmp_path / "out"
    with pytest.raises(error, match=match):
        prepared(folder, paths, **settings)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_unlabelled_scenes_are_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.h5", cube(0), np.zeros((ROWS, COLS), np.uint16))
    refused(tmp_path, [path], LabelError, "labelled")


def test_one_class_is_refused_by_name(tmp_path: Path) -> None:
    labels = np.where(label_plane(0) == 5, 5, 0).astype(np.uint16)
    refused(tmp_path, [write_scene(tmp_path / "a.h5", cube(0), labels)], LabelError, r"one.*\(5\)")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_cube_without_a_measurement_is_refused(tmp_path: Path, value: float) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    write_scene(paths[1], np.full((ROWS, COLS, BANDS), value, np.float32), label_plane(1))
    refused(tmp_path, paths, SceneError, "core-01.h5 holds no measurement")


def test_black_cube_is_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.h5", np.zeros((ROWS, COLS, BANDS), np.int16), label_plane(1))
    refused(tmp_path, [path], SceneError, "holds no measurement")


def test_scenes_of_other_bands_are_refused_with_both_names(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    write_scene(paths[1], cube(1)[..., :9], label_plane(1))
    refused(tmp_path, paths, BandsError, "core-00.h5 has 12 bands and .*core-01.h5 has 9")


def test_other_wavelengths_are_refused_with_both_names(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path / "scenes", 2)
    for path, first in zip(paths, (400.0, 402.0), strict=True):
        with h5py.File(path, "r+") as file:
            file["hsimage/wavelengths"] = np.linspace(first, 2500, BANDS)
    refused(tmp_path, paths, BandsError, "400.0 nm in .*core-00.h5 and at 402.0 nm in .*core-01")


def test_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "d.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        prepare(PrepareSettings(sources=("nowhere",), output=tmp_path / "d.h5"))
    assert (tmp_path / "d.h5").read_text() == "mine"
