"""Claims: whoever writes an output has it alone, and clears what a killed run left of it.

A claim is a lock file beside the output, locked by `flock`: that goes with its process, so a file
that a killed one has left behind holds nobody up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import socket
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path

from hsi_ssl.errors import HsiSslWarning, OutputError
from hsi_ssl.hidden import lock_of, recover, remains_in, remove_empty
from hsi_ssl.os_errors import os_errors
from hsi_ssl.stopping import uninterrupted

_MINE: ContextVar[frozenset[Path]] = ContextVar("claimed", default=frozenset())
ATTEMPTS = 100
"""To lock a file that others make and remove at the same time."""
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What disks answer that know no locks."""
MANY, FILES = 32, 512
"""Outputs that may need more open files than a process has at first; those that all else needs."""
WORDS = 200
"""Bytes that a lock file says, at most."""


@contextlib.contextmanager
def claimed(*paths: Path) -> Iterator[None]:
    """Have these outputs alone, files or folders, with what goes beside them; all or none.

    For the whole of a stage, before it looks at them. What a killed run left hidden of them is
    cleared, or completed where it was whole. Missing parent folders are made. Where the stage
    fails, those that are empty go again, and so does an empty folder that it made for an output.

    What is claimed already in this context may be claimed again; another thread may not.

    Raises
    ------
    OutputError
        Another run writes one of them; the path cannot be, or not be written to.
    """
    if len(paths) > MANY:
        _allow_files(len(paths))
    with contextlib.ExitStack() as held:
        # In one order, so that of two that want the same things one gets them.
        for path in sorted({Path(path) for path in paths}):
            held.enter_context(_claimed(path))
        yield


@contextlib.contextmanager
@uninterrupted
def _claimed(path: Path) -> Iterator[None]:
    place = _real(path)
    if place in _MINE.get():
        yield
        return
    made: list[Path] = []
    try:
        with os_errors(path):
            lock, file = _locked(place, path, made)
        there = True
        try:
            with os_errors(path):
                recover(place)
                there = os.path.lexists(place)
            _MINE.set(_MINE.get() | {place})
            if place.is_dir():
                _clear_within(place)
            yield
        except BaseException:
            if not there:
                remove_empty(place)
            raise
        finally:
            _MINE.set(_MINE.get() - {place})
            with contextlib.suppress(OSError):  # in a folder of others, say
                lock.unlink()
            os.close(file)
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _real(path: Path) -> Path:
    """The place of an output, by whatever way it is named."""
    if "\0" in str(path):
        raise OutputError(f"cannot write {str(path)!r}: no path holds a zero byte; name another")
    with os_errors(path):
        real = Path(os.path.realpath(path))
        if real.exists() or not os.path.lexists(path):
            return real
        return Path(os.path.realpath(path.parent)) / path.name  # a link to nothing


def _locked(place: Path, path: Path, made: list[Path]) -> tuple[Path, int]:
    """The lock file of an output, and its descriptor, which holds the lock.

    Folders that are made for it are put to `made`.
    """
    for _ in range(ATTEMPTS):
        made += _with_parents(place.parent)
        lock = lock_of(place)
        try:
            file = _opened(lock)
        except FileNotFoundError:  # who made the folder has just removed it
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            words = os.read(file, WORDS).decode("utf-8", "replace").strip()
            os.close(file)
            who = f" ({words})" if words.isprintable() and words else ""
            raise OutputError(
                f"{path} is being written by another run{who}; wait until that is done, or name "
                "another output"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(file)
                raise
            warnings.warn(
                f"the disk of {path} knows no locks: nobody keeps two runs from writing it at once",
                HsiSslWarning,
                stacklevel=2,
            )
        if _is(file, lock):
            _tell(file)
            return lock, file
        os.close(file)  # it was removed by the one who had it
    raise OutputError(f"cannot write {path}: others write it again and again; name another output")


def _with_parents(folder: Path) -> list[Path]:
    """Make a folder and those above it; gives the ones that were missing, outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made = []
    for one in reversed(missing):
        try:
            one.mkdir()
            made.append(one)
        except FileExistsError:  # another run was faster
            one.stat()  # a link that leads nowhere says why
            if not one.is_dir():
                raise
    return made


def _opened(lock: Path) -> int:
    how = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(lock, os.O_RDWR | os.O_CREAT | how, 0o666)
    except PermissionError:
        if not lock.exists():
            raise
        return os.open(lock, os.O_RDONLY | how)  # another user's; it may be locked all the same


def _allow_files(number: int) -> None:
    """Let this process open so many files more than it needs else, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _is(file: int, lock: Path) -> bool:
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), lock.stat())
    except FileNotFoundError:
        return False


def _tell(file: int) -> None:
    """Write who has it."""
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    words = f"process {os.getpid()} on {socket.gethostname()}, since {since}\n"
    with contextlib.suppress(OSError):  # a full disk, another user's file
        os.ftruncate(file, 0)
        os.pwrite(file, words.encode()[:WORDS], 0)


def _clear_within(folder: Path) -> None:
    """Clear what killed runs left of outputs within a folder; what others have stays."""
    for place in set(remains_in(folder)):
        with contextlib.suppress(OutputError), _claimed(place):
            pass
