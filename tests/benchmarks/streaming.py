"""What it costs to read spectra from the dataset in every epoch instead of keeping them in memory.

    python tests/benchmarks/streaming.py --report reports/large-trainings.md
    python tests/benchmarks/streaming.py --spectra 400000 --pairs 5

Trains the same model from memory and from the stream in turn, on a dataset that was just written,
so that it is in the file cache. Told is the ratio of seconds an epoch within each pair, by the
clock and of the processor, median and range; the first epoch is left out. torch has one thread, a
second one reads. Then each way for an epoch in a process of its own, of two datasets more: how much
more memory it takes at most than before it opens the dataset.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from kills import replace_section
from machine import machine_in_words, today
from small_datasets import plain_meta

from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Part, writing_dataset
from hsi_ssl.labels.label_set import LabelClass, LabelSet
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training.m1_stage import train_m1
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.watcher import Watcher

TITLE = "## Spectra that are streamed"
BANDS, CLASSES, PIECE = 200, 8, 20_000
LABELLED, VALIDATION = 4000, 2000
SMALL = {"device": "cpu", "patience": 99}


def made(path: Path, spectra: int) -> Path:
    """A dataset of so many spectra, mixtures of some smooth ones with noise."""
    rng = np.random.default_rng(0)
    at = np.linspace(0, 1, BANDS)
    ends = 3000 + 900 * np.sin(
        9 * at * rng.uniform(0.5, 2, (CLASSES, 1)) + np.arange(CLASSES)[:, None]
    )
    label = rng.integers(0, CLASSES, spectra).astype(np.int16)
    part = np.full(spectra, Part.POOL, np.uint8)
    drawn = rng.permutation(spectra)
    part[drawn[:LABELLED]] = Part.TRAIN
    part[drawn[LABELLED : LABELLED + VALIDATION]] = Part.VALIDATION

    def piece(first: int) -> np.ndarray[Any, Any]:
        some = label[first : first + PIECE]
        light = rng.uniform(0.6, 1.4, (len(some), 1))
        other = ends[rng.integers(0, CLASSES, len(some))]
        share = rng.uniform(0, 0.3, (len(some), 1))
        clean = light * ((1 - share) * ends[some] + share * other)
        found: np.ndarray[Any, Any] = (clean + rng.normal(0, 20, clean.shape)).astype(np.uint16)
        return found

    classes = [LabelClass(k + 1, f"class {k + 1}", "#888888") for k in range(CLASSES)]
    each = [
        {"code": c.code, "name": c.name, "count": int(n), "by_scene": {"0": int(n)}}
        for c, n in zip(classes, np.bincount(label[part != Part.POOL]), strict=True)
    ]
    pool = int((part == Part.POOL).sum())
    sample = piece(0)
    meta = plain_meta(
        BANDS,
        label_set=LabelSet("classes", tuple(classes)).to_card(),
        scaling=fit_scaler("noise", sample, components=30).to_card(),
        counts={"classes": each, "pixels": spectra, "unlabelled": pool, "pool": pool, "guard": 0},
        unit_kind="pixel",
    )
    known = np.where(part == Part.POOL, -1, label).astype(np.int16)
    with writing_dataset(path, bands=BANDS, dtype=np.uint16) as writer:
        for first in range(0, spectra, PIECE):
            writer.append(piece(first))
        writer.finish(
            label=known,
            part=part,
            scene=np.zeros(spectra, np.int16),
            pixel=np.stack(np.divmod(np.arange(spectra), 1000), 1).astype(np.int32),
            neighbours=np.full((spectra, 8), -1, np.int32),
            meta=meta,
        )
    return path


class Clock(Watcher):
    """Hears when epochs end."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def progress(self, what: str, done: float, total: float) -> None:
        """Look at both clocks; begin anew with each training."""
        if done != int(done):
            return
        if done == 1:
            self.ends = []
        self.ends.append((time.perf_counter(), time.process_time()))


def train(
    kind: str, dataset: Path, folder: Path, *, stream: bool, epochs: int = 4
) -> tuple[float, float]:
    """Train one of `KINDS`; gives seconds an epoch by the clock and of the processor."""
    clock = Clock()
    torch.set_num_threads(1)
    common = {
        "dataset": dataset,
        "output": folder / "run",
        "stream": stream,
        **SMALL,
        **KINDS[kind],
        "epochs": epochs,
    }
    if kind.startswith("M1 "):
        train_m1(M1Settings.model_validate(common), overwrite=True, watcher=clock)
    else:
        common |= {"m1": folder / "m1" if kind.startswith("M1+M2") else None}
        common |= {"spatial": False, "supervised_epochs": 1}
        train_m2(M2Settings.model_validate(common), overwrite=True, watcher=clock)
    first, last = clock.ends[0], clock.ends[-1]
    return last[0] - first[0], last[1] - first[1]


KINDS: dict[str, dict[str, Any]] = {
    "M1 30-64-64-10": {"hidden": (64, 64), "latent": 10},
    "M2 of 64 hidden units": {"hidden": (64,), "hidden_classifier": (64,), "latent": 10},
    "M1+M2 of 64 hidden units": {"hidden": (64,), "hidden_classifier": (64,), "latent": 10},
}


def ratios(kind: str, dataset: Path, folder: Path, pairs: int) -> list[list[float]]:
    """Seconds streamed over those in memory, by both clocks, pair by pair, in changing order."""
    found = []
    for pair in range(pairs):
        took = {
            stream: train(kind, dataset, folder, stream=stream)
            for stream in (pair % 2 == 0, pair % 2 == 1)
        }
        found.append(
            [streamed / kept for streamed, kept in zip(took[True], took[False], strict=True)]
        )
    return [list(of_clock) for of_clock in zip(*found, strict=True)]


def peak(kind: str, dataset: Path, folder: Path, stream: bool, told: Any) -> None:
    """Tell how much memory a training takes at most, in bytes."""
    before = resident("VmRSS")
    train(kind, dataset, folder, stream=stream, epochs=1)
    told.send(resident("VmHWM") - before)


def resident(what: str) -> int:
    """Of this process, now (VmRSS) or at most (VmHWM)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(lines[what].split()[0])


def peak_of(*what: Any) -> int:
    """`peak` in a process of its own."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=peak, args=(*what, theirs))
    process.start()
    found = int(ours.recv())
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--memory", type=int, default=600_000, help="Spectra, and a third of them.")
    parser.add_argument("--report", type=Path, help="Markdown file whose section is replaced.")
    asked = parser.parse_args()
    lines = ["| streamed / in memory | by the clock | of the processor |", "|---|---:|---:|"]
    with tempfile.TemporaryDirectory(prefix="streaming-") as name:
        folder = Path(name)
        dataset = made(folder / "dataset.h5", asked.spectra)
        below = {"dataset": dataset, "output": folder / "m1", "hidden": (64, 64), **SMALL}
        train_m1(M1Settings.model_validate({**below, "epochs": 5}))
        for kind in KINDS if asked.pairs else ():
            told = [
                f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"
                for found in ratios(kind, dataset, folder, asked.pairs)
            ]
            lines.append(f"| {kind} | {' | '.join(told)} |")
            print(lines[-1], flush=True)
        sizes = asked.memory // 3, asked.memory
        each = [made(folder / f"{size}.h5", size) for size in sizes]
        of_each = " | ".join(f"{size:,} spectra" for size in sizes)
        lines += ["", f"| most memory | | {of_each} |", "|---|---|---:|---:|"]
        for kind in list(KINDS)[:2]:
            for stream in (False, True):
                mb = [peak_of(kind, path, folder, stream) / 1e6 for path in each]
                how = "streamed" if stream else "in memory"
                lines.append(f"| {kind} | {how} | {mb[0]:,.0f} MB | {mb[1]:,.0f} MB |")
                print(lines[-1], flush=True)
    if asked.report:
        given = " ".join(sys.argv[1:])
        about = f"`python tests/benchmarks/streaming.py {given}`, {today()}, {machine_in_words()}."
        replace_section(asked.report, TITLE, "\n".join([about, "", *lines]))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
