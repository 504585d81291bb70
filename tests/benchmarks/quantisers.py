"""How fast quantisers learn, beside MiniSom on the same machine in the same run.

    python tests/benchmarks/quantisers.py [--spectra 40000] [--report reports/quantisers.md]

Spectra of 268 bands are mixtures of smooth shapes, with noise; a map of 20 x 20 learns from them.
The rate is spectra seen a second, epochs counted; MiniSom sees each once, since its time a spectrum
is the same for all. How good the maps are is told by both errors on other spectra.

Needs `pip install minisom`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch
from machine import machine_in_words, today
from torch import Tensor

from hsi_ssl.inference.precision import quick_products
from hsi_ssl.models.quantisers.base import Quantiser
from hsi_ssl.models.quantisers.kohonen import Kohonen, KohonenCard
from hsi_ssl.models.quantisers.lvq import LVQ, LVQCard
from hsi_ssl.models.quantisers.som import SelfOrganisingMap, SomCard

BANDS, SIDE, EPOCHS = 268, 20, 10
HELD_OUT = 5000


def spectra(count: int) -> Tensor:
    """Spectra `(count, BANDS)` of mixtures of six smooth shapes, with light and noise."""
    g = torch.Generator().manual_seed(0)
    along = torch.linspace(0, 1, BANDS)
    shapes = torch.stack([torch.sin(k * along + k) for k in range(1, 7)])
    shares = torch.rand(count, 6, generator=g) ** 3
    light = 0.7 + 0.6 * torch.rand(count, 1, generator=g)
    return light * (shares @ shapes) + 0.05 * torch.randn(count, BANDS, generator=g)


def with_minisom(x: Tensor, steps: int) -> tuple[SelfOrganisingMap, float]:
    """MiniSom after so many steps, as a map of ours; spectra a second."""
    from minisom import MiniSom

    values = x.numpy().astype(np.float64)
    theirs = MiniSom(
        SIDE, SIDE, BANDS, sigma=SIDE / 2, learning_rate=0.5, topology="rectangular", random_seed=0
    )
    theirs.pca_weights_init(values)
    started = time.perf_counter()
    theirs.train(values, steps, random_order=True)
    rate = steps / (time.perf_counter() - started)
    found = SelfOrganisingMap(SomCard(BANDS, SIDE, SIDE, "rectangular"))
    weights = np.asarray(theirs.get_weights(), np.float32).reshape(-1, BANDS)
    found.weights = torch.from_numpy(weights)
    return found, rate


def with_ours(x: Tensor) -> tuple[SelfOrganisingMap, float]:
    """Our map, by the batch rule; spectra a second."""
    found = SelfOrganisingMap(SomCard(BANDS, SIDE, SIDE, "rectangular", epochs=EPOCHS))
    started = time.perf_counter()
    found.fit(x, torch.Generator().manual_seed(0))
    return found, EPOCHS * len(x) / (time.perf_counter() - started)


def rate_of_others(x: Tensor, epochs: int = 2) -> dict[str, float]:
    """Spectra a second of Kohonen's layer of 40 prototypes, and of LVQ of 10 classes."""
    y = torch.arange(len(x)) % 10
    models: dict[str, Quantiser] = {
        "kohonen, 40 units, all": Kohonen(KohonenCard(BANDS, 40, "all", 0.1, epochs)),
        "kohonen, 40 units, most": Kohonen(KohonenCard(BANDS, 40, epochs=epochs)),
        "lvq3, 10 classes of 8 prototypes": LVQ(LVQCard(BANDS, 10, rule="lvq3", epochs=epochs)),
    }
    found = {}
    for name, model in models.items():
        started = time.perf_counter()
        model.fit(x, torch.Generator().manual_seed(0), y)
        found[name] = epochs * len(x) / (time.perf_counter() - started)
    return found


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectra", type=int, default=40_000)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    busy = f"{os.getloadavg()[0]:.0f} programs waiting for a core at the start"
    x = spectra(arguments.spectra + HELD_OUT)
    learnt, new = x[:-HELD_OUT], x[-HELD_OUT:]
    theirs, their_rate = with_minisom(learnt, len(learnt))
    with quick_products(torch.device("cpu")):
        ours, rate = with_ours(learnt)
        others = rate_of_others(learnt)
    rows = [
        ("hsi-ssl, batch rule", EPOCHS * len(learnt), rate, *ours.errors(new)),
        ("MiniSom, online rule", len(learnt), their_rate, *theirs.errors(new)),
    ]
    lines = [
        f"A map of {SIDE} x {SIDE} units, rectangular, on {len(learnt):,} spectra of {BANDS} "
        f"bands, {torch.get_num_threads()} threads. Errors are those on {HELD_OUT:,} other "
        "spectra; a unit touches four.",
        "",
        "| | spectra seen | spectra/s | quantisation error | topographic error |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {seen:,} | {speed:,.0f} | {q:.3f} | {t:.3f} |"
            for name, seen, speed, q, t in rows
        ),
        "",
        f"{rate / their_rate:.0f} times MiniSom's rate: {EPOCHS} epochs of 1,000,000 such spectra "
        f"take {EPOCHS * 1e6 / rate:,.0f} s.",
        "",
        "The maps are not the same: MiniSom's radius ends at a third of its start, ours at half a "
        "unit, which follows spectra more closely and keeps less order.",
        "",
        "| others, learning included | spectra/s |",
        "|---|---|",
        *(f"| {name} | {speed:,.0f} |" for name, speed in others.items()),
    ]
    print("\n".join(lines))
    if arguments.report is not None:
        command = f"python tests/benchmarks/quantisers.py --spectra {arguments.spectra}"
        arguments.report.write_text(
            f"# Speed of quantisers\n\n    {command}\n\n{machine_in_words()}, {busy}, {today()}\n\n"
            + "\n".join(lines)
            + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
