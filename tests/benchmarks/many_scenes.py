"""Many full-size scenes: prepare and classify by one process, by workers, shards and a cluster.

    python tests/benchmarks/many_scenes.py --folder /tmp/many-scenes

Simulates 20 drill-core scenes if they are not there (12 GB of disk), prepares them, trains a small
model and maps all scenes: by one process, by two workers of which one is killed in the midst, in
three shards, and on a local Dask cluster of two worker processes of which one is killed. All must
be the same, byte by byte. Peak memory is that of the largest process. Prints and writes
reports/many-scenes.md.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from machine import machine_in_words, today

REPORT = Path(__file__).parents[2] / "reports" / "many-scenes.md"
ROWS, COLS, FEW = 2848, 384, 5
GOAL_MB, GOAL_COST, GOAL_RATE = 1500, 1.1, 1.7
CLI = [sys.executable, "-m", "hsi_ssl.cli"]


SMALL = """
[m2]
model = "perceptron"
epochs = 3
"""


class Ran(NamedTuple):
    """What a command took: seconds, the most memory of any of its processes, what it printed."""

    seconds: float
    peak_mb: float
    found: dict[str, Any]


def ran(*arguments: str, threads: int | None = None, kill: bool = False) -> Ran:
    """Run a command of ours in processes of its own; `kill` one that works for it in the midst."""
    command = [sys.executable, __file__, "--measure", *CLI, *arguments, "--json"]
    environment = dict(os.environ)
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads)}
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        if kill:
            threading.Thread(target=kill_one_below, args=(process.pid,), daemon=True).start()
        printed = process.communicate()[0]
    seconds = time.perf_counter() - started
    assert process.returncode == 0, printed
    *lines, peak = printed.strip().splitlines()
    return Ran(seconds, float(peak), json.loads(lines[-1]))


def measure(command: list[str]) -> int:
    """Run a command; print the most memory in MiB that one of its processes has held at once."""
    code = subprocess.run(command, check=False).returncode
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10, flush=True)
    return code


def below(process: int) -> list[int]:
    """Processes that a process has started, and those that they have."""
    parents: dict[int, list[int]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(place.parent.name))
    found, waiting = [], [process]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def works(process: int, word: bytes) -> bool:
    """Whether a process was started with that word, and has computed for some seconds."""
    try:
        line = Path(f"/proc/{process}/cmdline").read_bytes()
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return word in line and int(fields[11]) / os.sysconf("SC_CLK_TCK") > 5


def kill_one_below(process: int) -> None:
    """Kill a process that works for another, once it is at work."""
    while Path(f"/proc/{process}").exists():
        at_work = [p for p in below(process) if works(p, b"hsi_ssl.running.helper")]
        if at_work:
            os.kill(at_work[0], signal.SIGKILL)
            print(f"killed {at_work[0]}", file=sys.stderr, flush=True)
            return
        time.sleep(0.2)


def maps_of(folder: Path) -> dict[str, str]:
    """Checksums of all files of a folder by their names."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextlib.contextmanager
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers of one thread, each a process with its nanny."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    quiet: dict[str, Any] = {"stderr": subprocess.DEVNULL}
    here = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    started = [subprocess.Popen([*dask, "scheduler", *here], **quiet)]
    time.sleep(5)
    worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
    started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
    try:
        yield address, started
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait()


def kill_a_dask_worker(nanny: int) -> None:
    """Kill what a nanny watches, and with it what works for that, once it is at work."""
    while Path(f"/proc/{nanny}").exists():
        if any(works(p, b"hsi_ssl.running.helper") for p in below(nanny)):
            for child in below(nanny):
                with contextlib.suppress(OSError):
                    if b"multiprocessing.spawn" in Path(f"/proc/{child}/cmdline").read_bytes():
                        os.kill(child, signal.SIGKILL)
                        print(f"killed {child}", file=sys.stderr, flush=True)
                        return
        time.sleep(0.2)


def main() -> None:
    """Measure and report, or run one command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--distinct", type=int, default=20, help="the others are copies of these")
    options = parser.parse_args()
    folder: Path = options.folder
    scenes, n = folder / "scenes", options.scenes
    if not list(scenes.glob("*.h5")):
        make_scenes(scenes, min(options.distinct, n), n)
    for name in ("maps", "shards", "workers", "dask", "few", "few-killed"):
        shutil.rmtree(folder / name, ignore_errors=True)
    size = sum(path.stat().st_size for path in scenes.glob("*.h5")) / 1e9
    few = [str(path) for path in sorted(scenes.glob("*.h5"))[:FEW]]
    lines = ["| what | seconds | a scene | largest process, MiB |", "|---|---|---|---|"]

    def row(what: str, found: Ran, of: int) -> None:
        lines.append(
            f"| {what} | {found.seconds:.0f} | {found.seconds / of:.1f} | {found.peak_mb:.0f} |"
        )
        print(lines[-1], flush=True)

    dataset, model = folder / "dataset.h5", str(folder / "m2")
    prepare = ["--overwrite", "-o", str(dataset)]
    few_prepared = ran("prepare", *few, *prepare)
    row(f"prepare {FEW} scenes", few_prepared, FEW)
    prepared = ran("prepare", str(scenes), *prepare)
    row(f"prepare {n} scenes", prepared, n)
    whole = dataset.read_bytes()
    by_two = ran("prepare", str(scenes), *prepare, "--workers", "2")
    row(f"prepare {n} scenes, `--workers 2`", by_two, n)
    same_dataset = dataset.read_bytes() == whole
    if not (folder / "m2").exists():
        (folder / "hsi-ssl.toml").write_text(SMALL)
        ran_plainly(
            "train-m2",
            str(dataset),
            "-o",
            model,
            "--no-m1",
            "--project",
            str(folder / "hsi-ssl.toml"),
        )
    asked = ["--model", model, "--device", "cpu"]

    def maps(name: str, *more: str, **how: Any) -> Ran:
        return ran("classify", str(scenes), "-o", str(folder / name), *asked, *more, **how)

    few_mapped = ran("classify", *few, "-o", str(folder / "few"), *asked, threads=1)
    row(f"classify {FEW} scenes, one thread", few_mapped, FEW)
    mapped = maps("maps", threads=1)
    row(f"classify {n} scenes, one thread", mapped, n)
    workers = maps("workers", "--workers", "2")
    row(f"classify {n} scenes, `--workers 2`", workers, n)
    killed = ran(
        "classify", *few, "-o", str(folder / "few-killed"), *asked, "--workers", "2", kill=True
    )
    row(f"classify {FEW} scenes, `--workers 2`, one killed in the midst", killed, FEW)
    shards = [maps("shards", "--shard", f"{i}/3") for i in (1, 2, 3)]
    for i, found in enumerate(shards, 1):
        row(f"`--shard {i}/3`, two threads", found, len(found.found["scenes"]))
    with cluster() as (address, processes):
        threading.Thread(target=kill_a_dask_worker, args=(processes[1].pid,), daemon=True).start()
        on_dask = maps("dask", "--scheduler", address)
    peak = max(one["peak_memory_mb"] for one in on_dask.found["scenes"])
    row("Dask, two worker processes, one killed", on_dask._replace(peak_mb=peak), n)
    left = maps("maps", threads=1)
    row("again: all maps are left", left, n)
    first = maps_of(folder / "maps")
    same = {name: maps_of(folder / name) == first for name in ("workers", "shards", "dask")}
    same["a killed worker's"] = maps_of(folder / "few-killed") == maps_of(folder / "few")
    cost = (mapped.seconds / n) / (few_mapped.seconds / FEW)
    cost_prepare = (prepared.seconds / n) / (few_prepared.seconds / FEW)
    rate = mapped.seconds / workers.seconds
    text = [
        f"# {n} scenes of {ROWS} x {COLS} x 268 ({size:.1f} GB)",
        "",
        "    python tests/benchmarks/many_scenes.py --folder DIR",
        "",
        f"{machine_in_words()}, {today()}; other programs were at work meanwhile (load "
        f"{os.getloadavg()[2]:.1f} over the last quarter of an hour). Whole commands, from their "
        f"start to their end. {options.distinct} scenes are simulated, the others copies of these "
        "under other names. Maps of a small model, a perceptron on spectra, so that reading and "
        "writing weigh most.",
        "",
        *lines,
        "",
        f"The dataset of two workers is that of one process, byte by byte: {same_dataset}. All "
        f"{len(first)} files of the maps are those of one process, byte by byte: "
        + ", ".join(f"{name} {value}" for name, value in same.items())
        + ".",
        "",
        f"A scene at {n} costs {cost:.2f} of one at {FEW} (prepare: {cost_prepare:.2f}; goal "
        f"{GOAL_COST}). Two workers map at {rate:.2f} times the rate of one process of one thread "
        f"(goal {GOAL_RATE}). Goal of memory: {GOAL_MB} MiB a process.",
        "",
    ]
    print("\n".join(text))
    REPORT.write_text("\n".join(text), encoding="utf-8")


def make_scenes(folder: Path, distinct: int, scenes: int) -> None:
    """Simulate scenes, and copy them under other names until there are enough."""
    ran_plainly(
        "simulate", "-o", str(folder), "--scenes", str(distinct), "--rows", str(ROWS),
        "--cols", str(COLS),
    )  # fmt: skip
    for i, path in zip(range(scenes - distinct), itertools.cycle(sorted(folder.glob("*.h5")))):
        shutil.copyfile(path, folder / f"copy-{i + 1:02}.h5")


def ran_plainly(*arguments: str) -> None:
    """Run a command that is not measured."""
    subprocess.run([*CLI, *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        sys.exit(measure(sys.argv[2:]))
    main()
