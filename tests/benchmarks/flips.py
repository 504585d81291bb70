"""Flipped bits in all that is read of datasets and runs: how many are noticed; what checking costs.

    python tests/benchmarks/flips.py [--flips 100] [--pixels 200000] [--folder DIR]

Makes a small dataset and runs of M1 and M1+M2, flips one bit at a time in each array of the
dataset, in each number of the cards and in each file of tensors, and reads what was flipped as
training and `classify` do. Then measures reading of a dataset of 268 bands with and without its
checksums, in turn, and other checksums on the same blocks. Prints the tables, and writes them into
reports/faults.md under `flips`.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from machine import machine_in_words, today

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from small_datasets import plain_meta, three_minerals
from small_runs import small_m1, small_m2

from hsi_ssl.checksums import checksum
from hsi_ssl.datasets.checked_rows import CHUNK_ROWS
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, open_dataset, write_dataset
from hsi_ssl.errors import HsiSslError
from hsi_ssl.inference.checkpoint import CARD, STATE, WEIGHTS, load_run, load_state
from hsi_ssl.labels.label_set import LabelClass, LabelSet

REPORT = Path(__file__).parents[2] / "reports" / "faults.md"
SECTION = "## Flips"
NUMBER = re.compile(r"(?<=[\s\[])-?\d[\d.eE+-]*(?=[,\s\]}])")
"""A number in a card: not in a text, where it stands between quotes."""
BANDS, TURNS = 268, 9


def noticed(read: Callable[[], object]) -> bool:
    """Whether reading is refused; a traceback goes up."""
    try:
        read()
    except HsiSslError:
        return True
    return False


def flipped(place: Path, offset: int, bit: int, read: Callable[[], object]) -> bool:
    """Whether one flipped bit of a file is noticed; the file is as before afterwards."""
    with place.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)
        file.seek(offset)
        file.write(bytes([old[0] ^ 1 << bit]))
    try:
        return noticed(read)
    finally:
        with place.open("r+b") as file:
            file.seek(offset)
            file.write(old)


def stretches(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Where the bytes of each array of a dataset lie: (first, count)."""
    found = {}
    with h5py.File(path, "r") as file:
        for name, array in file.items():
            if array.chunks is None:
                found[name] = [(array.id.get_offset(), array.nbytes)]
            else:
                chunks = [array.id.get_chunk_info(i) for i in range(array.id.get_num_chunks())]
                row = array.nbytes // len(array)
                whole = [min(CHUNK_ROWS, len(array) - c.chunk_offset[0]) * row for c in chunks]
                found[name] = [(c.byte_offset, n) for c, n in zip(chunks, whole, strict=True)]
    return found


def of_dataset(path: Path, flips: int) -> dict[str, tuple[int, int]]:
    """Of each array, and of the file's own structure: flips noticed, of how many."""
    rng = random.Random(0)

    def read() -> None:
        dataset = open_dataset(path)
        dataset.spectra(dataset.rows(*Part))

    found = {}
    places = stretches(path)
    for name, pieces in places.items():
        count = 0
        for _ in range(flips):
            first, size = rng.choice(pieces)
            count += flipped(path, first + rng.randrange(size), rng.randrange(8), read)
        found[name] = count, flips
    return found


def of_card(run: Path, kind: str, flips: int) -> tuple[int, int, int]:
    """Numbers of a card, flips noticed, and how many were tried."""
    place, rng = run / CARD, random.Random(1)
    text = place.read_text(encoding="utf-8")
    numbers = [(m.start(), m.end()) for m in NUMBER.finditer(text)]
    count = 0
    for first, stop in numbers:
        for _ in range(flips):
            offset = len(text[: rng.randrange(first, stop)].encode())
            count += flipped(place, offset, rng.randrange(8), lambda: load_run(run, kind))
    return len(numbers), count, len(numbers) * flips


def of_file(place: Path, flips: int, read: Callable[[], object]) -> tuple[int, int]:
    """Flips noticed anywhere in a file."""
    rng, size = random.Random(2), place.stat().st_size
    found = [flipped(place, rng.randrange(size), rng.randrange(8), read) for _ in range(flips)]
    return sum(found), flips


def large(path: Path, pixels: int) -> Dataset:
    """A dataset of smooth spectra with noise, uint16."""
    rng = np.random.default_rng(0)
    shape = 2000 + 900 * np.sin(np.linspace(0, 6, BANDS))
    light = rng.uniform(0.5, 1.5, (pixels, 1))
    raw = (shape * light + rng.integers(0, 40, (pixels, BANDS))).astype(np.uint16)
    classes = LabelSet("two", (LabelClass(1, "a", "#aa0000"), LabelClass(2, "b", "#00aa00")))
    return write_dataset(
        path,
        spectra=raw,
        label=rng.integers(0, 2, pixels).astype(np.int16),
        part=rng.choice([0, 3], pixels).astype(np.uint8),
        scene=np.zeros(pixels, np.int16),
        pixel=rng.integers(0, 1000, (pixels, 2)).astype(np.int32),
        neighbours=np.full((pixels, 8), -1, np.int32),
        meta={
            **plain_meta(BANDS),
            "label_set": classes.to_card(),
            "scaling": fit_scaler("noise", raw[:20_000], components=30).to_card(),
        },
    )


def forget(path: Path) -> None:
    """Have the system drop what it keeps of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def costs(path: Path, pixels: int) -> list[tuple[str, float, float, float, float]]:
    """Of ways to read: processor time by h5py and checked, wall time by h5py and checked."""
    checked = large(path, pixels)
    plain = replace(checked, spectra_checksums=None)
    half = checked.rows(Part.POOL)
    ways: dict[str, tuple[Callable[[Dataset], object], bool]] = {
        "copied from the system's cache": (lambda d: d.spectra(), False),
        "half of the rows, copied from the cache": (lambda d: d.spectra(half), False),
        "from the disk": (lambda d: d.spectra(), True),
        "as trainings read: from the cache, scaled": (lambda d: d.scaled(half), False),
        "as trainings read: from the disk, scaled": (lambda d: d.scaled(half), True),
    }
    found = []
    for name, (read, cold) in ways.items():
        times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for _ in range(TURNS):
            for which, dataset in ((False, plain), (True, checked)):
                if cold:
                    forget(path)
                started = time.process_time(), time.perf_counter()
                read(dataset)
                times[which].append(
                    (time.process_time() - started[0], time.perf_counter() - started[1])
                )
        cpu, cpu_checked = (min(t[0] for t in times[which]) for which in (False, True))
        wall, wall_checked = (
            statistics.median(t[1] for t in times[which]) for which in (False, True)
        )
        found.append((name, cpu, cpu_checked, wall, wall_checked))
    return found


def candidates(pixels: int) -> list[tuple[str, float]]:
    """GB a second of processor time of checksums, block by block."""
    raw = np.random.default_rng(0).integers(0, 4000, (pixels, BANDS)).astype(np.uint16)
    blocks = [raw[i : i + CHUNK_ROWS] for i in range(0, len(raw), CHUNK_ROWS)]
    ways: dict[str, Callable[[Any], object]] = {
        "sums of words, then CRC-32 (taken)": checksum,
        "CRC-32 (zlib)": zlib.crc32,
        "Adler-32 (zlib)": zlib.adler32,
        "SHA-256": lambda block: hashlib.sha256(block).digest(),
        "BLAKE2b": lambda block: hashlib.blake2b(block).digest(),
    }
    found = [(name, raw.nbytes / 1e9 / least(every(way, blocks))) for name, way in ways.items()]
    for name, filters in (("none", {}), ("Fletcher-32", {"fletcher32": True})):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "filtered.h5"
            with h5py.File(path, "w") as file:
                file.create_dataset("x", data=raw, chunks=(CHUNK_ROWS, BANDS), **filters)
            with h5py.File(path, "r") as file:
                seconds = least(partial(file["x"].__getitem__, slice(None)))
        found.append((f"HDF5 reads, its own filter: {name}", raw.nbytes / 1e9 / seconds))
    return found


def every(way: Callable[[Any], object], blocks: list[Any]) -> Callable[[], object]:
    """Work: a checksum of all blocks."""
    return lambda: [way(block) for block in blocks]


def least(work: Callable[[], object]) -> float:
    """The least processor time of some turns."""
    found = []
    for _ in range(TURNS):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


def report(args: argparse.Namespace, folder: Path) -> str:
    """Both tables."""
    dataset = three_minerals(folder / "dataset.h5")
    small_m1(dataset, folder / "m1")
    small_m2(dataset, folder / "m2", folder / "m1")
    lines = ["| what | flips | noticed |", "|---|---|---|"]
    for name, (count, tried) in of_dataset(dataset.path, args.flips).items():
        lines.append(f"| dataset.h5: `{name}` | {tried:,} | {count:,} |")
    for kind in ("m1", "m2"):
        run = folder / kind
        numbers, count, tried = of_card(run, kind, args.flips)
        lines.append(f"| {kind}/{CARD}: each of {numbers:,} numbers | {tried:,} | {count:,} |")
        count, tried = of_file(run / WEIGHTS, args.flips, partial(load_run, run, kind))
        lines.append(f"| {kind}/{WEIGHTS} | {tried:,} | {count:,} |")
        count, tried = of_file(
            run / STATE, args.flips, partial(load_state, run, torch.device("cpu"))
        )
        lines.append(f"| {kind}/{STATE} | {tried:,} | {count:,} |")
    lines += ["", f"What checking costs, {args.pixels:,} spectra of {BANDS} bands of 16 bits "
              f"({args.pixels * BANDS * 2 / 1e6:.0f} MB); processor time: the least of {TURNS} "
              "turns, wall time: the median.", "",
              "| read | by h5py, unchecked: processor, ms | checked, ms | more | by h5py: wall, ms "
              "| checked, ms |",
              "|---|---|---|---|---|---|"]  # fmt: skip
    for name, cpu, cpu_checked, wall, wall_checked in costs(folder / "large.h5", args.pixels):
        more = 100 * (cpu_checked / cpu - 1)
        lines.append(
            f"| {name} | {1000 * cpu:.1f} | {1000 * cpu_checked:.1f} | {more:.1f} % "
            f"| {1000 * wall:.0f} | {1000 * wall_checked:.0f} |"
        )
    lines += ["", "| checksum of blocks of 1,024 spectra | GB/s |", "|---|---|"]
    lines += [f"| {name} | {speed:.1f} |" for name, speed in candidates(args.pixels)]
    return "\n".join(lines)


def write(text: str) -> None:
    """Put the section into the report, in the place of an older one."""
    old = REPORT.read_text(encoding="utf-8") if REPORT.exists() else "# Faults\n\n"
    before, _, after = old.partition(SECTION)
    _, mark, later = after.partition("\n## ")
    REPORT.write_text(f"{before}{SECTION}\n\n{text}\n{mark}{later}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=100)
    parser.add_argument("--pixels", type=int, default=200_000)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        text = report(args, Path(folder))
    text += (
        f"\n\n`python tests/benchmarks/flips.py --flips {args.flips} --pixels {args.pixels}`, "
        f"{machine_in_words()}, {today()}"
    )
    print(text)
    write(text)


if __name__ == "__main__":
    main()
