"""Prepare of ten full-size drill-core scenes (5.9 GB) against reading them once with h5py.

    python tests/benchmarks/prepare_fullsize.py --folder /tmp/fullsize

Simulates the scenes if they are not there (6 GB of disk). Then both tasks run in turn, each in a
fresh process, all of whose wall time and peak memory count, imports too; with the files in the
system's cache, and again without. Prints a table and writes it to reports/prepare.md.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

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


TASKS = {"cubes": read_cubes, "windows": read_windows, "prepare": prepare}


def measure(task: str, folder: Path, *, cold: bool) -> tuple[float, float]:
    """Seconds and peak memory in MB of a task in a process of its own."""
    if cold:
        for path in folder.glob("*.h5"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    shutil.rmtree(folder / "out", ignore_errors=True)
    command = [sys.executable, __file__, "--folder", str(folder), "--task", task]
    started = time.perf_counter()
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, float(ran.stdout)


def machine() -> str:
    """Cores and processor."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
        if line.startswith("model name")
    ]
    return f"{os.cpu_count()} cores, {names[0] if names else platform.processor()}"


def main() -> None:
    """Measure and report, or run one task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        TASKS[options.task](options.folder)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return

    if not list(options.folder.glob("*.h5")):
        from hsi_ssl.scenes.simulate import simulate

        simulate(options.folder, scenes=SCENES, rows=ROWS, cols=COLS)
    lines = [
        "| files | h5py, whole cubes, s | h5py, windows of rows, s | prepare, s | ratio to cubes "
        "| to windows | prepare, peak MB |",
        "|---|---|---|---|---|---|---|",
    ]
    measure("windows", options.folder, cold=False)
    for cold in (False, True):
        runs: dict[str, list[tuple[float, float]]] = {task: [] for task in TASKS}
        for _ in range(options.repeats):
            for task, found in runs.items():
                found.append(measure(task, options.folder, cold=cold))
        seconds = {task: statistics.median(s for s, _ in found) for task, found in runs.items()}
        own = seconds["prepare"]
        lines.append(
            f"| {'on disk' if cold else 'in the cache'} "
            f"| {seconds['cubes']:.2f} | {seconds['windows']:.2f} | {own:.2f} "
            f"| {own / seconds['cubes']:.2f} | {own / seconds['windows']:.2f} "
            f"| {max(mb for _, mb in runs['prepare']):.0f} |"
        )
    size = sum(path.stat().st_size for path in options.folder.glob("*.h5")) / 1e9
    text = "\n".join(
        [
            f"# Prepare of {SCENES} scenes of {ROWS} x {COLS} x 268 ({size:.1f} GB)",
            "",
            "Whole processes, imports included; medians of "
            f"{options.repeats} runs in turn; peak memory the largest. "
            f"Goals: ratio below 1, better 0.5; below {GOAL_MB} MB.",
            "",
            *lines,
            "",
            f"`python tests/benchmarks/prepare_fullsize.py --folder DIR`, {machine()}, "
            f"Python {platform.python_version()}, {datetime.date.today()}",
            "",
        ]
    )
    print(text)
    REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
