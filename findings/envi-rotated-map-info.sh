#!/usr/bin/env bash
# rasterio==1.4.4 (GDAL 3.10.3)
# GDAL reads a rotation in the map info of an ENVI header otherwise than one would turn an image, in
# three ways. A careful guess says that rows and columns stay at a right angle, that the reference
# pixel stays at the coordinates given, and that half a turn turns both rows and columns. But (1)
# the sizes of a pixel are taken the other way round for the terms off the diagonal, so that pixels
# that are not square are sheared; (2) the origin is found from the reference pixel as if nothing
# were turned; (3) half a turn, also of -180, is taken for rows from south to north, which is a
# mirror image, and GDAL writes such rasters with rotation=180.
# Source: https://www.nv5geospatialsoftware.com/docs/ENVIHeaderFiles.html (map info: reference pixel,
# its easting and northing, sizes of a pixel; rotation in degrees).
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

X, Y = 500_000.0, 5_000_000.0
HEADER = """ENVI
samples = 5
lines = 4
bands = 1
header offset = 0
file type = ENVI Standard
data type = 1
interleave = bsq
byte order = 0
map info = {{UTM, {col}, {row}, {x}, {y}, {wide}, {high}, 32, North, WGS-84, rotation={angle:.8f}}}
"""


def seen(angle, col=1.0, row=1.0, wide=30.0, high=30.0):
    """Transform, angle between columns and rows, how far the reference pixel lies from its place."""
    np.zeros((4, 5), "u1").tofile("r.img")
    with open("r.hdr", "w") as file:
        file.write(HEADER.format(col=col, row=row, x=X, y=Y, wide=wide, high=high, angle=angle))
    with rasterio.open("r.img") as raster:
        a, b, c, d, e, f = raster.transform[:6]
    between = np.degrees(np.arccos((a * b + d * e) / np.hypot(a, d) / np.hypot(b, e)))
    at = np.array([a * (col - 1) + b * (row - 1) + c, d * (col - 1) + e * (row - 1) + f])
    return (a, b, c, d, e, f), between, np.hypot(*(at - (X, Y)))


_, square, _ = seen(30)
_, oblong, _ = seen(30, high=20.0)
_, _, moved = seen(30, col=3, row=2)
_, _, upright = seen(0, col=3, row=2)
half = [seen(angle)[0] for angle in (180, -180)]
mirrored = [a * e - b * d > 0 for a, b, _, d, e, _ in half]
with rasterio.open(
    "s.img", "w", driver="ENVI", width=5, height=4, count=1, dtype="uint8", crs="EPSG:32632",
    transform=rasterio.Affine(30, 0, X, 0, 30, Y),
) as raster:
    raster.write(np.zeros((1, 4, 5), "u1"))
with open("s.hdr") as file:
    written = next(line.strip() for line in file if line.startswith("map info"))

print(f"turned by 30 degrees: rows and columns at {square:.1f} degrees (pixels of 30 m x 30 m), "
      f"{oblong:.1f} degrees (30 m x 20 m); 90 expected")
print(f"reference pixel (3, 2): {moved:.1f} m from its coordinates when turned by 30 degrees, "
      f"{upright:.1f} m when not turned; 0 expected")
print(f"half a turn, 180 and -180: mirrored {mirrored}; not mirrored expected")
print(f"rows from south to north are written as {written}")
same = (
    abs(square - 90) < 0.1 and abs(oblong - 90) > 1 and moved > 1 and upright < 1e-6
    and all(mirrored) and "rotation=180" in written
)
sys.exit(0 if same else 1)
PYTHON
