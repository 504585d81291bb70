"""One input through one command, in this process, and all that is to be seen of it.

What is a bug: a traceback; a raw line of a library, in our own streams or in what file descriptors
1 and 2 got; an answer in several lines, without end or with signs that steer a terminal; `--json`
that is no JSON; anything written, moved or removed outside `out`; code or pickles run, a network
asked, a process begun but our own; what a file of secrets holds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cases import Corpus
from mutating_texts import SECRET
from mutations import Files

from hsi_ssl.cli import main

Seen = dict[str, tuple[int, int]]
ACCEPTED, REFUSED = "accepted", "refused"
TOLD = "what nobody is to read"
CODES = ".classes.csv"
"""What is written beside labels, since codes are to stay the same."""
LONGEST_LINE = 3000
"""Characters of a refusal: more is a file's content, not a sentence."""
STEERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
RAW = ("Traceback", "HDF5-DIAG", "Exception ignored", "Error:root", "libtiff", "CPLE_")
OURS = ("Warning: ", "Error: ")
WATCHED = {
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.startfile",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "marshal.loads",
    "ctypes.dlopen",
}
CHANGES = {
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
    "shutil.rmtree",
}


@dataclass
class Outcome:
    """What became of one input."""

    case: str
    number: int
    what: str
    command: str
    kind: str
    detail: str = ""
    where: str = ""
    """Of a bug: what it has in common with others of its kind."""
    seconds: float = 0.0
    """From begin to end, but for those in which others had the processors."""
    memory: float = 0.0
    """MiB at most, of this process or of one that it began."""
    said: str = field(default="", repr=False)


class Scratch:
    """A folder in which all happens: work/in, work/out, home, tmp."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.work, self.home, self.tmp = (self.folder / name for name in ("work", "home", "tmp"))
        self.secret = self.home / "secret.txt"

    def make(self, given: Path) -> None:
        """Begin."""
        for place in (self.work, self.home, self.tmp):
            place.mkdir(parents=True)
        (self.work / "given").symlink_to(given)
        self.secret.write_text(TOLD)

    def put(self, files: Files) -> None:
        """Have these files, and nothing written."""
        for path in self.work.iterdir():
            if path.name != "given":
                _gone(path)
        for name in ("in", "out"):
            (self.work / name).mkdir()
        for name, content in files.items():
            path = self.work / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.replace(SECRET.encode(), str(self.secret).encode()))

    def seen(self, *but: str) -> Seen:
        """Size and time of all files but those in `out` and some places, and of what is shared."""
        found: Seen = {}
        waiting = [str(self.folder), str((self.work / "given").resolve())]
        ours = {os.path.normpath(self.work / name) for name in ("out", *but)}
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.path in ours:
                        continue
                    state = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        found[entry.path] = (0, 0)
                        waiting.append(entry.path)
                    else:
                        found[entry.path] = (state.st_size, state.st_mtime_ns)
        return found


def _gone(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class Guard:
    """Hears of what Python does; once set it stays, so it listens only while it is told to."""

    def __init__(self, allowed: Path) -> None:
        self.allowed, self.listens = f"{allowed}{os.sep}", False
        self.heard: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.listens:
            return
        if event in WATCHED:
            if not _our_own(event, arguments):
                self.heard.append(f"{event} {str(arguments)[:200]}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._written(path)
        elif event in CHANGES:
            self._written(arguments[0])

    def _written(self, path: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        place = os.path.abspath(os.fsdecode(path))
        if not place.startswith((self.allowed, "/dev/", "/proc/self")):
            self.heard.append(f"writes {place}")

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Within it all is heard."""
        self.heard.clear()
        self.listens = True
        try:
            yield
        finally:
            self.listens = False


def _our_own(event: str, arguments: tuple[Any, ...]) -> bool:
    """What is begun on purpose: our helper, `git` for a card, libraries and modules."""
    if event == "marshal.loads":
        return True  # the import of a module
    if event == "ctypes.dlopen":
        return True
    if event == "subprocess.Popen":
        program = os.path.basename(str(arguments[0]))
        return program in {os.path.basename(sys.executable), "git"}
    return False


def prepare_process(scratch: Scratch) -> Guard:
    """Have this process do all in the scratch folder, with fds 1 and 2 in a file of their own."""
    os.environ.update(
        HOME=str(scratch.home),
        TMPDIR=str(scratch.tmp),
        NO_COLOR="1",
        XDG_CACHE_HOME=str(scratch.home),
        XDG_CONFIG_HOME=str(scratch.home),
    )
    os.environ.pop("HSI_SSL_DATA", None)
    tempfile.tempdir = str(scratch.tmp)
    os.chdir(scratch.work)
    return Guard(scratch.folder)


@contextlib.contextmanager
def _heard(raw: int) -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """Our streams as texts, and what else goes to fds 1 and 2 in a file."""
    os.ftruncate(raw, 0)
    os.lseek(raw, 0, os.SEEK_SET)
    before = sys.stdout, sys.stderr
    kept = os.dup(1), os.dup(2)
    out, err = io.StringIO(), io.StringIO()
    sys.stdout, sys.stderr = out, err
    for stream in (1, 2):
        os.dup2(raw, stream)
    try:
        yield out, err
    finally:
        for stream, old in zip((1, 2), kept, strict=True):
            os.dup2(old, stream)
            os.close(old)
        sys.stdout, sys.stderr = before


def one(corpus: Corpus, number: int, scratch: Scratch, guard: Guard, raw: int) -> Outcome:
    """Make input `number` of a case, read it as a user does, and tell what came of it."""
    what, files = corpus.mutated(number)
    command = corpus.action(number)
    scratch.put(files)
    outcome = Outcome(corpus.case.name, number, what, " ".join(command), ACCEPTED)
    before = scratch.seen(*corpus.case.writes)
    Path("/proc/self/clear_refs").write_text("5")
    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    sys.argv = ["hsi-ssl", *command]
    code: object = 0
    error: BaseException | None = None
    started, waited = time.monotonic(), _waited()
    with _heard(raw) as (out, err), guard.listening():
        try:
            main.main()
        except SystemExit as end:
            code = end.code
        except BaseException as other:
            error = other
    outcome.seconds = time.monotonic() - started - (_waited() - waited)
    outcome.memory = _peak(began)
    os.lseek(raw, 0, os.SEEK_SET)
    outcome.said = os.read(raw, 20_000).decode(errors="replace") + out.getvalue() + err.getvalue()
    _judge(outcome, code, error, out.getvalue(), err.getvalue(), raw)
    _judge_writing(outcome, before, scratch.seen(*corpus.case.writes), scratch, guard)
    return outcome


def _waited() -> float:
    """Seconds that this thread was ready and no processor free: the machine's, not the input's."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def _peak(began: int) -> float:
    """MiB that this process held at most since, or one that has ended in between."""
    status = Path("/proc/self/status").read_text()
    own = int(status.split("VmHWM:")[1].split()[0]) / 1024
    others = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, others / 1024 if others > began else 0)


def _bug(outcome: Outcome, kind: str, detail: str, where: str = "") -> None:
    """The first thing that is wrong counts."""
    if outcome.kind in (ACCEPTED, REFUSED):
        outcome.kind, outcome.detail, outcome.where = kind, detail, where or detail[:60]


def _judge(
    outcome: Outcome, code: object, error: BaseException | None, out: str, err: str, raw: int
) -> None:
    """What the command said and how it ended."""
    if error is not None:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/hsi_ssl/" in f.filename or "/cli/" in f.filename] or frames
        last = ours[-1]
        place = f"{Path(last.filename).parent.name}/{Path(last.filename).name}:{last.name}"
        told = "".join(traceback.format_exception(error))
        _bug(outcome, "traceback", told[-6000:], f"{type(error).__name__} in {place}")
        return
    if code == 2:
        outcome.kind = REFUSED
    elif code != 0:
        _bug(outcome, "exit code", f"{code}: {err[-500:]}", f"exit {code}")
    os.lseek(raw, 0, os.SEEK_SET)
    beside = os.read(raw, 20_000).decode(errors="replace")
    if beside.strip():
        _bug(outcome, "raw line", beside[:2000])
    lines = err.splitlines()
    strange = [one for one in lines if not one.startswith(OURS)]
    if strange:
        _bug(outcome, "raw line", "\n".join(strange)[:2000])
    if sum(one.startswith("Error: ") for one in lines) != (code == 2):
        _bug(outcome, "no sentence", err[:2000])
    for text in (out, err):
        if TOLD in text:
            _bug(outcome, "secret told", text[:2000])
        if any(word in text for word in RAW):
            _bug(outcome, "raw line", text[:2000])
        found = STEERS.search(text)
        if found:
            around = text[max(0, found.start() - 150) : found.end() + 50]
            _bug(outcome, "steers a terminal", repr(around), _words(err or out))
    if any(len(one) > LONGEST_LINE for one in lines):
        _bug(outcome, "long sentence", err[:600], _words(err))
    if code == 0 and "--json" in outcome.command.split():
        _judge_json(outcome, out)


def _judge_json(outcome: Outcome, out: str) -> None:
    def no_number(text: str) -> float:
        raise ValueError(f"{text} is no JSON")

    try:
        json.loads(out, parse_constant=no_number)
    except ValueError as error:
        _bug(outcome, "no JSON", f"{error}: {out[:500]}")


def _words(text: str) -> str:
    """A sentence without what differs from file to file, as its kind."""
    words = [word for word in text[:400].lower().split() if word.strip("():;,").isalpha()]
    return " ".join(words)[:60]


def _judge_writing(
    outcome: Outcome, before: Seen, after: Seen, scratch: Scratch, guard: Guard
) -> None:
    """What was done outside of `out`."""
    changed = sorted(
        os.path.relpath(path, scratch.folder)
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and not path.endswith(CODES)
    )
    if changed:
        _bug(outcome, "written elsewhere", ", ".join(changed)[:1000], _words(changed[0]))
        for path in after.keys() - before.keys():
            with contextlib.suppress(OSError):
                _gone(Path(path))
    if guard.heard:
        _bug(outcome, "done elsewhere", "; ".join(guard.heard)[:1000], guard.heard[0][:60])
