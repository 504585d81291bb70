"""Scenes that hold no files while others are read."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from patchy_scenes import cube, prepared, write_scenes

from hsi_ssl.errors import SceneError
from hsi_ssl.labels import sources
from hsi_ssl.scenes.opening import open_scene
from hsi_ssl.scenes.resting import Room, resting
from hsi_ssl.scenes.scene import Scene


def files_open() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def few_more_files(more: int) -> Iterator[None]:
    """No more than so many beside those that are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_open() + more, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def all_resting(paths: list[Path], room: Room) -> list[Scene]:
    return [resting(open_scene(path), partial(open_scene, path), room) for path in paths]


def test_scenes_read_as_they_are_with_few_files_open(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path, 5)
    open_scene(paths[0]).close()  # what is loaded with the first one stays open
    before = files_open()
    with open_scene(paths[0]):
        each = files_open() - before
    assert each > 0
    scenes = all_resting(paths, Room(2))
    for _ in range(2):
        for scene in scenes:
            with open_scene(scene.path) as plain:
                np.testing.assert_array_equal(scene.read(slice(3, 9)), plain.read(slice(3, 9)))
                at = np.array([5, 1]), np.array([0, 7])
                np.testing.assert_array_equal(scene.pixels(*at), plain.pixels(*at))
                np.testing.assert_array_equal(
                    scene.thinned([0, 4], [2, 3], [1]), plain.thinned([0, 4], [2, 3], [1])
                )
            assert files_open() <= before + 2 * each
    for scene in scenes:
        scene.close()
    assert files_open() == before


def test_what_is_being_read_is_not_closed(tmp_path: Path) -> None:
    paths = write_scenes(tmp_path, 4)
    scenes = all_resting(paths, Room(1))
    expected = [scene.read() for scene in scenes]
    wrong: list[int] = []

    def read(number: int) -> None:
        for _ in range(20):
            if not np.array_equal(scenes[number].read(), expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    first, second = write_scenes(tmp_path, 2)
    scenes = all_resting([first, second], Room(1))
    first.write_bytes(second.read_bytes() + b"more")
    scenes[1].read()
    with pytest.raises(
        SceneError, match="was replaced or removed while it was being read: run this again"
    ):
        scenes[0].read()


def write_envi(folder: Path, number: int) -> Path:
    path = folder / f"scene-{number}.dat"
    values = cube(number)
    values.tofile(path)
    rows, cols, bands = values.shape
    path.with_suffix(".hdr").write_text(
        f"ENVI\nsamples = {cols}\nlines = {rows}\nbands = {bands}\nheader offset = 0\n"
        "data type = 12\ninterleave = bip\nbyte order = 0\n"
    )
    return path


@pytest.mark.parametrize("change", ["another", "gone"])
def test_another_header_is_refused_that_would_make_other_numbers(
    tmp_path: Path, change: str
) -> None:
    first, second = write_envi(tmp_path, 0), write_envi(tmp_path, 1)
    scenes = all_resting([first, second], Room(1))
    header = first.with_suffix(".hdr")
    if change == "gone":
        header.unlink()
    else:
        header.write_text(header.read_text().replace("bip", "bil"))
        os.utime(header, ns=(1, 1))
    scenes[1].read()
    with pytest.raises(SceneError, match=f"{header} was replaced or removed while {first} was be"):
        scenes[0].read()
    scenes[1].close()


def test_a_scene_that_cannot_be_opened_again_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_scenes(tmp_path, 3)
    monkeypatch.setattr(sources, "MOST", 1)
    monkeypatch.setattr(sources, "Room", partial(Room, 1))
    with sources.resolve([str(tmp_path)], labelled=False) as found:
        state = paths[0].stat()
        paths[0].write_bytes(b"x" * state.st_size)
        os.utime(paths[0], ns=(state.st_atime_ns, state.st_mtime_ns))
        with pytest.raises(SceneError, match=r"core-00\.h5 is broken or of no format"):
            found.scenes[0].scene.read()


def test_a_dataset_of_more_scenes_than_files_that_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_scenes(tmp_path / "scenes", 40)
    all_open = prepared(tmp_path / "all open", paths)
    monkeypatch.setattr(sources, "MOST", 4)
    monkeypatch.setattr(sources, "Room", partial(Room, 4))
    with few_more_files(30):
        few_open = prepared(tmp_path / "few open", paths)
    np.testing.assert_array_equal(few_open.spectra(), all_open.spectra())
    np.testing.assert_array_equal(few_open.label, all_open.label)
