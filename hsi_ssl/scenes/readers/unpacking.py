"""gzip: unpacked once, piece by piece, into a temporary file that goes when it is closed."""

from __future__ import annotations

import errno
import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hsi_ssl.errors import SceneError

MAGIC = b"\x1f\x8b"
PIECE = 2**22


def is_gzip(path: Path) -> bool:
    """Whether the file begins as gzip does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of what a gzip file holds, fewer if it is broken."""
    try:
        with gzip.open(path, "rb") as packed:
            return packed.read(count)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""


@contextmanager
def enough_space(path: Path, size: int) -> Iterator[None]:
    """Say how much room `path` needs, unpacked, where the temporary folder is full.

    Raises
    ------
    SceneError
        It is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise SceneError(
            f"no space to unpack {path} in {tempfile.gettempdir()}: expected room for up to "
            f"{size / 1e9:.1f} GB; set TMPDIR to a folder with as much"
        ) from error


def put(file: BinaryIO, piece: bytes) -> None:
    """Write all of a piece; the system may take less at a time."""
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]


def unpack(path: Path, target: BinaryIO, most: int) -> None:
    """Write what `path` holds, `most` bytes of it, to `target`, in little memory.

    Raises
    ------
    SceneError
        `path` is cut short or broken, or the temporary folder is full.
    """
    try:
        with enough_space(path, most), gzip.open(path, "rb") as packed:
            left = most
            while left and (piece := packed.read(min(PIECE, left))):
                put(target, piece)
                left -= len(piece)
            target.flush()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SceneError(
            f"{path} is cut short or broken ({str(error).rstrip('.')}); get the file again"
        ) from error


def unpacked(path: Path, most: int) -> BinaryIO:
    """The file, open for reading; if compressed, an unpacked copy that vanishes on closing.

    Of that the first `most` bytes alone.

    Raises
    ------
    SceneError
        As `unpack`.
    """
    if not is_gzip(path):
        return path.open("rb", buffering=0)
    file = tempfile.TemporaryFile(buffering=0)
    try:
        unpack(path, file, most)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
