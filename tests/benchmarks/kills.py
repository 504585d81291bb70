"""Kills at random moments, and what the same command makes of what they leave.

    python tests/benchmarks/kills.py --report reports/faults.md
    python tests/benchmarks/kills.py --kills 400 --signal TERM
    python tests/benchmarks/kills.py --kills 400 --signal TERM,INT
    python tests/benchmarks/kills.py --commands discover,compare --signal INT

prepare, train-m1, train-m2 and classify of a small scene in turn, or other `--commands`, half of
the time over the results of another seed, or of another setting, with --overwrite. Each is killed
after a time that is drawn up to 1.05 times that of an unbroken run; then the same command runs
again, a training that began without --overwrite with --resume. It must complete at the first try
and leave nothing hidden, and its files must be those of an unbroken run: all bytes, but for what
says when and how fast (`TIMES`, `DATED`), and for weights, which are within 1e-6. States are saved
every 0.1 s, not every 2 s, as epochs are that much shorter, too, and figures drawn less often.

Processes are forked from one that has imported all and computed nothing, so that kills fall into
the work. Temporary files of the system (TMPDIR) are not looked at.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import io
import json
import os
import pkgutil
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from machine import machine_in_words, today
from safetensors.torch import load

import hsi_ssl
from hsi_ssl.cli import main
from hsi_ssl.training import loop

TIMES = {
    "created", "datetime", "seconds", "spectra_per_second", "supervised_seconds", "checksums",
    "git_commit", "wall_seconds", "extractor_seconds", "m2_seconds", "metrics_sha256",
}  # fmt: skip
"""Of JSON and CSV: what differs from run to run, checksums of it, commits."""
DATED = {"c/index.html", "q/index.html"}
"""Pages that tell times among other things: of these only that they are there is compared."""
GROWS = {"figures", "unfinished", "extractors"}
"""Folders whose files come one by one while the work goes on."""
BETWEEN_STATES, DRAWN = 0.1, (0,)
"""Seconds between states; epochs after which figures are drawn."""
LONGEST = 300.0
"""Seconds that a run may take."""
SETTINGS = """\
[m1]
latent = 4
hidden = [16]
batch = 64
epochs = 5
patience = 50

[m2]
latent = 3
hidden = [16]
batch_labelled = 30
batch_unlabelled = 200
supervised_epochs = 2
epochs = 3
patience = 50
"""
MARK = "## Kills"


@dataclass(frozen=True)
class Stage:
    """A command, and what it writes."""

    name: str
    command: tuple[str, ...]
    outputs: tuple[str, ...]
    resumes: bool = False
    """Is gone on with by --resume."""
    other: tuple[str, ...] = ("--seed", "1")
    """What makes other results of it."""
    first: tuple[tuple[str, ...], ...] = ()
    """Commands that it stands on, beside those of `STAGES`."""
    goes_on: bool = False
    """The same command goes on, and has nothing to refuse where all is there."""


STAGES = (
    Stage(
        "prepare",
        ("prepare", "scene.tif", "--labels", "labels.tif", "-o", "d.h5", "--split", "blocks"),
        ("d.h5", "d_balance"),
    ),
    Stage("train-m1", ("train-m1", "d.h5", "-o", "m1"), ("m1",), resumes=True),
    Stage("train-m2", ("train-m2", "d.h5", "--m1", "m1", "-o", "m2"), ("m2",), resumes=True),
    Stage(
        "classify",
        ("classify", "scene.tif", "--model", "m2", "-o", "map.tif", "--confidence", "--stac"),
        ("map",),
        other=("--spatial", "1"),
    ),
)
MORE = (
    Stage(
        "evaluate", ("evaluate", "m2", "d.h5", "--report", "e"), ("e",), other=("--spatial", "1")
    ),
    Stage(
        "features", ("features", "scene.tif", "--m1", "m1", "-o", "f.tif"), ("f.tif",),
        other=("--scale", "1", "--force", "--mask-out", "labels.tif"),
    ),
    Stage(
        "quantise", ("quantise", "scene.tif", "-o", "q", "--rows", "4", "--cols", "4"), ("q",)
    ),
    Stage(
        "discover", ("discover", "free", "scene.tif", "-o", "found"), ("found", "free"),
        other=("--first-code", "50"),
        first=(
            ("prepare", "scene.tif", "--labels", "two.tif", "-o", "two.h5", "--split", "blocks"),
            ("train-m2", "two.h5", "--no-m1", "--free-slots", "2", "-o", "free"),
        ),
    ),
    Stage(
        "compare",
        (
            "compare", "d.h5", "-o", "c", "--extractors", "none,pca", "--classifiers", "lda,knn",
            "--labels", "5", "--seeds", "2", "--jobs", "1",
        ),
        ("c",), other=("--latent", "3"), goes_on=True,
    ),
    Stage("generate", ("generate", "m2", "-o", "g"), ("g",)),
    Stage("suggest", ("suggest", "m2", "scene.tif", "-o", "s.gpkg"), ("s.gpkg", "s.qml"),
        other=("-n", "20"),
    ),
    Stage(
        "balance", ("balance", "scene.tif", "--labels", "labels.tif", "--report", "b"), ("b",),
        other=("--ignore-codes", "3"),
    ),
    Stage(
        "simulate",
        ("simulate", "-o", "sim", "--scenes", "2", "--rows", "64", "--cols", "64"),
        ("sim",),
    ),
)  # fmt: skip
ALL = {stage.name: stage for stage in (*STAGES, *MORE)}
Files = dict[str, bytes]


@dataclass
class Found:
    """What kills of one stage have led to."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0
    """Seconds between a signal and the end of the process."""


def process(folder: Path, arguments: tuple[str, ...], said: str = "said.txt") -> tuple[int, int]:
    """Fork a process that runs the command line in `folder`; its id, and a pipe that says when.

    What it says goes to the file `said` there.
    """
    ready, says = os.pipe()
    child = os.fork()
    if child:
        os.close(says)
        return child, ready
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        out = os.open(folder / said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(out, stream)
        torch.set_num_threads(1)
        sys.argv = ["hsi-ssl", *arguments]
        os.write(says, b"1")
        main.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(folder: Path, arguments: tuple[str, ...]) -> tuple[int, float]:
    """Run a command to its end: its exit code, and seconds."""
    child, ready = process(folder, arguments)
    os.read(ready, 1)
    os.close(ready)
    started = time.monotonic()
    return ended(child), time.monotonic() - started


def ended(child: int) -> int:
    """The exit code of a process; that of a signal that has killed it is negative."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise TimeoutError(f"a run took more than {LONGEST:.0f} s")


def killed(
    folder: Path, arguments: tuple[str, ...], number: signal.Signals, after: float
) -> tuple[int, float]:
    """Run a command and send it a signal: its exit code, and seconds from the signal to the end."""
    child, ready = process(folder, arguments)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(after)
    started = time.monotonic()
    os.kill(child, number)  # of one that has ended, too: it is not yet waited for
    return ended(child), time.monotonic() - started


def begin(folder: Path) -> None:
    """A scene of three materials, labels of some of its pixels, settings."""
    rng = np.random.default_rng(0)
    rows, cols, bands = 60, 50, 16
    kind = np.indices((rows, cols))[1] * 3 // cols
    shapes = 2000 + 600 * np.sin(np.linspace(0, 4, bands)[None] * np.array([[1.0], [1.6], [2.3]]))
    cube = shapes[kind] * rng.uniform(0.7, 1.3, (rows, cols, 1))
    cube += rng.normal(0, 25, cube.shape)
    labels = np.where(rng.random((rows, cols)) < 0.3, kind + 1, 0)
    where = {"crs": "EPSG:32633", "transform": rasterio.Affine(5, 0, 400_000, 0, -5, 5_000_000)}
    shape = {"driver": "GTiff", "height": rows, "width": cols, **where}
    with rasterio.open(folder / "scene.tif", "w", count=bands, dtype="uint16", **shape) as raster:
        raster.write(cube.transpose(2, 0, 1).astype(np.uint16))
        for band, nm in enumerate(np.linspace(1000, 2500, bands)):
            raster.update_tags(band + 1, wavelength=f"{nm:.1f}", wavelength_units="Nanometers")
    with rasterio.open(folder / "labels.tif", "w", count=1, dtype="uint8", **shape) as raster:
        raster.write(labels.astype(np.uint8), 1)
    with rasterio.open(folder / "two.tif", "w", count=1, dtype="uint8", **shape) as raster:
        raster.write(np.where(labels == 3, 0, labels).astype(np.uint8), 1)
    (folder / "hsi-ssl.toml").write_text(SETTINGS)


def written(folder: Path, stage: Stage) -> Iterator[Path]:
    """Files of a stage's outputs, with what lies beside them.

    What is hidden is not, nor are states to resume from.
    """
    for path in sorted(folder.rglob("*")):
        top = path.relative_to(folder).parts
        ours = top[0].startswith("map") if stage.name == "classify" else top[0] in stage.outputs
        shown = not any(name == "last" or name.startswith(".") for name in top)
        if ours and shown and path.is_file():
            yield path


def contents(folder: Path, stage: Stage) -> Files:
    """What a stage has written."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in written(folder, stage)}


def hidden(folder: Path) -> list[str]:
    """What nobody is to see: hidden files, drafts."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.startswith(".") or path.suffix in (".new", ".draft", ".part")
    )


def put(folder: Path, stage: Stage, there: Files) -> None:
    """Have these files, and no others, as a stage's outputs."""
    for path in [*written(folder, stage), *(folder / name for name in hidden(folder))]:
        if path.is_file():
            path.unlink()
    for name in [*stage.outputs, *(n for n in hidden(folder))]:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name, content in there.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def same(name: str, one: bytes, other: bytes) -> bool:
    """Whether two files are the same, but for times and for weights' last digits."""
    if one == other:
        return True
    if name.endswith("model.safetensors"):
        a, b = load(one), load(other)
        return a.keys() == b.keys() and all(
            a[k].shape == b[k].shape and torch.allclose(a[k], b[k], rtol=0, atol=1e-6) for k in a
        )
    if name.endswith(".record.json"):
        return bool(undated(one) == undated(other))
    if name.endswith(".json"):
        return bool(without_times(json.loads(one)) == without_times(json.loads(other)))
    if name.endswith(".csv"):
        return bool(without_times(rows_of(one)) == without_times(rows_of(other)))
    if name.endswith(".gpkg"):
        return tables_of(one) == tables_of(other)
    return name in DATED


def undated(record: bytes) -> Any:
    """A map's record, but for times of the scene and in the model's card, and for its files."""
    found = json.loads(record)
    del found["files"], found["made of"]["scene"]["time"], found["made of"]["model"]["card"]
    return found


def tables_of(layer: bytes) -> list[str]:
    """Statements that make the tables of a GeoPackage, but for the one that tells times."""
    with contextlib.closing(sqlite3.connect(":memory:")) as base:
        base.deserialize(layer)
        return [line for line in base.iterdump() if '"gpkg_contents"' not in line]


def rows_of(table: bytes) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(table.decode())))


def without_times(values: Any) -> Any:
    """The same without what says when, or how fast."""
    if isinstance(values, dict):
        return {k: without_times(v) for k, v in values.items() if k not in TIMES}
    return [without_times(v) for v in values] if isinstance(values, list) else values


def differing(one: Files, other: Files) -> list[str]:
    """Names of files that are not the same, or in one of the two alone."""
    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not same(name, one[name], other[name])
    )


class Trial:
    """Kills in one folder of some stages.

    `before` is what was there before them, `new` and `old` are what two unbroken runs have written.
    """

    def __init__(self, folder: Path, stages: tuple[Stage, ...], seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.stages = stages
        self.before: dict[str, Files] = {}
        self.new: dict[str, Files] = {}
        self.old: dict[str, Files] = {}
        self.seconds: dict[str, float] = {}
        self.found = {stage.name: Found() for stage in stages}

    def unbroken(self) -> None:
        """Run the stages to their ends, and those that they stand on."""
        begin(self.folder)
        others = [stage for stage in self.stages if stage not in STAGES]
        for stage in (*STAGES, *others):
            for command in stage.first:
                self._must(command)
            if stage not in self.stages:
                self._must(stage.command)
                continue
            before = self.before[stage.name] = contents(self.folder, stage)
            self._must((*stage.command, *stage.other))
            self.old[stage.name] = contents(self.folder, stage)
            put(self.folder, stage, before)
            self.seconds[stage.name] = self._must(stage.command)
            self.new[stage.name] = contents(self.folder, stage)
            if not differing(self.old[stage.name], self.new[stage.name]):
                raise RuntimeError(f"{stage.name}: {' '.join(stage.other)} makes no other results")

    def _must(self, command: tuple[str, ...]) -> float:
        code, seconds = run(self.folder, command)
        if code:
            raise RuntimeError(f"{' '.join(command)} ends with {code}: {self.said()}")
        return seconds

    def said(self) -> str:
        """What the last command has said."""
        return (self.folder / "said.txt").read_text(errors="replace")

    def kill(self, stage: Stage, number: signal.Signals) -> None:
        """Kill the stage, look, run it again, look again."""
        found, over = self.found[stage.name], self.random.random() < 0.5
        new, old = self.new[stage.name], (self.old if over else self.before)[stage.name]
        put(self.folder, stage, old)
        again = command = (*stage.command, *(("--overwrite",) if over else ()))
        if stage.resumes and not over:
            again = (*command, "--resume")
        after = self.random.uniform(0, 1.05 * self.seconds[stage.name])
        what = f"{stage.name}, {number.name} after {after:.2f} s{' over another' if over else ''}"
        code, seconds = killed(self.folder, command, number, after)
        found.counts["kills"] += 1
        if code == 0:
            found.counts["over before"] += 1
        else:
            self._check_end(found, what, number, code, seconds)
        left = contents(self.folder, stage)
        found.counts["hidden after the kill"] += bool(hidden(self.folder))
        self._check_left(stage, what, left, old)
        whole = not differing(left, new)
        code, _ = run(self.folder, again)
        refused = code == 2 and whole and not (stage.resumes or stage.goes_on or over)
        if code == 0 or refused:
            found.counts["complete at the first try"] += 1
        else:
            found.wrong.append(f"{what}: again ends with {code}: {self.said().strip()[-300:]}")
        self._check_whole(stage, what)
        # The stages after this one stand on what it writes.
        put(self.folder, stage, new)

    def _check_end(
        self, found: Found, what: str, number: signal.Signals, code: int, seconds: float
    ) -> None:
        if number == signal.SIGKILL:
            return
        found.longest = max(found.longest, seconds)
        if code != 128 + number or "Stopped (" not in self.said() or seconds > 2:
            found.wrong.append(f"{what}: ends with {code} in {seconds:.2f} s: {self.said()[-300:]}")
        if "Traceback" in self.said():
            found.wrong.append(f"{what}: {self.said()[-600:]}")

    def _check_left(self, stage: Stage, what: str, left: Files, old: Files) -> None:
        """Right after the kill each file is an old one or a new one, whole."""
        found, new = self.found[stage.name], self.new[stage.name]
        kinds = set()
        for name, content in left.items():
            is_old = name in old and same(name, content, old[name])
            is_new = name in new and same(name, content, new[name])
            if GROWS & set(Path(name).parts):
                continue
            if not (is_old or is_new):
                found.wrong.append(f"{what}: {name} is neither the old nor the new one")
            elif is_old != is_new:
                kinds.add(is_new)
        found.counts["old beside new until then"] += len(kinds) > 1

    def _check_whole(self, stage: Stage, what: str) -> None:
        found = self.found[stage.name]
        remains = hidden(self.folder)
        found.counts["nothing hidden then"] += not remains
        if remains:
            found.wrong.append(f"{what}: {', '.join(remains)} remain hidden")
        other = differing(contents(self.folder, stage), self.new[stage.name])
        found.counts["files of an unbroken run"] += not other
        if other:
            found.wrong.append(f"{what}: {', '.join(other)} differ from an unbroken run's")


COLUMNS = (
    "kills", "over before", "hidden after the kill", "old beside new until then",
    "complete at the first try", "nothing hidden then", "files of an unbroken run",
)  # fmt: skip


def table(every: dict[str, Found]) -> str:
    """What was found, in Markdown."""
    lines = [f"| | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for name, found in every.items():
        lines.append(f"| {name} | {' | '.join(str(found.counts[c]) for c in COLUMNS)} |")
    total = Counter[str]()
    for found in every.values():
        total.update(found.counts)
    lines.append(f"| all | {' | '.join(str(total[c]) for c in COLUMNS)} |")
    return "\n".join(lines)


def import_all() -> None:
    """Import every module once, so that no process has to."""
    for name in main.COMMANDS.values():
        importlib.import_module(f"hsi_ssl.cli.{name}")
    for module in pkgutil.walk_packages(hsi_ssl.__path__, "hsi_ssl."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of what is optional
                importlib.import_module(module.name)


def trials(
    kills: int, stages: tuple[Stage, ...], numbers: tuple[signal.Signals, ...], seed: int
) -> dict[str, Found]:
    """Kill so many runs, all stages by one signal, then by the next; what was found of each."""
    loop.SECONDS_BETWEEN_STATES, loop.SNAPSHOT_EPOCHS = BETWEEN_STATES, DRAWN
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        place = Path(folder) / "work"
        place.mkdir()
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        trial = Trial(place, stages, seed)
        with contextlib.chdir(place):
            trial.unbroken()
            for i in range(kills):
                trial.kill(stages[i % len(stages)], numbers[i // len(stages) % len(numbers)])
                if sys.stderr.isatty():
                    print(f"\r{i + 1} of {kills}", end="", file=sys.stderr)
    return trial.found


def joined(parts: list[Found]) -> Found:
    """What was found in several folders."""
    whole = Found(longest=max(part.longest for part in parts))
    for part in parts:
        whole.counts.update(part.counts)
        whole.wrong += part.wrong
    return whole


def command_line() -> None:
    """Kill, and say or write what was found; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--signal", default="KILL", help="KILL, TERM, INT; commas between them.")
    parser.add_argument(
        "--commands",
        default=",".join(stage.name for stage in STAGES),
        help=f"With commas between them, of {', '.join(ALL)}.",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="Folders in which runs are killed.")
    parser.add_argument("--report", type=Path, help="Markdown file whose section is replaced.")
    asked = parser.parse_args()
    strange = sorted(set(asked.signal.split(",")) - {"KILL", "TERM", "INT"})
    if strange:
        parser.error(f"--signal: {strange[0]} is none of KILL, TERM, INT")
    numbers = tuple(signal.Signals[f"SIG{name}"] for name in asked.signal.split(","))
    share = [len(range(i, asked.kills, asked.jobs)) for i in range(asked.jobs)]
    unknown = sorted(set(asked.commands.split(",")) - ALL.keys())
    if unknown:
        parser.error(f"--commands: {unknown[0]} is none of {', '.join(ALL)}")
    stages = tuple(ALL[name] for name in asked.commands.split(","))
    asks = [(kills, stages, numbers, asked.seed + i) for i, kills in enumerate(share)]
    import_all()
    with get_context("fork").Pool(asked.jobs) as pool:
        parts = pool.starmap(trials, asks)
    every = {stage.name: joined([part[stage.name] for part in parts]) for stage in stages}
    wrong = [sentence for found in every.values() for sentence in found.wrong]
    text = [table(every)]
    if set(numbers) != {signal.SIGKILL}:
        longest = max(found.longest for found in every.values())
        text.append(f"From the signal to the end of the process at most {longest:.2f} s.")
    text += [f"- {sentence}" for sentence in wrong]
    print("\n\n".join(text))
    if asked.report:
        given = " ".join(sys.argv[1:])
        about = f"`python tests/benchmarks/kills.py {given}`, {today()}, {machine_in_words()}."
        replace_section(asked.report, f"{MARK} ({asked.signal})", "\n\n".join([about, *text]))
    sys.exit(bool(wrong))


def replace_section(report: Path, title: str, text: str) -> None:
    """Write a section of a Markdown file, in the place of an older one of that title."""
    before = report.read_text() if report.exists() else "# Faults\n"
    head, _, rest = before.partition(f"{title}\n")
    place = rest.find("\n## ")
    tail = rest[place + 1 :] if place >= 0 else ""
    report.write_text(f"{head.rstrip()}\n\n{title}\n\n{text.strip()}\n\n{tail}".rstrip() + "\n")


if __name__ == "__main__":
    command_line()
