"""Rasters opened through GDAL, with what it is told and what is asked of them first."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from hsi_ssl.errors import SceneError, SceneNotFoundError
from hsi_ssl.scenes.promises import refuse_absurd, refuse_empty_promise
from hsi_ssl.scenes.readers.gdal_errors import FAILURES, one_sentence, reason
from hsi_ssl.scenes.readers.vrt_sources import look_at_sources
from hsi_ssl.scenes.virtual import gdal_name, is_virtual, shown

CACHE = 160 * 2**20
"""Bytes of GDAL's cache of decoded blocks: a tile of 512 x 512 pixels and 268 bands of two bytes.
GDAL's own choice, a twentieth of the machine's memory, is too much beside a model."""
ELSEWHERE = {"VRT", "WCS", "WMS", "WMTS"}
"""Drivers of GDAL for rasters whose numbers are not in the file."""
LARGEST_BLOCK, MOST_IN_BLOCK = 2**28, 2**11
"""Bytes of a block that GDAL unpacks at once, and how many times what the file has."""
UNTURNED = ("netCDF", "HDF5", "HDF5Image")
"""Drivers of GDAL that take arrays for planes of bands, or for something else, unasked."""
NOT_THERE = re.compile(
    "does not exist|response code: 40|Could not resolve|Couldn't connect|connect to"
)
"""In what GDAL says of files that are not on the server or in the archive."""


def opened(
    path: Path,
    variable: str | None = None,
    *,
    driver: str | None = None,
    named: Path | None = None,
) -> DatasetReader:
    """Open a raster, or the data set `variable` inside it, through GDAL (`driver`, if given).

    Errors speak of `named`, by default of `path`.

    Raises
    ------
    SceneError, SceneNotFoundError
        It cannot be read, or is larger than any or than its files can hold; there is no `variable`.
    """
    named = named or path
    if not is_virtual(path):
        look_at_sources(path)
    dataset = handle_of(gdal_name(path), named, driver)
    if dataset.driver in UNTURNED:
        dataset.close()
        raise SceneError(
            f"{shown(named)} is {dataset.driver.removesuffix('Image')}, expected as a file of this "
            "machine: on servers and in archives GDAL reads it, which does not know which axis "
            "holds the bands; download or unpack it first"
        )
    inside = {name.split(":")[-1].strip("/"): name for name in dataset.subdatasets}
    if variable is not None:
        dataset.close()
        if variable.strip("/") not in inside:
            raise SceneNotFoundError(
                f"{named} holds no {variable}; it holds {', '.join(inside) or 'one raster only'}"
            )
        return handle_of(inside[variable.strip("/")], named)
    try:
        if dataset.count == 0:
            if not inside:
                raise SceneError(f"{named} holds no bands")
            raise SceneError(
                f"{named} holds several data sets: {', '.join(inside)}; choose one with --variable"
            )
        _refuse_absurd(dataset, named)
    except BaseException:
        dataset.close()
        raise
    return dataset


@contextlib.contextmanager
def looked_into(path: Path) -> Iterator[DatasetReader]:
    """Open a raster to ask it something; whatever GDAL refuses meanwhile is one sentence.

    Raises
    ------
    SceneError, SceneNotFoundError
        It cannot be read, or is larger than any or than its files can hold; there is no `variable`.
    """
    with gdal_settings(), opened(path) as dataset, one_sentence(path):
        yield dataset


def handle_of(
    name: str, path: Path, driver: str | None = None, **options: int | str
) -> DatasetReader:
    """GDAL's handle of a raster by the name that GDAL has for it; errors speak of `path`.

    Raises
    ------
    SceneError, SceneNotFoundError
        GDAL cannot open it.
    """
    try:
        with gdal_settings(), warnings.catch_warnings():
            # A cube without coordinates is nothing to warn of.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(name, driver=driver, **options)
    except FAILURES as error:
        if is_virtual(path) and NOT_THERE.search(reason(error)):
            raise SceneNotFoundError(
                f"there is nothing at {shown(path)} ({reason(error)}); check the address"
            ) from error
        raise SceneError(
            f"{shown(path)} is broken or of no format that hsi-ssl knows ({reason(error)})"
        ) from error


def _refuse_absurd(dataset: DatasetReader, path: Path) -> None:
    """Refuse a raster that is larger than any, or than its files can hold, or in huge blocks."""
    shape = dataset.height, dataset.width, dataset.count
    refuse_absurd(path, *shape)
    if is_virtual(path) or dataset.driver in ELSEWHERE:
        return
    with one_sentence(path):
        size = np.dtype(dataset.dtypes[0]).itemsize
        high, wide = dataset.block_shapes[0]
        files = [Path(name) for name in dataset.files]
    held = sum(file.stat().st_size for file in files if file.is_file())
    refuse_empty_promise(path, shape, size, held)
    together = dataset.count if dataset.interleaving == Interleaving.pixel else 1
    if high * wide * together * size > max(LARGEST_BLOCK, MOST_IN_BLOCK * held):
        raise SceneError(
            f"{path} promises blocks of {high} x {wide} pixels and is of {held} bytes; get the "
            "file again"
        )


def gdal_settings() -> rasterio.Env:
    """GDAL with a small cache, unless the user's environment sets one; a VRT may bring no code."""
    own = {} if "GDAL_CACHEMAX" in os.environ else {"GDAL_CACHEMAX": CACHE}
    return rasterio.Env(GDAL_VRT_ENABLE_PYTHON="NO", **own)
