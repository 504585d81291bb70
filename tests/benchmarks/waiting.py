"""How long `hsi-ssl classify` waits for the next window to be read, as a share of its time.

    python tests/benchmarks/waiting.py SCENE --model runs/m2

Maps a scene in this process and notes when each thread reads and when it computes. A thread that
could compute waits for the reader while another is reading; told is that time over that of all
threads which may compute, from the first window to the last. Nothing is written but a map that
goes again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from machine import machine_in_words, today

from hsi_ssl.maps import windows
from hsi_ssl.maps.classify import classify
from hsi_ssl.settings import ClassifySettings

Events = list[tuple[float, int, int]]
"""Times, each with how many more read and how many more compute from then on."""


def noted(function: Callable[..., Any], events: Events, reads: int, computes: int) -> Any:
    """The function, with its beginning and its end among the events."""

    def call(*values: Any) -> Any:
        events.append((time.perf_counter(), reads, computes))
        try:
            return function(*values)
        finally:
            events.append((time.perf_counter(), -reads, -computes))

    return call


def waited(events: Events, threads: int) -> tuple[float, float]:
    """Shares of the time of `threads` that wait for a reader, and that compute."""
    events = sorted(events)
    reading = computing = 0
    waits = works = 0.0
    for (at, reads, computes), (until, _, _) in pairwise(events):
        reading, computing = reading + reads, computing + computes
        works += (until - at) * computing
        waits += (until - at) * (threads - computing) * (reading > 0)
    whole = threads * (events[-1][0] - events[0][0])
    return waits / whole, works / whole


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--model", type=Path, default=Path("runs/m2"))
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    within = windows.in_threads
    threads = torch.get_num_threads()
    print(f"{today()}, {machine_in_words()}; {threads} threads")
    for _ in range(asked.times):
        events: Events = []

        def in_threads(
            read: Any, task: Any, *more: Any, events: Events = events
        ) -> Iterator[object]:
            yield from within(noted(read, events, 1, 0), noted(task, events, 0, 1), *more)

        vars(windows)["in_threads"] = in_threads
        with tempfile.TemporaryDirectory(prefix="waiting-") as folder:
            settings = ClassifySettings(
                scenes=(str(asked.scene),), model=asked.model, output=Path(folder) / "map.tif",
                device="cpu",
            )  # fmt: skip
            (made,) = classify(settings)
        waits, works = waited(events, threads)
        print(
            f"{made.pixels:,} pixels in {made.seconds:.1f} s: {waits:.1%} of the threads' time is "
            f"waited for the reader, {works:.1%} is computing",
            flush=True,
        )


if __name__ == "__main__":
    main()
