"""IDX, the format of MNIST: images become spectra of one pixel each, compressed or not.

A file of n images (n, 28, 28) is a scene of n rows, 1 column and 784 bands; its labels (n,) are a
plane (n, 1). One code changes: the digit 0 is a class, but code 0 means unlabelled, so digit 0 gets
code 10, as in the SVHN data set and others; 1 to 9 stay. (http://yann.lecun.com/exdb/mnist)
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hsi_ssl.errors import LabelError, SceneError, SceneNotFoundError
from hsi_ssl.scenes.format import Format, Head
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.readers import unpacking
from hsi_ssl.scenes.readers.flat import FlatReader
from hsi_ssl.scenes.readers.unpacking import unpacked
from hsi_ssl.scenes.scene import Array, Scene

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
KINDS = {bytes([kind]) for kind in TYPES}
AXES = (b"\1", b"\3")
"""One of labels, three of images."""
CODE_OF_ZERO = 10
IMAGE_AXES = 3


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Open images (n, height, width) as a scene (n, 1, height x width).

    Raises
    ------
    SceneError
        The file is broken or cut short, or holds no images.
    SceneNotFoundError
        A `variable` is asked for: there are no names in such a file.
    """
    file, shape, dtype, offset = _opened(path, variable)
    try:
        if len(shape) != IMAGE_AXES:
            raise SceneError(f"{path} holds numbers {shape}; expected images (n, height, width)")
        cube = (shape[0], 1, shape[1] * shape[2])
        reader = FlatReader(path, cube, dtype, offset=offset, file=file)
    except BaseException:
        file.close()
        raise
    return Scene(
        path=path,
        format="IDX",
        rows=cube[0],
        cols=cube[1],
        bands=cube[2],
        dtype=reader.dtype,
        reader=reader,
        origins=Origins(axes=Origin("the format", "images as rows, their pixels as bands")),
    )


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Codes `(n, 1)` of labels (n,), the digit 0 as 10; there is no nodata value.

    Raises
    ------
    LabelError
        There are other classes than digits, so that 10 is taken.
    SceneError, SceneNotFoundError
        The file is broken, cut short or holds no labels; a `variable` is asked for.
    """
    file, found, dtype, offset = _opened(path, variable)
    with file:
        if len(found) != 1:
            raise SceneError(f"{path} holds numbers {found}; expected labels (n,)")
        file.seek(offset)
        held = os.fstat(file.fileno()).st_size - offset
        if held < found[0] * dtype.itemsize:
            there = held // dtype.itemsize
            raise SceneError(f"{path} is cut short: {there} of {found[0]} labels")
        values = np.frombuffer(file.read(found[0] * dtype.itemsize), dtype)
    if (values == 0).any() and values.max() >= CODE_OF_ZERO:
        raise LabelError(
            f"{path} holds class 0 and classes above 9; expected digits, so that 0, which means "
            f"unlabelled, can become {CODE_OF_ZERO}"
        )
    return np.where(values == 0, CODE_OF_ZERO, values).astype(np.int64)[:, None], None


def is_idx(start: bytes) -> bool:
    """Whether a file that begins so can be IDX: two zeros, a known type, 1 or 3 axes."""
    kind, axes = start[2:3], start[3:4]
    return start[:2] == b"\0\0" and kind in KINDS and axes in AXES


def _opened(
    path: Path, variable: str | None
) -> tuple[BinaryIO, tuple[int, ...], np.dtype[np.generic], int]:
    """The file (unpacked), and the shape, type and place of its numbers."""
    if variable is not None:
        raise SceneNotFoundError(f"{path} holds one array without a name; leave out --variable")
    file = unpacked(path, _promised(unpacking.first_bytes(path, 4 + 4 * IMAGE_AXES)))
    start = file.read(4)
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        file.close()
        raise SceneError(f"{path} is cut short: its header is not whole; get the file again")
    shape = struct.unpack(f">{start[3]}I", sizes)
    return file, shape, np.dtype(TYPES[start[2]]), 4 + 4 * start[3]


def _promised(start: bytes) -> int:
    """Bytes of a whole file that begins so, where it is packed."""
    axes = start[3] if is_idx(start) else 0
    sizes = start[4 : 4 + 4 * axes]
    if len(sizes) < 4 * axes or not axes:
        return len(start)
    count = math.prod(int(size) for size in struct.unpack(f">{axes}I", sizes))
    return 4 + 4 * axes + count * np.dtype(TYPES[start[2]]).itemsize


def takes(head: Head) -> bool:
    """Whether a file is IDX, perhaps in a gzip."""
    start = head.start
    if start.startswith(unpacking.MAGIC):
        start = unpacking.first_bytes(head.path, len(start))
    return is_idx(start)


FORMAT = Format("IDX", takes, open_cube, read_plane)
