"""Cubes of 300 MB with their bands first or in the middle, by windows, against h5py's own read.

    python tests/benchmarks/axes_speed.py --folder /tmp/axes-speed

Writes the files if they are not there. h5py reads each file whole, chunk by chunk in the order of
the file, and nothing is done with it; or it is turned, slab by slab, into (rows, cols, bands). Then
the whole way to float32 (pixels, bands), spectrum by spectrum in memory: slab by slab by h5py,
window by window by ours. Each in a fresh process with one thread, imports not counted; medians of
processor time, of which other programs take nothing. Prints a table and writes it to
reports/axes-speed.md.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from machine import machine_in_words, today

REPORT = Path(__file__).parents[2] / "reports" / "axes-speed.md"
ROWS, COLS, BANDS = 1000, 1000, 150
WINDOW = 2**16
PACKED: dict[str, Any] = {"compression": "gzip", "compression_opts": 1}
FILES: dict[str, tuple[str, tuple[int, int, int], dict[str, Any]]] = {
    "bands first, in one piece": ("brc", (1, ROWS, COLS), {}),
    "bands first, a chunk a band": ("brc", (1, ROWS, COLS), {"chunks": (1, ROWS, COLS)}),
    "bands first, a packed chunk a band": (
        "brc", (1, ROWS, COLS), {"chunks": (1, ROWS, COLS), **PACKED},
    ),
    "bands first, packed tiles": ("brc", (10, 100, 100), {"chunks": (10, 100, 100), **PACKED}),
    "bands in the middle, in one piece": ("rbc", (20, BANDS, COLS), {}),
    "bands in the middle, packed chunks": (
        "rbc", (20, BANDS, COLS), {"chunks": (20, BANDS, COLS), **PACKED},
    ),
}  # fmt: skip
"""Kind of file -> order of axes, what h5py reads at once, storage."""
WHO = ("h5py", "turned", "ours", "h5py, matrix", "ours, matrix")
SIZES = {"r": ROWS, "c": COLS, "b": BANDS}


def path_of(folder: Path, kind: str) -> Path:
    """Where the file of a kind lies."""
    return folder / (kind.replace(",", "").replace(" ", "-") + ".h5")


def make(folder: Path, kind: str) -> None:
    """Write the file of a kind: a noisy picture with a slope over the bands."""
    path, (order, step, storage) = path_of(folder, kind), FILES[kind]
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    base = np.random.default_rng(0).integers(1000, 1400, (ROWS, COLS)).astype(np.uint16)
    slope = np.arange(BANDS, dtype=np.uint16)
    new = path.with_suffix(".part")
    with h5py.File(new, "w") as file:
        data = file.create_dataset("cube", tuple(SIZES[axis] for axis in order), "u2", **storage)
        for i in range(0, len(data), step[0]):
            part = slice(i, i + step[0])
            if order == "brc":
                data[part] = base + slope[part, None, None]
            else:
                data[part] = base[part, None] + slope[:, None]
        file["wavelengths_nm"] = np.linspace(400, 2500, BANDS)
    new.rename(path)


def by_h5py(folder: Path, kind: str, turned: str | None = None) -> float:
    """Seconds of reading slabs along the first axis, all chunks that begin there at once.

    With `turned` they fill an array `(rows, cols, bands)` of that number type.
    """
    order, step, _ = FILES[kind]
    places = tuple(order.index(axis) for axis in "rcb")
    started = time.process_time()
    with h5py.File(path_of(folder, kind)) as file:
        data = file["cube"]
        slab = np.empty((step[0], *data.shape[1:]), data.dtype)
        whole = np.empty((ROWS, COLS, BANDS), turned) if turned else None
        for i in range(0, len(data), step[0]):
            data.read_direct(slab, np.s_[i : i + step[0]])
            if whole is not None:
                place: list[slice] = [slice(None)] * 3
                place[places.index(0)] = slice(i, i + step[0])
                whole[tuple(place)] = slab.transpose(places)
    return time.process_time() - started


def by_windows(folder: Path, kind: str, *, matrix: bool) -> float:
    """Seconds of reading all windows of a scene, with `matrix` as float32 `(pixels, bands)`."""
    from hsi_ssl.scenes.opening import open_scene

    open_scene(path_of(folder, kind)).close()  # imports what is imported late
    started = time.process_time()
    with open_scene(path_of(folder, kind)) as scene:
        assert (scene.rows, scene.cols, scene.bands) == (ROWS, COLS, BANDS)
        for window in scene.windows(WINDOW):
            found = scene.read(*window)
            if matrix:
                np.ascontiguousarray(found.reshape(-1, BANDS), np.float32)
    return time.process_time() - started


def task(folder: Path, kind: str, who: str) -> None:
    """One measurement in this process: seconds and peak memory."""
    if who.startswith("ours"):
        seconds = by_windows(folder, kind, matrix=who == "ours, matrix")
    else:
        seconds = by_h5py(folder, kind, {"turned": "u2", "h5py, matrix": "f4"}.get(who))
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", nargs=2)
    given = parser.parse_args()
    if given.task:
        task(given.folder, *given.task)
        return
    lines = []
    for kind in FILES:
        make(given.folder, kind)
        seconds: dict[str, list[float]] = {who: [] for who in WHO}
        peaks = []
        for _ in range(given.rounds):
            for who, those in seconds.items():
                command = [sys.executable, __file__, "--folder", str(given.folder)]
                answer = subprocess.run(
                    [*command, "--task", kind, who], check=True, capture_output=True, text=True
                )
                took, peak = map(float, answer.stdout.split())
                those.append(took)
                if who.startswith("ours"):
                    peaks.append(peak)
        plain, turned, ours, theirs, matrix = (statistics.median(seconds[who]) for who in WHO)
        lines.append(
            f"| {kind} | {plain:.2f} | {turned:.2f} | {ours:.2f} | {plain / ours:.2f} "
            f"| {turned / ours:.2f} | {theirs:.2f} | {matrix:.2f} | {theirs / matrix:.2f} "
            f"| {max(peaks):.0f} |"
        )
        print(lines[-1], flush=True)
    size = ROWS * COLS * BANDS * 2 / 1e6
    text = f"""# Cubes whose bands come first, or in the middle

HDF5 of {ROWS} x {COLS} pixels and {BANDS} bands of two bytes ({size:.0f} MB), read whole by windows
of {WINDOW} pixels. h5py reads the same bytes slab by slab in the order of the chunks, once and for
nothing; turned, it fills one array `(rows, cols, bands)` that holds the whole cube. "Matrix" is the
whole way to float32 `(pixels, bands)`, spectrum by spectrum in memory. Each in a fresh process with
one thread, files in the system's memory; seconds of the processor, which other programs lengthen
only by what they take of caches, medians of {given.rounds} rounds. A ratio above 1: ours is faster.

| file | h5py, s | turned, s | ours, s | to h5py | to turned | h5py, matrix | ours | ratio | MB |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}

What is packed costs its unpacking, which happens once: chunks of all bands at one place are kept
(up to 400 MB). Windows stay planes of bands in memory: `(rows, cols, bands)` and `(pixels, bands)`
are views of them. Turning them costs three times as much as copying (2 GB/s against 6 of numpy's;
no blocks, strips, wider words or torch's own transposition were faster), and is left to
who needs it: to tell valid pixels, to choose bands, to convert blocks of pixels to float32 and to
multiply them is as fast or faster by planes. The matrix is the case in which nothing is gained.

`python tests/benchmarks/axes_speed.py --folder DIR`, {machine_in_words()}, Python \
{platform.python_version()}, {today()}
"""
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
