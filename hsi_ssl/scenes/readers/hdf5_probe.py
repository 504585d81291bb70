"""Whether HDF5 survives a file's names and attributes: another process looks first.

Where a text of variable length is damaged, HDF5 does not refuse but takes the process down, or
never comes back. One helper process serves all files; where it dies, the file is refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

from hsi_ssl.errors import SceneError

SECONDS = 10.0
"""For the names and attributes of one file."""
MOST_OBJECTS = 2000
LOOK = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
import h5py
most = int(sys.argv[2])
def look(path):
    left = most
    def attributes(thing):
        for name in list(thing.attrs):
            try:
                thing.attrs[name]
            except Exception:
                pass
    def one(name, thing):
        nonlocal left
        left -= 1
        attributes(thing)
        return None if left else True
    with h5py.File(path, "r") as file:
        attributes(file)
        file.visititems(one)
print("ready", flush=True)
for line in sys.stdin:
    try:
        look(json.loads(line))
    except Exception:
        pass
    print("alive", flush=True)
"""


def look_first(path: Path) -> None:
    """Raise SceneError where reading a file's attributes would end or hold up this process."""
    try:
        state = path.stat()
    except OSError:
        return  # whoever opens it says so
    if not _survives(str(path.resolve()), state.st_mtime_ns, state.st_size):
        raise SceneError(
            f"{path} is broken: HDF5 fails on its attributes; bring back a copy, or download it "
            "again"
        )


@lru_cache(maxsize=4096)
def _survives(path: str, changed: int, size: int) -> bool:
    """Whether the helper is still there after it has looked at a file as it is now."""
    del changed, size
    with _LOCK:
        return _helper(os.getpid()).survives(path)


class _Helper:
    """The process that looks; a new one is started where one has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def survives(self, path: str) -> bool:
        process = self._process or self._started()
        if process is None or process.stdin is None or process.stdout is None:
            return True  # no helper can be had here
        self._process = process
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            process.stdin.write(json.dumps(path) + "\n")
            process.stdin.flush()
            alive = process.stdout.readline() == "alive\n"
        except OSError:
            alive = False
        finally:
            timer.cancel()
        if not alive:
            process.kill()
            process.wait()
            self._process = None
        return alive

    def _started(self) -> subprocess.Popen[str] | None:
        asked = [json.dumps(sys.path), str(MOST_OBJECTS)]
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", LOOK, *asked],
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
