"""Outputs that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hsi_ssl.claims import claimed
from hsi_ssl.errors import OutputError
from hsi_ssl.hidden import finish, is_hidden, put_away, workshop_of
from hsi_ssl.os_errors import os_errors
from hsi_ssl.stopping import uninterrupted

FINGERPRINT_BLOCKS = 64
FINGERPRINT_BLOCK = 64 * 1024


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `OutputError` if `path` exists and may not be replaced."""
    with os_errors(path):
        there = path.exists()
    if there and not overwrite:
        raise OutputError(f"{path} exists already; pass --overwrite to replace it, or name another")


def refuse_taken(files: Iterable[Path], overwrite: bool) -> None:
    """Raise `OutputError` if one of the files exists and may not be replaced, or is a folder."""
    for path in files:
        if path.is_dir():
            raise OutputError(f"{path} is a folder where a file is to be written; name another")
        refuse_existing(path, overwrite)


@contextlib.contextmanager
@uninterrupted
def written_beside(
    path: Path,
    *,
    also: Iterable[Path] = (),
    without: Iterable[Path] = (),
    meanwhile: Callable[[], None] | None = None,
    overwrite: bool = False,
) -> Iterator[Path]:
    """Yield a temporary path in a folder beside `path`; on success it takes the place of `path`.

    The temporary keeps the name, so that writers that look at it behave. The body may write a
    file there or make a folder there. On failure nothing is left and what was there before stays.

    `also`: outputs in the folder of `path` that belong to it. What the body has written of them,
    by their names beside the temporary, goes to its place with it; what is `without` goes away
    with it. Whenever the process is killed, all of it is old, or all is new once `path` is claimed
    again.

    `meanwhile` changes what lies elsewhere and must not be met beside what `path` was before: that
    is away by then, and what was made not yet in its place.

    Raises
    ------
    OutputError
        `path` exists and `overwrite` is false; it is a folder that holds what the new one does
        not; the folder is missing and cannot be made, or is read-only; the disk is full; another
        run writes it.
    """
    path, also = Path(path), [Path(place) for place in also]
    with claimed(path), os_errors(path):
        refuse_existing(path, overwrite)
        workshop = workshop_of(path)
        try:
            yield workshop / path.name
            for place in (path, *also):
                _refuse_to_destroy(workshop / place.name, place)
            there = [place.name for place in without if os.path.lexists(place)]
            if meanwhile is not None:
                with put_away(path, workshop):
                    meanwhile()
            finish(workshop, [path.name, *(place.name for place in also)], there)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)


def withdraw(path: Path, also: Iterable[Path] = ()) -> None:
    """Take an output away with what belongs to it beside it, all at once: it no longer holds.

    Raises
    ------
    OutputError
        As `written_beside`.
    """
    places = [place for place in (path, *also) if os.path.lexists(place)]
    if places:
        with written_beside(path, without=places, overwrite=True):
            pass


def _refuse_to_destroy(new: Path, place: Path) -> None:
    """Refuse to replace a folder by a file, or by a folder that lacks some of what it holds."""
    if not place.is_dir() or not new.exists():
        return
    if not new.is_dir():
        raise OutputError(f"{place} is a folder where a file is to be written; name a file")
    strange = {p.name for p in place.iterdir() if not is_hidden(p)} - {
        p.name for p in new.iterdir()
    }
    if strange:
        raise OutputError(
            f"{place} also holds {min(strange)}, which would be lost; name another folder"
        )


def fingerprint(path: Path) -> str:
    """Hex sha256 of a file's size and of up to 64 blocks of 64 KiB spread evenly over it.

    A cube of 600 MB is told from another in milliseconds; hashing all of it would cost more than
    reading the pixels that are wanted. Files of up to 4 MiB are hashed whole.
    """
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= FINGERPRINT_BLOCKS * FINGERPRINT_BLOCK:
            digest.update(file.read())
        else:
            for i in range(FINGERPRINT_BLOCKS):
                file.seek((size - FINGERPRINT_BLOCK) * i // (FINGERPRINT_BLOCKS - 1))
                digest.update(file.read(FINGERPRINT_BLOCK))
    return digest.hexdigest()


def folder_fingerprint(folder: Path) -> tuple[int, str]:
    """Bytes of all files in a folder, and a hex sha256 of their names and sizes and of some.

    Those are up to 64 of them, spread evenly over the names in their order.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    digest = hashlib.sha256()
    for path, size in zip(files, sizes, strict=True):
        digest.update(f"{path.relative_to(folder).as_posix()} {size}\n".encode())
    for path in files[:: max(1, len(files) // FINGERPRINT_BLOCKS)]:
        digest.update(fingerprint(path).encode())
    return sum(sizes), digest.hexdigest()
