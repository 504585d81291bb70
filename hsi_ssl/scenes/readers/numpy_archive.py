"""NumPy's .npz: arrays in a ZIP, each a .npy; nothing that would be unpickled.

What they are stands in their first bytes. A cube is unpacked once, into a temporary file.
"""

from __future__ import annotations

import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

import numpy as np

from hsi_ssl.errors import HsiSslError, SceneError
from hsi_ssl.scenes.axes import Asked, Order
from hsi_ssl.scenes.format import Format, Head
from hsi_ssl.scenes.readers.choosing import PLANE, choose
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.readers.named_arrays import scene_of_arrays
from hsi_ssl.scenes.readers.numpy_file import NUMBERS, OBJECTS, TEXTS, broken, header_in, shaped
from hsi_ssl.scenes.readers.unpacking import enough_space, put
from hsi_ssl.scenes.scene import Array, Scene

SUFFIX = ".npy"
PIECE = 2**22
BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, LookupError,
)  # fmt: skip
"""What comes of a broken archive, or of one that needs a password or an unknown packing."""


class Member(NamedTuple):
    """An array in an archive: the file in it, and what its numbers are."""

    inside: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def open_cube(path: Path, variable: str | None = None, asked: Asked = Asked()) -> Scene:  # noqa: B008
    """Open a cube (rows, cols, bands) of an archive: `variable`, or the only array of three axes.

    Raises
    ------
    SceneError
        The archive is broken; it holds no such array or several; which axis holds the bands remains
        open.
    SceneNotFoundError
        It holds no `variable`.
    """
    members = _members(path, NUMBERS)

    def cube(name: str, order: Order) -> FlatReader:
        member = members[name]
        rows, cols, bands = (member.shape[order.index(axis)] for axis in range(3))
        axes: Order = order[::-1] if member.fortran else order
        return FlatReader(
            path,
            (rows, cols, bands),
            member.dtype,
            offset=0,
            axes=axes,
            file=_laid_out(path, member),
        )

    return scene_of_arrays(
        path, {name: member.shape for name, member in members.items()},
        lambda name: _values(path, members[name]), variable, asked, format="NumPy", cube=cube,
    )  # fmt: skip


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values, also text, of a label array: `variable`, or the only one that may be a plane.

    Errors as for cubes.
    """
    members = _members(path, NUMBERS + TEXTS)
    if not members:
        raise SceneError(f"{path} holds no array of numbers or text, and {OBJECTS}")
    numbers, texts = (
        {name: member.shape for name, member in members.items() if member.dtype.kind in kinds}
        for kinds in (NUMBERS, TEXTS)
    )
    name = choose(numbers, variable, path=path, dimensions=PLANE, shape=shape, texts=texts)
    return _values(path, members[name]), None


def _members(path: Path, kinds: str) -> dict[str, Member]:
    """The arrays of some kinds in an archive, by name."""
    found = {}
    with _opened(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(SUFFIX) and not info.is_dir():
                with archive.open(info) as file:
                    member = Member(info.filename, *header_in(file, path))
                    held = info.file_size - file.tell()
                if member.dtype.kind not in kinds:
                    continue
                if member.size > held:
                    raise broken(path, f"{info.filename} is less than an array of {member.shape}")
                found[info.filename.removesuffix(SUFFIX)] = member
    return found


def _values(path: Path, member: Member) -> Array:
    """All values of an array."""
    values = bytearray()
    for piece in _pieces(path, member):
        values += piece
    return shaped(np.frombuffer(values, member.dtype), member.shape, member.fortran, path)


def _laid_out(path: Path, member: Member) -> BinaryIO:
    """A temporary file with all numbers of an array."""
    file = tempfile.TemporaryFile(prefix="hsi-ssl-", buffering=0)
    try:
        with enough_space(path, member.size):
            for piece in _pieces(path, member):
                put(file, piece)
    except BaseException:
        file.close()
        raise
    return file


def _pieces(path: Path, member: Member) -> Iterator[bytes]:
    """The bytes of an array's numbers.

    Raises
    ------
    SceneError
        There are fewer than it says.
    """
    with _opened(path) as archive, archive.open(member.inside) as file:
        header_in(file, path)
        left = member.size
        while left:
            piece = _read(file, min(PIECE, left), path)
            left -= len(piece)
            yield piece


def _read(file: IO[bytes], size: int, path: Path) -> bytes:
    try:
        piece = file.read(size)
    except BROKEN as error:
        raise broken(path, error) from error
    if not piece:
        raise broken(path, "an array is not whole")
    return piece


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; what is broken in it is one sentence."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except HsiSslError:
        raise
    except BROKEN as error:
        raise broken(path, error) from error


def is_archive(head: Head) -> bool:
    """Whether a file is an archive of arrays, by its suffix: it is a ZIP like many others."""
    return head.path.suffix.lower() == ".npz"


FORMAT = Format("NumPy archive", is_archive, open_cube, read_plane, open_cube)
