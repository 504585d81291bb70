"""gzip: unpacked once, piece by piece, into a temporary file that goes when it is closed."""

from __future__ import annotations

import errno
import gzip
import shutil
import tempfile
import zlib
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


def unpack(path: Path, target: BinaryIO) -> None:
    """Write what `path` holds to `target`, in little memory.

    Raises
    ------
    SceneError
        `path` is cut short or broken, or the temporary folder is full.
    """
    try:
        with gzip.open(path, "rb") as packed:
            shutil.copyfileobj(packed, target, PIECE)
        target.flush()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SceneError(
            f"{path} is cut short or broken ({str(error).rstrip('.')}); get the file again"
        ) from error
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise SceneError(
            f"no space to unpack {path} in {tempfile.gettempdir()}; set TMPDIR to another folder, "
            "or unpack it yourself"
        ) from error


def unpacked(path: Path) -> BinaryIO:
    """The file, open for reading; if compressed, an unpacked copy that vanishes on closing.

    Raises
    ------
    SceneError
        As `unpack`.
    """
    if not is_gzip(path):
        return path.open("rb", buffering=0)
    file = tempfile.TemporaryFile(buffering=0)
    try:
        unpack(path, file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file
