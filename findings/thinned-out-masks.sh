#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3)
# Thinned-out values and thinned-out masks do not belong together, in two ways. (1) An overview that
# is older than the raster's mask says that it has one mask for all bands, and that all of it is
# valid; the raster itself, read at that size, gives the mask thinned out. (2) Read at a smaller
# size, rasters of raw numbers (ENVI, EHdr) give the first pixel of each cell, those of other
# drivers, and every mask, the middle one. A careful guess says that the nearest neighbour is the
# same pixel for every driver and for its mask; so read(masked=True, out_shape=...) of an ENVI cube
# with a mask beside it shows pixels that the mask hides and hides others.
# Source: https://gdal.org/development/rfc/rfc15_nodatabitmask.html,
# https://gdal.org/en/stable/api/gdaldataset_cpp.html (RasterIO: "using the nearest neighbour").
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 rasterio==1.4.4
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import rasterio
from rasterio.enums import Resampling

SIDE, STEP = 64, 2
values = np.arange(1, SIDE * SIDE + 1, dtype="u2").reshape(1, SIDE, SIDE)
shown = np.random.default_rng(0).random((SIDE, SIDE)) > 0.3
shape = {"height": SIDE, "width": SIDE, "count": 1, "dtype": "uint16"}


def write(path, driver, **more):
    with rasterio.open(path, "w", driver=driver, **shape, **more) as raster:
        raster.write(values)


def mask(path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as raster:
        raster.write_mask(shown)


write("late.tif", "GTiff", tiled=True, blockxsize=16, blockysize=16)
with rasterio.open("late.tif", "r+") as raster:
    raster.build_overviews([STEP], Resampling.nearest)
mask("late.tif")
with rasterio.open("late.tif") as raster:
    from_raster = raster.read_masks(1, out_shape=(SIDE // STEP, SIDE // STEP))
with rasterio.open("late.tif", overview_level=0) as raster:
    flags, from_overview = raster.mask_flag_enums, raster.read_masks(1)
print(f"hidden of {from_raster.size}: {(from_raster == 0).sum()} by the raster at half size, "
      f"{(from_overview == 0).sum()} by its overview, whose flags are {flags[0]}")
late = (from_raster == 0).any() and not (from_overview == 0).any()

differs = {}
for driver in ("GTiff", "ENVI", "EHdr"):
    write(f"s.{driver}", driver)
    mask(f"s.{driver}")
    with rasterio.open(f"s.{driver}") as raster:
        small = raster.read(1, masked=True, out_shape=(SIDE // STEP, SIDE // STEP))
    row, col = np.divmod(small.data.astype(int) - 1, SIDE)
    truly = shown[row, col]
    differs[driver] = int((truly == small.mask).sum())
    print(f"{driver}: pixels {sorted(set((row % STEP).ravel().tolist()))} of each cell's {STEP} "
          f"rows; the mask is wrong for {differs[driver]} of {small.size}")
raw = differs["GTiff"] == 0 and differs["ENVI"] > 0 and differs["EHdr"] > 0
sys.exit(0 if late and raw else 1)
PYTHON
