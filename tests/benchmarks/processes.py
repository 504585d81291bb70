"""Whether two processes train as one does: the cost of each of a hundred steps, of M1 and M2.

    python tests/benchmarks/processes.py --report reports/large-trainings.md

M1, M2 and M1+M2 learn a simulated drill-core scene by `torchrun`, by one process and by two, of one
thread each; told is the largest difference of a step's cost, as a share of it, among the first
hundred steps of the main loop, then how far weights are apart in the end and how long both took.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import torch
from kills import replace_section
from machine import machine_in_words, today

from hsi_ssl.settings import M1Settings, M2Settings
from hsi_ssl.training import loop
from hsi_ssl.training.processes import Processes, joined
from hsi_ssl.training.task import StepCost, Turn

TITLE = "## Two processes instead of one"
STEPS = 100
DATASET = Path("runs/dataset.h5")
KINDS = ("M1", "M2", "M1+M2")


def train(kind: str, run: Path) -> None:
    """Train in one of the processes that there are; the first writes each step's cost."""
    from hsi_ssl.training.m1_stage import train_m1
    from hsi_ssl.training.m2_stage import train_m2

    costs: list[torch.Tensor] = []
    within = loop._Loop._steps

    def steps(self: Any) -> Any:
        def noted(turn: Turn) -> Turn:
            def cost(*of: Any) -> StepCost:
                found = turn.cost(*of)
                costs.append(found.cost.detach().clone())
                return found

            return Turn(turn.parameters, cost)

        self.turns = [noted(turn) for turn in self.task.turns()]
        return within(self)

    loop._Loop._steps = steps  # type: ignore[method-assign]
    with joined() as processes:
        common = {"dataset": DATASET, "output": run, "device": "cpu", "patience": 99}
        if kind == "M1":
            found = M1Settings.model_validate({**common, "epochs": 4})
            train_m1(found, overwrite=True, processes=processes)
        else:
            m1 = Path("runs/m1") if kind == "M1+M2" else None
            asked = {**common, "m1": m1, "epochs": 4, "supervised_epochs": 5}
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


def started(kind: str, run: Path, processes: int) -> None:
    """Train by torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    script = [str(Path(__file__).resolve()), "--train", kind, "--into", str(run)]
    subprocess.run([*command, *script], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def apart(one: Path, two: Path) -> tuple[float, float]:
    """Largest relative difference of steps' costs, and of weights as a share of their norm."""
    from safetensors.torch import load_file

    costs = [torch.tensor(json.loads(run.with_suffix(".json").read_text())) for run in (one, two)]
    first, second = (of_run[:STEPS] for of_run in costs)
    if len(first) < STEPS or len(first) != len(second):
        raise RuntimeError(f"{len(first)} and {len(second)} steps instead of {STEPS}")
    weights = [load_file(run / "model.safetensors") for run in (one, two)]
    flat = [
        torch.cat([t.double().flatten() for t in of_run.values() if t.is_floating_point()])
        for of_run in weights
    ]
    of_costs = float(((second - first) / first).abs().max())
    return of_costs, float((flat[1] - flat[0]).norm() / flat[0].norm())


def seconds(run: Path) -> float:
    """Of the main loop, by the card."""
    return float(json.loads((run / "model.json").read_text())["training"]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--report", type=Path, help="Markdown file whose section is replaced.")
    parser.add_argument("--train", choices=KINDS)
    parser.add_argument("--into", type=Path)
    asked = parser.parse_args()
    if asked.train:
        train(asked.train, asked.into)
        return
    report = asked.report and asked.report.resolve()
    columns = f"steps 1 to {STEPS}, cost | weights in the end | seconds, one and two processes"
    lines = [f"| relative difference | {columns} |", "|---|---:|---:|---:|"]
    with tempfile.TemporaryDirectory(prefix="processes-") as folder, chdir(folder):
        cli = [sys.executable, "-m", "hsi_ssl.cli"]
        size = ["--scenes", "2", "--rows", "120", "--cols", "60"]
        subprocess.run([*cli, "simulate", "-o", "cubes", *size], check=True)
        subprocess.run([*cli, "prepare", "cubes", "-q", "--unlabelled", "10000"], check=True)
        for kind in KINDS:
            one, two = Path("runs/m1" if kind == "M1" else "runs/one"), Path("runs/two")
            started(kind, one, 1)
            started(kind, two, 2)
            of_costs, of_weights = apart(one, two)
            took = f"{seconds(one):.1f}, {seconds(two):.1f}"
            lines.append(f"| {kind} | {of_costs:.1e} | {of_weights:.1e} | {took} |")
            print(lines[-1], flush=True)
    if report:
        about = f"`python tests/benchmarks/processes.py`, {today()}, {machine_in_words()}."
        replace_section(report, TITLE, "\n".join([about, "", *lines]))


if __name__ == "__main__":
    main()
