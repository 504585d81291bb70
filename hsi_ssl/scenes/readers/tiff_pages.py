"""TIFF files whose cube is a stack of pages, as ImageJ, tifffile and scikit-image write them.

GDAL opens the first page and lists all of them as data sets of their own (`GTIFF_DIR:3:file.tif`;
https://gdal.org/en/stable/drivers/raster/gtiff.html, "Subdatasets"). A page is a band, but for one
writer: tifffile cuts any array along its first axis, a cube (rows, cols, bands) into pages of
columns and bands, and keeps no more of it than `{"shape": [rows, cols, bands]}`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from hsi_ssl.errors import SceneError
from hsi_ssl.scenes.axes import BANDS, COLS, ROWS, Asked, Decided, Order, decide, in_words
from hsi_ssl.scenes.origins import Origin, Origins
from hsi_ssl.scenes.promises import refuse_absurd
from hsi_ssl.scenes.readers.boxes import BoxReader
from hsi_ssl.scenes.readers.gdal_errors import FAILURES, one_sentence, reason
from hsi_ssl.scenes.readers.gdal_grid import grid_of
from hsi_ssl.scenes.readers.gdal_opening import gdal_settings, handle_of
from hsi_ssl.scenes.scene import Array, Grid, Scene
from hsi_ssl.scenes.virtual import gdal_name, is_virtual

SIZE = re.compile(r"\((\d+)P x (\d+)L x (\d+)B\)")
"""How GDAL describes a page: its columns, rows and bands."""
PAGES_ARE_BANDS: Order = (BANDS, ROWS, COLS)
TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32",
    "int32": "Int32", "uint64": "UInt64", "int64": "Int64", "float32": "Float32",
    "float64": "Float64",
}  # fmt: skip
"""GDAL's names of number types."""


def pages_of(dataset: DatasetReader) -> list[str]:
    """GDAL's names of the pages of a TIFF, where there are several."""
    if dataset.driver != "GTiff" or len(dataset.subdatasets) < 2:  # noqa: PLR2004
        return []
    return list(dataset.subdatasets)


def stacked(dataset: DatasetReader) -> bool:
    """Whether all pages are planes of one size."""
    told = dataset.tags(ns="SUBDATASETS").items()
    sizes = {SIZE.search(value) for key, value in told if key.endswith("_DESC")}
    plain = {None if size is None else size.groups() for size in sizes}
    return plain == {(str(dataset.width), str(dataset.height), "1")}


def stack_of(dataset: DatasetReader, path: Path, asked: Asked) -> Scene:
    """The scene of a TIFF whose pages are planes of one size; the open one is closed.

    Raises
    ------
    SceneError
        tifffile has written them, and nothing tells which axis is of bands; no cube is so large;
        pages are of several number types, or of complex numbers.
    """
    try:
        with one_sentence(path), gdal_settings():
            decided = _decided(dataset, path, asked)
            grid = grid_of(dataset) if decided.order == PAGES_ARE_BANDS else Grid()
            nodata = dataset.nodata
            reader = PagesReader(dataset, path, decided.order)
    except BaseException:
        dataset.close()
        raise
    rows, cols, bands = reader.shape
    return Scene(
        path=path,
        format="GeoTIFF",
        rows=rows,
        cols=cols,
        bands=bands,
        dtype=reader.dtype,
        reader=reader,
        nodata=nodata,
        grid=grid,
        block=reader.piece[:2],
        notes=decided.notes,
        origins=Origins(axes=decided.origin),
    )


def _decided(dataset: DatasetReader, path: Path, asked: Asked) -> Decided:
    """What pages, their rows and their columns are."""
    shape = (len(dataset.subdatasets), dataset.height, dataset.width)
    pages, high, wide = shape
    if asked.order is None and _shape_told(dataset) != list(shape):
        refuse_absurd(path, high, wide, pages)
        note = f"each of the {pages} pages of {path.name} is taken for a band"
        origin = Origin("the pages, each of which is taken for a band", in_words(PAGES_ARE_BANDS))
        return Decided(PAGES_ARE_BANDS, (note,), origin)
    found = decide(shape, asked, of=f"the stack of {pages} pages", path=path)
    if found.origin is not None and found.origin.guessed:
        raise SceneError(
            f"{path} is an array of {pages} x {high} x {wide} numbers that tifffile has cut into "
            f"pages along its first axis, and nothing tells which axis is of bands: give --axes "
            f"rows,cols,bands for {wide} bands, or bands,rows,cols for {pages}"
        )
    return found


def _shape_told(dataset: DatasetReader) -> object:
    """The shape of the array that tifffile has written, where it has."""
    try:
        told = json.loads(dataset.tags().get("TIFFTAG_IMAGEDESCRIPTION", ""))
    except ValueError:
        return None
    return told.get("shape") if isinstance(told, dict) else None


class PagesReader(BoxReader):
    """A cube whose pages are its bands, its rows or its columns, read through GDAL.

    By one thread at a time.
    """

    def __init__(self, dataset: DatasetReader, path: Path, axes: Order) -> None:
        """`dataset`: the first page, which is closed here; `axes`: as of an array of pages."""
        dtype = np.dtype(dataset.dtypes[0])
        if dtype.name not in TYPES:
            raise SceneError(f"{path} holds values of type {dtype}; expected real numbers")
        sizes = (len(dataset.subdatasets), dataset.height, dataset.width)
        pieces = (1, *dataset.block_shapes[0])
        rows, cols, bands = (axes.index(axis) for axis in range(3))
        super().__init__(
            (sizes[rows], sizes[cols], sizes[bands]),
            dtype,
            (pieces[rows], pieces[cols], pieces[bands]),
        )
        self._path, self._axes, self._lock = path, axes, threading.Lock()
        # Relative names would be looked for elsewhere once the folder has changed.
        place = gdal_name(path if is_virtual(path) else path.resolve())
        names = [f"{name.split(':')[0]}:{name.split(':')[1]}:{place}" for name in pages_of(dataset)]
        dataset.close()
        with handle_of(names[-1], path) as last:  # as far as the last one tells
            if last.dtypes[0] != dtype.name:
                raise SceneError(
                    f"{path} holds pages of {dtype} and of {last.dtypes[0]}; expected bands of one "
                    "type: write them as one raster"
                )
        self._pages = handle_of(_bound(names, sizes, dtype), path, "VRT")

    def box(self, rows: slice, cols: slice, bands: slice) -> Array:
        """Raw values of a box `(rows, cols, bands)`."""
        wanted = (rows, cols, bands)
        pages, down, across = (wanted[axis] for axis in self._axes)
        indexes = list(range(pages.start + 1, pages.stop + 1))
        try:
            with self._lock, gdal_settings():
                found = self._pages.read(indexes=indexes, window=Window.from_slices(down, across))
        except FAILURES as error:
            raise SceneError(
                f"{self._path} is cut short or broken: pages {indexes[0]} to {indexes[-1]} cannot "
                f"be read ({reason(error)}); get the file again"
            ) from error
        turned: Array = found.transpose([self._axes.index(axis) for axis in range(3)])
        return turned

    def close(self) -> None:
        """Release the file."""
        self._pages.close()


def _bound(names: Sequence[str], sizes: tuple[int, int, int], dtype: np.dtype[np.generic]) -> str:
    """The pages as the bands of one raster, for GDAL."""
    _, high, wide = sizes
    bands = "".join(
        f'<VRTRasterBand dataType="{TYPES[dtype.name]}" band="{number}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{escape(name)}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, name in enumerate(names, start=1)
    )
    return f'<VRTDataset rasterXSize="{wide}" rasterYSize="{high}">{bands}</VRTDataset>'
