"""What extractors of features cost: PCA beside reading and multiplying, auto-encoders beside M1.

    python tests/benchmarks/extractors.py [--spectra 200000] [--report reports/extractors.md]

PCA of a dataset's spectra, read and scaled block by block, against the sum of what it cannot do
without: one read of the file by the same blocks, and the covariance's products of double precision.
Training of auto-encoders of M1's widths, through the real loop, against M1's, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
from machine import machine_in_words, today

from hsi_ssl.datasets.checked_rows import READ_ROWS
from hsi_ssl.datasets.scaling import fit_scaler
from hsi_ssl.datasets.store import Dataset, Part, write_dataset
from hsi_ssl.inference.precision import keep_freed_memory
from hsi_ssl.labels.label_set import LabelSet
from hsi_ssl.models.extractors import EXTRACTORS
from hsi_ssl.models.extractors.pca import PCA, PCAArchitecture
from hsi_ssl.models.method import architecture_of
from hsi_ssl.settings import M1Settings
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.loop import fit
from hsi_ssl.training.m1_data import scaled_blocks
from hsi_ssl.training.m1_stage import ExtractorTask
from hsi_ssl.watcher import SILENT

BANDS, HIDDEN, LATENT = 268, (500, 500), 50
BY_STEPS = tuple(name for name in EXTRACTORS if not EXTRACTORS[name].closed_form)
PCA_GOAL, STEP_GOAL = 1.2, 1.1


def dataset_of(path: Path, spectra: int) -> Dataset:
    """An unlabelled dataset of smooth spectra with noise, uint16, each band scaled to spread 1."""
    rng = np.random.default_rng(0)
    shapes = np.cumsum(rng.normal(size=(12, BANDS)), axis=1)
    raw = np.empty((spectra, BANDS), np.uint16)
    for first in range(0, spectra, READ_ROWS):
        n = len(raw[first : first + READ_ROWS])
        raw[first : first + n] = (
            3000 + 60 * rng.normal(size=(n, 12)) @ shapes + rng.normal(0, 20, (n, BANDS))
        )
    learnt = raw[:: max(1, spectra // 20_000)]
    none, rows = np.full(spectra, -1), np.arange(spectra)
    return write_dataset(
        path, spectra=raw, label=none.astype(np.int16),
        part=np.full(spectra, Part.POOL, np.uint8), scene=np.zeros(spectra, np.int16),
        pixel=np.stack([rows, rows], 1).astype(np.int32),
        neighbours=np.full((spectra, 8), -1, np.int32),
        meta={
            "title": "spectra", "sources": [], "bands": BANDS, "used_bands": list(range(BANDS)),
            "wavelengths_nm": None, "label_set": LabelSet("labels", ()).to_card(),
            "scaling": fit_scaler("standard", learnt, components=BANDS).to_card(),
            "transductive": False,
        },
    )  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    """Of the processor, whose other users are not counted."""
    started = time.process_time()
    work()
    return time.process_time() - started


def read(dataset: Dataset) -> None:
    """The file once, by the blocks that it is read by."""
    with h5py.File(dataset.path) as file:
        for first in range(0, len(dataset), READ_ROWS):
            file["spectra"][first : first + READ_ROWS]


def multiply(blocks: list[torch.Tensor]) -> None:
    """Products of double precision of blocks that are ready."""
    products = torch.zeros(BANDS, BANDS, dtype=torch.float64)
    for block in blocks:
        products.addmm_(block.T, block)


def pca(dataset: Dataset) -> None:
    """As the stage does."""
    model = PCA(PCAArchitecture(BANDS, LATENT), torch.Generator())
    rows = dataset.rows(Part.POOL)
    model.solve(scaled_blocks(dataset, rows, dataset.scaler, torch.device("cpu")))


def of_pca(spectra: int, repeats: int) -> list[str]:
    """Medians of some turns, as lines of the report."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = dataset_of(Path(folder) / "dataset.h5", spectra)
        one = torch.randn(READ_ROWS, BANDS, dtype=torch.float64)
        whole, rest = divmod(spectra, READ_ROWS)
        blocks = [one] * whole + [one[:rest]]
        works = [lambda: read(dataset), lambda: multiply(blocks), lambda: pca(dataset)]
        turns = [[seconds(work) for work in works] for _ in range(repeats + 1)][1:]
    reading, products, solved = (statistics.median(of) for of in zip(*turns, strict=True))
    ratio = statistics.median(turn[2] / (turn[0] + turn[1]) for turn in turns)
    met = "met" if ratio <= PCA_GOAL else "missed"
    return [
        f"- PCA of {spectra:,} spectra of {BANDS} bands, {LATENT} components: {solved:.2f} s; "
        f"reading the file {reading:.2f} s, products {products:.2f} s",
        f"- {ratio:.2f} of reading and products together; goal at most {PCA_GOAL}: {met}",
    ]


def a_step(name: str, x: torch.Tensor, epochs: int) -> float:
    """Processor's seconds a step of training, validation and logging included."""
    settings = M1Settings(epochs=epochs, patience=epochs, extractor=name, device="cpu")
    facts = {
        "width": BANDS, "latent": LATENT, "hidden": HIDDEN, "activation": "relu",
        "likelihood": "gaussian", "sd_floor": 0.05,
    }  # fmt: skip
    kind = EXTRACTORS[name]
    architecture, _ = architecture_of(kind, facts, {})
    model = kind(architecture, torch.Generator().manual_seed(0))
    task = ExtractorTask(model, Inputs(x), Inputs(x[:1000]), settings.batch)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        found = fit(
            task, settings, Path(folder), identity={}, resume=False, watcher=SILENT,
            on_snapshot=lambda snapshots: None,
        )  # fmt: skip
    return (time.process_time() - started) / found.progress.step


def of_steps(spectra: int, epochs: int, repeats: int) -> list[str]:
    """Medians of some turns, as lines of the report."""
    x = torch.randn(spectra, BANDS, generator=torch.Generator().manual_seed(0))
    turns = [{name: a_step(name, x, epochs) for name in BY_STEPS} for _ in range(repeats + 1)][1:]
    rows, ratios = [], {}
    for name in BY_STEPS:
        ratios[name] = statistics.median(turn[name] / turn["vae"] for turn in turns)
        milliseconds = 1000 * statistics.median(turn[name] for turn in turns)
        rows.append(f"| `{name}` | {milliseconds:.1f} | {ratios[name]:.2f} |")
    met = "met" if ratios["ae"] <= STEP_GOAL else "missed"
    return [
        f"- a step of `ae`: {ratios['ae']:.2f} of M1's; goal at most {STEP_GOAL}: {met}",
        "",
        "| extractor | ms a step | of M1's |",
        "|---|---|---|",
        *rows,
        "",
        f"Widths {BANDS}-{'-'.join(map(str, HIDDEN))}-{LATENT}, batch 1000; `stacked` is its last "
        "part, the whole; `position` has smaller networks.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=200_000)
    parser.add_argument("--steps-spectra", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    lines = [
        "# Speed of extractors", "",
        f"    python tests/benchmarks/extractors.py --spectra {arguments.spectra}", "",
        f"{machine_in_words()}, {today()}; one thread, the processor's time, medians of "
        f"{arguments.repeats} turns, in each of which everything is measured once", "",
        *of_pca(arguments.spectra, arguments.repeats),
        *of_steps(arguments.steps_spectra, arguments.epochs, arguments.repeats),
    ]  # fmt: skip
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.report:
        arguments.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
