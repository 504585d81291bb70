"""How long a recipe takes from its scene to its map, beside another version of hsi-ssl.

    git worktree add ../other COMMIT && make -C ../other .venv/installed
    python tests/benchmarks/whole_way.py --other ../other/.venv/bin/hsi-ssl

`prepare`, `train-m1`, `train-m2`, `evaluate` and `classify` of each recipe, as a user runs them:
both versions take turns, each run in a new folder, with the number of the pair for a seed.
Told are seconds of each command by the clock, the seconds of the processor of all, the most memory
of any command, macro-F1 on the test pixels, and the ratio of each pair. `--report` writes them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import machine_in_words, today

RECIPES = ("indian-pines", "salinas-a", "enmap-potsdam")
COMMANDS = ("prepare", "train-m1", "train-m2", "evaluate", "classify")
MEASURE = "--measure"


@dataclass
class Way:
    """One run of all commands.

    `seconds`: of each by the clock; `processor`: seconds of all; `peak`: MiB; `f1`: percent.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    processor: float = 0.0
    peak: float = 0.0
    f1: float = float("nan")

    @property
    def sum(self) -> float:
        """Seconds of all commands by the clock."""
        return sum(self.seconds.values())

    def __str__(self) -> str:
        each = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.seconds.items())
        return (
            f"{each}: {self.sum:.1f} s ({self.processor:.1f} of the processor), {self.peak:.0f} "
            f"MiB, {self.f1:.1f} %"
        )


def measure(command: list[str]) -> int:
    """Run a command, then print MiB of its largest process and its seconds of the processor."""
    code = subprocess.run(command, check=False).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(used.ru_maxrss / 2**10, used.ru_utime + used.ru_stime, flush=True)
    return code


def ran(command: Sequence[str], folder: str) -> list[str]:
    """Lines that a command prints, run in a folder."""
    # As users have it: modules are compiled once, not at every start.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout.strip().splitlines()


def walked(program: str, recipe: str, seed: int) -> Way:
    """All commands of a recipe in a folder of their own."""
    way, measured = Way(), [sys.executable, os.path.abspath(__file__), MEASURE]
    with tempfile.TemporaryDirectory(prefix="whole-way-") as folder:
        ran([program, "init", recipe], folder)
        for command in COMMANDS:
            more = ["--seed", str(seed)] if command.startswith("train") else []
            started = time.perf_counter()
            *told, used = ran([*measured, program, command, "--json", *more], folder)
            way.seconds[command] = time.perf_counter() - started
            peak, processor = map(float, used.split())
            way.peak, way.processor = max(way.peak, peak), way.processor + processor
            if command == "evaluate":
                found: dict[str, Any] = json.loads("".join(told))
                way.f1 = 100 * float(found["macro_f1"])
    return way


def row(recipe: str, version: str, ways: Sequence[Way]) -> str:
    """A row of the table: medians over the pairs, but for memory and scores."""
    each = [statistics.median(way.seconds[name] for way in ways) for name in COMMANDS]
    both = [statistics.median(getattr(way, name) for way in ways) for name in ("sum", "processor")]
    f1 = [way.f1 for way in ways]
    spread = statistics.stdev(f1) if len(f1) > 1 else float("nan")
    numbers = " | ".join(f"{seconds:.1f}" for seconds in (*each, *both))
    most = max(way.peak for way in ways)
    score = f"{statistics.mean(f1):.1f} ± {spread:.1f}"
    return f"| {recipe} | {version} | {numbers} | {most:.0f} | {score} |"


def ratio(recipe: str, ours: Sequence[Way], theirs: Sequence[Way]) -> str:
    """A row of the table of ratios, by the clock and of the processor."""
    cells = []
    for name in ("sum", "processor"):
        each = [getattr(a, name) / getattr(b, name) for a, b in zip(ours, theirs, strict=True)]
        cells.append(f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})")
    return f"| {recipe} | {' | '.join(cells)} |"


def main() -> None:
    """Measure all recipes in pairs, print the tables, and write them if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ours", default=str(Path(sys.executable).parent / "hsi-ssl"))
    parser.add_argument("--other", required=True, help="the hsi-ssl program of another version")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    programs = {"other": os.path.abspath(asked.other), "ours": os.path.abspath(asked.ours)}
    lines = [
        f"| recipe | version | {' | '.join(COMMANDS)} | sum | processor | MiB | macro-F1, % |",
        "|---|---|" + "---:|" * (len(COMMANDS) + 4),
    ]
    ratios = ["| recipe | ours / other, by the clock | of the processor |", "|---|---:|---:|"]
    for recipe in asked.recipes:
        ways: dict[str, list[Way]] = {version: [] for version in programs}
        for pair in range(asked.pairs):
            for version, program in programs.items():
                ways[version].append(walked(program, recipe, pair))
                print(recipe, version, ways[version][-1], flush=True)
        lines += [row(recipe, version, found) for version, found in ways.items()]
        ratios.append(ratio(recipe, ways["ours"], ways["other"]))
    about = f"{machine_in_words()}, {today()}, {asked.pairs} pairs; seconds, medians."
    text = "\n".join([about, "", *lines, "", *ratios, ""])
    print(text)
    if asked.report:
        asked.report.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == [MEASURE]:
        sys.exit(measure(sys.argv[2:]))
    main()
