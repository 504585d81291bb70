"""One file from the network: whole and with the right checksum, or not at all."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hsi_ssl.errors import FetchError
from hsi_ssl.files import written_beside
from hsi_ssl.watcher import SILENT, Watcher

TIMEOUT_S = 30


def download(
    url: str, place: Path, *, sha256: str | None = None, watcher: Watcher = SILENT
) -> None:
    """Download `url` to the file `place`: whole and with the right checksum, or not at all.

    Raises
    ------
    FetchError
        The server cannot be reached or has no such file, or another file than expected came.
    OutputError
        `place` cannot be written.
    """
    import pooch

    with _quiet(pooch.get_logger()), written_beside(place) as beside:
        _retrieve(url, place, sha256, beside, watcher)


def _retrieve(url: str, place: Path, sha256: str | None, beside: Path, watcher: Watcher) -> None:
    import pooch
    import requests

    bar = _Bar(place.name, watcher)
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=beside.name,
            path=beside.parent,
            downloader=pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT_S),
        )
    except requests.HTTPError as error:
        why = f"the server answers {_status(error.response)}"
    except requests.Timeout:
        why = f"the server did not answer within {TIMEOUT_S} s"
    except requests.RequestException:
        why = "no connection to the server, or it broke off"
    except ValueError:
        why = f"what came has not the sha256 {sha256}"
    else:
        return
    raise FetchError(
        f"cannot download {url}: {why}; try again later, or put the file to {place} yourself"
    )


class _Bar:
    """Pooch's progress, told to a watcher."""

    def __init__(self, what: str, watcher: Watcher) -> None:
        self.what = f"downloading {what}"
        self.watcher = watcher
        self.total = 0
        self.done = 0

    def update(self, more: int) -> None:
        self.done += more
        if self.total:
            self.watcher.progress(self.what, self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Nothing is open."""


@contextlib.contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Without pooch's own words on standard error."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _status(response: Any) -> str:
    return f"{response.status_code} {response.reason}"
