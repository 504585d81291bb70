"""Windows in threads: whoever stops them does not wait for what they still had to do."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import numpy.typing as npt
import torch

from hsi_ssl.maps.windows import CPU_BLOCK, by_blocks, in_threads

CPU = torch.device("cpu")
BLOCKS = 100


def test_a_stop_ends_the_threads_between_two_blocks() -> None:
    done = []

    def apply(spectra: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        time.sleep(0.01)
        done.append(len(spectra))
        return spectra

    def task(rows: slice, cols: slice) -> int:
        blocks = 1 if rows.start == 0 else BLOCKS
        return len(by_blocks(apply, np.zeros((blocks * CPU_BLOCK, 2), np.float32), CPU))

    places = [(slice(i, i + 1), slice(0, 1)) for i in range(20)]
    with contextlib.closing(in_threads(task, places, CPU)) as windows:
        assert next(windows) == CPU_BLOCK
    assert len(done) < BLOCKS
