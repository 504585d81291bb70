"""Whether two processes train as one does: the cost of each of a hundred steps, of M1 and M2.

    python tests/benchmarks/processes.py --report reports/large-trainings.md

M1, M2 and M1+M2 learn a simulated drill-core scene by `torchrun`, by one process and by two, of one
thread each; told is the largest difference of a step's cost, as a share of it, among the first
hundred steps of the main loop: in float32, in float64, and in float32 with an activation that has
no kink (`silu` for `relu`). Beside it that of one process that takes the rows of each batch in
reverse order, with their own random numbers: the same sums, rounded otherwise, which is what
training makes of rounding by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from double import costs_noted, in_double
from kills import replace_section
from machine import machine_in_words, today

from hsi_ssl.models.draws import RowsGenerator
from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training import m1_stage, semi_supervised_task
from hsi_ssl.training.m2_stage import train_m2
from hsi_ssl.training.processes import Processes, joined
from hsi_ssl.training.share import Share

TITLE = "## Two processes instead of one"
STEPS = 100
DATASET = Path("runs/dataset.h5")
KINDS: dict[str, dict[str, Any]] = {
    "M1 of 64-64 hidden units": {"hidden": (64, 64), "latent": 10},
    "M1 of 500-500 hidden units": {},
    "M2 of 64 hidden units": {"hidden": (64,), "hidden_classifier": (64,), "latent": 10},
    "M2": {},
    "M1+M2": {},
}


class Reversed(Share):
    """All rows of a batch, the last one first, each with its own random numbers."""

    def numbers(self, generator: torch.Generator) -> torch.Generator:
        """Those of the rows."""
        assert isinstance(self.at, torch.Tensor)
        return RowsGenerator(generator, self.at, self.of)

    def beside(self, other: Share) -> Share:
        """Its rows, and after them those of another batch."""
        assert isinstance(self.at, torch.Tensor)
        assert isinstance(other.at, torch.Tensor)
        return Reversed(torch.cat([self.at, self.of + other.at]), self.of + other.of, 0)


def reversed_share(processes: Processes, rows: int) -> Share:
    """In the place of `share_of`, in one process."""
    return Reversed(torch.arange(rows - 1, -1, -1), rows, rows, processes)


def train(kind: str, run: Path, *, turned: bool, double: bool, smooth: bool) -> None:
    """Train in one of the processes that there are; the first writes each step's cost."""
    if turned:
        for module in (m1_stage, semi_supervised_task):
            vars(module)["share_of"] = reversed_share
    with (
        in_double() if double else nullcontext(),
        costs_noted() as costs,
        joined() as processes,
    ):
        common = {"dataset": DATASET, "output": run, "device": "cpu", "patience": 99}
        common |= {"epochs": 4, **KINDS[kind], **({"activation": "silu"} if smooth else {})}
        if kind.startswith("M1 "):
            m1_stage.train_m1(
                M1Settings.model_validate(common), overwrite=True, processes=processes
            )
        else:
            m1 = Path("runs/m1") if kind == "M1+M2" else None
            asked = {**common, "m1": m1, "supervised_epochs": 5}
            train_m2(M2Settings.model_validate(asked), overwrite=True, processes=processes)
        main_loop = costs[-main_steps(run) :] if processes.first else costs
        write(main_loop, run, processes)


def main_steps(run: Path) -> int:
    """Of the training that a card tells, without what came before it."""
    return int(json.loads((run / "model.json").read_text())["training"]["steps"])


def write(costs: list[torch.Tensor], run: Path, processes: Processes) -> None:
    """Put each step's cost, the mean over processes, beside the run."""
    count = processes.told("steps", lambda: len(costs))
    whole = torch.stack(costs[-count:]).double()
    processes.average([whole])
    if processes.first:
        run.with_suffix(".json").write_text(json.dumps(whole.tolist()))


def started(kind: str, run: Path, processes: int, *more: str) -> list[float]:
    """Train by torchrun; gives each step's cost."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), str(Path(__file__).resolve())]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--train", kind, "--into", str(run), *more], check=True, env=environ)
    found: list[float] = json.loads(run.with_suffix(".json").read_text())[:STEPS]
    if len(found) < STEPS:
        raise RuntimeError(f"{len(found)} steps instead of {STEPS}")
    return found


def apart(one: list[float], other: list[float]) -> str:
    """The largest relative difference."""
    return f"{max(abs(b - a) / abs(a) for a, b in zip(one, other, strict=True)):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--report", type=Path, help="Markdown file whose section is replaced.")
    parser.add_argument("--train", choices=KINDS)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--turned", action="store_true", help="Rows in reverse order.")
    parser.add_argument("--double", action="store_true", help="In float64.")
    parser.add_argument("--smooth", action="store_true", help="With silu.")
    asked = parser.parse_args()
    if asked.train:
        how = {name: getattr(asked, name) for name in ("turned", "double", "smooth")}
        train(asked.train, asked.into, **how)
        return
    report = asked.report and asked.report.resolve()
    columns = ("two processes", "in float64", "without kinks", "one, rows reversed")
    lines = [f"| cost of steps 1 to {STEPS} | {' | '.join(columns)} |", "|---|" + 4 * "---:|"]
    with tempfile.TemporaryDirectory(prefix="processes-") as folder, chdir(folder):
        cli = [sys.executable, "-m", "hsi_ssl.cli"]
        size = ["--scenes", "2", "--rows", "120", "--cols", "60"]
        subprocess.run([*cli, "simulate", "-o", "cubes", *size], check=True)
        subprocess.run([*cli, "prepare", "cubes", "-q", "--unlabelled", "10000"], check=True)
        for kind in KINDS:
            name = "m1" if kind.startswith("M1 ") else "m2"
            one = started(kind, Path("runs") / name, 1)
            two = started(kind, Path("runs/two"), 2)
            turned = started(kind, Path("runs/turned"), 1, "--turned")
            double, smooth = (
                apart(*(started(kind, Path("runs/other"), size, how) for size in (1, 2)))
                for how in ("--double", "--smooth")
            )
            found = (apart(one, two), double, smooth, apart(one, turned))
            lines.append(f"| {kind} | {' | '.join(found)} |")
            print(lines[-1], flush=True)
    if report:
        about = f"`python tests/benchmarks/processes.py`, {today()}, {machine_in_words()}."
        replace_section(report, TITLE, "\n".join([about, "", *lines]))


if __name__ == "__main__":
    main()
