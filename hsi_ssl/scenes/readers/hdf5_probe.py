"""Whether HDF5 survives what a file says, and whether it holds what it promises.

Where a text of variable length is damaged, or axes are called by something else than texts, HDF5
does not refuse but takes the process down, or never comes back. So another process looks first, one
for all files; where it dies, the file is refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from hsi_ssl.errors import DamagedSceneError

SECONDS = 6.0
"""For all that one file says."""
MOST_OBJECTS = 20_000
MOST_TEXTS = 100_000
"""Of an array of texts of variable length, which are read."""
LARGE = 2**27
"""Bytes that may be promised whatever a file holds: planes and texts are read at once, as wider
numbers."""
MOST_PACKED = 4096
"""Times as many bytes as an array has in its file; gzip packs to a thousandth at best."""
LOOK = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import h5py
most_objects, most_texts, large, packed = map(int, sys.argv[2:])
class Broken(Exception):
    pass
def look(path):
    left = most_objects
    promised = []
    def attributes(thing):
        for name in list(thing.attrs):
            try:
                thing.attrs[name]
            except Exception:
                pass
    def sound(array):
        # Before HDF5 reads them.
        for name in ("DIMENSION_LABELS", "DIMENSION_LIST"):
            if name in array.attrs:
                told = array.attrs.get_id(name)
                if told.shape != (array.ndim,):
                    raise Broken
                kind = told.get_type()
                if name == "DIMENSION_LABELS":
                    if not isinstance(kind, h5py.h5t.TypeStringID) or not kind.is_variable_str():
                        raise Broken
                elif not isinstance(kind, h5py.h5t.TypeVlenID) or not isinstance(
                    kind.get_super(), h5py.h5t.TypeReferenceID
                ):
                    raise Broken
    def axes(array):
        for axis in array.dims:
            axis.label
            for i in range(len(axis)):
                axis[i].name
    def one(name, thing):
        nonlocal left
        left -= 1
        attributes(thing)
        try:
            if isinstance(thing, h5py.Dataset):
                size, held = thing.size or 0, thing.id.get_storage_size()
                here = not thing.is_virtual and not thing.external
                if here and size * thing.dtype.itemsize > max(large, packed * held):
                    promised[:] = [str(name), list(map(str, thing.shape)), held]
                    return True
                sound(thing)
                axes(thing)
                if h5py.check_vlen_dtype(thing.dtype) or h5py.check_string_dtype(thing.dtype):
                    if size <= most_texts:
                        thing[()]
        except Broken:
            promised[:] = [None]
            return True
        except Exception:
            pass
        return None if left else True
    with h5py.File(path, "r") as file:
        attributes(file)
        file.visititems(one)
    return promised
print("ready", flush=True)
for line in sys.stdin:
    try:
        found = look(json.loads(line))
    except Exception:
        found = []
    print(json.dumps(found), flush=True)
"""


def look_first(path: Path) -> None:
    """Look at all that a file says, but for its numbers.

    Raises
    ------
    SceneError
        Reading it would end or hold up this process; an array is promised of which the file holds
        next to nothing.
    """
    try:
        state = path.stat()
    except OSError:
        return  # whoever opens it says so
    found = _looked(str(path.resolve()), state.st_mtime_ns, state.st_size)
    if found is None:
        raise DamagedSceneError(
            f"{path} is broken: HDF5 fails on its attributes; bring back a copy, or download it "
            "again"
        )
    if found:
        name, shape, held = found
        raise DamagedSceneError(
            f"{path} promises {name} of {' x '.join(shape)} numbers and holds {held} bytes of it; "
            "get the file again"
        )


Found = tuple[str, list[str], int]
"""Name and shape of an array that is promised, and the bytes that there are."""


@lru_cache(maxsize=4096)
def _looked(path: str, changed: int, size: int) -> Found | tuple[()] | None:
    """What the helper has found in a file as it is now; None where HDF5 would not survive that."""
    del changed, size
    with _LOCK:
        found = _helper(os.getpid()).looked(path)
    if found is None or found == [None]:
        return None
    return (found[0], found[1], found[2]) if found else ()


class _Helper:
    """The process that looks; a new one is started where one has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def looked(self, path: str) -> list[Any] | None:
        """What it answers; None where it did not survive the file."""
        process = self._process or self._started()
        if process is None or process.stdin is None or process.stdout is None:
            return []  # no helper can be had here
        self._process = process
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(path) + "\n")
            process.stdin.flush()
            found: list[Any] | None = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            found = None
        finally:
            timer.cancel()
        if found is None:
            process.kill()
            process.wait()
            self._process = None
        return found

    def _started(self) -> subprocess.Popen[str] | None:
        asked = map(str, (MOST_OBJECTS, MOST_TEXTS, LARGE, MOST_PACKED))
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", LOOK, json.dumps(sys.path), *asked],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            return None
        ready = process.stdout is not None and process.stdout.readline() == "ready\n"
        return process if ready else None


@lru_cache(maxsize=1)
def _helper(process: int) -> _Helper:
    """Of this process: one that was forked has its own."""
    del process
    return _Helper()


_LOCK = threading.Lock()
