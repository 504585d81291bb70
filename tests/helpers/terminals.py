"""A real terminal (pty) with a command in it: what it shows and when, and who types into it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What moves the cursor, colours or clears."""
KEPT = 10_000
"""Letters in which it is looked for what is waited for."""


@dataclass
class Recorded:
    """What a command wrote to its terminal: pieces with the seconds at which they came."""

    pieces: list[tuple[float, str]] = field(default_factory=list)
    code: int = -1
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """All of it, as it was written."""
        return "".join(piece for _, piece in self.pieces)

    @property
    def plain(self) -> str:
        """All of it without what steers the terminal."""
        return STEERING.sub("", self.text)

    @property
    def left(self) -> str:
        """What is left of it on the screen: lines that took the place of others, and no drawing."""
        lines = self.text.replace("\r\n", "\n").split("\n")
        return "\n".join(STEERING.sub("", line.split("\r\x1b[K")[-1]) for line in lines)

    def each(self, pattern: str) -> list[tuple[float, re.Match[str]]]:
        """Each place where the pattern occurs, with the time at which it was written."""
        found, so_far, ends = [], "", []
        for when, piece in self.pieces:
            so_far += piece
            ends.append((len(so_far), when))
        for match in re.finditer(pattern, so_far):
            found.append((next(when for end, when in ends if end >= match.end()), match))
        return found


def in_terminal(
    arguments: Sequence[str],
    *,
    folder: Path,
    program: Sequence[str] = ("-m", "hsi_ssl.cli"),
    typed: Sequence[tuple[str, str]] = (),
    columns: int = 80,
    stop_at: str | None = None,
    until: float = 120.0,
) -> Recorded:
    """Run `hsi-ssl` with the arguments in a terminal of its own, in a folder.

    `program`: what Python runs in its place. `typed`: pairs of what is waited for, and of what is
    then typed, `\\n` for Enter. `stop_at`: text after which Ctrl-C is pressed. `until`: seconds
    after which it is killed.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    around = {**os.environ, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "CI", "FORCE_COLOR"):
        around.pop(name, None)
    started = time.monotonic()
    found, waiting, unread, stopped = Recorded(), list(typed), "", False
    with subprocess.Popen(
        [sys.executable, *program, *arguments],
        stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=around,
        preexec_fn=_leads,  # noqa: PLW1509 - nothing else runs meanwhile
    ) as process:  # fmt: skip
        os.close(slave)
        try:
            while time.monotonic() - started < until:
                if not select.select([master], [], [], 0.1)[0]:
                    if process.poll() is not None:
                        break
                    continue
                try:
                    piece = os.read(master, 65_536)
                except OSError:  # the other end is closed
                    break
                if not piece:
                    break
                text = piece.decode(errors="replace")
                found.pieces.append((time.monotonic() - started, text))
                unread = (unread + text)[-KEPT:]
                if waiting and waiting[0][0] in unread:
                    unread = ""
                    os.write(master, waiting.pop(0)[1].encode())
                if stop_at is not None and not stopped and stop_at in unread:
                    os.write(master, b"\x03")
                    stopped = True
        finally:
            if process.poll() is None and time.monotonic() - started >= until:
                os.killpg(process.pid, signal.SIGKILL)
            os.close(master)
    found.code, found.seconds = process.returncode, time.monotonic() - started
    return found


def _leads() -> None:
    """Of a session of its own, whose terminal standard input is."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
