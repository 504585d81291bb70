"""Two runs at once on one output: one wins whole, the other is refused before it begins.

    python tests/benchmarks/pairs.py --report reports/faults.md
    python tests/benchmarks/pairs.py --pairs 80

prepare, train-m1, train-m2 and classify of a small scene in turn, twice at once with two seeds (two
strengths of the spatial prior), half of the pairs with --overwrite over an older result. The second
starts after a time that is drawn up to the whole of an unbroken run, or at the same time. One must
end with 0 and its files must be those of an unbroken run of its seed, but for times (as in
kills.py; commit nothing meanwhile, since cards tell the commit). The other must end with 2 and say
nothing but one sentence; only one that starts once the first has ended may run, with --overwrite,
and then the files are its own. Nothing is left hidden.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import chdir
from pathlib import Path

from kills import (
    STAGES,
    Stage,
    Trial,
    contents,
    differing,
    ended,
    hidden,
    import_all,
    process,
    put,
    replace_section,
)
from machine import machine_in_words, today

TITLE = "## Two runs at once"
BUSY, THERE = "is being written by another run", "pass --overwrite"
COLUMNS = (
    "pairs", "one wins whole", "the other refused as it is at work",
    "the other refused as it is done", "one after the other", "nothing hidden",
)  # fmt: skip


class Pairs:
    """Pairs of runs in one folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.trial = Trial(folder, STAGES, seed)
        self.random = random.Random(seed)
        self.folder = folder
        self.counts = {stage.name: Counter[str]() for stage in STAGES}
        self.wrong: list[str] = []

    def pair(self, stage: Stage, number: int) -> None:
        """Run the stage twice at once, and look."""
        counts, over = self.counts[stage.name], number % 2 == 1
        whole = (self.trial.new[stage.name], self.trial.old[stage.name])
        more: list[tuple[str, ...]] = [(), stage.other]
        order = self.random.sample((0, 1), 2)
        put(self.folder, stage, whole[order[0]] if over else {})
        seconds = self.trial.seconds[stage.name]
        after = self.random.choice((0.0, self.random.uniform(0, seconds)))
        children = []
        for which in order:
            command = (*stage.command, *more[which], *(("--overwrite",) if over else ()))
            child, ready = process(self.folder, command, f"said-{which}.txt")
            os.close(ready)
            children.append(child)
            time.sleep(after)
        codes = dict(zip(order, [ended(child) for child in children], strict=True))
        counts["pairs"] += 1
        what = f"{stage.name}, {after:.2f} s apart{' over another' if over else ''}"
        self._check(stage, what, codes, whole, order)
        put(self.folder, stage, whole[0])  # the stages after this one stand on it

    def _check(
        self,
        stage: Stage,
        what: str,
        codes: dict[int, int],
        whole: tuple[dict[str, bytes], ...],
        order: list[int],
    ) -> None:
        counts = self.counts[stage.name]
        if sys.stderr.isatty():
            print(".", end="", file=sys.stderr, flush=True)
        said = {i: (self.folder / f"said-{i}.txt").read_text(errors="replace") for i in codes}
        won = [i for i in order if codes[i] == 0]
        for i in set(order) - set(won):
            if BUSY in said[i]:
                counts["the other refused as it is at work"] += 1
            elif THERE in said[i]:
                counts["the other refused as it is done"] += 1
            if codes[i] != 2 or said[i].count("\n") != 1 or not said[i].startswith("Error: "):
                self.wrong.append(f"{what}: the other ends with {codes[i]}: {said[i][-400:]}")
        if not won:
            self.wrong.append(f"{what}: both are refused")
            return
        counts["one after the other"] += len(won) == 2
        other = differing(contents(self.folder, stage), whole[won[-1]])
        counts["one wins whole"] += not other
        if other:
            self.wrong.append(f"{what}: {', '.join(other)} are not the winner's")
        remains = hidden(self.folder)
        counts["nothing hidden"] += not remains
        if remains:
            self.wrong.append(f"{what}: {', '.join(remains)} remain hidden")

    def table(self) -> str:
        """What was found, in Markdown."""
        lines = [f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
        every = {**self.counts, "all": sum(self.counts.values(), Counter[str]())}
        for name, counts in every.items():
            lines.append(f"| {name} | {' | '.join(str(counts[c]) for c in COLUMNS)} |")
        return "\n".join(lines)


def command_line() -> None:
    """Run pairs, and say or write what was found; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="Markdown file whose section is replaced.")
    asked = parser.parse_args()
    import_all()
    with tempfile.TemporaryDirectory(prefix="pairs-") as folder, chdir(folder):
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        place = Path(folder) / "work"
        place.mkdir()
        pairs = Pairs(place, asked.seed)
        pairs.trial.unbroken()
        for i in range(asked.pairs):
            pairs.pair(STAGES[i % len(STAGES)], i // len(STAGES))
    text = [pairs.table(), *(f"- {sentence}" for sentence in pairs.wrong)]
    print("\n\n".join(text))
    if asked.report:
        given = " ".join(sys.argv[1:])
        about = f"`python tests/benchmarks/pairs.py {given}`, {today()}, {machine_in_words()}."
        replace_section(asked.report, TITLE, "\n\n".join([about, *text]))
    sys.exit(bool(pairs.wrong))


if __name__ == "__main__":
    command_line()
