"""Have an output claimed as another run has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsi_ssl.claims import claimed


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Have an output claimed by another thread, for which all of this holds that another run is."""
    there, go = threading.Event(), threading.Event()

    def hold() -> None:
        with claimed(path):
            there.set()
            go.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert there.wait(10)
        yield
    finally:
        go.set()
        thread.join()
