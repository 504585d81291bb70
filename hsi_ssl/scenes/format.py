"""What each format of scenes and label planes offers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from hsi_ssl.scenes.axes import Asked
from hsi_ssl.scenes.scene import Array, Grid, Scene


class Head(NamedTuple):
    """What tells a file's format: path, first bytes, and whether it is an HDF5 container."""

    path: Path
    start: bytes
    hdf5: bool


class Format(NamedTuple):
    """How to know a format and how to read it: `(path, variable)` and `(path, variable, shape)`.

    `name` is that of its row in `reports/formats.md`, which says where each fact of it comes from.
    `open_turned` opens cubes of formats that do not say which axis holds the bands: it takes what
    is known of that, too. `plane_grid` tells where a plane lies that is not read by windows;
    `by_windows`: planes are, as scenes of one band with the place that they may have.
    """

    name: str
    takes: Callable[[Head], bool]
    open_cube: Callable[[Path, str | None], Scene]
    read_plane: Callable[[Path, str | None, tuple[int, int] | None], tuple[Array, float | None]]
    open_turned: Callable[[Path, str | None, Asked], Scene] | None = None
    plane_grid: Callable[[Path, str | None, tuple[int, int] | None], Grid] | None = None
    by_windows: bool = False
