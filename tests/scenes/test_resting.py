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
from patchy_scenes import prepared, write_scenes

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
    with pytest.raises(SceneError, match="was replaced while it was being read: run this again"):
        scenes[0].read()


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
