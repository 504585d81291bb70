"""How fast M1 trains, as a share of what the machine's matrix products could do.

    python tests/benchmarks/m1_speed.py [--spectra 100000] [--report reports/m1-speed.md]

Trains M1 268-500-500-50, or with --bands and --hidden another, through the real loop, on spectra in
memory, in float32 and, where the processor has units for it, in bfloat16, and measures the rates of
large matrix products before and after, in the same run. Six floating-point operations are counted
per weight and spectrum: two forward, four backward.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from machine import machine_in_words, today
from torch import Tensor

from hsi_ssl.inference.precision import chosen_precision, quick_products
from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.settings import M1Settings, Precision
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.loop import fit
from hsi_ssl.training.m1_stage import ExtractorTask
from hsi_ssl.watcher import SILENT

BANDS, HIDDEN, LATENT = 268, (500, 500), 50
CPU = torch.device("cpu")


def matrix_product_rate(
    size: int = 4096, repeats: int = 3, dtype: torch.dtype = torch.float32
) -> float:
    """Operations a second of square matrix products, the median of some."""
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    a @ b
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(seconds)


def rates(*, halves: bool) -> tuple[float, ...]:
    """Of float32 products as PyTorch is and as the loop has it, and with `halves` of bfloat16."""
    with quick_products(CPU):
        quick = matrix_product_rate()
    found = matrix_product_rate(), quick
    return (*found, matrix_product_rate(dtype=torch.bfloat16)) if halves else found


def model(bands: int = BANDS, hidden: tuple[int, ...] = HIDDEN) -> M1:
    """M1 268-500-500-50, or of other sizes."""
    architecture = M1Architecture(bands, LATENT, hidden, "relu", "gaussian", 0.05)
    return M1(architecture, torch.Generator().manual_seed(0))


def spectra_a_second(m1: M1, x: Tensor, settings: M1Settings) -> float:
    """Through the loop, validation and logging included."""
    task = ExtractorTask(m1, Inputs(x), Inputs(x[:1000]), settings.batch)
    with tempfile.TemporaryDirectory() as folder:
        found = fit(
            task, settings, Path(folder), identity={}, resume=False, watcher=SILENT,
            on_snapshot=lambda snapshots: None,
        )  # fmt: skip
    return found.spectra_per_second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=100_000)
    parser.add_argument("--bands", type=int, default=BANDS)
    parser.add_argument("--hidden", type=int, nargs="+", default=HIDDEN)
    parser.add_argument("--batch", type=int, default=M1Settings().batch)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(arguments.spectra, arguments.bands, generator=generator)
    sizes = arguments.bands, tuple(arguments.hidden)
    weights = sum(p.numel() for p in model(*sizes).parameters() if p.ndim > 1)
    settings = M1Settings(epochs=arguments.epochs, patience=1000, batch=arguments.batch)
    lines = [
        f"weights {weights:,}, batch {settings.batch}, {arguments.spectra:,} spectra, "
        f"{arguments.epochs} epochs, {torch.get_num_threads()} threads, median of "
        f"{arguments.repeats} runs",
        "large matrix products: float32 as PyTorch is {}, through oneDNN as the loop has it {}",
    ]
    runs: dict[Precision, list[tuple[float, ...]]] = {"float32": []}
    halves = chosen_precision("auto", CPU) == "bfloat16"
    if halves:
        runs["bfloat16"] = []
        lines[1] += ", bfloat16 {}"
    lines[1] += " GFLOP/s"
    for _ in range(arguments.repeats):
        for precision, found in runs.items():
            before = rates(halves=halves)
            chosen = settings.model_copy(update={"precision": precision})
            speed = spectra_a_second(model(*sizes), x, chosen)
            both = zip(before, rates(halves=halves), strict=True)
            found.append((speed, *(statistics.mean(rate) for rate in both)))
    every = [run[1:] for found in runs.values() for run in found]
    medians = [statistics.median(rate) / 1e9 for rate in zip(*every, strict=True)]
    lines[1] = lines[1].format(*(f"{rate:.0f}" for rate in medians))
    for precision, found in runs.items():
        speed = statistics.median(run[0] for run in found)
        shares = [[6 * weights * run[0] / run[1 + i] for run in found] for i in range(len(medians))]
        plain, quick, *reduced = (f"{statistics.median(share):.2f}" for share in shares)
        ratio = f"{plain} of float32 products as PyTorch is, {quick} through oneDNN" + (
            f", {reduced[0]} of bfloat16 products" if precision == "bfloat16" else ""
        )
        lines.append(
            f"M1 training in {precision}: {speed:,.0f} spectra/s = "
            f"{6 * weights * speed / 1e9:.0f} GFLOP/s; {ratio}"
        )
    print("\n".join(lines))
    if arguments.report is not None:
        command = f"python tests/benchmarks/m1_speed.py --spectra {arguments.spectra}"
        arguments.report.write_text(
            "# Speed of M1's training\n\n"
            f"    {command}\n\n{machine_in_words()}, {today()}\n\n"
            + "\n".join(f"- {line}" for line in lines)
            + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
