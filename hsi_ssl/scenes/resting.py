"""Many scenes of which only some hold their files open; the others are opened again when read.

A process may hold some hundred files (`ulimit -n`, often 1,024), a command may be given thousands.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.beside import files_beside
from hsi_ssl.scenes.scene import Array, CubeReader, Scene

MOST = 64
"""Scenes that hold their files open, beside those that are being read."""

Ints = npt.NDArray[np.int64]


class Room:
    """Room for the open files of `most` scenes, for those that were read last."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: dict[RestingReader, CubeReader] = {}
        """The one that was read last comes last."""
        self._at_work: Counter[RestingReader] = Counter()
        self._lock = threading.RLock()

    def hold(self, resting: RestingReader, reader: CubeReader) -> None:
        """Take in what is open, and close what there is no more room for."""
        with self._lock:
            self._held[resting] = reader
            idle = [one for one in self._held if not self._at_work[one] and one is not resting]
            for one in idle[: max(0, len(self._held) - self._most)]:
                self._held.pop(one).close()

    @contextmanager
    def reading(
        self, resting: RestingReader, again: Callable[[], CubeReader]
    ) -> Iterator[CubeReader]:
        """What reads, opened `again` where it is not open; it stays open meanwhile."""
        with self._lock:
            reader = self._held.pop(resting, None) or again()
            self._at_work[resting] += 1
            self.hold(resting, reader)
        try:
            yield reader
        finally:
            with self._lock:
                self._at_work[resting] -= 1

    def forget(self, resting: RestingReader) -> None:
        """Close it, if it is open."""
        with self._lock:
            reader = self._held.pop(resting, None)
            if reader is not None:
                reader.close()


class RestingReader:
    """Reads a scene that may have to be opened again for it.

    Reading raises `SceneError` where that fails, or where its file, or one that it is read with (a
    header, a member of its product), is another one by now.
    """

    def __init__(self, scene: Scene, again: Callable[[], Scene], room: Room) -> None:
        self._like, self._again, self._room = replace(scene, reader=self), again, room
        self._files = (scene.path, *files_beside(scene.path))
        self._states = self._states_now()
        room.hold(self, scene.reader)

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Raw values `(row1 - row0, col1 - col0, bands)`."""
        with self._room.reading(self, self._opened) as reader:
            return reader.window(row0, row1, col0, col1)

    def pixels(self, rows: Ints, cols: Ints) -> Array:
        """Raw spectra `(n, bands)` of single pixels."""
        with self._room.reading(self, self._opened) as reader:
            return reader.pixels(rows, cols)

    def thinned(self, rows: Ints, cols: Ints, bands: Sequence[int]) -> Array:
        """Raw values where ascending rows and columns cross."""
        with self._room.reading(self, self._opened) as reader:
            return reader.thinned(rows, cols, bands)

    def close(self) -> None:
        """Release the files."""
        self._room.forget(self)

    def _opened(self) -> CubeReader:
        self._refuse_changed()
        scene, like = self._again(), self._like
        try:
            self._refuse_changed()
            for name in ("rows", "cols", "bands", "dtype"):
                if getattr(scene, name) != getattr(like, name):  # on a server, say
                    raise _changed(like.path, like.path)
        except BaseException:
            scene.close()
            raise
        return scene.reader

    def _refuse_changed(self) -> None:
        for path, before, now in zip(self._files, self._states, self._states_now(), strict=True):
            if now != before:
                raise _changed(path, self._like.path)

    def _states_now(self) -> list[tuple[int, int] | None]:
        return [_state_of(path) for path in self._files]


def resting(scene: Scene, again: Callable[[], Scene], room: Room) -> Scene:
    """The scene, whose files are closed when there is no room for them, and opened `again`."""
    return replace(scene, reader=RestingReader(scene, again, room))


def _changed(file: Path, scene: Path) -> SceneError:
    it = "it" if file == scene else scene
    return SceneError(f"{file} was replaced or removed while {it} was being read: run this again")


def _state_of(path: Path) -> tuple[int, int] | None:
    """By which another file is told apart; None of what is no file here."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
