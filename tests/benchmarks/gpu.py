"""How fast a GPU trains and classifies, as a share of its matrix products, and whether it is right.

    python tests/benchmarks/gpu.py [--device cuda] [--report reports/gpu.md]

In some four minutes, by the real loop: M1 268-500-500-50 and M2 of 10, 40 and 100 classes in
float32, with TF32 products and in bfloat16; mean field of the Potts prior; classification of
spectra that lie in the CPU's memory. Shares are of the rate of the device's own square products in
the same precision, floating-point operations being those of the products in a step's cost and
gradient, as torch counts them. Results are compared with the CPU's: the CPU draws for all devices,
so that one seed is one training, up to rounding. The report is written on a GPU only.

`--device cpu --spectra 20000` tells the shares of a CPU; `--small` tries all of it in seconds, and
its numbers say nothing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine_in_words, today
from small_datasets import three_minerals
from small_models import pixels, preset
from small_runs import small_m2_settings
from torch.utils.flop_counter import FlopCounterMode

from hsi_ssl.errors import DeviceError
from hsi_ssl.inference.classifier import load_classifier
from hsi_ssl.inference.device import choose_device, device_name, module_of
from hsi_ssl.inference.precision import chosen_precision, quick_products
from hsi_ssl.models.m1 import M1, M1Architecture
from hsi_ssl.models.spatial import mean_field
from hsi_ssl.settings import M1Settings, M2Settings, Precision
from hsi_ssl.training.inputs import Inputs
from hsi_ssl.training.loop import Fit, fit
from hsi_ssl.training.m1_stage import ExtractorTask
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.semi_supervised_task import SemiSupervisedTask
from hsi_ssl.training.validation import Validation
from hsi_ssl.watcher import SILENT

Trained = ExtractorTask | SemiSupervisedTask
Kind = type[M1Settings] | type[M2Settings]

CPU = torch.device("cpu")
PRECISIONS: dict[str, tuple[Precision, str]] = {
    "float32": ("float32", "highest"),
    "TF32": ("float32", "high"),
    "bfloat16": ("bfloat16", "highest"),
}
"""Of the loop, and of float32 matrix products."""


@dataclass(frozen=True)
class Sizes:
    """How much is done; `seconds`: for each line, about."""

    bands: int = 268
    hidden: tuple[int, ...] = (500, 500)
    latent: int = 50
    spectra: int = 200_000
    batches: tuple[int, ...] = (1000, 16_384)
    classes: tuple[int, ...] = (10, 40, 100)
    square: int = 8192
    map_pixels: int = 1_000_000
    seconds: float = 6.0


SMALL = Sizes(12, (8,), 2, 256, (64,), (4,), 64, 500, 0.01)


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Float32 matrix products as they are asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(PRECISIONS[precision][1])
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def wait(device: torch.device) -> None:
    """Until the device is done with what it was asked for."""
    getattr(module_of(device), "synchronize", lambda: None)()


def seconds_of(do: Callable[[], object], device: torch.device, limit: float) -> float:
    """Median time of what is done again and again, twice at least, after a first time."""
    do()
    wait(device)
    times, until = list[float](), time.perf_counter() + limit
    while len(times) < 2 or time.perf_counter() < until:
        started = time.perf_counter()
        do()
        wait(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def product_rate(device: torch.device, precision: str, size: int, limit: float) -> float:
    """Floating-point operations a second of square matrix products."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    with products(precision), quick_products(device):
        return 2 * size**3 / seconds_of(lambda: a @ b, device, limit / 4)


def m1_task(device: torch.device, sizes: Sizes, batch: int) -> ExtractorTask:
    """M1 with spectra on the device."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(sizes.spectra, sizes.bands, generator=generator)
    floor = 0.05
    architecture = M1Architecture(
        sizes.bands, sizes.latent, sizes.hidden, "relu", "gaussian", floor
    )
    model = M1(architecture, torch.Generator().manual_seed(0)).to(device)
    learnt, few = Inputs(x).to(device), Inputs(x[:64]).to(device)
    return ExtractorTask(model, learnt, few, batch)


def m2_task(device: torch.device, sizes: Sizes, classes: int) -> SemiSupervisedTask:
    """M2 with the default settings' batches and experts, a twentieth of the spectra labelled."""
    settings = M2Settings(hidden=sizes.hidden)
    generator = torch.Generator().manual_seed(0)
    known = max(2 * classes, sizes.spectra // 20)
    x = torch.randn(sizes.spectra, sizes.bands, generator=generator)
    y = torch.arange(known) % classes
    few = Validation(Inputs(x[:known][:64]).to(device), y[:64, None].to(device))
    learnt, pool = x[:known].to(device), x[known:].to(device)
    data = pixels(Inputs(learnt), y.to(device), pool, settings, few)
    model = preset(
        "m2", torch.full((classes,), 1 / classes), width=sizes.bands, latent=sizes.latent,
        hidden=sizes.hidden, experts=len(settings.experts), sd_floor=0.05,
    )  # fmt: skip
    return SemiSupervisedTask(model.to(device), data, settings)


def trained(task: Trained, settings: Any) -> Fit:
    """By the real loop, in a folder that goes."""
    with tempfile.TemporaryDirectory() as folder:
        return fit(
            task, settings, Path(folder), identity={}, resume=False, watcher=SILENT,
            on_snapshot=lambda snapshots: None,
        )  # fmt: skip


def operations(task: Trained) -> float:
    """Floating-point operations of a step's matrix products, for each of its spectra."""
    generator = torch.Generator().manual_seed(0)
    batch = next(iter(task.batches(generator)))
    with FlopCounterMode(display=False) as counted:
        step = task.turns()[0].cost(batch, 1.0, generator)
        step.cost.backward()
    task.module.zero_grad(set_to_none=True)
    return float(counted.get_total_flops()) / step.spectra


def training_rate(task: Trained, kind: Kind, precision: str, limit: float) -> float:
    """Spectra a second of epochs after the first."""
    with products(precision):

        def epochs(count: int) -> Fit:
            return trained(
                task, kind(epochs=count, patience=count, precision=PRECISIONS[precision][0])
            )

        first = epochs(1)
        count = round(limit / max(1e-3, first.progress.seconds))
        return epochs(min(20, max(1, count))).spectra_per_second


def rates(device: torch.device, sizes: Sizes) -> Iterator[str]:
    """Lines of a table: what, precision, spectra a second, share of the products' rate."""
    emulated = device.type == "cpu" and chosen_precision("auto", device) != "bfloat16"
    asked = [p for p in PRECISIONS if not (emulated and p == "bfloat16")]
    best = {p: product_rate(device, p, sizes.square, sizes.seconds) for p in asked}
    for precision, rate in best.items():
        yield f"| products of {sizes.square} x {sizes.square} | {precision} | {rate:.3g} op/s | |"
    trainings: list[tuple[str, Kind, Callable[[torch.device, Sizes], Trained]]] = [
        *((f"M1, batch {b}", M1Settings, partial(m1_task, batch=b)) for b in sizes.batches),
        *((f"M2, {k} classes", M2Settings, partial(m2_task, classes=k)) for k in sizes.classes),
    ]
    for name, kind, make in trainings:
        for precision, rate in best.items():
            task = make(device, sizes)
            each = operations(task)
            found = training_rate(task, kind, precision, sizes.seconds)
            share = each * found / rate
            yield f"| {name} | {precision} | {found:,.0f} | {share:.1%} |"
    log_f = torch.log_softmax(torch.randn(sizes.map_pixels, 20, device=device), dim=-1)
    near = torch.randint(-1, sizes.map_pixels, (sizes.map_pixels, 8), device=device)
    took = seconds_of(lambda: mean_field(log_f, near, 1.0), device, sizes.seconds)
    yield f"| mean field, 10 sweeps, 20 classes | float32 | {sizes.map_pixels / took:,.0f} | |"
    drawn = seconds_of(lambda: torch.randn(sizes.map_pixels), CPU, sizes.seconds / 4)
    yield f"| numbers of N(0, 1) that the CPU draws | float32 | {sizes.map_pixels / drawn:,.0f} | |"


def classified(device: torch.device, sizes: Sizes) -> Iterator[str]:
    """A line of the same table, and how far probabilities are from the CPU's."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = three_minerals(Path(folder) / "d.h5")
        few = {"epochs": 2, "supervised_epochs": 2, "hidden": sizes.hidden}
        train_m2(small_m2_settings(dataset, Path(folder) / "m2", **few))
        raw = dataset.spectra()
        many = np.resize(raw, (sizes.map_pixels, raw.shape[1]))
        here, there = (load_classifier(Path(folder) / "m2", str(d)) for d in (CPU, device))
        took = seconds_of(lambda: there.posterior(many), device, sizes.seconds)
        apart = float(np.abs(here.posterior(raw) - there.posterior(raw)).max())
    yield f"| classify, 12 bands, 3 classes | float32 | {len(many) / took:,.0f} | |"
    yield f"\nProbabilities differ from the CPU's by {apart:.1e} at most."


def equality(device: torch.device, sizes: Sizes) -> Iterator[str]:
    """Bounds of a short training here and on the CPU, of one seed."""
    few = replace(sizes, spectra=min(2000, sizes.spectra))
    makers: tuple[tuple[str, Any, Any], ...] = (
        ("M1", M1Settings, partial(m1_task, batch=200)),
        ("M2", M2Settings, partial(m2_task, classes=sizes.classes[0])),
    )
    for name, kind, make in makers:
        bounds = [
            trained(make(d, few), kind(epochs=2, precision="float32")).progress.best["bound"]
            for d in (CPU, device)
        ]
        yield (
            f"{name} after two epochs: validation bound {bounds[0]:.6g} on the CPU, "
            f"{bounds[1]:.6g} here."
        )


def page(device: torch.device, sizes: Sizes) -> Iterator[str]:
    """The report's lines, one after another as they are measured."""
    yield "# On a GPU\n"
    yield f"{device_name(device)}; {machine_in_words()}; torch {torch.__version__}; {today()}.\n"
    yield "`python tests/benchmarks/gpu.py`: spectra or pixels a second.\n"
    yield "| what | precision | a second | of the products' rate |"
    yield "|---|---|---:|---:|"
    yield from rates(device, sizes)
    yield from classified(device, sizes)
    yield from equality(device, sizes)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and on a GPU write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--spectra", type=int, help="to train on, fewer for a CPU")
    parser.add_argument("--report", type=Path, default=Path("reports/gpu.md"))
    args = parser.parse_args(arguments)
    try:
        device = choose_device(args.device)
    except DeviceError as error:
        print(f"nothing is measured: {error}")
        return
    lines: list[str] = []
    sizes = SMALL if args.small else Sizes()
    if args.spectra:
        sizes = replace(sizes, spectra=args.spectra)
    for line in page(device, sizes):
        print(line, flush=True)
        lines.append(line)
    if device.type != "cpu" and not args.small:
        args.report.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
