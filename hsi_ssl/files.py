"""Outputs that are whole or absent: written beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from hsi_ssl.errors import OutputError

FINGERPRINT_BLOCKS = 64
FINGERPRINT_BLOCK = 64 * 1024


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `OutputError` if `path` exists and may not be replaced."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; pass --overwrite to replace it, or name another")


def refuse_taken(files: Iterable[Path], overwrite: bool) -> None:
    """Raise `OutputError` if one of the files exists and may not be replaced, or is a folder."""
    for path in files:
        if path.is_dir():
            raise OutputError(f"{path} is a folder where a file is to be written; name another")
        refuse_existing(path, overwrite)


@contextlib.contextmanager
def written_beside(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it takes the place of `path`.

    The temporary keeps the suffix, so that writers that look at it behave. The body may write a
    file there or make a folder there. On failure nothing is left and what was there before stays.

    Raises
    ------
    OutputError
        `path` exists and `overwrite` is false; it is a folder that holds what the new one does
        not; the folder is missing and cannot be made, or is read-only; the disk is full.
    """
    path = Path(path)
    with os_errors(path):
        refuse_existing(path, overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=path.parent))
    try:
        beside = workshop / path.name
        with os_errors(path):
            yield beside
            _refuse_to_destroy(beside, path)
            replace(beside, path)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _refuse_to_destroy(new: Path, place: Path) -> None:
    """Refuse to replace a folder by a file, or by a folder that lacks some of what it holds."""
    if not place.is_dir():
        return
    if not new.is_dir():
        raise OutputError(f"{place} is a folder where a file is to be written; name a file")
    strange = {p.name for p in place.iterdir()} - {p.name for p in new.iterdir()}
    if strange:
        raise OutputError(
            f"{place} also holds {min(strange)}, which would be lost; name another folder"
        )


def replace(new: Path, place: Path) -> None:
    """Rename `new` (file or folder) onto `place`; a folder there gives way to a folder."""
    if place.is_dir():
        old = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        place.rename(old / place.name)
        try:
            new.rename(place)
        except OSError:
            (old / place.name).rename(place)
            raise
        finally:
            shutil.rmtree(old)
    else:
        os.replace(new, place)


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


@contextlib.contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one sentence about `path`.

    Raises
    ------
    OutputError
        The disk is full, the folder read-only, or the path leads through a file.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reasons = {
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
        }
        if error.errno in reasons:
            raise OutputError(f"cannot write {path}: {reasons[error.errno]}") from error
        raise
