"""Many inputs, in forked children that a parent watches: what hangs, dies or grows is found out.

A child that has imported everything goes through a batch of inputs and writes what came of each
into a pipe. One that says nothing for longer than an input may take, or grows beyond what it may,
is ended and the input that it was at is named; the others go on in a new child.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import resource
import select
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from cases import Case, Corpus, corpus_of
from watched import ACCEPTED, REFUSED, Outcome, Scratch, one, prepare_process

LONGEST = 10.0
"""Seconds that an input may take."""
ENDED_AT = 4 * LONGEST
"""Seconds after which a child is ended: a busy machine may have had it wait."""
MOST = 2048.0
"""MiB that an input may take, with all that Python and its libraries hold anyway."""
KILLED_AT = 1.5 * MOST
"""MiB at which a child is ended before it takes the machine with it."""
BATCH = 40
CORPORA: dict[str, Corpus] = {}
"""What was written before processes were forked, by the names of cases."""


def run(
    cases: Sequence[Case], inputs: int, *, given: Path, jobs: int = 1, first: int = 0
) -> Iterator[Outcome]:
    """Go through inputs `first` to `first + inputs - 1` of each case, as they come."""
    with tempfile.TemporaryDirectory(prefix="mutated-") as folder:
        base = Path(folder)
        CORPORA.update({case.name: written(case, base) for case in cases})
        names = [case.name for case in cases]
        batches = [
            (base, given, name, range(at, min(at + BATCH, first + inputs)))
            for at in range(first, first + inputs, BATCH)
            for name in names
        ]
        if jobs == 1:
            for batch in batches:
                yield from _batch(batch)
            return
        with get_context("fork").Pool(jobs) as pool:
            for found in pool.imap_unordered(_batch, batches):
                yield from found


def written(case: Case, base: Path) -> Corpus:
    """A case's valid files, written once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return corpus_of(case, base / "corpus" / case.name)


def _batch(given: tuple[Path, Path, str, Sequence[int]]) -> list[Outcome]:
    base, shared, name, numbers = given
    corpus = CORPORA[name]
    place = Path(tempfile.mkdtemp(prefix="scratch-", dir=base))
    try:
        scratch = Scratch(place)
        scratch.make(shared)
        found: list[Outcome] = []
        left = list(numbers)
        while left:
            found += _child(corpus, left, scratch)
            done = {outcome.number for outcome in found}
            left = [number for number in left if number not in done]
        return found
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _child(corpus: Corpus, numbers: Sequence[int], scratch: Scratch) -> list[Outcome]:
    """Fork a child that goes through inputs until all are done or one ends it."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.setpgid(0, 0)
        _work(corpus, numbers, scratch, writing)
    os.close(writing)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    try:
        return _watch(child, corpus, reading, scratch)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)


def _work(corpus: Corpus, numbers: Sequence[int], scratch: Scratch, writing: int) -> None:
    """What a child does; it never comes back."""
    code = 1
    try:
        gc.freeze()
        raw = os.open(scratch.folder / "raw.txt", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.unlink(scratch.folder / "raw.txt")
        last = os.open(scratch.folder.with_suffix(".end"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        faulthandler.enable(last)
        guard = prepare_process(scratch)
        for number in numbers:
            os.ftruncate(last, 0)
            faulthandler.dump_traceback_later(ENDED_AT - 1, file=last)
            _say(writing, {"begin": number})
            outcome = one(corpus, number, scratch, guard, raw)
            faulthandler.cancel_dump_traceback_later()
            _say(writing, asdict(outcome))
        code = 0
    except BaseException as error:
        _say(writing, {"harness": repr(error)})
    finally:
        os._exit(code)


def _say(writing: int, message: object) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(writing, data) :]


def _watch(child: int, corpus: Corpus, reading: int, scratch: Scratch) -> list[Outcome]:
    found: list[Outcome] = []
    number: int | None = None
    began, peak, waiting = time.monotonic(), 0.0, b""
    end = ""
    while True:
        ready, _, _ = select.select([reading], [], [], 0.05)
        if ready:
            piece = os.read(reading, 1 << 16)
            if not piece:
                break
            *lines, waiting = (waiting + piece).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "begin" in message:
                    number, began, peak = message["begin"], time.monotonic(), 0.0
                elif "harness" in message:
                    raise RuntimeError(f"{corpus.case.name} {number}: {message['harness']}")
                else:
                    found.append(_limited(Outcome(**message)))
                    number = None
            continue
        peak = max(peak, _held(child))
        if number is not None and time.monotonic() - began > ENDED_AT:
            end = "hang"
        elif peak > KILLED_AT:
            end = "memory"
        if end:
            os.kill(child, signal.SIGKILL)
            break
    _, status = os.waitpid(child, 0)
    if number is not None:
        died = os.waitstatus_to_exitcode(status)
        what, _ = corpus.mutated(number)
        outcome = Outcome(
            corpus.case.name,
            number,
            what,
            " ".join(corpus.action(number)),
            end or "death",
            f"{end or f'ends with {died}'}\n{_last_frames(scratch)}",
            seconds=time.monotonic() - began,
            memory=peak,
        )
        outcome.where = f"{outcome.kind} in {_place(outcome.detail)}"
        found.append(outcome)
    return found


def _limited(outcome: Outcome) -> Outcome:
    """An outcome whose time and memory count, too."""
    if outcome.kind in (ACCEPTED, REFUSED):
        if outcome.seconds > LONGEST:
            outcome.kind, outcome.where = "hang", "slow"
        elif outcome.memory > MOST:
            outcome.kind, outcome.where = "memory", outcome.command.split()[0]
            outcome.detail = f"{outcome.memory:.0f} MiB"
    return outcome


def _held(child: int) -> float:
    """MiB that a process holds now."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    return 0.0


def _last_frames(scratch: Scratch) -> str:
    path = scratch.folder.with_suffix(".end")
    return path.read_text(errors="replace")[:4000] if path.exists() else ""


def _place(frames: str) -> str:
    """The innermost line of ours in frames as faulthandler writes them."""
    for line in frames.splitlines():
        if "/hsi_ssl/" in line or "/cli/" in line:
            return line.split('"')[1].split("/")[-1] + ":" + line.rsplit(" ", 1)[-1]
    return "a library"
