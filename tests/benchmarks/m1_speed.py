"""How fast M1 trains, as a share of what the machine's matrix products could do.

    python tests/benchmarks/m1_speed.py [--spectra 100000] [--report reports/m1-speed.md]

Trains M1 268-500-500-50 through the real loop, on spectra in memory, and measures the rate of
large float32 matrix products before and after, in the same run. Six floating-point operations are
counted per weight and spectrum: two forward, four backward.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from machine import machine_in_words, today

from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.settings import M1Settings
from hsi_ssl.training.loop import fit
from hsi_ssl.training.m1_stage import M1Task
from hsi_ssl.watcher import SILENT

BANDS, HIDDEN, LATENT = 268, (500, 500), 50


def matrix_product_rate(size: int = 4096, repeats: int = 5) -> float:
    """Float32 operations a second of square matrix products, the median of some."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    a @ b
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(arguments.spectra, BANDS, generator=generator)
    architecture = M1Architecture(BANDS, LATENT, HIDDEN, "relu", "gaussian", 0.05)
    settings = M1Settings(epochs=arguments.epochs, patience=1000)
    ratios, speeds, rates = [], [], []
    for _ in range(arguments.repeats):
        module = M1(architecture, torch.Generator().manual_seed(0))
        weights = sum(p.numel() for p in module.parameters() if p.ndim > 1)
        task = M1Task(module, x, x[:1000], settings.batch)
        before = matrix_product_rate()
        with tempfile.TemporaryDirectory() as folder:
            found = fit(
                task, settings, Path(folder), identity={}, resume=False, watcher=SILENT,
                on_snapshot=lambda snapshots: None,
            )  # fmt: skip
        rate = (before + matrix_product_rate()) / 2
        speeds.append(found.spectra_per_second)
        rates.append(rate)
        ratios.append(6 * weights * found.spectra_per_second / rate)
    speed, rate, ratio = (statistics.median(v) for v in (speeds, rates, ratios))
    lines = [
        f"weights {weights:,}, batch {settings.batch}, {arguments.spectra:,} spectra, "
        f"{arguments.epochs} epochs, median of {arguments.repeats} runs",
        f"M1 training: {speed:,.0f} spectra/s = {6 * weights * speed / 1e9:.0f} GFLOP/s",
        f"matrix products, float32: {rate / 1e9:.0f} GFLOP/s",
        f"ratio: {ratio:.2f} (runs: {', '.join(f'{r:.2f}' for r in ratios)})",
    ]
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
