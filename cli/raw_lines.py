"""Lines that compiled libraries write to standard error by themselves, past all their settings."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

DETAILS = {"-v", "--verbose"}


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Within it, of standard error only what Python writes, unless details are asked for (-v).

    libtiff, for one, tells of a place that it cannot seek when nobody has asked. Python gets a way
    of its own to where standard error leads, whose usual one leads nowhere until the end.
    """
    if DETAILS & {*sys.argv[1:]} or sys.stderr is not sys.__stderr__ or sys.stderr is None:
        yield
        return
    shown, usual = sys.stderr, sys.stderr.fileno()
    shown.flush()
    own, nowhere = os.dup(usual), os.open(os.devnull, os.O_WRONLY)
    try:
        with open(own, "w", buffering=1, encoding=shown.encoding, errors=shown.errors) as ours:
            os.dup2(nowhere, usual)
            sys.stderr = ours
            try:
                yield
            finally:
                sys.stderr = shown
                ours.flush()
                os.dup2(own, usual)
    finally:
        os.close(nowhere)
