#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3)
# A raster that ground control points place is warped through them by WarpedVRT(raster, crs=...). A
# careful guess says that it still is where the grid to warp onto is given too (transform, width,
# height), to bring a swath onto the grid of another raster, say, as reproject() does. But then the
# control points are not used and pixels count as coordinates: nothing lies on the grid, and a raster
# of nothing but nodata comes back, without an error or a warning.
# Source: https://rasterio.readthedocs.io/en/stable/topics/virtual-warping.html ("Normalizing Data to
# a Consistent Grid": WarpedVRT with transform, width and height) and
# https://rasterio.readthedocs.io/en/stable/topics/georeferencing.html (Ground Control Points).
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
from rasterio.control import GroundControlPoint
from rasterio.transform import from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject

ROWS, COLS, VALUE = 40, 50, 7
points = [
    GroundControlPoint(row, col, 400_000 + 30 * col, 5_600_000 - 30 * row)
    for row in (0, 20, 40)
    for col in (0, 25, 50)
]
crs = rasterio.CRS.from_epsg(32633)
with rasterio.open(
    "swath.tif", "w", driver="GTiff", height=ROWS, width=COLS, count=1, dtype="uint8", nodata=0,
    gcps=points, crs=crs,
) as file:
    file.write(np.full((ROWS, COLS), VALUE, "uint8"), 1)
grid = {"transform": from_origin(400_000, 5_600_000, 30, 30), "width": COLS, "height": ROWS}
share = {}
with rasterio.open("swath.tif") as swath:
    with WarpedVRT(swath, crs=crs) as placed:
        share["WarpedVRT, no grid given"] = (placed.read(1) == VALUE).mean()
    with WarpedVRT(swath, crs=crs, **grid) as placed:
        share["WarpedVRT onto a grid"] = (placed.read(1) == VALUE).mean()
    found = np.zeros((ROWS, COLS), "uint8")
    reproject(rasterio.band(swath, 1), found, dst_transform=grid["transform"], dst_crs=crs)
    share["reproject onto that grid"] = (found == VALUE).mean()
for way, part in share.items():
    print(f"{way}: {part:.0%} of the cells hold the swath (expected 100%)")
sys.exit(0 if [round(float(part), 2) for part in share.values()] == [1, 0, 1] else 1)
PYTHON
