"""ENVI: a header (.hdr) and raw numbers beside it, maybe compressed with gzip.

The header is parsed here (`envi_header`). GDAL reads the numbers and knows the place: interleaves,
byte orders, offsets, map info, data ignore value (measured on 268 bands: 1.4 GB/s by pixel,
0.2 GB/s by line and by band). Where GDAL would not understand the header whole (long lines,
comments, another encoding, a name it does not find), it is handed another in a temporary folder,
beside a link to the data. So is gzip, in which GDAL would seek by decompressing from the start each
time: it is unpacked once. The folder goes on closing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader

from hsi_ssl.errors import DamagedSceneError, SceneError, SceneNotFoundError
from hsi_ssl.scenes.envi_header import (
    Fields,
    Layout,
    for_gdal,
    is_envi_header,
    is_esri_header,
    is_flipped,
    is_library,
    is_plain,
    layout_of,
    read_header,
    turned_grid,
)
from hsi_ssl.scenes.format import Format, Head
from hsi_ssl.scenes.readers import geotiff
from hsi_ssl.scenes.readers.flat import BY_BAND, BY_LINE, BY_PIXEL, FlatReader
from hsi_ssl.scenes.readers.gdal_opening import opened
from hsi_ssl.scenes.readers.unpacking import is_gzip, unpack
from hsi_ssl.scenes.scene import Array, CubeReader, Scene
from hsi_ssl.scenes.wavelengths import headers_beside

DATA_SUFFIXES = ("", ".img", ".dat", ".raw", ".bin", ".bsq", ".bil", ".bip")
"""Suffixes by which data is known whose size is not what its header tells."""
BESIDE = (".msk", ".aux.xml", ".ovr")
"""Of GDAL's files beside the data, those that say what of it is none, and the data from afar."""
AXES = {"bip": BY_PIXEL, "bil": BY_LINE, "bsq": BY_BAND}


def open_cube(path: Path, variable: str | None = None) -> Scene:
    """Open a cube by its header or its data file. ENVI files hold one cube: no `variable`.

    Raises
    ------
    SceneNotFoundError
        The header or the data is missing; a `variable` is asked for.
    SceneError
        One of them is broken or cut short; several files may be the data; the header does not tell
        how the numbers lie; the file is a spectral library, which is no cube.
    """
    header, data = pair(path)
    if not is_envi_header(header):  # ESRI's
        return geotiff.open_cube(data, variable)
    fields = read_header(header)
    layout = layout_of(fields, header)
    if is_library(fields):
        raise SceneError(
            f"{path} is a spectral library, which is no cube; `hsi-ssl match --library` takes it"
        )
    packed = (layout.compressed or data.suffix.lower() == ".gz") and is_gzip(data)
    if not packed:
        _refuse_cut_short(data, data, layout)
        if is_plain(header, fields) and not layout.compressed and _gdal_finds(header, data):
            return _scene(data, path, variable, fields, layout)
    folder = tempfile.TemporaryDirectory(prefix="hsi-ssl-")
    try:
        plain = Path(folder.name) / "cube.img"
        if packed:
            with plain.open("wb") as target:
                unpack(data, target, layout.size)
            _refuse_cut_short(plain, data, layout)
        else:
            plain.symlink_to(data.resolve())
        for suffix in BESIDE:
            beside = Path(f"{data}{suffix}")
            if beside.is_file():
                Path(f"{plain}{suffix}").symlink_to(beside.resolve())
        plain.with_suffix(".hdr").write_text(for_gdal(fields, layout), encoding="utf-8")
        return _scene(plain, path, variable, fields, layout, named=data, on_close=folder.cleanup)
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
    """The ENVI header of a data file: `cube.hdr` or `cube.img.hdr` of `cube.img`, or None.

    Names go by letters, capital or small.
    """
    plain = data.with_suffix("") if data.suffix.lower() == ".gz" else data
    names = dict.fromkeys((*headers_beside(plain), *headers_beside(data)))
    for name in names:
        if name != data and is_envi_header(name):
            return name
    alike = {name.name.lower() for name in names}
    for name in _in_folder(data.parent):
        if name.name.lower() in alike and name != data and is_envi_header(name):
            return name
    return None


def pair(path: Path) -> tuple[Path, Path]:
    """Header and data of a cube or a library, one of which is `path`.

    The data of a header is called as it is, with any suffix or none, capital or small; the file of
    the very size that the header tells goes before others.

    Raises
    ------
    SceneNotFoundError
        The other is not there.
    SceneError
        Several files may be the data; the header is broken.
    """
    if path.suffix.lower() != ".hdr":
        header = find_header(path)
        if header is None:
            raise SceneNotFoundError(f"no ENVI header beside {path}; expected {path.stem}.hdr")
        return header, path
    esri = is_esri_header(path)
    if not esri and not is_envi_header(path):
        raise SceneNotFoundError(
            f"{path} is no header that hsi-ssl knows, so no data beside the header is looked for; "
            "expected the word ENVI in its first line"
        )
    stem = path.with_suffix("").name
    beside = list(_data_beside(path.parent, stem))
    size = None if esri else layout_of(read_header(path), path).size
    fit = [name for name in beside if name.stat().st_size == size and name.suffix.lower() != ".gz"]
    if not fit:
        known = [name for name in beside if _rest(name, stem) in DATA_SUFFIXES]
        packed = [name for name in beside if name.suffix.lower() == ".gz"]
        longer = [] if size is None else [n for n in beside if n.stat().st_size > size]
        fit = known or packed or longer
    if not fit:
        others = ", ".join(f"{name.name} has {name.stat().st_size}" for name in beside)
        raise SceneNotFoundError(
            f"no data beside the header {path}; expected {stem} without suffix or with any, such "
            f"as .img, of {size or 'so many'} bytes" + (f"; {others}" if others else "")
        )
    if len(fit) > 1:
        raise SceneError(
            f"{path} may be the header of {_either(name.name for name in fit)}; give one of these "
            "rather than the header"
        )
    return path, fit[0]


def data_of(path: Path) -> Path:
    """The file that GDAL opens: of a header its data, of other files these themselves.

    Raises
    ------
    SceneNotFoundError
        The data is not there.
    """
    return pair(path)[1] if path.suffix.lower() == ".hdr" else path


def _in_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # a folder whose files may be read but not listed
        return []


def _data_beside(folder: Path, stem: str) -> Iterable[Path]:
    """Files called `stem`, with at most one suffix and `.gz`, that are of no other format."""
    for name in _in_folder(folder):
        rest = _rest(name, stem)
        if rest is None or rest == ".hdr" or rest.removesuffix(".gz").count(".") > 1:
            continue
        if name.is_file():
            with name.open("rb") as file:
                if not geotiff.begins_otherwise(file.read(64)):
                    yield name


def _rest(name: Path, stem: str) -> str | None:
    """What follows the stem in a file's name, in small letters; None where it is another's."""
    start, rest = name.name[: len(stem)], name.name[len(stem) :].lower()
    return rest if start.lower() == stem.lower() and rest[:1] in {"", "."} else None


def _either(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


class RawReader:
    """An uncompressed cube: read by GDAL, but for pictures as the raw numbers that it is.

    GDAL needs milliseconds for each call, and of a BIP file reads whole lines for a few bands; a
    picture from afar is hundreds of short reads. Of what is missing at a file's end GDAL gives
    zeros, so its length is looked at after each read.
    """

    def __init__(self, gdal: CubeReader, flat: FlatReader) -> None:
        self._gdal = gdal
        self._flat = flat
        self.thinned = flat.thinned

    def window(self, row0: int, row1: int, col0: int, col1: int) -> Array:
        """Raw values of a window `(rows, cols, bands)`."""
        found = self._gdal.window(row0, row1, col0, col1)
        self._flat.check_length()
        return found

    def pixels(self, rows: npt.NDArray[np.int64], cols: npt.NDArray[np.int64]) -> Array:
        """Raw spectra `(n, bands)` of single pixels."""
        found = self._gdal.pixels(rows, cols)
        self._flat.check_length()
        return found

    def close(self) -> None:
        """Release the file."""
        self._flat.close()
        self._gdal.close()


def _raw(layout: Layout, data: Path, gdal: CubeReader) -> RawReader:
    """A reader of an open cube that knows where its numbers lie."""
    shape = (layout.rows, layout.cols, layout.bands)
    axes = AXES[layout.interleave]
    return RawReader(gdal, FlatReader(data, shape, layout.dtype, offset=layout.offset, axes=axes))


def _scene(
    data: Path,
    path: Path,
    variable: str | None,
    fields: Fields,
    layout: Layout,
    *,
    named: Path | None = None,
    on_close: Callable[[], None] | None = None,
) -> Scene:
    """Open uncompressed data through GDAL; errors call it `named`, where that is another file."""
    dataset = opened(data, variable, driver=geotiff.ENVI, named=named or data)
    if _shape(dataset) != (layout.rows, layout.cols, layout.bands):
        dataset.close()
        raise SceneError(f"{path} cannot be read: GDAL takes its header for another; get it again")
    scene = geotiff.scene_of(
        dataset,
        path,
        on_close=on_close,
        unmasked=partial(_raw, layout, data),
        header=fields,
        notes=layout.notes,
    )
    # GDAL shears turned pixels that are not square, turns about the first pixel only, and takes any
    # half turn for rows from south to north.
    map_info = fields.get("map info", "")
    turned = turned_grid(map_info)
    if scene.grid.transform is None or turned is None:
        return scene
    notes = scene.notes
    if is_flipped(map_info):
        notes += (
            "map info has rotation=180, by which GDAL writes rows from south to north: taken so; "
            "where it is half a turn, write 180.0",
        )
    return replace(scene, grid=replace(scene.grid, transform=turned), notes=notes)


def _shape(dataset: DatasetReader) -> tuple[int, int, int]:
    return dataset.height, dataset.width, dataset.count


def _gdal_finds(header: Path, data: Path) -> bool:
    """Whether GDAL takes that header of data, by its name."""
    first, second = data.with_suffix(".hdr"), Path(f"{data}.hdr")
    return header == first or (header == second and not first.exists())


def _refuse_cut_short(data: Path, named: Path, layout: Layout) -> None:
    try:
        size = data.stat().st_size
    except FileNotFoundError:
        raise SceneNotFoundError(
            f"{data} is not there, while its header is; put both into one folder"
        ) from None
    if size < layout.size:
        raise DamagedSceneError(
            f"{named} is cut short: {size} bytes where its header tells of {layout.size}; "
            "get the file again"
        )


def takes(head: Head) -> bool:
    """Whether a file is a header, or has one beside it."""
    return head.path.suffix.lower() == ".hdr" or find_header(head.path) is not None


FORMAT = Format("ENVI", takes, open_cube, read_plane, by_windows=True)
