"""A packed array of MATLAB's version 7: its first bytes, and all of it once that is asked for."""

from __future__ import annotations

import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hsi_ssl.scenes.readers.matlab_stored import BrokenError, Stretch
from hsi_ssl.scenes.readers.unpacking import enough_space, put

TAG = 8
HEAD = 2**12
"""Bytes in which an array says what it is."""
PIECE = 2**22
MOST_PACKED = 1100
"""Times as many bytes as zlib has packed: 1032 at most."""


class Packed(Stretch):
    """What `size` bytes from place `at` of a file on hold, unpacked; places count from there.

    Raises
    ------
    BrokenError
        They hold something else, or less than is promised.
    """

    def __init__(self, path: Path, whole: Stretch, at: int, size: int, order: str) -> None:
        self._path = path
        self._whole, self._at, self._size = whole, at, size
        self._head = b"".join(self._pieces(HEAD))
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        if len(self._head) < TAG:
            raise BrokenError("a packed array is not whole")
        promised = struct.unpack(order + "II", self._head[:TAG])[1]
        if promised > MOST_PACKED * size:
            raise BrokenError(f"{size} packed bytes that promise {promised}")
        super().__init__(None, 0, TAG + promised)

    def read(self, at: int, size: int) -> bytes:
        """As of a stretch of a file."""
        if 0 <= at <= at + size <= min(len(self._head), self.end):
            return self._head[at : at + size]
        return super().read(at, size)

    @property
    def file(self) -> BinaryIO:
        """A temporary file with all of it, made when it is asked for."""
        with self._lock:
            if self._file is None:
                self._file = self._unpacked()
            return self._file

    def close(self) -> None:
        """Release the temporary file."""
        if self._file is not None:
            self._file.close()

    def _unpacked(self) -> BinaryIO:
        file = tempfile.TemporaryFile(prefix="hsi-ssl-", buffering=0)
        try:
            with enough_space(self._path, self.end):
                for piece in self._pieces(self.end):
                    put(file, piece)
        except BaseException:
            file.close()
            raise
        return file

    def _pieces(self, most: int) -> Iterator[bytes]:
        """The first `most` bytes unpacked, fewer where there are fewer, in little memory."""
        unpacker, place, end = zlib.decompressobj(), self._at, self._at + self._size
        waiting = b""
        while most > 0 and not unpacker.eof:
            if not waiting:
                if place == end:
                    return
                waiting = self._whole.read(place, min(PIECE, end - place))
                place += len(waiting)
            try:
                piece = unpacker.decompress(waiting, min(most, PIECE))
            except zlib.error as error:
                raise BrokenError(str(error)) from error
            waiting = unpacker.unconsumed_tail
            most -= len(piece)
            yield piece
