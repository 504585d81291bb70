"""Windows in threads: whoever stops them does not wait for what they still had to do."""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl.maps.windows import CPU_BLOCK, by_blocks, in_threads, nothing

CPU = torch.device("cpu")
BLOCKS = 100


def test_a_stop_ends_the_threads_between_two_blocks() -> None:
    done = []

    def apply(spectra: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        time.sleep(0.01)
        done.append(len(spectra))
        return spectra

    def task(rows: slice, cols: slice, read: None) -> int:
        blocks = 1 if rows.start == 0 else BLOCKS
        return len(by_blocks(apply, np.zeros((blocks * CPU_BLOCK, 2), np.float32), CPU))

    places = [(slice(i, i + 1), slice(0, 1)) for i in range(20)]
    with contextlib.closing(in_threads(nothing, task, places, CPU)) as windows:
        assert next(windows) == CPU_BLOCK
    assert len(done) < BLOCKS


def test_a_window_is_read_while_another_one_is_computed() -> None:
    both = threading.Barrier(2, timeout=10)

    def read(rows: slice, cols: slice) -> int:
        if rows.start == torch.get_num_threads():
            both.wait()  # until the first one computes
        return int(rows.start)

    def task(rows: slice, cols: slice, read: int) -> int:
        if rows.start == 0:
            both.wait()
        return read

    places = [(slice(i, i + 1), slice(0, 1)) for i in range(3)]
    assert list(in_threads(read, task, places, CPU)) == [0, 1, 2]


def test_no_more_threads_compute_than_there_are_cores() -> None:
    at_work, most = 0, 0
    lock = threading.Lock()

    def task(rows: slice, cols: slice, read: None) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.005)
        with lock:
            at_work -= 1

    places = [(slice(i, i + 1), slice(0, 1)) for i in range(10)]
    list(in_threads(nothing, task, places, CPU))
    assert most == torch.get_num_threads()
