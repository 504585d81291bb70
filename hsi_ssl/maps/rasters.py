"""GeoTIFFs written by windows: a plain draft, then a tiled, compressed copy with overviews."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.transform import Affine

from hsi_ssl.errors import OutputError
from hsi_ssl.maps.control_points import control_points
from hsi_ssl.scenes.scene import Grid


def draft(
    path: Path, grid: Grid, tags: Mapping[str, str], **profile: Any
) -> rasterio.io.DatasetWriter:
    """Open a plain GeoTIFF to be written by windows: rows of pixels, nothing to compress twice.

    Rows, or tiles where the profile says `tiled`, that nobody writes take no space and are nodata.
    """
    if not profile.get("tiled"):
        profile["blockysize"] = 1
    crs = grid.crs
    if grid.transform is not None:
        profile["transform"] = Affine(*grid.transform)
    elif grid.geolocation is not None:
        profile["gcps"], crs = control_points(grid.geolocation, crs)
    elif grid.control_points:
        profile["gcps"] = [
            GroundControlPoint(p.row, p.col, p.x, p.y, p.z) for p in grid.control_points
        ]
    with unlocated():
        raster = rasterio.open(
            path,
            "w",
            driver="GTiff",
            crs=crs,
            interleave="band",
            sparse_ok=True,
            bigtiff="IF_SAFER",
            **profile,
        )
    raster.update_tags(**tags)
    if grid.rpcs:
        raster.update_tags(ns="RPC", **grid.rpcs)
    return raster


def optimised(drafted: Path, path: Path, *, tile: int = 512, **options: str) -> None:
    """Copy a draft as a tiled, compressed GeoTIFF with overviews (COG), and remove it.

    Tiles have `tile` pixels a side, half of it where the raster is just as wide: one tile a row
    looks like strips to what validates COGs.
    """
    with unlocated():
        with rasterio.open(drafted) as raster:
            side = tile // 2 if raster.width == tile else tile
        rasterio.shutil.copy(
            drafted,
            path,
            driver="COG",
            compress="DEFLATE",
            bigtiff="IF_SAFER",
            num_threads="ALL_CPUS",
            blocksize=str(side),
            **options,
        )
    drafted.unlink()


def blocks(path: Path) -> Iterator[npt.NDArray[Any]]:
    """All values of a raster, `(bands, r, c)` at a time."""
    with unlocated(), rasterio.open(path) as raster:
        for _, window in raster.block_windows(1):
            yield raster.read(window=window)


def read_back(path: Path) -> None:
    """Read a finished raster whole: GDAL does not say when the disk fills up while it closes.

    Raises
    ------
    RasterioError
        It breaks off.
    """
    for _ in blocks(path):
        pass


@contextlib.contextmanager
def unlocated() -> Iterator[None]:
    """Let rasters be without georeference: the scene may have none, and none is invented."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextlib.contextmanager
def raster_errors(path: Path) -> Iterator[None]:
    """Turn GDAL's refusals to write into one sentence."""
    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:  # copying lets the second one through
        raise OutputError(
            f"cannot write {path}: GDAL failed ({error.__cause__ or error}); "
            "is there space left on the disk?"
        ) from error
