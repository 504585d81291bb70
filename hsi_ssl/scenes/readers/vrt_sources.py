"""The HDF5 files that a virtual raster reads, looked at first as those are that are opened here."""

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
    try:
        with path.open("rb") as file:
            if MARK not in file.read(256):
                return
            file.seek(0)
            text = file.read(LARGEST).decode("utf-8", "replace")
    except OSError:
        return  # whoever opens it says so
    for found in set(SOURCE.findall(text)):
        source = path.parent / _file(html.unescape(found.strip()))
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


def _file(name: str) -> str:
    inside = INSIDE.match(name)
    return name if inside is None else inside[1] or inside[2]
