#!/usr/bin/env bash
# rioxarray==0.19.0, xarray==2026.9.0, rasterio==1.4.4
# Radiance with a gain for each band, as ENVI headers and level-1 products have it, is changed by
# being opened with mask_and_scale=True and written by to_raster. Opened it is right, each band by its
# own gain and offset. Where all bands share one scale, to_raster packs the numbers again by it. Where
# they differ it does not, writes the physical values into the integers that the file had (10.5
# becomes 10), and the gains beside them, so that who applies these scales twice: 10.5 in the first
# band becomes 1.0, 44 in the third 19.6. The only warnings, at opening, are that attributes are not
# added. Opened without mask_and_scale, raw numbers and gains come back as they were.
# Source: https://corteva.github.io/rioxarray/stable/rioxarray.html (open_rasterio: `mask_and_scale`,
# "Lazily scale (using the `scales` and `offsets` from rasterio) and mask"; to_raster);
# https://www.nv5geospatialsoftware.com/docs/ENVIHeaderFiles.html (data gain values: one a band).
# Guess before the run: each band is scaled by its own gain and packed by it again, or it is refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet numpy==2.4.6 rasterio==1.4.4 xarray==2026.9.0 rioxarray==0.19.0
venv/bin/python -W ignore - <<'PYTHON'
import sys

import numpy as np
import rasterio
import rioxarray

HEADER = """ENVI
samples = 5
lines = 4
bands = 3
header offset = 0
data type = 2
interleave = bsq
byte order = 0
data gain values = {{{}}}
data offset values = {{{}}}
map info = {{UTM, 1, 1, 400000, 5000000, 5, 5, 33, North, WGS-84}}
"""


def physical(name):
    with rasterio.open(name) as raster:
        raw = raster.read()[:, 0, 0]
        return raw.tolist(), raw * np.array(raster.scales) + np.array(raster.offsets)


found = {}
for name, gains, offsets in (
    ("one", "0.1, 0.1, 0.1", "0, 0, 0"),
    ("each", "0.1, 0.2, 0.4", "0, 1, 2"),
):
    np.full((3, 4, 5), 105, "<i2").tofile(f"{name}.img")
    with open(f"{name}.hdr", "w") as header:
        header.write(HEADER.format(gains, offsets))
    _, right = physical(f"{name}.img")
    opened = rioxarray.open_rasterio(f"{name}.img", mask_and_scale=True)
    assert np.allclose(opened.values[:, 0, 0], right)
    opened.rio.to_raster(f"{name}.tif")
    raw, again = physical(f"{name}.tif")
    found[name] = raw, np.allclose(again, right)
    print(f"{name}: {right.round(2)} written as {raw}, read again as {again.round(2)}")
rioxarray.open_rasterio("each.img").rio.to_raster("raw.tif")
untouched = physical("raw.tif")[0] == [105, 105, 105]
print(f"without mask_and_scale as it was: {untouched}")
expected = {"one": ([105] * 3, True), "each": ([10, 22, 44], False)}
sys.exit(0 if found == expected and untouched else "another behaviour than described")
PYTHON
