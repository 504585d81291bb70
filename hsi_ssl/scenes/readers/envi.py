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
from functools import partial
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.readers import geotiff
from hsi_ssl.scenes.readers.flat import BY_BAND, BY_LINE, BY_PIXEL, FlatReader
from hsi_ssl.scenes.readers.unpacking import is_gzip, unpack
from hsi_ssl.scenes.scene import Array, CubeReader, Scene
from hsi_ssl.scenes.wavelengths import is_envi_header

DATA_SUFFIXES = ("", ".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip")
BESIDE = (".msk", ".aux.xml")
"""Of GDAL's files beside the data, those that say what of it is none."""
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
        dataset = _opened(data, variable, data)
        return geotiff.scene_of(dataset, path, unmasked=partial(_raw, dataset, data))
    folder = tempfile.TemporaryDirectory(prefix="hsi-ssl-")
    try:
        plain = Path(folder.name) / "cube.img"
        with plain.open("wb") as target:
            unpack(data, target)
        for suffix in BESIDE:
            beside = Path(f"{data}{suffix}")
            if beside.is_file():
                Path(f"{plain}{suffix}").symlink_to(beside.resolve())
        plain.with_suffix(".hdr").write_bytes(COMPRESSED.sub(b"", header.read_bytes()))
        dataset = _opened(plain, variable, data)
        raw = partial(_raw, dataset, plain)
        return geotiff.scene_of(dataset, path, on_close=folder.cleanup, unmasked=raw)
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


def data_of(path: Path) -> Path:
    """The file that GDAL opens: of a header its data, of other files these themselves.

    Raises
    ------
    SceneNotFoundError
        The data is not there.
    """
    return pair(path)[1] if path.suffix.lower() == ".hdr" else path


class RawReader:
    """An uncompressed cube: read by GDAL, but for pictures as the raw numbers that it is.

    GDAL needs milliseconds for each call, and of a BIP file reads whole lines for a few bands; a
    picture from afar is hundreds of short reads.
    """

    def __init__(self, gdal: CubeReader, flat: FlatReader) -> None:
        self._gdal = gdal
        self._flat = flat
        self.window, self.pixels, self.thinned = gdal.window, gdal.pixels, flat.thinned

    def close(self) -> None:
        """Release the file."""
        self._flat.close()
        self._gdal.close()


def _raw(dataset: DatasetReader, data: Path, gdal: CubeReader) -> RawReader:
    """A reader of an open cube that knows where its numbers lie."""
    fields = dataset.tags(ns="ENVI")
    axes = {"bip": BY_PIXEL, "bil": BY_LINE}.get(fields.get("interleave", "").lower(), BY_BAND)
    order = ">" if fields.get("byte_order", "0").strip() == "1" else "<"
    flat = FlatReader(
        data,
        (dataset.height, dataset.width, dataset.count),
        np.dtype(dataset.dtypes[0]).newbyteorder(order),
        offset=int(fields.get("header_offset", 0)),
        axes=axes,
    )
    return RawReader(gdal, flat)


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
