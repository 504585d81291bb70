#!/usr/bin/env bash
# tifffile==2026.3.3, rasterio==1.4.4 (GDAL 3.10.3)
# Whether rasterio sees a cube that tifffile has written depends on the number of its bands. One of
# (60, 80, 4) numbers opens as 60 x 80 pixels of 4 bands, the last of them called alpha. One of
# (60, 80, 20) opens, without a warning, as a raster of one band of 80 rows and 20 columns: the
# columns and bands of the first image row, since all arrays but those of 3 or 4 in the last axis are
# cut into pages along the first one; (20, 60, 80), bands first, opens as its first band alone. Read
# by tifffile all three come back as they were. `planarconfig` makes bands of either.
# Source: https://github.com/cgohlke/tifffile (imwrite: `photometric`, `planarconfig`);
# https://gdal.org/en/stable/drivers/raster/gtiff.html ("Subdatasets": one page at a time).
# Guess before the run: a cube of bands first is one raster of 20 bands, one of bands last is refused,
# and 4 bands are no other than 20.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 tifffile==2026.3.3 rasterio==1.4.4
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
import rasterio
import tifffile
from rasterio.enums import ColorInterp

cube = np.random.default_rng(0).integers(1, 4000, (60, 80, 20)).astype(np.uint16)
written = {
    "4 bands last": (cube[..., :4], {}),
    "20 bands last": (cube, {}),
    "20 bands first": (cube.transpose(2, 0, 1), {}),
    "20 bands last, contig": (cube, {"planarconfig": "contig"}),
    "20 bands first, separate": (cube.transpose(2, 0, 1), {"planarconfig": "separate"}),
}
found = {}
for name, (array, how) in written.items():
    array = np.ascontiguousarray(array)
    tifffile.imwrite("cube.tif", array, **how)
    assert np.array_equal(tifffile.imread("cube.tif"), array)
    with rasterio.open("cube.tif") as raster:
        found[name] = raster.count, raster.height, raster.width
        alpha = ColorInterp.alpha in raster.colorinterp
        print(f"{name}: {found[name]} (bands, rows, columns){', with an alpha' if alpha else ''}")
        if name == "20 bands last":
            same = np.array_equal(raster.read(1), cube[0])
whole = (20, 60, 80)
expected = [(4, 60, 80), (1, 80, 20), (1, 60, 80), whole, whole]
sys.exit(not (list(found.values()) == expected and same))
PYTHON
