"""Prepare of ten full-size drill-core scenes (5.9 GB) against reading them once with h5py.

    python tests/benchmarks/prepare_fullsize.py --folder /tmp/fullsize

Simulates the scenes if they are not there (6 GB of disk). Then the tasks run in turn, each in a
fresh process; with the files in the system's cache, and again without. Prints a table and writes
it to reports/prepare.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from machine import machine_in_words, today

REPORT = Path(__file__).parents[2] / "reports" / "prepare.md"
SCENES, ROWS, COLS = 10, 2848, 384
WINDOW_ROWS = 64
GOAL_MB = 1000


def read_cubes(folder: Path) -> None:
    """Read all cubes once, each as a whole."""
    import h5py

    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path, "r") as file:
            file["hsimage/data"][:]


def read_windows(folder: Path) -> None:
    """Read all cubes once, by windows of rows small enough for the processor's cache."""
    import h5py

    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path, "r") as file:
            cube = file["hsimage/data"]
            for row in range(0, cube.shape[0], WINDOW_ROWS):
                cube[row : row + WINDOW_ROWS]


def prepare(folder: Path) -> None:
    """Prepare them with the default settings."""
    from hsi_ssl.datasets.prepare import prepare as prepare_dataset
    from hsi_ssl.settings import PrepareSettings

    prepare_dataset(
        PrepareSettings(sources=(str(folder),), output=folder / "out" / "dataset.h5"),
        overwrite=True,
    )
    assert "torch" not in sys.modules


IMPORTS = {"cubes": "h5py", "windows": "h5py", "prepare": "hsi_ssl.datasets.prepare"}
LABELS = {
    "cubes": "h5py reads whole cubes",
    "windows": f"h5py reads windows of {WINDOW_ROWS} rows",
    "prepare": "prepare",
}
TASKS = {"cubes": read_cubes, "windows": read_windows, "prepare": prepare}


class Run(NamedTuple):
    """What a task took in a process of its own: all of it, and once everything was imported."""

    process: float
    task: float
    processor: float
    peak_mb: float


def measure(task: str, folder: Path, *, cold: bool) -> Run:
    """Run a task in a fresh process, with the cubes out of the system's cache if `cold`."""
    if cold:
        for path in folder.glob("*.h5"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    shutil.rmtree(folder / "out", ignore_errors=True)
    command = [sys.executable, __file__, "--folder", str(folder), "--task", task]
    started = time.perf_counter()
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    process = time.perf_counter() - started
    return Run(process, *map(float, ran.stdout.split()))


def main() -> None:
    """Measure and report, or run one task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        importlib.import_module(IMPORTS[options.task])
        started = time.perf_counter()
        TASKS[options.task](options.folder)
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        return

    if not list(options.folder.glob("*.h5")):
        from hsi_ssl.scenes.simulate import simulate

        simulate(options.folder, scenes=SCENES, rows=ROWS, cols=COLS)
    measure("windows", options.folder, cold=False)
    lines = [
        "| files | task | wall, s | whole process, s | processor, s | peak, MB |",
        "|---|---|---|---|---|---|",
    ]
    ratios = []
    for files, cold in (("in the cache", False), ("on disk", True)):
        runs: dict[str, list[Run]] = {task: [] for task in TASKS}
        for _ in range(options.repeats):
            for task, found in runs.items():
                found.append(measure(task, options.folder, cold=cold))
        medians = {
            task: Run(*(statistics.median(values) for values in zip(*found, strict=True)))
            for task, found in runs.items()
        }
        lines += [
            f"| {files} | {LABELS[task]} | {run.task:.2f} | {run.process:.2f} "
            f"| {run.processor:.2f} | {max(r.peak_mb for r in runs[task]):.0f} |"
            for task, run in medians.items()
        ]
        own = medians["prepare"].task
        ratios.append(
            f"{own / medians['cubes'].task:.2f} of the time of reading whole cubes and "
            f"{own / medians['windows'].task:.2f} of reading by windows with files {files}"
        )
    load = max(0.0, os.getloadavg()[1] - 1)
    size = sum(path.stat().st_size for path in options.folder.glob("*.h5")) / 1e9
    text = "\n".join(
        [
            f"# Prepare of {SCENES} scenes of {ROWS} x {COLS} x 268 ({size:.1f} GB)",
            "",
            "Each run in a fresh process; wall time without and with the start of Python and its "
            f"imports; medians of {options.repeats} runs in turn; peak memory the largest. Goals: "
            "wall time below that of reading all cubes, better half of it; memory below "
            f"{GOAL_MB} MB.",
            "",
            *lines,
            "",
            f"Prepare took {'; '.join(ratios)}. Other programs kept {load:.1f} processors busy "
            "meanwhile. Whole cubes come out of the cache two to three times as fast while the "
            "system has huge pages to give.",
            "",
            f"`python tests/benchmarks/prepare_fullsize.py --folder DIR`, {machine_in_words()}, "
            f"Python {platform.python_version()}, {today()}",
            "",
        ]
    )
    print(text)
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
