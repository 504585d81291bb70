"""The files that a virtual raster reads; HDF5 files are looked at first, as others are here."""

from __future__ import annotations

import html
import re
from pathlib import Path

import h5py

from hsi_ssl.scenes.readers.hdf5_probe import look_first

MARK = b"<VRTDataset"
SOURCE = re.compile(r"<Source(?:Filename|Dataset)[^>]*>([^<]+)<")
INSIDE = re.compile(r'^[A-Za-z0-9_]+:(?:"([^"]+)"|([^:]+))(?::.*)?$')
"""A data set within a file, as GDAL names it: NETCDF:"scene.nc":reflectance."""
LARGEST, DEEPEST = 2**24, 5
"""Bytes of a virtual raster, and virtual rasters that read each other."""


def look_at_sources(path: Path, depth: int = 0) -> None:
    """Look at each HDF5 or netCDF-4 file that a virtual raster names; at nothing of other files.

    Raises
    ------
    SceneError
        As `look_first`.
    """
    for source in sources_of(path):
        try:
            if not source.is_file():
                continue
            hdf5 = h5py.is_hdf5(source)
        except (OSError, ValueError):
            continue
        if hdf5:
            look_first(source)
        elif depth < DEEPEST:
            look_at_sources(source, depth + 1)


def sources_of(path: Path) -> list[Path]:
    """Files that a virtual raster names, as it names them; none of other files."""
    try:
        with path.open("rb") as file:
            if MARK not in file.read(256):
                return []
            file.seek(0)
            text = file.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return []  # whoever opens it says so
    names = sorted(set(SOURCE.findall(text)))
    return [path.parent / _file(html.unescape(name.strip())) for name in names]


def _file(name: str) -> str:
    inside = INSIDE.match(name)
    return name if inside is None else inside[1] or inside[2]
