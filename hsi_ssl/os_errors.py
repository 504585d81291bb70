"""The operating system's refusals to write, in one sentence each."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from hsi_ssl.errors import OutputError

REASONS = {
    errno.ENOSPC: "no space is left on the disk; free some or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EFBIG: "the file grows larger than this disk or account allows; write elsewhere",
    errno.EROFS: "the folder is read-only; write elsewhere",
    errno.EACCES: "the folder may not be written to; write elsewhere",
    errno.EPERM: "the folder may not be written to; write elsewhere",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "a part of the path is a file, not a folder; write elsewhere",
    errno.ENOENT: "such a folder cannot be made; write elsewhere",
    errno.ENOTDIR: "a part of the path is a file, not a folder; write elsewhere",
    errno.ENAMETOOLONG: "the name is too long; give it a shorter one",
    errno.ELOOP: "a part of the path is a link that leads to itself; write elsewhere",
    errno.EMFILE: "too many files are open; do fewer at a time, or raise `ulimit -n`",
    errno.ENFILE: "too many files are open; do fewer at a time, or raise `ulimit -n`",
    errno.EBUSY: "it is in use, as a mounted disk perhaps; write elsewhere",
    errno.EIO: "the disk fails; write elsewhere",
}


@contextlib.contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one sentence about `path`.

    Raises
    ------
    OutputError
        The disk is full, the folder read-only, or the path leads through a file or cannot be.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        if error.errno in REASONS:
            raise OutputError(f"cannot write {path}: {REASONS[error.errno]}") from error
        raise
