"""ENVI: a header (.hdr) and raw numbers beside it, maybe compressed with gzip.

GDAL reads it all: interleaves, byte orders, offsets, map info, bad bands, data ignore value
(measured on 268 bands: 1.4 GB/s by pixel, 0.2 GB/s by line and by band). Done here is what it
does not do: find the data when the header is given, notice a file that is cut short before half of
it is read, and gzip in bounded memory. GDAL seeks in compressed data, which decompresses from the
start each time; here it is unpacked once into a temporary folder, which goes on closing.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.readers import geotiff
from hsi_ssl.scenes.readers.unpacking import is_gzip, unpack
from hsi_ssl.scenes.scene import Array, Scene
from hsi_ssl.scenes.wavelengths import is_envi_header

DATA_SUFFIXES = ("", ".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip")
COMPRESSED = re.compile(rb"(?im)^\s*file compression\s*=\s*1\s*$")


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Open a cube by its header or its data file. ENVI files hold one cube: no `variable`.

    Raises
    ------
    SceneNotFoundError
        The header or the data is missing; a `variable` is asked for.
    SceneError
        One of them is broken or cut short; the file is a spectral library, which is no cube.
    """
    header, data = pair(path)
    compressed = bool(COMPRESSED.search(header.read_bytes())) or data.suffix == ".gz"
    if not (compressed and is_gzip(data)):
        return geotiff.scene_of(_opened(data, variable, data), path)
    folder = tempfile.TemporaryDirectory(prefix="hsi-ssl-")
    try:
        plain = Path(folder.name) / "cube.img"
        with plain.open("wb") as target:
            unpack(data, target)
        plain.with_suffix(".hdr").write_bytes(COMPRESSED.sub(b"", header.read_bytes()))
        return geotiff.scene_of(_opened(plain, variable, data), path, on_close=folder.cleanup)
    except BaseException:
        folder.cleanup()
        raise


def read_plane(
    path: Path, variable: str | None = None, shape: tuple[int, int] | None = None
) -> tuple[Array, float | None]:
    """Raw values `(rows, cols)` of a label raster, and its nodata value; errors as for cubes.

    Raises
    ------
    LabelError
        It has more than one band.
    """
    with open_cube(path, variable) as scene:
        return geotiff.one_band(scene), scene.nodata


def find_header(data: Path) -> Path | None:
    """The ENVI header of a data file: `cube.hdr` or `cube.img.hdr` of `cube.img`, or None."""
    plain = data.with_suffix("") if data.suffix == ".gz" else data
    for name in (plain.with_suffix(".hdr"), Path(f"{plain}.hdr"), Path(f"{data}.hdr")):
        if name != data and is_envi_header(name):
            return name
    return None


def pair(path: Path) -> tuple[Path, Path]:
    """Header and data of a cube, one of which is `path`.

    Raises
    ------
    SceneNotFoundError
        The other is not there.
    """
    if path.suffix.lower() != ".hdr":
        header = find_header(path)
        if header is None:
            raise SceneNotFoundError(f"no ENVI header beside {path}; expected {path.stem}.hdr")
        return header, path
    stem = str(path)[: -len(".hdr")]
    names = [Path(stem + suffix + gz) for gz in ("", ".gz") for suffix in DATA_SUFFIXES]
    data = next((name for name in names if name.is_file()), None)
    if data is None:
        raise SceneNotFoundError(
            f"no data beside the header {path}; expected {Path(stem).name} without suffix or with "
            f"{', '.join(DATA_SUFFIXES[1:])} (or .gz after that)"
        )
    return path, data


def _opened(data: Path, variable: str | None, named: Path) -> DatasetReader:
    """Open uncompressed data through GDAL; `named` is what errors call it."""
    dataset = geotiff.opened(data, variable, driver=geotiff.ENVI, named=named)
    fields = dataset.tags(ns="ENVI")
    values = dataset.height * dataset.width * dataset.count
    needed = int(fields.get("header_offset", 0)) + values * np.dtype(dataset.dtypes[0]).itemsize
    size = data.stat().st_size
    if size < needed:
        dataset.close()
        raise SceneError(
            f"{named} is cut short: {size} bytes where its header tells of {needed}; "
            "get the file again"
        )
    return dataset
