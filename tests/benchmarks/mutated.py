"""Mutated inputs of every kind through the commands that read them: what is not one sentence?

    python tests/benchmarks/mutated.py --inputs 20000 --jobs 2 --report reports/faults.md
    python tests/benchmarks/mutated.py --only "run m2: card" --seed 17

Valid files of every kind (tests/fuzz/corpus.py) are changed by bytes and by structure, the same way
for the same case and number, and read by commands as a user does. All but success and one sentence
is a bug: a traceback, a raw line of a library, more than 10 s or 2 GB, a file written elsewhere,
code run (tests/fuzz/watched.py). Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("fuzz", "helpers", "scenes/writers")]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import given  # noqa: E402
import harness  # noqa: E402
from cases import Case  # noqa: E402
from corpus import every_case  # noqa: E402
from kills import import_all, replace_section  # noqa: E402
from machine import machine_in_words, today  # noqa: E402
from watched import ACCEPTED, REFUSED, Outcome  # noqa: E402

TITLE = "## Mutated inputs"
SHOWN = 400


class Found:
    """What came of all inputs."""

    def __init__(self) -> None:
        self.of_case: dict[str, list[Outcome]] = defaultdict(list)
        self.bugs: dict[tuple[str, str], list[Outcome]] = defaultdict(list)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.of_case[outcome.case].append(outcome)
        if outcome.kind not in (ACCEPTED, REFUSED):
            self.bugs[outcome.kind, outcome.where].append(outcome)

    def table(self, group_of: dict[str, str]) -> str:
        """A line for each kind of files, in Markdown."""
        lines = [
            "| | inputs | accepted | refused | bugs | slowest, s | most memory, MiB |",
            "|---|---:|---:|---:|---|---:|---:|",
        ]
        names = [(group_of[name], name, found) for name, found in self.of_case.items()]
        for _, name, found in sorted(names, key=lambda one: list(group_of).index(one[1])):
            lines.append(_line(name, found))
        lines.append(_line("all", [one for found in self.of_case.values() for one in found]))
        return "\n".join(lines)

    def told(self) -> str:
        """Each kind of bug: how often, and its first input."""
        parts = []
        for (kind, where), found in sorted(self.bugs.items(), key=lambda one: -len(one[1])):
            first = min(found, key=lambda one: one.number)
            cases = Counter(one.case for one in found)
            parts.append(
                f"== {kind}: {where} ({len(found)}; {dict(cases.most_common(4))})\n"
                f"   --only {first.case!r} --seed {first.number}: {first.command}: {first.what}\n"
                f"   {first.detail[-SHOWN:] if kind == 'traceback' else first.detail[:SHOWN]}"
            )
        return "\n".join(parts)


def _line(name: str, found: list[Outcome]) -> str:
    counts = Counter(one.kind for one in found)
    bugs = ", ".join(f"{n} {kind}" for kind, n in counts.items() if kind not in (ACCEPTED, REFUSED))
    return (
        f"| {name} | {len(found):,} | {counts[ACCEPTED]:,} | {counts[REFUSED]:,} | {bugs or 0} | "
        f"{max(one.seconds for one in found):.1f} | {max(one.memory for one in found):.0f} |"
    )


def _of_group(found: Found, group_of: dict[str, str]) -> Found:
    """The same with groups of cases in the place of cases."""
    grouped = Found()
    for outcomes in found.of_case.values():
        for one in outcomes:
            grouped.of_case[group_of[one.case]].append(one)
    return grouped


def command_line() -> None:
    """Go through the inputs, and say or write what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--inputs", type=int, default=20_000, help="In all.")
    parser.add_argument(
        "--first", type=int, default=0,
        help="Number of the first of each case; -1: an unchanged one, which must be accepted.",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=math.inf, help="At most, of inputs.")
    parser.add_argument("--only", action="append", default=[], help="A case, or a group of them.")
    parser.add_argument("--but", action="append", default=[], help="All but a case or a group.")
    parser.add_argument("--seed", type=int, help="One input of --only, told whole.")
    parser.add_argument("--keep", type=Path, help="A folder for the files of that input.")
    parser.add_argument("--valid", action="store_true", help="Unchanged files: all are accepted.")
    parser.add_argument("--list", action="store_true", help="Say which cases there are.")
    parser.add_argument("--report", type=Path, help="Markdown file whose section is replaced.")
    asked = parser.parse_args()
    every = every_case()
    cases = [
        case for case in every.values()
        if (not asked.only or {case.name, case.group} & set(asked.only))
        and not {case.name, case.group} & set(asked.but)
    ]  # fmt: skip
    if asked.list or not cases:
        print("\n".join(f"{case.group}: {case.name}" for case in cases or every.values()))
        sys.exit(not cases)
    import_all()
    shared = given.folder()
    if asked.seed is not None:
        _one(asked, cases, shared)
        return
    each = math.ceil(asked.inputs / len(cases))
    found, until = Found(), time.monotonic() + 60 * asked.minutes
    if asked.valid:
        each = max(len(case.actions) for case in cases)
        asked.first = -each
    for outcome in harness.run(cases, each, given=shared, jobs=asked.jobs, first=asked.first):
        if outcome.kind == REFUSED and (asked.valid or outcome.number == -1):
            outcome.kind, outcome.where = "valid refused", f"{outcome.case}: {outcome.command}"
            outcome.detail = outcome.said
        found.add(outcome)
        if time.monotonic() > until:
            break
        if sys.stderr.isatty():
            print(".", end="", file=sys.stderr, flush=True)
    group_of = {case.name: case.group for case in cases}
    print(found.table(group_of))
    print(found.told())
    if asked.report:
        groups = {group: group for group in dict.fromkeys(group_of.values())}
        by_group = _of_group(found, group_of).table(groups)
        about = (
            f"`python tests/benchmarks/mutated.py {' '.join(sys.argv[1:])}`, {today()}, "
            f"{machine_in_words()}."
        )
        replace_section(asked.report, TITLE, "\n\n".join([about, by_group, found.table(group_of)]))
    sys.exit(bool(found.bugs))


def _one(asked: argparse.Namespace, cases: list[Case], shared: Path) -> None:
    """One input again, with all that was said."""
    (case,) = cases
    for outcome in harness.run([case], 1, given=shared, first=asked.seed):
        print(f"{outcome.kind}: {outcome.where}\n{outcome.command}\n{outcome.what}")
        print(
            f"{outcome.seconds:.2f} s, {outcome.memory:.0f} MiB\n{outcome.said}\n{outcome.detail}"
        )
    if asked.keep:
        kept = harness.written(case, asked.keep)
        for name, content in kept.mutated(asked.seed)[1].items():
            path = asked.keep / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    command_line()
