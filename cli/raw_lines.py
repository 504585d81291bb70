"""Lines that compiled libraries write to standard error by themselves, past all their settings."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO

DETAILS = {"-v", "--verbose"}
STANDARD_ERROR = 2


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Within it, of standard error only what Python writes, unless details are asked for (-v).

    libtiff, for one, tells of a place that it cannot seek when nobody has asked. Python gets a way
    of its own to where standard error leads, whose usual one leads nowhere until the end.
    """
    shown, own = sys.stderr, None
    if DETAILS & {*sys.argv[1:]} or shown is None:
        yield
        return
    usual = os.dup(STANDARD_ERROR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        shown.flush()
        if _leads_there(shown):
            own = open(
                usual, "w", buffering=1, encoding=shown.encoding, errors=shown.errors, closefd=False
            )
            sys.stderr = own
        os.dup2(nowhere, STANDARD_ERROR)
        yield
    finally:
        if own is not None:
            own.flush()
            sys.stderr = shown
        os.dup2(usual, STANDARD_ERROR)
        os.close(usual)
        os.close(nowhere)


def _leads_there(stream: TextIO) -> bool:
    """Whether a stream of Python's is the process's own standard error, not one of a test, say."""
    try:
        return stream.fileno() == STANDARD_ERROR
    except (OSError, ValueError):
        return False
